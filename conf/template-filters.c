/*
 * The filters of Dovecot 2.4's expressions, %{user | lower}: where values
 * come from, choices, and running one after the other. A step that fails
 * takes the value away; "default" brings one back, as in Dovecot.
 * Runs in: all processes, any thread. Results belong to the arena.
 */
#include "conf/template-filters.h"

#include <sysexits.h>

#include "base/encode.h"

/* ---- helpers ---- */

bool filter_failed(struct pipe_state *p, const char *why)
{
	return err_set(p->err, EX_DATAERR, "%s", why);
}

void filter_put(struct pipe_state *p, struct span value)
{
	p->value = value.ptr != NULL ? value : SPAN_LIT("");
	p->set = true;
}

void filter_put_text(struct pipe_state *p, struct span value)
{
	filter_put(p, value);
	p->bytes = false;
}

void filter_put_buffer(struct pipe_state *p, struct buffer *b)
{
	filter_put(p, arena_dup(p->arena, b->len > 0 ? buffer_span(b) : SPAN_LIT("")));
	buffer_free(b);
}

const struct pipe_arg *filter_arg(const struct pipe_step *s, size_t i)
{
	return i < s->count - s->named ? &s->args[i] : NULL;
}

const struct pipe_arg *filter_named(const struct pipe_step *s, const char *name)
{
	for (size_t i = s->count - s->named; i < s->count; i++) {
		if (strcmp(s->args[i].name, name) == 0)
			return &s->args[i];
	}
	return NULL;
}

bool filter_is_literal(const struct pipe_arg *a)
{
	return a->kind != ARG_VARIABLE || a->variable.kind == PART_FIXED;
}

bool filter_text(struct pipe_state *p, const struct pipe_arg *a, struct span *out)
{
	bool present = true;
	*out = a->text;
	if (a->kind != ARG_VARIABLE)
		return true;
	*out = template_part_value(p->x, &a->variable, &present);
	if (present)
		return true;
	if (p->err == NULL || p->err->code == 0)
		err_set(p->err, TEMPLATE_NO_VALUE, "a variable has no value, and no | default");
	return false;
}

bool filter_to_number(struct pipe_state *p, struct span s, int64_t *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t n;
	if (!span_to_u64(span_skip(s, negative), &n) || n > INT64_MAX)
		return err_set(
		    p->err, EX_DATAERR, "\"%.*s\" is not a number", SPAN_ARG(span_first(s, 64)));
	*out = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

bool filter_number(struct pipe_state *p, const struct pipe_arg *a, int64_t *out)
{
	struct span text;
	*out = a->number;
	return a->kind == ARG_NUMBER ||
	       (filter_text(p, a, &text) && filter_to_number(p, text, out));
}

bool filter_small_number(
    struct pipe_state *p, const struct pipe_arg *a, int64_t min, int64_t max, int64_t *out)
{
	if (!filter_number(p, a, out))
		return false;
	return (*out >= min && *out <= max) || filter_failed(p, "a number is out of bounds");
}

/* ---- where values come from ---- */

static bool run_literal(struct pipe_state *p, const struct pipe_step *s)
{
	struct span v;
	p->literal = filter_is_literal(&s->args[0]);
	if (!filter_text(p, &s->args[0], &v))
		return false;
	filter_put_text(p, v);
	return true;
}

static bool run_default(struct pipe_state *p, const struct pipe_step *s)
{
	struct span v = SPAN_LIT("");
	if (p->set && p->value.len > 0)
		return true;
	p->err->code = 0; /* whatever failed before, this mends it */
	p->literal = s->count == 0 || filter_is_literal(&s->args[0]);
	if (s->count > 0 && !filter_text(p, &s->args[0], &v))
		return false;
	filter_put_text(p, v);
	return true;
}

static bool run_concat(struct pipe_state *p, const struct pipe_step *s)
{
	struct buffer out = {0};
	bool ok = true;
	if (!p->set)
		p->literal = true;
	buffer_append(&out, p->set ? p->value : SPAN_NULL);
	for (size_t i = 0; ok && i < s->count; i++) {
		struct span v;
		ok = filter_text(p, &s->args[i], &v);
		if (ok)
			buffer_append(&out, v);
		p->literal = p->literal && filter_is_literal(&s->args[i]);
	}
	if (ok)
		filter_put_buffer(p, &out);
	buffer_free(&out);
	return ok;
}

/* ---- conditions: [value,] operator, right, then, else ---- */

/* The first of count comparisons that holds, or count; -1: *err */
static int find_match(struct pipe_state *p, const struct pipe_step *s, size_t first, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span right;
		if (!filter_text(p, &s->args[first + 2 * i], &right))
			return -1;
		int yes = if_compare(&s->ifs[i], p->value, right, p->arena, p->err);
		if (yes != 0)
			return yes < 0 ? -1 : (int)i;
	}
	return (int)count;
}

