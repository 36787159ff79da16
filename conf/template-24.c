/*
 * Text in Dovecot 2.4's language on its way into this program's one language
 * of templates: outside of %{...} a % is text, inside strings are written
 * anew ('a\2cb'), blanks become ~, and %{env:NAME} becomes its value, because
 * child processes have no environment.
 * Runs in: parent, authctl; the passwd-file worker (fields of its file).
 */
#include <ctype.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "conf/template-parts.h"

struct converter {
	struct span text;
	size_t at;
	struct buffer out;
	struct err *err;
};

static char peek(const struct converter *c, size_t ahead)
{
	return c->at + ahead < c->text.len ? c->text.ptr[c->at + ahead] : '\0';
}

static bool fail(struct converter *c, size_t at, const char *what)
{
	return err_set(c->err, EX_CONFIG, "%s at offset %zu", what, at);
}

static void put_string(struct buffer *out, struct span s)
{
	buffer_append_char(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		char b = s.ptr[i];
		if (isalnum((unsigned char)b) || (b != '\0' && strchr("_./@:-", b) != NULL))
			buffer_append_char(out, b);
		else
			buffer_printf(out, "\\%02x", (unsigned char)b);
	}
	buffer_append_char(out, '\'');
}

/* ---- strings ---- */

/* Digits of the base at the converter, at most max of them. */
static bool take_code(struct converter *c, int base, size_t max, char *byte)
{
	char digits[4] = {0};
	size_t n = 0;
	while (n < max && isxdigit((unsigned char)peek(c, 0)) &&
	       (base == 16 || (peek(c, 0) >= '0' && peek(c, 0) <= '7'))) {
		digits[n++] = peek(c, 0);
		c->at++;
	}
	unsigned long value = strtoul(digits, NULL, base);
	*byte = (char)value;
	return n > 0 && (base == 8 || n == max) && value <= 255;
}

/* What follows a backslash. */
static bool take_escape(struct converter *c, struct buffer *string)
{
	static const char from[] = "trn\"'\\", to[] = "\t\r\n\"'\\";
	size_t start = c->at++ - 1;
	char e = c->text.ptr[c->at - 1], byte;
	const char *known = e != '\0' ? strchr(from, e) : NULL;
	bool ok = true;
	if (known != NULL) {
		byte = to[known - from];
	} else if (e == 'x') {
		ok = take_code(c, 16, 2, &byte);
	} else {
		c->at--;
		ok = take_code(c, 8, 3, &byte);
	}
	if (!ok)
		return fail(c, start,
		    "this backslash escape means nothing (\\\\ \\' \\\" \\n \\r \\t \\xHH "
		    "\\OOO do)");
	buffer_append_char(string, byte);
	return true;
}

static bool take_string(struct converter *c)
{
	size_t start = c->at++;
	char quote = c->text.ptr[start];
	struct buffer string = {0};
	bool ok = true;
	while (ok && c->at < c->text.len && peek(c, 0) != quote) {
		char b = c->text.ptr[c->at++];
		if (b != '\\')
			buffer_append_char(&string, b);
		else if (c->at < c->text.len)
			ok = take_escape(c, &string);
	}
	if (ok && c->at == c->text.len)
		ok = fail(c, start, "the quote is never closed, opened");
	if (ok) {
		c->at++;
		put_string(&c->out, buffer_span(&string));
	}
	buffer_free(&string);
	return ok;
}

/* ---- expressions ---- */

static bool is_name(char b, bool first)
{
	return isalpha((unsigned char)b) || (unsigned char)b >= 0x80 ||
	       (!first && (isdigit((unsigned char)b) || (b != '\0' && strchr("_/;:.-", b))));
}

static void take_name(struct converter *c)
{
	size_t start = c->at;
	while (is_name(peek(c, 0), c->at == start))
		c->at++;
	struct span name = span_make(c->text.ptr + start, c->at - start);
	if (!span_starts(name, "env:")) {
		buffer_append(&c->out, name);
		return;
	}
	char text[256];
	const char *value = NULL;
	if (span_to_cstr(span_skip(name, 4), text, sizeof(text)))
		value = getenv(text);
	put_string(&c->out, span_of(value != NULL ? value : ""));
}

