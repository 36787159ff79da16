/*
 * The template parser's second half: what stands in the braces of %{...},
 * that is variables by their long names, fields, the environment, hashes and
 * conditions. Runs in all processes; see template.c.
 */
#include "conf/template-parser.h"

#include <limits.h>
#include <unistd.h>

#include "base/encode.h"
#include "conf/setting.h"

static const struct ending ends_if_argument = {";}", true, true};
static const struct ending ends_salt = {",:}", false, false};

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
	const char *nearest = nearest_name(name, names, n);
	if (nearest == NULL)
		return "";
	return arena_printf(a, " (did you mean %%{%s}?)", nearest).ptr;
}

static bool unknown_name(struct template_parser *p, size_t start, struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(later_names); i++)
		if (span_eq_str(name, later_names[i].name))
			return tparse_fail(p, start, "%%{%s} is only known inside the %s driver",
			    later_names[i].name, later_names[i].driver);
	if (name.len == 0)
		return tparse_fail(p, start, "%%{} without a name");
	return tparse_fail(
	    p, start, "unknown variable %%{%.*s}%s", SPAN_ARG(name), hint(p->arena, name));
}

static bool unterminated(struct template_parser *p, size_t start)
{
	return tparse_fail(p, start, "%%{ without its }");
}

size_t template_raw_end(struct span text, size_t at, char stop)
{
	size_t open_braces = 0;
	for (; at < text.len; at++) {
		char c = text.ptr[at];
		if (open_braces == 0 && (c == '}' || c == stop))
			break;
		if (c == '{')
			open_braces++;
		else if (c == '}')
			open_braces--;
	}
	return at;
}

static struct span take_raw(struct template_parser *p, char stop)
{
	size_t start = p->at;
	p->at = template_raw_end(p->text, p->at, stop);
	return tparse_since(p, start);
}

static bool parse_field(struct template_parser *p, struct template_part *part, bool userdb)
{
	size_t start = p->at;
	struct span name = take_raw(p, ':');
	if (name.len == 0)
		return tparse_fail(
		    p, start, "%%{%s:} without a field", userdb ? "userdb" : "passdb");
	part->kind = PART_FIELD;
	part->u.field.userdb = userdb;
	part->u.field.name = arena_cstr(p->arena, name);
	part->u.field.otherwise = tparse_take(p, ':') ? take_raw(p, '}') : SPAN_LIT("");
	p->needs |= userdb ? VAR_BIT(VAR_USERDB) : VAR_BIT(VAR_PASSDB);
	return true;
}

static bool parse_env(struct template_parser *p, struct template_part *part)
{
	size_t at = p->at;
	struct span name = take_raw(p, ':');
	if (name.len == 0)
		return tparse_fail(p, at, "%%{env:} without a name");
	struct span otherwise = tparse_take(p, ':') ? take_raw(p, '}') : SPAN_LIT("");
	part->kind = PART_FIXED;
	part->u.text = template_env_value(p->arena, name, otherwise);
	return true;
}

/* %{fixed:HEX} is what %{env:...} becomes on its way to a child process */
static bool parse_fixed(struct template_parser *p, struct template_part *part)
{
	size_t start = p->at;
	part->kind = PART_FIXED;
	part->u.text = hex_decode(p->arena, take_raw(p, '}'));
	return part->u.text.ptr != NULL ||
	       tparse_fail(p, start, "%%{fixed:} takes hexadecimal digits");
}

static struct span host_name(struct arena *a)
{
	char name[HOST_NAME_MAX + 1];
	if (gethostname(name, sizeof(name)) != 0)
		return SPAN_LIT("localhost");
	name[sizeof(name) - 1] = '\0';
	return arena_dup(a, span_of(name));
}

static bool parse_if(struct template_parser *p, struct template_part *part, size_t start)
{
	struct part_if *c = arena_alloc(p->arena, sizeof(*c));
	const struct template *args[5] = {0};
	size_t n = 0, op_at = 0;
	while (tparse_peek(p) == ';') {
		p->at++;
		if (n == ARRAY_LEN(args))
			return tparse_fail(p, start, "%%{if} has more than 5 arguments");
		if (n == 1)
			op_at = p->at;
		if ((args[n++] = tparse_sequence(p, &ends_if_argument)) == NULL)
			return false;
	}
	if (tparse_at_end(p))
		return unterminated(p, start);
	if (n < 4)
		return tparse_fail(
		    p, start, "%%{if} needs 4 or 5 arguments, %%{if;a;==;b;then;else}");
	c->op = args[1]->plain ? if_op_find(args[1]->fixed) : NULL;
	if (c->op == NULL)
		return tparse_fail(p, op_at, "%%{if} knows no operator \"%.*s\" (only %s)",
		    SPAN_ARG(args[1]->fixed), if_op_names());
	c->left = args[0];
	c->right = args[2];
	c->yes = args[3];
	c->no = n == 5 ? args[4] : NULL;
	part->kind = PART_IF;
	part->u.cond = c;
	struct err why = {0};
	return if_prepare(c, &why) || tparse_fail(p, start, "%%{if}: %s", why.text);
}

static bool parse_hash_number(
    struct template_parser *p, const char *name, unsigned max, unsigned *out)
{
	size_t start = p->at;
	uint32_t n = 0;
	if (!span_to_u32(tparse_until(p, ",:}"), &n) || n > max)
		return tparse_fail(p, start, "%s= takes a number up to %u", name, max);
	*out = n;
	return true;
}

