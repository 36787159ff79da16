/*
 * What a section in the form of Dovecot 2.4 says, as the args or the file of
 * the driver would say it: one way into a driver, whichever form is used.
 * Runs in: parent, authctl. Nothing is fatal.
 */
#include <ctype.h>

#include "conf/load.h"
#include "conf/template-parts.h"

/* ---- expressions in texts ---- */

/* Text outside of expressions, with the bytes that mean something there written as expressions. */
static struct span protect(struct arena *a, struct span text, const char *bytes)
{
	struct buffer out = {0};
	for (size_t i = 0; i < text.len;) {
		size_t end = text.ptr[i] == '%' ? template_skip_variable(text, i) : i + 1;
		if (text.ptr[i] != '\0' && strchr(bytes, text.ptr[i]) != NULL)
			buffer_printf(
			    &out, "%%{%c'\\%02x'}", PIPE_MARK, (unsigned char)text.ptr[i]);
		else
			buffer_append(&out, span_make(text.ptr + i, end - i));
		i = end;
	}
	struct span s = arena_dup(a, out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return s;
}

/* %{sql:x} as %{passdb:x}: what the driver found is there under that name. */
static struct span use_entry(struct form_24 *f, struct span text)
{
	const char *provider =
	    f->spec != NULL && f->spec->form_24 != NULL ? f->spec->form_24->provider : NULL;
	struct buffer out = {0};
	bool quoted = false;
	if (provider == NULL)
		return text;
	for (size_t i = 0; i < text.len; i++) {
		struct span rest = span_skip(text, i);
		size_t n = strlen(provider);
		bool word = i > 0 && (isalnum((unsigned char)text.ptr[i - 1]) ||
					 strchr("_:.-/", text.ptr[i - 1]) != NULL);
		quoted = quoted != (text.ptr[i] == '\'');
		if (!quoted && !word && span_starts(rest, provider) && rest.len > n &&
		    rest.ptr[n] == ':') {
			buffer_append_str(&out, f->passdb ? "passdb" : "userdb");
			i += n - 1;
		} else {
			buffer_append_char(&out, text.ptr[i]);
		}
	}
	struct span s = arena_dup(f->l->arena, out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return s;
}

/* ---- fields { } ---- */

static const char *const no_sources[] = {NULL};

static bool is_field_name(const char *key)
{
	size_t n =
	    strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:./@");
	return n > 0 && key[n] == '\0';
}

void form_24_put_field(struct buffer *out, const char *key, struct span value)
{
	bool quote = value.len > 0 && value.ptr[0] == '"';
	for (size_t i = 0; i < value.len; i++)
		quote = quote || strchr(" \t\r\n", value.ptr[i]) != NULL;
	buffer_printf(out, "%s%s=%s", out->len > 0 ? " " : "", key, quote ? "\"" : "");
	for (size_t i = 0; i < value.len; i++) {
		if (quote && (value.ptr[i] == '"' || value.ptr[i] == '\\'))
			buffer_append_char(out, '\\');
		buffer_append_char(out, value.ptr[i]);
	}
	if (quote)
		buffer_append_char(out, '"');
}

/* The attribute in a value that is nothing but %{ldap:attribute}. */
static struct span lone_attribute(struct span value)
{
	const char mark[] = {'%', '{', PIPE_MARK, 'l', 'd', 'a', 'p', ':', '\0'};
	if (!span_starts(value, mark) || value.ptr[value.len - 1] != '}')
		return SPAN_NULL;
	struct span attr = span_skip(span_first(value, value.len - 1), strlen(mark));
	for (size_t i = 0; i < attr.len; i++) {
		if (!isalnum((unsigned char)attr.ptr[i]) && strchr("-_.;", attr.ptr[i]) == NULL)
			return SPAN_NULL;
	}
	return span_eq_str(attr, "dn") ? SPAN_NULL : attr;
}

/* "attr=field" or "=field=template" */
static void put_attribute(struct form_24 *f, struct buffer *out, const char *key, struct span value)
{
	struct span attr = lone_attribute(value);
	buffer_append_str(out, out->len > 0 ? "," : "");
	if (attr.len > 0)
		buffer_printf(out, "%.*s=%s", SPAN_ARG(attr), key);
	else
		buffer_printf(out, "=%s=%.*s", key, SPAN_ARG(protect(f->l->arena, value, ",")));
}

/* "field=template", where blanks separate and nothing is quoted */
static void put_template(struct form_24 *f, struct buffer *out, const char *key, struct span value)
{
	struct span text = protect(f->l->arena, value, " \t");
	buffer_printf(out, "%s%s=%.*s", out->len > 0 ? " " : "", key, SPAN_ARG(text));
}

/* The driver reads the whole list again; here an error still has its line. */
static void put_item(
    struct form_24 *f, const struct conf_node *n, bool attributes, struct buffer *out)
{
	const struct driver_form_24 *form = f->spec != NULL ? f->spec->form_24 : NULL;
	const struct template_sources sources = {
	    .names = form != NULL && form->sources != NULL ? form->sources : no_sources};
	struct err err = {0};
	struct span v, inside;
	if (n->section || !is_field_name(n->key)) {
		load_error(f->l, load_place(n), "%s: this is no name of a field", n->key);
		return;
	}
	if (!load_value(f->l, n, &v))
		return;
	inside = template_from_24(f->l->arena, v, &err);
	if (inside.ptr != NULL && !attributes)
		inside = use_entry(f, inside);
	if (inside.ptr != NULL && template_parse_with(f->l->arena, inside, &sources, &err) == NULL)
		inside = SPAN_NULL;
	if (inside.ptr == NULL)
		load_error(f->l, load_place(n), "%s: %s", n->key, err.text);
	else if (attributes)
		put_attribute(f, out, n->key, inside);
	else if (sources.names != no_sources)
		put_template(f, out, n->key, inside);
	else
		form_24_put_field(out, n->key, inside);
}

/* Is it one of these blocks? names: short ones first; around the section only the last, whole one.
 */
static bool is_block(const struct conf_node *n, const char *const *names, bool inside)
{
	for (; n->section && *names != NULL; names++) {
		if (strcmp(*names, n->key) == 0)
			return inside || names[1] == NULL;
	}
	return false;
}

struct span form_24_fields(struct form_24 *f, const char *const *names, bool attributes)
{
	struct buffer out = {0};
	bool any = false;
	for (size_t i = 0; !any && i < ARRAY_LEN(f->scopes); i++) {
		const struct conf_node *s = f->scopes[i] != NULL ? f->scopes[i]->first : NULL;
		for (; s != NULL; s = s->next) {
			if (!is_block(s, names, i == 0))
				continue;
			any = true;
			for (const struct conf_node *n = s->first; n != NULL; n = n->next)
				put_item(f, n, attributes, &out);
		}
	}
	struct span text = arena_dup(f->l->arena, out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return any ? text : SPAN_NULL;
}

/* ---- args ---- */

static bool has_blank(struct span s)
{
	return span_find(s, ' ') >= 0 || span_find(s, '\t') >= 0;
}

/* key=value key=value REST */
static void put_words(struct form_24 *f, const struct form_value *values, struct buffer *out)
{
	const struct setting_table *table = f->spec->settings;
	struct span rest = SPAN_NULL;
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		struct span v = values[i].text;
		if (v.ptr == NULL)
			continue;
		if (row->type == SETTING_TEMPLATE)
			v = protect(f->l->arena, v, " \t=");
		else if (has_blank(v) && row->type != SETTING_WORDS)
			load_error(f->l, values[i].place, "%s: a blank is not possible here",
			    values[i].name);
		if (f->spec->rest != NULL && strcmp(row->name, f->spec->rest) == 0)
			rest = v;
		else
			buffer_printf(
			    out, "%s%s=%.*s", out->len > 0 ? " " : "", row->name, SPAN_ARG(v));
	}
	if (rest.len > 0)
		buffer_printf(out, "%s%.*s", out->len > 0 ? " " : "", SPAN_ARG(rest));
}

static void put_lines(struct form_24 *f, const struct form_value *values, struct buffer *out)
{
	const struct setting_table *table = f->spec->settings;
	for (size_t i = 0; i < table->count; i++) {
		struct span v = values[i].text;
		if (v.ptr == NULL)
			continue;
		if (span_find(v, '\n') >= 0) {
			load_error(f->l, values[i].place, "%s: more than one line is not possible",
			    values[i].name);
			continue;
		}
		v = conf_quote(v, f->l->arena);
		buffer_printf(out, "%s = %.*s\n", table->rows[i].name, SPAN_ARG(v));
	}
}

struct span form_24_text(struct form_24 *f, const struct form_value *values)
{
	struct buffer out = {0};
	struct span text = SPAN_LIT("");
	const struct setting *rest =
	    f->spec->rest != NULL ? settings_find(f->spec->settings, span_of(f->spec->rest)) : NULL;
	if (f->spec->settings == NULL)
		return text;
	if (f->spec->args == ARGS_FILE)
		put_lines(f, values, &out);
	else if (f->spec->args == ARGS_WORDS)
		put_words(f, values, &out);
	else if (f->spec->args == ARGS_FIELDS && rest != NULL)
		text = values[rest - f->spec->settings->rows].text;
	if (out.len > 0)
		text = arena_dup(f->l->arena, buffer_span(&out));
	buffer_free(&out);
	return text.ptr != NULL ? text : SPAN_LIT("");
}
