/*
 * The attribute language: parsing and expanding. No LDAP library is needed.
 * Runs in: parent and authctl (to check), worker. Nothing is fatal.
 */
#include "drivers/ldap-attrs.h"

#include <sysexits.h>

#include "base/encode.h"
#include "drivers/ldap-escape.h"

enum { SOURCES_MAX = 16, ITEMS_MAX = 512 };

static const char *const source_names[] = {
    "ldap", "ldap_ptr", "ldap_dn", "$", TEMPLATE_LDAP_MULTI, NULL};

struct parser {
	struct arena *arena;
	struct ldap_attrs *attrs;
	struct names {
		const char **items;
		size_t count;
	} names[SOURCES_MAX];
	size_t usable; /* sources that the template at hand may read */
	struct err *err;
};

/* ---- cutting the text ---- */

/* Offset of the first c that is not inside the braces of a variable, or the length. */
static size_t find_plain(struct span s, char c)
{
	bool after_percent = false;
	size_t depth = 0, i = 0;
	for (; i < s.len; i++) {
		char at = s.ptr[i];
		if (depth == 0 && at == c)
			break;
		if (at == '{' && (after_percent || depth > 0))
			depth++;
		else if (at == '}' && depth > 0)
			depth--;
		bool prefix =
		    at == '-' || at == '.' || (at >= '0' && at <= '9') || (at >= 'A' && at <= 'Z');
		after_percent = at == '%' || (after_percent && prefix);
	}
	return i;
}

static bool cut_plain(struct span *rest, char c, struct span *part)
{
	if (rest->ptr == NULL)
		return false;
	size_t n = find_plain(*rest, c);
	*part = span_trim(span_first(*rest, n));
	*rest = n < rest->len ? span_skip(*rest, n + 1) : SPAN_NULL;
	return true;
}

static bool is_attr_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || !strchr("-_;.", c)))
			return false;
	}
	return s.len > 0;
}

/* ---- sources, and which attributes each is asked for ---- */

static int find_source(const struct ldap_attrs *attrs, struct span name)
{
	for (size_t i = 0; i < attrs->source_count; i++) {
		if (span_eq_str(name, attrs->sources[i].name))
			return (int)i;
	}
	return -1;
}

static void want(struct parser *p, size_t source, struct span attr)
{
	struct names *n = &p->names[source];
	for (size_t i = 0; i < n->count; i++) {
		if (span_eq_ci(attr, span_of(n->items[i])))
			return;
	}
	const char **bigger = arena_alloc(p->arena, (n->count + 2) * sizeof(*bigger));
	if (n->count > 0)
		memcpy(bigger, n->items, n->count * sizeof(*bigger));
	bigger[n->count++] = arena_cstr(p->arena, attr);
	n->items = bigger;
}

/* "attr" or "attr@name" */
static bool split_source(const struct ldap_attrs *attrs, size_t usable, struct span text,
    struct span *attr, size_t *source, struct err *err)
{
	ssize_t at = span_find(text, '@');
	*attr = at >= 0 ? span_first(text, (size_t)at) : text;
	*source = 0;
	if (!is_attr_name(*attr))
		return err_set(
		    err, EX_CONFIG, "\"%.*s\" is no name of an attribute", SPAN_ARG(*attr));
	if (at < 0)
		return true;
	struct span name = span_skip(text, (size_t)at + 1);
	int found = name.len > 0 ? find_source(attrs, name) : -1;
	if (found < 0)
		return err_set(err, EX_CONFIG, "there is no @%.*s=... to read %.*s from",
		    SPAN_ARG(name), SPAN_ARG(text));
	if ((size_t)found >= usable)
		return err_set(
		    err, EX_CONFIG, "@%.*s is read before its own DN is known", SPAN_ARG(name));
	*source = (size_t)found;
	return true;
}

