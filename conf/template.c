/*
 * The template parser: text with %variables to a struct template. One pass
 * from left to right over the source; arguments inside braces are parsed
 * where they stand, so that every message names an offset in the source.
 * Runs in: all processes, when configuration is loaded. Nothing is fatal.
 */
#include "conf/template-parts.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/encode.h"
#include "conf/setting.h"

struct parser {
	struct arena *arena;
	struct span text;
	size_t at;
	size_t base; /* of text in what the administrator wrote */
	unsigned depth;
	uint64_t needs;
	struct template_env *env, **env_tail;
	struct err *err;
};

/* What ends a sequence: the end of the text, or a byte that separates arguments. */
struct ending {
	const char *bytes; /* NULL: the end of the text */
	bool escapes;	   /* \ takes the next byte literally */
	bool braces;	   /* { } pairs of plain text are text */
};

static const struct ending ends_text = {NULL, false, false};
static const struct ending ends_if_argument = {";}", true, true};
static const struct ending ends_salt = {",:}", false, false};

static bool PRINTF_LIKE(3, 4) fail(struct parser *p, size_t at, const char *fmt, ...)
{
	char text[sizeof(p->err->text) - 32];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(p->err, EX_CONFIG, "%s at offset %zu", text, p->base + at);
}

static bool at_end(const struct parser *p)
{
	return p->at >= p->text.len;
}

static char peek(const struct parser *p)
{
	return at_end(p) ? '\0' : p->text.ptr[p->at];
}

static struct span since(const struct parser *p, size_t start)
{
	return span_make(p->text.ptr + start, p->at - start);
}

/* ---- sequences ---- */

struct sequence {
	struct template_part *parts;
	size_t count, capacity;
};

static struct template_part *sequence_add(struct parser *p, struct sequence *s)
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

static void sequence_add_text(struct parser *p, struct sequence *s, struct span text)
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

static struct template *sequence_finish(struct parser *p, const struct sequence *s)
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

static bool parse_variable(struct parser *p, struct template_part *part) MUST_CHECK;

static struct template *parse_sequence(struct parser *p, const struct ending *ending)
{
	struct sequence s = {0};
	size_t run = p->at, open_braces = 0;
	while (!at_end(p)) {
		char c = peek(p);
		if (c == '%') {
			sequence_add_text(p, &s, since(p, run));
			struct template_part part = {0};
			if (!parse_variable(p, &part))
				return NULL;
			*sequence_add(p, &s) = part;
			run = p->at;
		} else if (c == '\\' && ending->escapes) {
			sequence_add_text(p, &s, since(p, run));
			run = ++p->at; /* the next byte begins a new run, whatever it is */
			if (!at_end(p))
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
	sequence_add_text(p, &s, since(p, run));
	return sequence_finish(p, &s);
}

/* ---- %[-][0][offset.][width][modifiers] ---- */

static bool parse_number(struct parser *p, int *out)
{
	size_t start = p->at;
	int n = 0;
	for (char c; c = peek(p), c >= '0' && c <= '9'; p->at++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, c - '0', &n))
			return fail(p, start, "number too large");
	*out = n;
	return true;
}

static bool take(struct parser *p, char c)
{
	if (peek(p) != c || at_end(p))
		return false;
	p->at++;
	return true;
}

static bool parse_range(struct parser *p, struct part_modifiers *mod)
{
	size_t start = p->at;
	bool negative = take(p, '-'); /* means something only with an offset */
	mod->zero_pad = take(p, '0');
	if (!parse_number(p, &mod->width))
		return false;
	if (take(p, '.')) {
		mod->offset = negative ? -mod->width : mod->width;
		mod->zero_pad = take(p, '0');
		negative = take(p, '-');
		if (!parse_number(p, &mod->width))
			return false;
		if (negative)
			mod->width = -mod->width;
	}
	mod->any = p->at > start;
	if (mod->zero_pad && mod->width > TEMPLATE_PAD_MAX)
		return fail(p, start, "width %d is too large for padding with zeros (at most %d)",
		    mod->width, TEMPLATE_PAD_MAX);
	return true;
}

static bool parse_modifiers(struct parser *p, struct part_modifiers *mod)
{
	size_t start = p->at, n = 0;
	for (; !at_end(p) && modifier_is_known(peek(p)); p->at++) {
		if (n == TEMPLATE_MODIFIERS_MAX)
			return fail(p, start, "more than %d modifiers", TEMPLATE_MODIFIERS_MAX);
		char key = peek(p);
		if ((key == 'H' || key == 'N') && mod->offset > TEMPLATE_PAD_MAX)
			return fail(p, start, "length %d of a hash is too large (at most %d)",
			    mod->offset, TEMPLATE_PAD_MAX);
		mod->keys[n++] = key;
		mod->any = true;
	}
	return true;
}

/* ---- %{...} ---- */

static const char *const extra_names[] = {
    "passdb", "userdb", "env", "hostname", "uid", "gid", "if"};

/* These get their values from a driver, which is to register them here one day. */
static const struct later_name {
	const char *name, *driver;
} later_names[] = {
    {"ldap", "LDAP"},
    {"ldap_ptr", "LDAP"},
    {"ldap_dn", "LDAP"},
    {"ldap_multi", "LDAP"},
    {"dict", "dict"},
    {"oauth2", "OAuth 2.0"},
    {"sql", "SQL"},
};

#pragma weak nearest_name
static const char *hint(struct arena *a, struct span name)
{
	const char *names[128];
	size_t n = 0;
	for (size_t i = 0; i < var_name_count; i++)
		names[n++] = var_names[i].name;
	for (size_t i = 0; i < ARRAY_LEN(extra_names); i++)
		names[n++] = extra_names[i];
	for (size_t i = 0; hash_method_name(i) != NULL; i++)
		names[n++] = hash_method_name(i);
	if (span_find(name, '|') >= 0)
		return " (filters after | are of Dovecot 2.4's language)";
	const char *nearest = nearest_name != NULL ? nearest_name(name, names, n) : NULL;
	if (nearest == NULL)
		return "";
	return arena_printf(a, " (did you mean %%{%s}?)", nearest).ptr;
}

static bool unknown_name(struct parser *p, size_t start, struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(later_names); i++)
		if (span_eq_str(name, later_names[i].name))
			return fail(p, start, "%%{%s} is only known inside the %s driver",
			    later_names[i].name, later_names[i].driver);
	if (name.len == 0)
		return fail(p, start, "%%{} without a name");
	return fail(p, start, "unknown variable %%{%.*s}%s", SPAN_ARG(name), hint(p->arena, name));
}