static bool choose(struct pipe_state *p, const struct pipe_arg *a)
{
	struct span v;
	if (a == NULL)
		return filter_failed(p, "nothing matches, and there is no default");
	p->literal = filter_is_literal(a);
	if (!filter_text(p, a, &v))
		return false;
	filter_put_text(p, v);
	return true;
}

static bool run_choice(struct pipe_state *p, const struct pipe_step *s)
{
	size_t value = s->first, count = (s->count - value - 1) / 2;
	if (value > 0 && !filter_text(p, &s->args[0], &p->value))
		return false;
	int match = find_match(p, s, value + 1, count);
	if (match < 0)
		return false;
	size_t at = value + 1 + 2 * (size_t)match + ((size_t)match < count ? 1 : 0);
	return choose(p, filter_arg(s, at));
}

/* ---- the table ---- */

static bool run_safe(struct pipe_state *p UNUSED, const struct pipe_step *s UNUSED)
{
	return true;
}

static const struct pipe_filter filters[] = {
    {"literal", run_literal, 1, 1, NULL, true},
    {"lookup", run_literal, 1, 1, NULL, true},
    {"default", run_default, 0, 1, NULL, true},
    {"concat", run_concat, 1, PIPE_ARGS_MAX, NULL, true},
    {"if", run_choice, 4, 5, NULL, true},
    {"switch", run_choice, 3, PIPE_ARGS_MAX, NULL, true},
    {"safe", run_safe, 0, 0, NULL, false},
    /* known, and not here */
    {"encrypt", NULL, 0, 0, NULL, false},
    {"decrypt", NULL, 0, 0, NULL, false},
    {"date", NULL, 0, 0, NULL, false},
    {"iso8601", NULL, 0, 0, NULL, false},
    {"epoch", NULL, 0, 0, NULL, false},
    {"from_epoch", NULL, 0, 0, NULL, false},
};

const struct pipe_filter *pipe_filter_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		if (span_eq_str(name, filters[i].name))
			return &filters[i];
	}
	for (size_t i = 0; i < value_filter_count; i++) {
		if (span_eq_str(name, value_filters[i].name))
			return &value_filters[i];
	}
	return NULL;
}

const char *pipe_filter_name(size_t i)
{
	if (i < ARRAY_LEN(filters))
		return filters[i].name;
	i -= ARRAY_LEN(filters);
	return i < value_filter_count ? value_filters[i].name : NULL;
}

bool pipe_filter_is(const struct pipe_filter *f, const char *name)
{
	return strcmp(f->name, name) == 0;
}

/* ---- checks when it is loaded ---- */

static bool check_names(const struct pipe_step *s, struct err *err)
{
	for (size_t i = s->count - s->named; i < s->count; i++) {
		struct span rest = span_of(s->filter->named != NULL ? s->filter->named : ""), word;
		bool known = false;
		while (span_word(&rest, " ", &word))
			known = known || span_eq_str(word, s->args[i].name);
		if (!known)
			return err_set(err, EX_CONFIG, "there is no argument %s=", s->args[i].name);
	}
	return true;
}

/* A comparison for each right side; constant patterns are compiled, constant numbers checked. */
static bool prepare_ifs(
    struct arena *a, struct pipe_step *s, size_t value, size_t count, struct err *err)
{
	static const struct template variable = {.constant = false};
	const struct pipe_arg *op = &s->args[value];
	const struct if_op *found = op->kind == ARG_TEXT ? if_op_find(op->text) : NULL;
	if (found == NULL)
		return err_set(err, EX_CONFIG, "there is no operator \"%.*s\" (only %s)",
		    SPAN_ARG(op->text), if_op_names());
	s->ifs = arena_alloc(a, count * sizeof(*s->ifs));
	for (size_t i = 0; i < count; i++) {
		const struct pipe_arg *right = &s->args[value + 1 + 2 * i];
		struct template *t = arena_alloc(a, sizeof(*t));
		*t = variable;
		t->constant = right->kind != ARG_VARIABLE;
		t->fixed = right->text;
		struct part_if *c = &s->ifs[i];
		*c = (struct part_if){.op = found, .left = &variable, .right = t};
		if (!if_prepare(c, err))
			return false;
	}
	return true;
}

