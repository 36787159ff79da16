/*
 * Lists of fields, "key=template key=template flag", as in default_fields and
 * in the args of static; and the form in which templates go to a child
 * process. Runs in: all processes, when configuration is loaded.
 */
#include "conf/template-parts.h"

#include <sysexits.h>

#include "base/encode.h"

struct field_list {
	struct arena *arena;
	struct span text;
	size_t at;
	struct template_field *items;
	size_t count, capacity;
	struct err *err;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The rest of a word from *at on, variables and all; ends at a space or, in a key, at "=". */
static struct span take_word(struct field_list *l, bool key)
{
	size_t start = l->at;
	while (l->at < l->text.len) {
		char c = l->text.ptr[l->at];
		if (is_space(c) || (key && c == '='))
			break;
		l->at = c == '%' ? template_skip_variable(l->text, l->at) : l->at + 1;
	}
	return span_make(l->text.ptr + start, l->at - start);
}

/* "...", with \" and \\ inside; l->at is at the opening quote */
static bool take_quoted(struct field_list *l, struct span *out)
{
	size_t start = l->at++, n = 0;
	char *value = arena_alloc(l->arena, l->text.len - l->at + 1);
	for (; l->at < l->text.len && l->text.ptr[l->at] != '"'; l->at++) {
		char c = l->text.ptr[l->at];
		char next = l->at + 1 < l->text.len ? l->text.ptr[l->at + 1] : '\0';
		if (c == '\\' && (next == '"' || next == '\\'))
			c = l->text.ptr[++l->at];
		value[n++] = c;
	}
	if (l->at == l->text.len)
		return err_set(
		    l->err, EX_CONFIG, "missing the closing quote of \" at offset %zu", start);
	l->at++;
	if (l->at < l->text.len && !is_space(l->text.ptr[l->at]))
		return err_set(
		    l->err, EX_CONFIG, "text right after a closing quote at offset %zu", l->at);
	*out = span_make(value, n);
	return true;
}

static struct template_field *add_field(struct field_list *l)
{
	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 4 : l->capacity * 2;
		struct template_field *bigger =
		    arena_alloc(l->arena, l->capacity * sizeof(*bigger));
		if (l->count > 0)
			memcpy(bigger, l->items, l->count * sizeof(*bigger));
		l->items = bigger;
	}
	return &l->items[l->count++];
}

static bool parse_field(struct field_list *l)
{
	size_t key_at = l->at;
	struct span key = take_word(l, true), value;
	if (key.len == 0)
		return err_set(l->err, EX_CONFIG, "a field without a name at offset %zu", key_at);
	struct template_field *f = add_field(l);
	f->key = template_parse_at(l->arena, key, key_at, l->err);
	if (f->key == NULL)
		return false;
	if (l->at == l->text.len || l->text.ptr[l->at] != '=')
		return true;
	size_t value_at = ++l->at;
	if (value_at < l->text.len && l->text.ptr[value_at] == '"') {
		value_at++;
		if (!take_quoted(l, &value))
			return false;
	} else {
		value = take_word(l, false);
	}
	f->value = template_parse_at(l->arena, value, value_at, l->err);
	return f->value != NULL;
}

struct template_fields *template_fields_parse(struct arena *a, struct span text, struct err *err)
{
	struct field_list l = {.arena = a, .err = err};
	l.text = span_make(arena_cstr(a, text), text.len);
	while (l.at < l.text.len) {
		if (is_space(l.text.ptr[l.at]))
			l.at++;
		else if (!parse_field(&l))
			return NULL;
	}
	struct template_fields *tf = arena_alloc(a, sizeof(*tf));
	tf->text = l.text.ptr;
	tf->items = l.items;
	tf->count = l.count;
	return tf;
}

uint64_t template_fields_needs(const struct template_fields *tf)
{
	uint64_t needs = 0;
	for (size_t i = 0; i < tf->count; i++) {
		needs |= template_needs(tf->items[i].key);
		if (tf->items[i].value != NULL)
			needs |= template_needs(tf->items[i].value);
	}
	return needs;
}
