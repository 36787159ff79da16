/*
 * The template parser: text with %variables to a struct template. One pass
 * from left to right over the source; arguments inside braces are parsed
 * where they stand, so that every message names an offset in the source.
 * Runs in: all processes, when configuration is loaded. Nothing is fatal.
 */
#include "conf/template-parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

static const struct ending ends_text = {NULL, false, false};

bool tparse_fail(struct template_parser *p, size_t at, const char *fmt, ...)
{
	char text[sizeof(p->err->text) - 32];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(p->err, EX_CONFIG, "%s at offset %zu", text, p->base + at);
}

/* ---- sequences ---- */

static struct template_part *sequence_add(struct template_parser *p, struct sequence *s)
{
	if (s->count == s->capacity) {
		s->capacity = s->capacity == 0 ? 2 : s->capacity * 2;
		struct template_part *bigger = arena_alloc(p->arena, s->capacity * sizeof(*bigger));
		if (s->count > 0)
			memcpy(bigger, s->parts, s->count * sizeof(*bigger));
		s->parts = bigger;
	}
	return &s->parts[s->count++];
}

void tparse_add_text(struct template_parser *p, struct sequence *s, struct span text)
{
	if (text.len == 0)
		return;
	struct template_part *part = sequence_add(p, s);
	part->kind = PART_TEXT;
	part->u.text = text;
}

static struct span join_constant(struct arena *a, const struct sequence *s)
{
	size_t len = 0;
	if (s->count == 0)
		return SPAN_LIT("");
	for (size_t i = 0; i < s->count; i++)
		len += s->parts[i].u.text.len;
	char *out = arena_alloc(a, len + 1), *end = out;
	for (size_t i = 0; i < s->count; i++)
		end = mempcpy(end, s->parts[i].u.text.ptr, s->parts[i].u.text.len);
	return span_make(out, len);
}

struct template *tparse_finish(struct template_parser *p, const struct sequence *s)
{
	struct template *t = arena_alloc(p->arena, sizeof(*t));
	t->parts = s->parts;
	t->count = s->count;
	t->constant = t->plain = true;
	for (size_t i = 0; i < s->count; i++) {
		if (s->parts[i].kind != PART_TEXT)
			t->plain = false;
		if (s->parts[i].kind != PART_TEXT && s->parts[i].kind != PART_FIXED)
			t->constant = false;
	}
	if (t->constant)
		t->fixed = join_constant(p->arena, s);
	return t;
}

static bool parse_variable(struct template_parser *p, struct template_part *part) MUST_CHECK;

struct template *tparse_sequence(struct template_parser *p, const struct ending *ending)
{
	struct sequence s = {0};
	size_t run = p->at, open_braces = 0;
	while (!tparse_at_end(p)) {
		char c = tparse_peek(p);
		if (c == '%') {
			tparse_add_text(p, &s, tparse_since(p, run));
			struct template_part part = {0};
			if (!parse_variable(p, &part))
				return NULL;
			*sequence_add(p, &s) = part;
			run = p->at;
		} else if (c == '\\' && ending->escapes) {
			tparse_add_text(p, &s, tparse_since(p, run));
			run = ++p->at; /* the next byte begins a new run, whatever it is */
			if (!tparse_at_end(p))
				p->at++;
		} else if (c == '}' && open_braces > 0) {
			open_braces--;
			p->at++;
		} else if (c != '\0' && ending->bytes != NULL && strchr(ending->bytes, c)) {
			break;
		} else {
			if (c == '{' && ending->braces)
				open_braces++;
			p->at++;
		}
	}
	tparse_add_text(p, &s, tparse_since(p, run));
	return tparse_finish(p, &s);
}

/* ---- %[-][0][offset.][width][modifiers] ---- */

static bool parse_number(struct template_parser *p, int *out)
{
	size_t start = p->at;
	int n = 0;
	for (char c; c = tparse_peek(p), c >= '0' && c <= '9'; p->at++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, c - '0', &n))
			return tparse_fail(p, start, "number too large");
	*out = n;
	return true;
}

static bool parse_range(struct template_parser *p, struct part_modifiers *mod)
{
	size_t start = p->at;
	bool negative = tparse_take(p, '-'); /* means something only with an offset */
	mod->zero_pad = tparse_take(p, '0');
	if (!parse_number(p, &mod->width))
		return false;
	if (tparse_take(p, '.')) {
		mod->offset = negative ? -mod->width : mod->width;
		mod->zero_pad = tparse_take(p, '0');
		negative = tparse_take(p, '-');
		if (!parse_number(p, &mod->width))
			return false;
		if (negative)
			mod->width = -mod->width;
	}
	mod->any = p->at > start;
	if (mod->zero_pad && mod->width > TEMPLATE_PAD_MAX)
		return tparse_fail(p, start,
		    "width %d is too large for padding with zeros (at most %d)", mod->width,
		    TEMPLATE_PAD_MAX);
	return true;
}