static bool parse_hash_format(struct template_parser *p, enum hash_format *out)
{
	static const char *const names[] = {"hex", "hexuc", "base64"};
	size_t start = p->at;
	struct span word = tparse_until(p, ",:}");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_str(word, names[i])) {
			*out = (enum hash_format)i;
			return true;
		}
	}
	return tparse_fail(p, start, "format= takes hex, hexuc or base64");
}

static bool parse_hash_argument(struct template_parser *p, struct part_hash *h)
{
	size_t start = p->at;
	struct span name = tparse_until(p, "=,:}");
	if (tparse_take(p, '=')) {
		if (span_eq_str(name, "rounds")) {
			if (!parse_hash_number(p, "rounds", TEMPLATE_ROUNDS_MAX, &h->rounds))
				return false;
			return h->rounds > 0 || tparse_fail(p, start, "rounds= must be at least 1");
		}
		if (span_eq_str(name, "truncate"))
			return parse_hash_number(p, "truncate", INT_MAX, &h->truncate_bits);
		if (span_eq_str(name, "format"))
			return parse_hash_format(p, &h->format);
		if (span_eq_str(name, "salt")) {
			h->salt = tparse_sequence(p, &ends_salt);
			if (h->salt == NULL)
				return false;
			return tparse_peek(p) != ',' ||
			       tparse_fail(p, p->at, "salt= must be the last argument of a hash");
		}
	}
	return tparse_fail(p, start,
	    "unknown argument \"%.*s\" of a hash (only rounds=, truncate=, "
	    "format= and salt=)",
	    SPAN_ARG(name));
}

static bool parse_hash(struct template_parser *p, struct template_part *part,
    const struct hash_method *m, size_t start)
{
	struct part_hash *h = arena_alloc(p->arena, sizeof(*h));
	hash_defaults(h, m);
	part->kind = PART_HASH;
	part->u.hash = h;
	if (tparse_take(p, ';')) {
		do {
			if (!parse_hash_argument(p, h))
				return false;
		} while (tparse_take(p, ','));
	}
	if (tparse_at_end(p))
		return unterminated(p, start);
	if (!tparse_take(p, ':'))
		return tparse_fail(p, start, "a hash without a :variable");
	size_t of = p->at;
	if (!tparse_body(p, &h->of))
		return false;
	if (h->salt == NULL && hash_salts_with_name(m)) {
		struct sequence s = {0};
		tparse_add_text(p, &s, tparse_since(p, of));
		h->salt = tparse_finish(p, &s);
	}
	return true;
}

/* The names that stand alone. */
static bool parse_plain_name(
    struct template_parser *p, struct span name, struct template_part *part, size_t start)
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
	} else if (span_eq_str(name, "ldap_dn") && tparse_is_source(p, name)) {
		/* its argument means nothing and may be missing */
		if (!tparse_source(p, part, start, name, SPAN_LIT(""), SPAN_LIT("")))
			return false;
	} else {
		return unknown_name(p, start, name);
	}
	return tparse_peek(p) == '}' ||
	       tparse_fail(p, start, "%%{%.*s} takes no argument", SPAN_ARG(name));
}

static bool parse_driver_source(
    struct template_parser *p, struct span name, struct template_part *part)
{
	size_t start = p->at;
	struct span argument = take_raw(p, ':');
	struct span otherwise = tparse_take(p, ':') ? take_raw(p, '}') : SPAN_LIT("");
	if (argument.len == 0)
		return tparse_fail(p, start, "%%{%.*s:} without a name", SPAN_ARG(name));
	return tparse_source(p, part, start, name, argument, otherwise);
}

/* The names with a ":argument", which was passed; *known: it is one of them. */
static bool parse_source(
    struct template_parser *p, struct span name, struct template_part *part, bool *known)
{
	*known = true;
	if (span_eq_str(name, "passdb"))
		return parse_field(p, part, false);
	if (span_eq_str(name, "userdb"))
		return parse_field(p, part, true);
	if (span_eq_str(name, "env"))
		return parse_env(p, part);
	if (span_eq_str(name, "fixed"))
		return parse_fixed(p, part);
	*known = tparse_is_source(p, name);
	return *known && parse_driver_source(p, name, part);
}

static bool parse_named(struct template_parser *p, struct template_part *part)
{
	size_t start = p->at;
	struct span name = tparse_until(p, ":;}");
	const struct hash_method *method = hash_method_find(name);
	if (method != NULL)
		return parse_hash(p, part, method, start);
	if (tparse_peek(p) == ';' && span_eq_str(name, "if"))
		return parse_if(p, part, start);
	if (tparse_at_end(p))
		return unterminated(p, start);
	if (tparse_take(p, ':')) {
		bool known, ok = parse_source(p, name, part, &known);
		if (known)
			return ok;
		p->at--;
	}
	return parse_plain_name(p, name, part, start);
}

bool tparse_body(struct template_parser *p, struct template_part *part)
{
	if (p->depth == TEMPLATE_DEPTH_MAX)
		return tparse_fail(
		    p, p->at, "more than %d braces in each other", TEMPLATE_DEPTH_MAX);
	p->depth++;
	bool ok = tparse_take(p, PIPE_MARK) ? tparse_pipe(p, part) : parse_named(p, part);
	p->depth--;
	return ok;
}