static bool unterminated(struct parser *p, size_t start)
{
	return fail(p, start, "%%{ without its }");
}

/* text up to a } that no { inside opened, or up to stop */
static struct span take_raw(struct parser *p, char stop)
{
	size_t start = p->at, open_braces = 0;
	for (; !at_end(p); p->at++) {
		char c = peek(p);
		if (open_braces == 0 && (c == '}' || c == stop))
			break;
		if (c == '{')
			open_braces++;
		else if (c == '}')
			open_braces--;
	}
	return since(p, start);
}

static bool parse_field(struct parser *p, struct template_part *part, bool userdb)
{
	size_t start = p->at;
	struct span name = take_raw(p, ':');
	if (name.len == 0)
		return fail(p, start, "%%{%s:} without a field", userdb ? "userdb" : "passdb");
	part->kind = PART_FIELD;
	part->u.field.userdb = userdb;
	part->u.field.name = arena_cstr(p->arena, name);
	part->u.field.otherwise = take(p, ':') ? take_raw(p, '}') : SPAN_LIT("");
	p->needs |= userdb ? VAR_BIT(VAR_USERDB) : VAR_BIT(VAR_PASSDB);
	return true;
}

static bool parse_env(struct parser *p, struct template_part *part, size_t start)
{
	size_t at = p->at;
	struct span name = take_raw(p, ':');
	if (name.len == 0)
		return fail(p, at, "%%{env:} without a name");
	struct span otherwise = take(p, ':') ? take_raw(p, '}') : SPAN_LIT("");
	const char *value = getenv(arena_cstr(p->arena, name));
	part->kind = PART_FIXED;
	part->u.text =
	    value != NULL && *value != '\0' ? arena_dup(p->arena, span_of(value)) : otherwise;
	struct template_env *env = arena_alloc(p->arena, sizeof(*env));
	*env = (struct template_env){NULL, start, p->at, part->u.text};
	*p->env_tail = env;
	p->env_tail = &env->next;
	return true;
}

