/*
 * The template parser's third half: an expression of Dovecot 2.4's language,
 * "user|substr(0,1)|lower", in the form that template_from_24() gives it.
 * Runs in: all processes, when configuration is loaded; see template.c.
 */
#include <ctype.h>
#include <inttypes.h>
#include <sys/utsname.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/encode.h"
#include "conf/setting.h"
#include "conf/template-parser.h"

static void skip_blanks(struct template_parser *p)
{
	while (tparse_peek(p) == '~')
		p->at++;
}

static bool is_name_start(char c)
{
	return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

static struct span take_name(struct template_parser *p)
{
	size_t start = p->at;
	while (!tparse_at_end(p) &&
	       (is_name_start(tparse_peek(p)) ||
		   (p->at > start &&
		       (isdigit((unsigned char)tparse_peek(p)) ||
			   (tparse_peek(p) != '\0' && strchr("_/;:.-", tparse_peek(p)) != NULL)))))
		p->at++;
	return tparse_since(p, start);
}

/* 'a\2cb' */
static bool take_string(struct template_parser *p, struct span *out)
{
	size_t start = p->at++, n = 0;
	char *text = arena_alloc(p->arena, p->text.len - p->at + 1);
	while (!tparse_at_end(p) && tparse_peek(p) != '\'') {
		char c = p->text.ptr[p->at++];
		if (c == '\\') {
			struct span byte =
			    hex_decode(p->arena, span_first(span_skip(p->text, p->at), 2));
			if (byte.len != 1)
				return tparse_fail(p, start, "a damaged string");
			c = byte.ptr[0];
			p->at += 2;
		}
		text[n++] = c;
	}
	*out = span_make(text, n);
	return tparse_take(p, '\'') || tparse_fail(p, start, "a string without its end");
}

static bool take_number(struct template_parser *p, struct pipe_arg *arg)
{
	size_t start = p->at;
	bool negative = tparse_take(p, '-');
	skip_blanks(p);
	size_t digits = p->at;
	while (isdigit((unsigned char)tparse_peek(p)))
		p->at++;
	uint64_t n;
	if (!span_to_u64(tparse_since(p, digits), &n) || n > INT64_MAX)
		return tparse_fail(p, start, "not a number");
	arg->kind = ARG_NUMBER;
	arg->number = negative ? -(int64_t)n : (int64_t)n;
	arg->text = arena_printf(p->arena, "%" PRId64, arg->number);
	return true;
}

static bool unknown(
    struct template_parser *p, size_t start, const char *kind, struct span name, const char *near)
{
	const char *hint = near != NULL ? ", did you mean " : "", *quote = near != NULL ? "\"" : "";
	return tparse_fail(p, start, "unknown %s \"%.*s\"%s%s%s%s%s", kind, SPAN_ARG(name), hint,
	    quote, near != NULL ? near : "", quote, near != NULL ? "?" : "");
}

/* ---- variables and providers ---- */

static void set_fixed(struct template_part *part, struct span text)
{
	part->kind = PART_FIXED;
	part->u.text = text;
}

/* %{system:...}, %{process:...}: what they say does not change */
static bool parse_machine(struct template_parser *p, struct template_part *part, struct span name)
{
	struct utsname u;
	if (uname(&u) != 0)
		memset(&u, 0, sizeof(u));
	if (span_eq_str(name, "system:hostname"))
		set_fixed(part,
		    arena_dup(p->arena, span_first(span_of(u.nodename), strcspn(u.nodename, "."))));
	else if (span_eq_str(name, "system:os"))
		set_fixed(part, arena_dup(p->arena, span_of(u.sysname)));
	else if (span_eq_str(name, "system:os-version"))
		set_fixed(part, arena_dup(p->arena, span_of(u.release)));
	else if (span_eq_str(name, "system:cpu_count"))
		set_fixed(part, arena_printf(p->arena, "%ld", sysconf(_SC_NPROCESSORS_ONLN)));
	else if (span_eq_str(name, "process:pid"))
		set_fixed(part, arena_printf(p->arena, "%ld", (long)getpid()));
	else if (span_eq_str(name, "process:uid"))
		part->kind = PART_UID;
	else if (span_eq_str(name, "process:gid"))
		part->kind = PART_GID;
	else
		return false;
	return true;
}

static bool parse_field(
    struct template_parser *p, struct template_part *part, bool userdb, struct span name)
{
	part->kind = PART_FIELD;
	part->u.field.userdb = userdb;
	part->u.field.name = arena_cstr(p->arena, name);
	part->u.field.otherwise = SPAN_LIT("");
	p->needs |= userdb ? VAR_BIT(VAR_USERDB) : VAR_BIT(VAR_PASSDB);
	return true;
}

static bool unknown_provider(struct template_parser *p, size_t start, struct span provider)
{
	static const char *const names[] = {"passdb", "userdb", "env", "system", "process", "ldap"};
	static const char *const elsewhere[] = {
	    "ldap", "ldap_multi", "sql", "oauth2", "lua", "passwd", "passwd_file", "static"};
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
		if (span_eq_str(provider, elsewhere[i]))
			return tparse_fail(p, start,
			    "%%{%.*s:...} is only known in the fields of a section whose driver it "
			    "is",
			    SPAN_ARG(provider));
	}
	const char *near = nearest_name(provider, names, ARRAY_LEN(names));
	return unknown(p, start, "provider", provider, near);
}