static bool prepare_choice(struct arena *a, struct pipe_step *s, bool first, struct err *err)
{
	size_t value = first, after = s->count - value;
	if (pipe_filter_is(s->filter, "if") && after != 4)
		return err_set(
		    err, EX_CONFIG, "needs %soperator, value, then, else", first ? "value, " : "");
	if (s->count < value + 3)
		return err_set(err, EX_CONFIG, "needs an operator and at least one pair of values");
	return prepare_ifs(a, s, value, (after - 1) / 2, err);
}

static bool prepare_values(struct arena *a, struct pipe_step *s, struct err *err)
{
	if (s->count == 0)
		return true;
	const struct pipe_arg *arg = &s->args[0];
	if (pipe_filter_is(s->filter, "hash") && arg->kind == ARG_TEXT &&
	    hash_method_find(arg->text) == NULL)
		return err_set(
		    err, EX_CONFIG, "there is no hash named \"%.*s\"", SPAN_ARG(arg->text));
	if (pipe_filter_is(s->filter, "calculate") &&
	    (arg->kind != ARG_TEXT || arg->text.len != 1 ||
		span_find(SPAN_LIT("+-*/%"), arg->text.ptr[0]) < 0))
		return err_set(err, EX_CONFIG, "the operator is one of + - * / %%");
	if (pipe_filter_is(s->filter, "regexp") && arg->kind == ARG_TEXT)
		return regex_replace(arg->text, SPAN_LIT(""), SPAN_NULL, a, err).ptr != NULL;
	return true;
}

bool pipe_step_prepare(struct arena *a, struct pipe_step *s, bool first, struct err *err)
{
	const struct pipe_filter *f = s->filter;
	size_t n = s->count - s->named;
	s->first = first;
	if (f->run == NULL)
		return err_set(err, EX_CONFIG, "this filter is not built into authd");
	if (first && !f->first)
		return err_set(err, EX_CONFIG, "there is no value before this filter");
	if (!first && pipe_filter_is(f, "lookup"))
		return err_set(err, EX_CONFIG, "can only stand first");
	if (!check_names(s, err))
		return false;
	if (n < f->min || n > f->max)
		return err_set(err, EX_CONFIG, "takes %u to %u arguments", f->min, f->max);
	if (f->run == run_choice)
		return prepare_choice(a, s, first, err);
	return prepare_values(a, s, err);
}

/* ---- running ---- */

/* What a filter puts in of a request ends "only what was written"; the first ones see to it. */
static void taint(struct pipe_state *p, const struct pipe_step *s)
{
	for (size_t i = 0; !s->filter->first && i < s->count; i++)
		p->literal = p->literal && filter_is_literal(&s->args[i]);
}

static void run_steps(struct pipe_state *p, const struct part_pipe *pipe)
{
	for (size_t i = 0; i < pipe->count; i++) {
		const struct pipe_step *s = &pipe->steps[i];
		bool mends = s->filter->run == run_default;
		bool ready = mends || (p->err->code == 0 && (p->set || s->first));
		if (ready && s->filter->run(p, s)) {
			taint(p, s);
			continue;
		}
		p->set = false;
		if (p->err->code == 0)
			(void)filter_failed(p, "there is no value");
	}
}

struct span pipe_expand(const struct expansion *x, const struct part_pipe *pipe)
{
	struct err why = {0};
	struct expansion raw = *x;
	raw.hooks.escape = NULL;
	raw.err = &why;
	struct pipe_state p = {.x = &raw, .arena = x->arena, .err = &why};
	run_steps(&p, pipe);
	if (!p.set) {
		err_set(x->err, why.code, "%s", why.text);
		return SPAN_NULL;
	}
	struct span v = p.bytes ? hex_encode_arena(x->arena, p.value) : p.value;
	if (x->hooks.escape != NULL && !(pipe->safe && p.literal))
		v = template_escaped(x, v);
	static const struct part_modifiers dn = {.any = true, .keys = "D"};
	return pipe->ldap_dn && v.ptr != NULL ? template_modify(&dn, v, x->arena) : v;
}