/* %{fixed:HEX} is what %{env:...} becomes on its way to a child process */
static bool parse_fixed(struct parser *p, struct template_part *part)
{
	size_t start = p->at;
	part->kind = PART_FIXED;
	part->u.text = hex_decode(p->arena, take_raw(p, '}'));
	return part->u.text.ptr != NULL || fail(p, start, "%%{fixed:} takes hexadecimal digits");
}

static struct span host_name(struct arena *a)
{
	char name[HOST_NAME_MAX + 1];
	if (gethostname(name, sizeof(name)) != 0)
		return SPAN_LIT("localhost");
	name[sizeof(name) - 1] = '\0';
	return arena_dup(a, span_of(name));
}

/* names that stand alone; false: not one of them */
static bool parse_plain_name(struct parser *p, struct span name, struct template_part *part)
{
	const struct var_name *var = var_find(name);
	if (var != NULL) {
		part->kind = PART_VAR;
		part->u.var = var;
		p->needs |= VAR_BIT(var->var);
	} else if (span_eq_str(name, "hostname")) {
		part->kind = PART_FIXED;
		part->u.text = host_name(p->arena);
	} else if (span_eq_str(name, "uid")) {
		part->kind = PART_UID;
	} else if (span_eq_str(name, "gid")) {
		part->kind = PART_GID;
	} else {
		return false;
	}
	return true;
}

static bool parse_body(struct parser *p, struct template_part *part) MUST_CHECK;

static bool parse_if(struct parser *p, struct template_part *part, size_t start)
{
	struct part_if *c = arena_alloc(p->arena, sizeof(*c));
	const struct template *args[5] = {0};
	size_t n = 0, op_at = 0;
	while (peek(p) == ';') {
		p->at++;
		if (n == ARRAY_LEN(args))
			return fail(p, start, "%%{if} has more than 5 arguments");
		if (n == 1)
			op_at = p->at;
		if ((args[n++] = parse_sequence(p, &ends_if_argument)) == NULL)
			return false;
	}
	if (at_end(p))
		return unterminated(p, start - 2);
	if (n < 4)
		return fail(p, start, "%%{if} needs 4 or 5 arguments, %%{if;a;==;b;then;else}");
	c->op = args[1]->plain ? if_op_find(args[1]->fixed) : NULL;
	if (c->op == NULL)
		return fail(p, op_at, "%%{if} knows no operator \"%.*s\" (only %s)",
		    SPAN_ARG(args[1]->fixed), if_op_names());
	c->left = args[0];
	c->right = args[2];
	c->yes = args[3];
	c->no = n == 5 ? args[4] : NULL;
	part->kind = PART_IF;
	part->u.cond = c;
	struct err why = {0};
	return if_prepare(c, &why) || fail(p, start, "%%{if}: %s", why.text);
}

static bool parse_hash_number(struct parser *p, const char *name, unsigned max, unsigned *out)
{
	size_t start = p->at;
	uint32_t n = 0;
	while (!at_end(p) && strchr(",:}", peek(p)) == NULL)
		p->at++;
	if (!span_to_u32(since(p, start), &n) || n > max)
		return fail(p, start, "%s= takes a number up to %u", name, max);
	*out = n;
	return true;
}

static bool parse_hash_format(struct parser *p, enum hash_format *out)
{
	static const char *const names[] = {"hex", "hexuc", "base64"};
	size_t start = p->at;
	while (!at_end(p) && strchr(",:}", peek(p)) == NULL)
		p->at++;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_str(since(p, start), names[i])) {
			*out = (enum hash_format)i;
			return true;
		}
	}
	return fail(p, start, "format= takes hex, hexuc or base64");
}

static bool parse_hash_argument(struct parser *p, struct part_hash *h)
{
	size_t start = p->at;
	while (!at_end(p) && strchr("=,:}", peek(p)) == NULL)
		p->at++;
	struct span name = since(p, start);
	if (take(p, '=')) {
		if (span_eq_str(name, "rounds")) {
			if (!parse_hash_number(p, "rounds", TEMPLATE_ROUNDS_MAX, &h->rounds))
				return false;
			return h->rounds > 0 || fail(p, start, "rounds= must be at least 1");
		}
		if (span_eq_str(name, "truncate"))
			return parse_hash_number(p, "truncate", INT_MAX, &h->truncate_bits);
		if (span_eq_str(name, "format"))
			return parse_hash_format(p, &h->format);
		if (span_eq_str(name, "salt")) {
			h->salt = parse_sequence(p, &ends_salt);
			if (h->salt == NULL)
				return false;
			return peek(p) != ',' ||
			       fail(p, p->at, "salt= must be the last argument of a hash");
		}
	}
	return fail(p, start,
	    "unknown argument \"%.*s\" of a hash (only rounds=, truncate=, "
	    "format= and salt=)",
	    SPAN_ARG(name));
}