static bool parse_provider(struct template_parser *p, struct template_part *part, size_t start,
    struct span name, size_t colon)
{
	struct span provider = span_first(name, colon), key = span_skip(name, colon + 1);
	if (key.len == 0)
		return tparse_fail(p, start, "%%{%.*s:} without a name", SPAN_ARG(provider));
	if (span_eq_str(provider, "passdb") || span_eq_str(provider, "userdb"))
		return parse_field(p, part, provider.ptr[0] == 'u', key);
	if (span_eq_str(provider, "env")) {
		set_fixed(part, template_env_value(p->arena, key, SPAN_LIT("")));
		return true;
	}
	if (span_eq_str(provider, "ldap") && span_eq_str(key, "dn") &&
	    tparse_is_source(p, SPAN_LIT("ldap_dn")))
		provider = SPAN_LIT("ldap_dn");
	if (span_eq_str(provider, "ldap_multi") &&
	    tparse_is_source(p, SPAN_LIT(TEMPLATE_LDAP_MULTI)))
		provider = SPAN_LIT(TEMPLATE_LDAP_MULTI);
	if (tparse_is_source(p, provider))
		return tparse_source(p, part, start, provider, key, SPAN_LIT(""));
	return parse_machine(p, part, name) || unknown_provider(p, start, provider);
}

static bool unknown_name(struct template_parser *p, size_t start, struct span name)
{
	const char *names[160];
	size_t n = 0;
	for (size_t i = 0; i < var_name_count; i++)
		names[n++] = var_names[i].name;
	for (size_t i = 0; pipe_filter_name(i) != NULL && n < ARRAY_LEN(names); i++)
		names[n++] = pipe_filter_name(i);
	const char *near = nearest_name(name, names, n);
	return unknown(p, start, "variable", name, near);
}

static bool parse_variable(
    struct template_parser *p, struct template_part *part, size_t start, struct span name)
{
	ssize_t colon = span_find(name, ':');
	if (colon > 0)
		return parse_provider(p, part, start, name, (size_t)colon);
	const struct var_name *var = var_find(name);
	if (var == NULL)
		return unknown_name(p, start, name);
	part->kind = PART_VAR;
	part->u.var = var;
	p->needs |= VAR_BIT(var->var);
	return true;
}

/* ---- arguments ---- */

static bool parse_value(struct template_parser *p, struct pipe_arg *arg)
{
	size_t start = p->at;
	char c = tparse_peek(p);
	if (c == '\'') {
		arg->kind = ARG_TEXT;
		return take_string(p, &arg->text);
	}
	if (c == '-' || isdigit((unsigned char)c))
		return take_number(p, arg);
	struct span name = take_name(p);
	if (name.len == 0)
		return tparse_fail(p, start, "a value is missing");
	arg->kind = ARG_VARIABLE;
	return parse_variable(p, &arg->variable, start, name);
}

