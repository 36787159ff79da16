/*
 * Expanding a template for one request. Constant text and single variables
 * cost no copy; everything else is one pass over the parts and one join.
 * Runs in: front and workers. Results belong to the caller's arena.
 */
#include "conf/template-parts.h"

#include <sysexits.h>
#include <unistd.h>

static struct span expand(const struct expansion *x, const struct template *t);

static struct span expand_unescaped(const struct expansion *x, const struct template *t)
{
	struct expansion raw = *x;
	raw.hooks.escape = NULL;
	return expand(&raw, t);
}

static struct span field_value(const struct expansion *x, const struct part_field *f)
{
	const struct fields *fields = f->userdb ? x->vars->userdb : x->vars->passdb;
	struct span v = fields != NULL ? fields_get(fields, f->name) : SPAN_NULL;
	return v.len > 0 ? v : f->otherwise;
}

static struct span source_value(const struct expansion *x, const struct part_source *s)
{
	struct span v = SPAN_NULL;
	if (x->hooks.source != NULL)
		v = x->hooks.source(x->hooks.source_ctx, x->arena, s->name, s->argument);
	return v.len > 0 ? v : s->otherwise;
}

static struct span part_value(const struct expansion *x, const struct template_part *part);

static struct span hash_value(const struct expansion *x, const struct part_hash *h)
{
	struct span salt = SPAN_LIT("");
	struct expansion raw = *x;
	raw.hooks.escape = NULL;
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
	case PART_SOURCE:
		return source_value(x, &part->u.source);
	case PART_PIPE:
		return pipe_expand(x, part->u.pipe);
	}
	return SPAN_NULL;
}

struct span template_part_value(
    const struct expansion *x, const struct template_part *part, bool *present)
{
	struct span v = part_value(x, part);
	*present = v.ptr != NULL;
	if (part->kind == PART_SOURCE)
		*present = v.len > 0;
	if (part->kind == PART_FIELD) {
		const struct fields *f = part->u.field.userdb ? x->vars->userdb : x->vars->passdb;
		*present = f != NULL && fields_find(f, part->u.field.name) != NULL;
	}
	return v;
}

/* %D makes a distinguished name of a.b: what it adds is syntax, the value itself is escaped */
static bool makes_dn(const struct part_modifiers *mod)
{
	size_t n = strlen(mod->keys);
	return n > 0 && mod->keys[n - 1] == 'D' && mod->offset == 0 && mod->width == 0;
}

struct span template_escaped(const struct expansion *x, struct span v)
{
	v = x->hooks.escape(x->hooks.escape_ctx, x->arena, v);
	if (v.ptr == NULL)
		err_set(x->err, EX_DATAERR, "a variable's value cannot be written here");
	return v;
}

static struct span escape_then_dn(
    const struct expansion *x, const struct part_modifiers *mod, struct span v)
{
	static const struct part_modifiers dn = {.any = true, .keys = "D"};
	struct part_modifiers others = *mod;
	others.keys[strlen(others.keys) - 1] = '\0';
	v = template_escaped(x, template_modify(&others, v, x->arena));
	return v.ptr != NULL ? template_modify(&dn, v, x->arena) : v;
}

static struct span expand_part(const struct expansion *x, const struct template_part *part)
{
	if (part->kind == PART_TEXT)
		return part->u.text;
	if (part->kind == PART_IF && !part->mod.any)
		return if_value(x, part->u.cond);
	if (part->kind == PART_PIPE)
		return pipe_expand(x, part->u.pipe);
	struct expansion raw = *x;
	raw.hooks.escape = NULL;
	struct span v = part_value(&raw, part);
	if (v.ptr == NULL)
		return v;
	bool bare = x->hooks.escape == NULL || part->kind == PART_SOURCE;
	if (!bare && makes_dn(&part->mod))
		return escape_then_dn(x, &part->mod, v);
	if (part->mod.any)
		v = template_modify(&part->mod, v, x->arena);
	return bare ? v : template_escaped(x, v);
}

static struct span expand(const struct expansion *x, const struct template *t)
{
	if (t->constant && (t->plain || x->hooks.escape == NULL))
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
	struct expansion x = {vars, a, {.escape = escape, .escape_ctx = ctx}, err};
	return expand(&x, t);
}

struct span template_expand_with(const struct template *t, const struct vars *vars, struct arena *a,
    const struct template_hooks *hooks, struct err *err)
{
	struct expansion x = {vars, a, *hooks, err};
	return expand(&x, t);
}
