/*
 * Expanding a template for one request. Constant text and single variables
 * cost no copy; everything else is one pass over the parts and one join.
 * Runs in: front and workers. Results belong to the caller's arena.
 */
#include "conf/template-parts.h"

#include <sysexits.h>
#include <unistd.h>

struct expansion {
	const struct vars *vars;
	struct arena *arena;
	template_escape *escape;
	void *ctx;
	struct err *err;
};

static struct span expand(const struct expansion *x, const struct template *t);

static struct span expand_unescaped(const struct expansion *x, const struct template *t)
{
	struct expansion raw = *x;
	raw.escape = NULL;
	return expand(&raw, t);
}

static struct span field_value(const struct expansion *x, const struct part_field *f)
{
	const struct fields *fields = f->userdb ? x->vars->userdb : x->vars->passdb;
	struct span v = fields != NULL ? fields_get(fields, f->name) : SPAN_NULL;
	return v.len > 0 ? v : f->otherwise;
}

static struct span part_value(const struct expansion *x, const struct template_part *part);

static struct span hash_value(const struct expansion *x, const struct part_hash *h)
{
	struct span salt = SPAN_LIT("");
	struct expansion raw = *x;
	raw.escape = NULL;
	if (h->salt != NULL)
		salt = expand(&raw, h->salt);
	struct span value = salt.ptr != NULL ? part_value(&raw, &h->of) : SPAN_NULL;
	return value.ptr != NULL ? hash_run(h, salt, value, x->arena) : SPAN_NULL;
}

/* the branch taken; its variables are escaped, its text is not */
static struct span if_value(const struct expansion *x, const struct part_if *c)
{
	struct span left = expand_unescaped(x, c->left);
	struct span right = left.ptr != NULL ? expand_unescaped(x, c->right) : SPAN_NULL;
	if (right.ptr == NULL)
		return SPAN_NULL;
	int yes = if_compare(c, left, right, x->arena, x->err);
	if (yes < 0)
		return SPAN_NULL;
	if (yes)
		return expand(x, c->yes);
	return c->no != NULL ? expand(x, c->no) : SPAN_LIT("");
}

/* before modifiers and, but for if, before escaping */
static struct span part_value(const struct expansion *x, const struct template_part *part)
{
	switch (part->kind) {
	case PART_TEXT:
	case PART_FIXED:
		return part->u.text;
	case PART_VAR:
		return var_value(x->vars, part->u.var);
	case PART_FIELD:
		return field_value(x, &part->u.field);
	case PART_UID:
		return arena_printf(x->arena, "%lu", (unsigned long)geteuid());
	case PART_GID:
		return arena_printf(x->arena, "%lu", (unsigned long)getegid());
	case PART_HASH:
		return hash_value(x, part->u.hash);
	case PART_IF:
		return if_value(x, part->u.cond);
	}
	return SPAN_NULL;
}

static struct span expand_part(const struct expansion *x, const struct template_part *part)
{
	if (part->kind == PART_TEXT)
		return part->u.text;
	if (part->kind == PART_IF && !part->mod.any)
		return if_value(x, part->u.cond);
	struct expansion raw = *x;
	raw.escape = NULL;
	struct span v = part_value(&raw, part);
	if (v.ptr == NULL)
		return v;
	if (part->mod.any)
		v = template_modify(&part->mod, v, x->arena);
	if (x->escape == NULL)
		return v;
	v = x->escape(x->ctx, x->arena, v);
	if (v.ptr == NULL)
		err_set(x->err, EX_DATAERR, "a variable's value cannot be written here");
	return v;
}

static struct span expand(const struct expansion *x, const struct template *t)
{
	if (t->constant && (t->plain || x->escape == NULL))
		return t->fixed;
	if (t->count == 1)
		return expand_part(x, &t->parts[0]);
	struct span few[8], *values = few;
	if (t->count > ARRAY_LEN(few))
		values = arena_alloc(x->arena, t->count * sizeof(*values));
	size_t len = 0;
	for (size_t i = 0; i < t->count; i++) {
		values[i] = expand_part(x, &t->parts[i]);
		if (values[i].ptr == NULL)
			return SPAN_NULL;
		len += values[i].len;
	}
	char *out = arena_alloc(x->arena, len + 1), *end = out;
	for (size_t i = 0; i < t->count; i++)
		end = mempcpy(end, values[i].ptr, values[i].len);
	return span_make(out, len);
}

struct span template_expand(const struct template *t, const struct vars *vars, struct arena *a,
    template_escape *escape, void *ctx, struct err *err)
{
	struct expansion x = {vars, a, escape, ctx, err};
	return expand(&x, t);
}