static bool take_expression(struct converter *c)
{
	size_t start = c->at;
	c->at += 2;
	buffer_append_str(&c->out, "%{");
	buffer_append_char(&c->out, PIPE_MARK);
	while (c->at < c->text.len && peek(c, 0) != '}') {
		char b = peek(c, 0);
		if (b == '\'' || b == '"') {
			if (!take_string(c))
				return false;
		} else if (b == ' ' || b == '\t') {
			while (peek(c, 0) == ' ' || peek(c, 0) == '\t')
				c->at++;
			buffer_append_char(&c->out, '~');
		} else if (is_name(b, true)) {
			take_name(c);
		} else if (isdigit((unsigned char)b) || (b != '\0' && strchr("%|(),=+-*/", b))) {
			buffer_append_char(&c->out, b);
			c->at++;
		} else {
			return err_set(c->err, EX_CONFIG,
			    "'%c' means nothing in %%{...} at offset %zu",
			    isprint((unsigned char)b) ? b : '?', c->at);
		}
	}
	if (c->at == c->text.len)
		return fail(c, start, "%{ without its }");
	c->at++;
	buffer_append_char(&c->out, '}');
	return true;
}

struct span template_from_24(struct arena *a, struct span text, struct err *err)
{
	struct err own = {0};
	struct converter c = {.text = text, .err = err != NULL ? err : &own};
	bool ok = true;
	c.err->code = 0;
	while (ok && c.at < text.len) {
		if (peek(&c, 0) == '%' && peek(&c, 1) == '{') {
			ok = take_expression(&c);
			continue;
		}
		if (peek(&c, 0) == '%')
			buffer_append_char(&c.out, '%'); /* a percent sign is text */
		if (peek(&c, 0) == '%' && peek(&c, 1) == '%' && peek(&c, 2) == '{') {
			buffer_append_str(&c.out, "%{"); /* %%{x} is the text %{x} */
			c.at += 3;
		} else {
			buffer_append_char(&c.out, text.ptr[c.at++]);
		}
	}
	struct span result = SPAN_NULL;
	if (ok)
		result = arena_dup(a, c.out.len > 0 ? buffer_span(&c.out) : SPAN_LIT(""));
	buffer_free(&c.out);
	return result;
}

/* ---- and back ---- */

/* From the opening quote of a string to behind the closing one. */
static size_t show_string(struct span text, size_t at, struct buffer *out)
{
	buffer_append_char(out, '\'');
	for (at++; at < text.len && text.ptr[at] != '\''; at++) {
		char hex[3] = {0};
		if (text.ptr[at] != '\\' || at + 2 >= text.len) {
			buffer_append_char(out, text.ptr[at]);
			continue;
		}
		memcpy(hex, text.ptr + at + 1, 2);
		char b = (char)strtoul(hex, NULL, 16);
		at += 2;
		if (b == '\'' || b == '\\')
			buffer_append_char(out, '\\');
		if ((unsigned char)b >= ' ' && b != 127)
			buffer_append_char(out, b);
		else
			buffer_printf(out, "\\x%02x", (unsigned char)b);
	}
	buffer_append_char(out, '\'');
	return at < text.len ? at + 1 : at;
}

static size_t show_expression(struct span text, size_t at, struct buffer *out)
{
	buffer_append_str(out, "%{");
	at += 3;
	while (at < text.len && text.ptr[at] != '}') {
		if (text.ptr[at] == '\'') {
			at = show_string(text, at, out);
			continue;
		}
		buffer_append_char(out, text.ptr[at] == '~' ? ' ' : text.ptr[at]);
		at++;
	}
	return at;
}

static bool is_expression(struct span text, size_t at)
{
	return at + 2 < text.len && text.ptr[at] == '%' && text.ptr[at + 1] == '{' &&
	       text.ptr[at + 2] == PIPE_MARK;
}

struct span template_to_24(struct arena *a, struct span text)
{
	struct buffer out = {0};
	for (size_t at = 0; at < text.len;) {
		if (is_expression(text, at)) {
			at = show_expression(text, at, &out);
			continue;
		}
		bool doubled = text.ptr[at] == '%' && at + 1 < text.len && text.ptr[at + 1] == '%';
		/* "%%{" was written with two, any other with one */
		if (doubled && at + 2 < text.len && text.ptr[at + 2] == '{')
			buffer_append_char(&out, '%');
		buffer_append_char(&out, text.ptr[at]);
		at += doubled ? 2 : 1;
	}
	struct span shown = arena_dup(a, out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return shown;
}

struct span template_shown(struct arena *a, struct span text)
{
	return span_find(text, PIPE_MARK) >= 0 ? template_to_24(a, text) : text;
}