static bool parse_modifiers(struct template_parser *p, struct part_modifiers *mod)
{
	size_t start = p->at, n = 0;
	for (; !tparse_at_end(p) && modifier_is_known(tparse_peek(p)); p->at++) {
		if (n == TEMPLATE_MODIFIERS_MAX)
			return tparse_fail(
			    p, start, "more than %d modifiers", TEMPLATE_MODIFIERS_MAX);
		char key = tparse_peek(p);
		if ((key == 'H' || key == 'N') && mod->offset > TEMPLATE_PAD_MAX)
			return tparse_fail(p, start,
			    "length %d of a hash is too large (at most %d)", mod->offset,
			    TEMPLATE_PAD_MAX);
		mod->keys[n++] = key;
		mod->any = true;
	}
	return true;
}

/* ---- one variable, from its % ---- */

bool tparse_is_source(const struct template_parser *p, struct span name)
{
	const char *const *known = p->sources != NULL ? p->sources->names : NULL;
	while (known != NULL && *known != NULL && !span_eq_str(name, *known))
		known++;
	return known != NULL && *known != NULL;
}

bool tparse_source(struct template_parser *p, struct template_part *part, size_t start,
    struct span name, struct span argument, struct span otherwise)
{
	struct err why = {0};
	part->kind = PART_SOURCE;
	part->u.source = (struct part_source){name, argument, otherwise};
	if (p->sources->note == NULL || p->sources->note(p->sources->ctx, name, argument, &why))
		return true;
	return tparse_fail(p, start, "%s", why.text);
}

static bool parse_key(struct template_parser *p, struct template_part *part, size_t start)
{
	char c = tparse_peek(p);
	const struct var_name *var = var_find_key(c);
	p->at++;
	if (var != NULL) {
		part->kind = PART_VAR;
		part->u.var = var;
		p->needs |= VAR_BIT(var->var);
		return true;
	}
	if (c == '%') {
		part->kind = PART_TEXT;
		part->u.text = template_modify(&part->mod, SPAN_LIT("%"), p->arena);
		return true;
	}
	if (c == '$' && tparse_is_source(p, SPAN_LIT("$")))
		return tparse_source(p, part, start, SPAN_LIT("$"), SPAN_LIT(""), SPAN_LIT(""));
	if (c == '$')
		return tparse_fail(p, start, "%%$ is only known inside the LDAP and dict drivers");
	if (c >= 'A' && c <= 'Z')
		return tparse_fail(p, start,
		    "unknown modifier '%c' in %.*s (modifiers are L U E X R H N M D T)", c,
		    SPAN_ARG(tparse_since(p, start)));
	return tparse_fail(p, start, "unknown variable %.*s (%%%% is a percent sign)",
	    SPAN_ARG(tparse_since(p, start)));
}

static bool parse_variable(struct template_parser *p, struct template_part *part)
{
	size_t start = p->at++;
	if (!parse_range(p, &part->mod) || !parse_modifiers(p, &part->mod))
		return false;
	if (tparse_at_end(p))
		return tparse_fail(p, start, "a lone %% at the end (%%%% is a percent sign)");
	if (!tparse_take(p, '{'))
		return parse_key(p, part, start);
	if (!tparse_body(p, part))
		return false;
	if (!tparse_take(p, '}'))
		return tparse_at_end(p)
			   ? tparse_fail(p, start, "%%{ without its }")
			   : tparse_fail(p, p->at, "'%c' where } should be", tparse_peek(p));
	if (part->kind == PART_FIXED && part->mod.any) {
		part->u.text = template_modify(&part->mod, part->u.text, p->arena);
		part->mod = (struct part_modifiers){0};
	}
	return true;
}

/* ---- the face ---- */

size_t template_skip_variable(struct span text, size_t at)
{
	size_t open_braces = 0;
	at++;
	while (at < text.len &&
	       (text.ptr[at] == '-' || text.ptr[at] == '.' || modifier_is_known(text.ptr[at]) ||
		   (text.ptr[at] >= '0' && text.ptr[at] <= '9')))
		at++;
	if (at >= text.len || text.ptr[at] != '{')
		return at < text.len ? at + 1 : text.len;
	for (; at < text.len; at++) {
		if (text.ptr[at] == '\\')
			at++;
		else if (text.ptr[at] == '{')
			open_braces++;
		else if (text.ptr[at] == '}' && --open_braces == 0)
			return at + 1;
	}
	return text.len;
}

static struct template *parse(struct template_parser p, struct span text)
{
	struct arena *a = p.arena;
	p.text = span_make(arena_cstr(a, text), text.len);
	struct template *t = tparse_sequence(&p, &ends_text);
	if (t == NULL)
		return NULL;
	t->text = p.text.ptr;
	t->needs = p.needs;
	return t;
}

struct template *template_parse_at(struct arena *a, struct span text, size_t base, struct err *err)
{
	return parse((struct template_parser){.arena = a, .base = base, .err = err}, text);
}

struct template *template_parse_with(
    struct arena *a, struct span text, const struct template_sources *sources, struct err *err)
{
	return parse((struct template_parser){.arena = a, .sources = sources, .err = err}, text);
}

struct template *template_parse(struct arena *a, struct span text, struct err *err)
{
	return template_parse_at(a, text, 0, err);
}

uint64_t template_needs(const struct template *t)
{
	return t->needs;
}

bool template_is_constant(const struct template *t)
{
	return t->constant;
}

const char *template_text(const struct template *t)
{
	return t->text;
}