static bool note(void *ctx, struct span name, struct span argument, struct err *err)
{
	struct parser *p = ctx;
	struct span attr;
	size_t source;
	if (span_eq_str(name, "$") || span_eq_str(name, "ldap_dn"))
		return true;
	if (!split_source(p->attrs, p->usable, argument, &attr, &source, err))
		return false;
	bool pointer = span_eq_str(name, "ldap_ptr");
	want(p, pointer ? 0 : source, attr);
	if (pointer)
		want(p, source, SPAN_LIT("*")); /* which one it will be is not known yet */
	return true;
}

/* ---- items ---- */

static struct template *parse_template(struct parser *p, struct span text, size_t usable)
{
	const struct template_sources sources = {source_names, note, p};
	p->usable = usable;
	struct template *t = template_parse_with(p->arena, text, &sources, p->err);
	if (t != NULL)
		p->attrs->needs |= template_needs(t);
	return t;
}

static bool bad_item(struct parser *p, struct span item, const char *why)
{
	return err_set(p->err, EX_CONFIG, "\"%.*s\": %s", SPAN_ARG(item), why);
}

static bool declare_source(struct parser *p, struct span item)
{
	struct ldap_attrs *attrs = p->attrs;
	struct span rest = span_skip(item, 1), name;
	if (!cut_plain(&rest, '=', &name) || name.len == 0 || rest.ptr == NULL)
		return bad_item(p, item, "a sub-query is written @name=%{ldap:attribute}");
	if (!is_attr_name(name))
		return bad_item(p, item, "a sub-query's name has letters, digits and - only");
	if (find_source(attrs, name) >= 0)
		return bad_item(p, item, "this name is used twice");
	if (attrs->source_count == SOURCES_MAX)
		return bad_item(p, item, "too many sub-queries");
	attrs->sources[attrs->source_count++].name = arena_cstr(p->arena, name);
	return true;
}

static bool parse_source(struct parser *p, struct span item)
{
	struct span rest = span_skip(item, 1), name;
	(void)!cut_plain(&rest, '=', &name);
	size_t number = (size_t)find_source(p->attrs, name);
	p->attrs->sources[number].dn = parse_template(p, span_trim(rest), number);
	return p->attrs->sources[number].dn != NULL ||
	       err_prefix(p->err, "\"%.*s\"", SPAN_ARG(item));
}

/* attr=field[=template]; rest is what follows the first "=" */
static bool parse_mapping(
    struct parser *p, struct span item, struct ldap_attr *a, struct span rest, const char *skip)
{
	struct span field, text = rest;
	if (!cut_plain(&text, '=', &field) || field.len == 0)
		return bad_item(p, item, "the name of the field is missing");
	if (skip != NULL && span_eq_str(field, skip))
		return true;
	struct span value = span_trim(text);
	if (value.ptr == NULL && a->attr == NULL)
		value = SPAN_LIT("");
	if (a->attr != NULL && value.ptr != NULL && span_find(value, '%') < 0)
		value = arena_join(p->arena, value, SPAN_LIT("%$"));
	a->field = parse_template(p, field, p->attrs->source_count);
	if (a->field != NULL && value.ptr != NULL)
		a->value = parse_template(p, value, p->attrs->source_count);
	return (a->field != NULL && (value.ptr == NULL || a->value != NULL)) ||
	       err_prefix(p->err, "\"%.*s\"", SPAN_ARG(item));
}

static bool parse_item(struct parser *p, struct span item, const char *skip)
{
	struct ldap_attr a = {0};
	struct span rest = item, name, attr;
	if (item.ptr[0] == '@')
		return parse_source(p, item);
	bool hidden = item.ptr[0] == '!';
	if (hidden)
		rest = span_skip(rest, 1);
	(void)!cut_plain(&rest, '=', &name);
	if (hidden && rest.ptr != NULL)
		return bad_item(p, item, "what is only fetched (!) has no field");
	if (name.len == 0 && rest.ptr == NULL)
		return bad_item(p, item, "the name of the attribute is missing");
	if (name.len > 0) {
		if (!split_source(p->attrs, p->attrs->source_count, name, &attr, &a.source, p->err))
			return err_prefix(p->err, "\"%.*s\"", SPAN_ARG(item));
		a.attr = arena_cstr(p->arena, attr);
	}
	if (!hidden && !parse_mapping(p, item, &a, rest.ptr != NULL ? rest : name, skip))
		return false;
	if (a.attr != NULL && (hidden || a.field != NULL))
		want(p, a.source, attr);
	if (a.field != NULL)
		p->attrs->items[p->attrs->count++] = a;
	return true;
}