static bool parse_hash(
    struct parser *p, struct template_part *part, const struct hash_method *m, size_t start)
{
	struct part_hash *h = arena_alloc(p->arena, sizeof(*h));
	hash_defaults(h, m);
	part->kind = PART_HASH;
	part->u.hash = h;
	if (take(p, ';')) {
		do {
			if (!parse_hash_argument(p, h))
				return false;
		} while (take(p, ','));
	}
	if (at_end(p))
		return unterminated(p, start - 2);
	if (!take(p, ':'))
		return fail(p, start, "a hash without a :variable");
	size_t of = p->at;
	if (!parse_body(p, &h->of))
		return false;
	if (h->salt == NULL && hash_salts_with_name(m)) {
		struct sequence s = {0};
		sequence_add_text(p, &s, since(p, of));
		h->salt = sequence_finish(p, &s);
	}
	return true;
}

/* What follows "%{", or the ":" of a hash, up to but not including the "}". */
static bool parse_body(struct parser *p, struct template_part *part)
{
	size_t start = p->at;
	while (!at_end(p) && strchr(":;}", peek(p)) == NULL)
		p->at++;
	struct span name = since(p, start);
	if (++p->depth > TEMPLATE_DEPTH_MAX)
		return fail(p, start, "more than %d braces in each other", TEMPLATE_DEPTH_MAX);
	bool ok;
	char c = peek(p);
	const struct hash_method *method = hash_method_find(name);
	if (method != NULL) {
		ok = parse_hash(p, part, method, start);
	} else if (c == ';' && span_eq_str(name, "if")) {
		ok = parse_if(p, part, start);
	} else if (c == ':' && span_eq_str(name, "passdb")) {
		p->at++;
		ok = parse_field(p, part, false);
	} else if (c == ':' && span_eq_str(name, "userdb")) {
		p->at++;
		ok = parse_field(p, part, true);
	} else if (c == ':' && span_eq_str(name, "env")) {
		p->at++;
		ok = parse_env(p, part, start);
	} else if (c == ':' && span_eq_str(name, "fixed")) {
		p->at++;
		ok = parse_fixed(p, part);
	} else if (at_end(p)) {
		ok = unterminated(p, start - 2);
	} else if (parse_plain_name(p, name, part)) {
		ok = c == '}' || fail(p, start, "%%{%.*s} takes no argument", SPAN_ARG(name));
	} else {
		ok = unknown_name(p, start, name);
	}
	p->depth--;
	return ok;
}

/* ---- one variable, from its % ---- */

static bool parse_key(struct parser *p, struct template_part *part, size_t start)
{
	char c = peek(p);
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
	if (c == '$')
		return fail(p, start, "%%$ is only known inside the LDAP and dict drivers");
	if (c >= 'A' && c <= 'Z')
		return fail(p, start,
		    "unknown modifier '%c' in %.*s (modifiers are L U E X R H N M D T)", c,
		    SPAN_ARG(since(p, start)));
	return fail(
	    p, start, "unknown variable %.*s (%%%% is a percent sign)", SPAN_ARG(since(p, start)));
}

static bool parse_variable(struct parser *p, struct template_part *part)
{
	size_t start = p->at++;
	if (!parse_range(p, &part->mod) || !parse_modifiers(p, &part->mod))
		return false;
	if (at_end(p))
		return fail(p, start, "a lone %% at the end (%%%% is a percent sign)");
	if (!take(p, '{'))
		return parse_key(p, part, start);
	if (!parse_body(p, part))
		return false;
	if (!take(p, '}'))
		return at_end(p) ? unterminated(p, start)
				 : fail(p, p->at, "'%c' where } should be", peek(p));
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

struct template *template_parse_at(struct arena *a, struct span text, size_t base, struct err *err)
{
	struct parser p = {.arena = a, .base = base, .err = err};
	p.text = span_make(arena_cstr(a, text), text.len);
	p.env_tail = &p.env;
	struct template *t = parse_sequence(&p, &ends_text);
	if (t == NULL)
		return NULL;
	t->text = p.text.ptr;
	t->needs = p.needs;
	t->env = p.env;
	return t;
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
