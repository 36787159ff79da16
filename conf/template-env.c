/*
 * Environment variables on their way to a child process: the parent puts
 * their values into the text, because the child has no environment. Only
 * what a text names goes with it. Runs in: the parent.
 */
#include "conf/template-parts.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/encode.h"

/* offset of the name in "%[range][modifiers]{name", 0 when there is no brace */
static size_t name_in_braces(struct span text, size_t at)
{
	for (at++; at < text.len; at++) {
		char c = text.ptr[at];
		if (c == '{')
			return at + 1;
		if (c != '-' && c != '.' && (c < '0' || c > '9') && !modifier_is_known(c))
			break;
	}
	return 0;
}

/* offset of the variable that the hash at at is made of, 0 when there is no hash */
static size_t hash_target(struct span text, size_t at)
{
	struct span rest = span_skip(text, at);
	size_t n = strcspn(rest.ptr, ":;}"), depth = 0; /* the text is terminated */
	if (hash_method_find(span_first(rest, n)) == NULL)
		return 0;
	for (; n < rest.len; n++) {
		if (rest.ptr[n] == ':' && depth == 0)
			return at + n + 1;
		if (rest.ptr[n] == '{')
			depth++;
		else if (rest.ptr[n] == '}' && depth-- == 0)
			break;
	}
	return 0;
}

static void resolve_range(
    struct arena *a, struct span text, size_t at, size_t end, struct buffer *out);

/* A hash whose salt is the name of what it hashes says so where that name becomes another. */
static void keep_salt(
    struct arena *a, struct span text, size_t at, size_t target, struct buffer *out)
{
	struct span head = span_make(text.ptr + at, target - 1 - at);
	size_t end = template_raw_end(text, target, '}');
	struct span name = span_make(text.ptr + target, end - target);
	bool arguments = span_find(head, ';') >= 0;
	const struct hash_method *m =
	    hash_method_find(arguments ? span_first(head, (size_t)span_find(head, ';')) : head);
	if (!hash_salts_with_name(m) || memmem(head.ptr, head.len, "salt=", 5) != NULL ||
	    memmem(name.ptr, name.len, "env:", 4) == NULL)
		return;
	buffer_append_str(out, arguments ? ",salt=%{fixed:" : ";salt=%{fixed:");
	buffer_append(out, hex_encode_arena(a, name));
	buffer_append_char(out, '}');
}

/* What begins at at, after "%{" or the ":" of a hash; returns the offset up to where it is done. */
static size_t resolve_body(struct arena *a, struct span text, size_t at, struct buffer *out)
{
	for (size_t target; (target = hash_target(text, at)) != 0; at = target) {
		resolve_range(a, text, at, target - 1, out);
		keep_salt(a, text, at, target, out);
		buffer_append_char(out, ':');
	}
	struct span body = span_skip(text, at);
	/* the rest of these is a field's name and a plain default: no template to look into */
	if (span_starts(body, "passdb:") || span_starts(body, "userdb:")) {
		size_t close = template_raw_end(text, at, '}');
		buffer_append(out, span_make(text.ptr + at, close - at));
		return close;
	}
	if (!span_starts(body, "env:"))
		return at;
	at += strlen("env:");
	size_t end = template_raw_end(text, at, '}'), name_end = template_raw_end(text, at, ':');
	struct span value = template_env_value(a, span_make(text.ptr + at, name_end - at),
	    name_end < end ? span_make(text.ptr + name_end + 1, end - name_end - 1) : SPAN_LIT(""));
	buffer_append_str(out, "fixed:");
	buffer_append(out, hex_encode_arena(a, value));
	return end;
}

static void resolve_range(
    struct arena *a, struct span text, size_t at, size_t end, struct buffer *out)
{
	size_t done = at, name;
	while (at < end) {
		if (text.ptr[at] != '%') {
			at++;
		} else if ((name = name_in_braces(text, at)) == 0) {
			at = template_skip_variable(text, at);
		} else {
			buffer_append(out, span_make(text.ptr + done, name - done));
			at = done = resolve_body(a, text, name, out);
		}
	}
	if (done < end)
		buffer_append(out, span_make(text.ptr + done, end - done));
}

struct span template_env_value(struct arena *a, struct span name, struct span otherwise)
{
	const char *value = getenv(arena_cstr(a, name));
	return value != NULL && *value != '\0' ? arena_dup(a, span_of(value)) : otherwise;
}

struct span template_resolve_env(struct arena *a, struct span source)
{
	if (source.len == 0 || memmem(source.ptr, source.len, "env:", 4) == NULL)
		return source;
	struct buffer out = {0};
	struct span text = span_make(arena_cstr(a, source), source.len);
	resolve_range(a, text, 0, text.len, &out);
	struct span result = arena_dup(a, buffer_span(&out));
	buffer_free(&out);
	return result;
}