/* "value" or "name=value" */
static bool parse_arg(struct template_parser *p, struct pipe_step *s)
{
	size_t start = p->at;
	struct span name = take_name(p);
	skip_blanks(p);
	bool named = name.len > 0 && tparse_take(p, '=');
	struct pipe_arg arg = {0};
	if (named)
		skip_blanks(p);
	else
		p->at = start;
	if (!parse_value(p, &arg))
		return false;
	if (s->count == PIPE_ARGS_MAX)
		return tparse_fail(p, start, "more than %d arguments", PIPE_ARGS_MAX);
	size_t at = s->count++ - (named ? 0 : s->named);
	memmove(&s->args[at + 1], &s->args[at], (s->count - 1 - at) * sizeof(*s->args));
	if (named)
		arg.name = arena_cstr(p->arena, name);
	s->args[at] = arg;
	s->named += named;
	return true;
}

static bool parse_args(struct template_parser *p, struct pipe_step *s)
{
	if (!tparse_take(p, '('))
		return true;
	s->args = arena_alloc(p->arena, (PIPE_ARGS_MAX + 1) * sizeof(*s->args));
	do {
		skip_blanks(p);
		if (!parse_arg(p, s))
			return false;
		skip_blanks(p);
	} while (tparse_take(p, ','));
	return tparse_take(p, ')') || tparse_fail(p, p->at, "a ) is missing");
}

/* ---- steps ---- */

static struct pipe_step *add_step(struct part_pipe *pipe, const char *filter)
{
	struct pipe_step *s = &pipe->steps[pipe->count++];
	*s = (struct pipe_step){
	    .filter = pipe_filter_find(span_of(filter)), .first = pipe->count == 1};
	return s;
}

static struct pipe_arg *one_arg(struct template_parser *p, struct pipe_step *s, size_t count)
{
	s->args = arena_alloc(p->arena, count * sizeof(*s->args));
	s->count = count;
	return s->args;
}

static bool finish_step(
    struct template_parser *p, struct pipe_step *s, bool first, size_t start, struct span name)
{
	struct err why = {0};
	return pipe_step_prepare(p->arena, s, first, &why) ||
	       tparse_fail(p, start, "%.*s: %s", SPAN_ARG(name), why.text);
}

/* The first item: a variable, a string, or a filter that needs no value before it. */
static bool parse_first(struct template_parser *p, struct part_pipe *pipe)
{
	size_t start = p->at;
	if (tparse_peek(p) == '\'' || tparse_peek(p) == '}') {
		struct pipe_arg *arg = one_arg(p, add_step(pipe, "literal"), 1);
		arg->text = SPAN_LIT("");
		return tparse_peek(p) == '}' || take_string(p, &arg->text);
	}
	struct span name = take_name(p);
	size_t after = p->at;
	skip_blanks(p);
	bool called = tparse_peek(p) == '(';
	p->at = called ? p->at : after;
	if (called && pipe_filter_find(name) != NULL) {
		struct pipe_step *s = add_step(pipe, "literal");
		s->filter = pipe_filter_find(name);
		return parse_args(p, s) && finish_step(p, s, true, start, name);
	}
	struct pipe_arg *arg = one_arg(p, add_step(pipe, "literal"), 1);
	arg->kind = ARG_VARIABLE;
	if (name.len == 0)
		return tparse_fail(p, start, "the name of a variable is missing");
	return parse_variable(p, &arg->variable, start, name);
}

/* "lookup('name')" is the variable of that name. */
static bool resolve_lookup(struct template_parser *p, struct pipe_step *s, size_t start)
{
	if (!pipe_filter_is(s->filter, "lookup"))
		return true;
	struct pipe_arg *arg = &s->args[0];
	if (arg->kind != ARG_TEXT)
		return tparse_fail(p, start, "lookup takes the name of a variable in quotes");
	struct span name = arg->text;
	arg->kind = ARG_VARIABLE;
	s->filter = pipe_filter_find(SPAN_LIT("literal"));
	return parse_variable(p, &arg->variable, start, name);
}