static size_t count_items(struct span text)
{
	size_t n = 1;
	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == ',';
	return n;
}

struct ldap_attrs *ldap_attrs_parse(
    struct arena *a, struct span text, const char *skip, struct err *err)
{
	static const char *const nothing[] = {"1.1", NULL};
	struct parser p = {.arena = a, .err = err};
	struct span rest = text, item;
	p.attrs = arena_alloc(a, sizeof(*p.attrs));
	p.attrs->sources = arena_alloc(a, SOURCES_MAX * sizeof(*p.attrs->sources));
	p.attrs->sources[0].name = "";
	p.attrs->source_count = 1;
	size_t most = count_items(text);
	if (most > ITEMS_MAX) {
		err_set(err, EX_CONFIG, "more than %d attributes", ITEMS_MAX);
		return NULL;
	}
	p.attrs->items = arena_alloc(a, most * sizeof(*p.attrs->items));
	while (cut_plain(&rest, ',', &item)) {
		if (item.len > 0 && item.ptr[0] == '@' && !declare_source(&p, item))
			return NULL;
	}
	for (rest = text; cut_plain(&rest, ',', &item);) {
		if (item.len > 0 && !parse_item(&p, item, skip))
			return NULL;
	}
	for (size_t i = 0; i < p.attrs->source_count; i++)
		p.attrs->sources[i].attrs = p.names[i].count > 0 ? p.names[i].items : nothing;
	return p.attrs;
}

/* ---- expanding ---- */

struct expansion {
	const struct ldap_attrs *attrs;
	const struct ldap_reader *reader;
	struct span value;     /* %$ */
	const char *for_field; /* for the log */
};

static struct span read_one(struct expansion *x, size_t source, const char *attr)
{
	struct ldap_values v = x->reader->values(x->reader->ctx, source, attr);
	if (v.count > 1 && x->reader->several != NULL)
		x->reader->several(x->reader->ctx, attr, x->for_field);
	return v.count > 0 ? v.items[0] : SPAN_NULL;
}

/* All of them, for the filter list. */
static struct span read_all(struct expansion *x, size_t source, const char *attr, struct arena *a)
{
	struct ldap_values v = x->reader->values(x->reader->ctx, source, attr);
	struct buffer all = {0};
	for (size_t i = 0; i < v.count; i++) {
		if (i > 0)
			buffer_append_char(&all, '\t');
		tab_escape(&all, v.items[i]);
	}
	struct span s = all.len > 0 ? arena_dup(a, buffer_span(&all)) : SPAN_NULL;
	buffer_free(&all);
	return s;
}

static struct span source_value(void *ctx, struct arena *a, struct span name, struct span argument)
{
	struct expansion *x = ctx;
	struct span attr;
	size_t source;
	if (span_eq_str(name, "$"))
		return x->value;
	if (span_eq_str(name, "ldap_dn"))
		return x->reader->dn(x->reader->ctx, 0);
	if (!split_source(x->attrs, x->attrs->source_count, argument, &attr, &source, NULL))
		return SPAN_NULL;
	if (span_eq_str(name, "ldap"))
		return read_one(x, source, arena_cstr(a, attr));
	if (span_eq_str(name, TEMPLATE_LDAP_MULTI))
		return read_all(x, source, arena_cstr(a, attr), a);
	struct span pointed = read_one(x, 0, arena_cstr(a, attr));
	return is_attr_name(pointed) ? read_one(x, source, arena_cstr(a, pointed)) : SPAN_NULL;
}

static struct span expand(struct expansion *x, const struct template *t, const struct vars *vars,
    template_escape *escape, struct arena *a, struct err *err)
{
	const struct template_hooks hooks = {
	    .escape = escape, .source = source_value, .source_ctx = x};
	return template_expand_with(t, vars, a, &hooks, err);
}

struct span ldap_attrs_dn(const struct ldap_attrs *attrs, size_t source, const struct vars *vars,
    const struct ldap_reader *reader, struct arena *a, struct err *err)
{
	struct expansion x = {attrs, reader, SPAN_NULL, attrs->sources[source].name};
	return expand(&x, attrs->sources[source].dn, vars, ldap_escape_dn, a, err);
}

static bool is_number(struct span s)
{
	uint32_t n;
	return span_to_u32(s, &n);
}

/* "100,200" of all values of the attribute */
static struct span number_list(struct expansion *x, const struct ldap_attr *item,
    const struct vars *vars, struct ldap_values values, struct arena *a, struct err *err)
{
	struct span list = SPAN_NULL;
	for (size_t i = 0; i < values.count; i++) {
		struct span one = x->value = values.items[i];
		if (item->value != NULL)
			one = expand(x, item->value, vars, NULL, a, err);
		if (one.ptr == NULL || !is_number(one))
			return SPAN_NULL;
		if (list.ptr != NULL)
			list = arena_join(a, list, SPAN_LIT(","));
		list = list.ptr != NULL ? arena_join(a, list, one) : one;
	}
	return list;
}

/* A prefetch userdb answers for a user who was asked for, be it without a value. */
static void note_absent(struct span field, bool userdb, struct fields *out)
{
	if (!userdb && span_starts(field, "userdb_"))
		fields_set(out, SPAN_LIT("userdb_"), SPAN_NULL);
}

/* "field:protected" that there is already: the first value stays, as the suffix says. */
static bool is_taken(const struct fields *out, struct span field)
{
	ssize_t at = span_rfind(field, ':');
	return at >= 0 && span_eq_str(span_skip(field, (size_t)at), ":protected") &&
	       fields_find_span(out, field) != NULL;
}

static bool expand_item(struct expansion *x, const struct ldap_attr *item, const struct vars *vars,
    bool userdb, struct fields *out, struct err *err)
{
	struct arena *a = out->arena;
	struct span field = expand(x, item->field, vars, NULL, a, err), value = SPAN_NULL;
	if (field.ptr == NULL)
		return false;
	x->for_field = arena_cstr(a, field);
	x->value = SPAN_LIT("");
	if (item->attr != NULL) {
		struct ldap_values v = x->reader->values(x->reader->ctx, item->source, item->attr);
		if (v.count == 0) {
			note_absent(field, userdb, out);
			return true;
		}
		if (v.count > 1 && userdb && span_eq_str(field, "gid"))
			value = number_list(x, item, vars, v, a, err);
		if (v.count > 1 && value.ptr == NULL && x->reader->several != NULL)
			x->reader->several(x->reader->ctx, item->attr, x->for_field);
		x->value = v.items[0];
	}
	if (value.ptr == NULL)
		value = item->value != NULL ? expand(x, item->value, vars, NULL, a, err) : x->value;
	if (value.ptr == NULL && err->code == TEMPLATE_NO_VALUE) {
		*err = (struct err){0}; /* an attribute is missing, and so is the field */
		return true;
	}
	if (value.ptr == NULL)
		return false;
	if (field.len > 0 && !is_taken(out, field))
		fields_set(out, field, value);
	return true;
}

bool ldap_attrs_expand(const struct ldap_attrs *attrs, const struct vars *vars,
    const struct ldap_reader *reader, bool userdb, struct fields *out, struct err *err)
{
	struct expansion x = {.attrs = attrs, .reader = reader};
	for (size_t i = 0; i < attrs->count; i++) {
		if (!expand_item(&x, &attrs->items[i], vars, userdb, out, err))
			return err_prefix(
			    err, "field %s", x.for_field != NULL ? x.for_field : "without a name");
	}
	return true;
}