static bool unknown_filter(struct template_parser *p, size_t start, struct span name)
{
	const char *names[64];
	size_t n = 0;
	while (n < ARRAY_LEN(names) && (names[n] = pipe_filter_name(n)) != NULL)
		n++;
	const char *near = nearest_name(name, names, n);
	return unknown(p, start, "filter", name, near);
}

static bool parse_filter(struct template_parser *p, struct part_pipe *pipe)
{
	size_t start = p->at;
	struct span name = take_name(p);
	const struct pipe_filter *filter = pipe_filter_find(name);
	if (name.len == 0)
		return tparse_fail(p, start, "a filter is missing after |");
	if (filter == NULL)
		return unknown_filter(p, start, name);
	if (pipe->safe)
		return tparse_fail(p, start, "safe must be the last filter");
	struct pipe_step *s = add_step(pipe, "literal");
	s->filter = filter;
	skip_blanks(p);
	if (!parse_args(p, s) || !finish_step(p, s, false, start, name))
		return false;
	pipe->safe = pipe_filter_is(filter, "safe");
	pipe->count -= pipe->safe; /* it does nothing by itself */
	return true;
}

/* "+ 1" after an item */
static bool parse_arithmetic(struct template_parser *p, struct part_pipe *pipe)
{
	skip_blanks(p);
	size_t start = p->at;
	char op = tparse_peek(p);
	if (op == '\0' || strchr("+-*/%", op) == NULL)
		return true;
	p->at++;
	skip_blanks(p);
	struct pipe_step *s = add_step(pipe, "calculate");
	struct pipe_arg *args = one_arg(p, s, 2);
	args[0].text = arena_dup(p->arena, span_make(&op, 1));
	if (!parse_value(p, &args[1]))
		return false;
	return finish_step(p, s, false, start, SPAN_LIT("arithmetic"));
}

/* Nothing but what the administrator wrote: no more than text. */
static void fold(struct template_part *part, const struct part_pipe *pipe)
{
	const struct pipe_step *s = &pipe->steps[0];
	if (pipe->count != 1 || !pipe_filter_is(s->filter, "literal") || pipe->ldap_dn)
		return;
	const struct pipe_arg *arg = &s->args[0];
	bool fixed = arg->kind == ARG_VARIABLE && arg->variable.kind == PART_FIXED;
	if (arg->kind == ARG_VARIABLE && !fixed)
		return;
	struct span text = fixed ? arg->variable.u.text : arg->text;
	part->kind = pipe->safe ? PART_TEXT : PART_FIXED;
	part->u.text = text;
}

bool tparse_pipe(struct template_parser *p, struct template_part *part)
{
	struct part_pipe *pipe = arena_alloc(p->arena, sizeof(*pipe));
	/* each item is a step, and so may be an operator after it */
	pipe->steps = arena_alloc(p->arena, (2 * PIPE_STEPS_MAX + 2) * sizeof(*pipe->steps));
	size_t start = p->at;
	skip_blanks(p);
	if (!parse_first(p, pipe) || !resolve_lookup(p, &pipe->steps[0], start) ||
	    !parse_arithmetic(p, pipe))
		return false;
	while (skip_blanks(p), tparse_take(p, '|')) {
		if (pipe->count > PIPE_STEPS_MAX)
			return tparse_fail(p, start, "more than %d filters", PIPE_STEPS_MAX);
		skip_blanks(p);
		if (!parse_filter(p, pipe) || !parse_arithmetic(p, pipe))
			return false;
	}
	pipe->ldap_dn =
	    pipe->count > 1 && pipe_filter_is(pipe->steps[pipe->count - 1].filter, "ldap_dn");
	pipe->count -= pipe->ldap_dn;
	part->kind = PART_PIPE;
	part->u.pipe = pipe;
	fold(part, pipe);
	return true;
}
