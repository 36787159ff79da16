/*
 * Reading lines of the configuration language, with Dovecot 2.3's rules.
 * Where Dovecot drops what it read (a comment amid a continued line) the text
 * so far counts as the line; in the files of drivers it goes on behind it.
 */
#include "conf/lexer.h"

#include "base/buffer.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct conf_lexer conf_lexer_of(struct span text, struct arena *a)
{
	if (span_starts(text, "\xef\xbb\xbf"))
		text = span_skip(text, 3);
	return (struct conf_lexer){.rest = text, .arena = a};
}

static struct span trim_left(struct span s)
{
	while (s.len > 0 && is_blank(s.ptr[0]))
		s = span_skip(s, 1);
	return s;
}

static struct span trim_right(struct span s)
{
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* The position of the closing quote, or the length. */
static size_t skip_quoted(struct span s, size_t at)
{
	char quote = s.ptr[at];
	for (at++; at < s.len && s.ptr[at] != quote; at++) {
		if (s.ptr[at] == '\\' && at + 1 < s.len)
			at++;
	}
	return at;
}

/*
 * "#" begins a comment unless it is quoted. An unclosed quote hides the rest
 * of the line from this, so an apostrophe protects a later "#".
 */
static struct span cut_comment(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'' || s.ptr[i] == '"')
			i = skip_quoted(s, i);
		else if (s.ptr[i] == '#')
			return span_first(s, i);
	}
	return s;
}

/*
 * The next line with something in it, continued lines joined by one space.
 * False at the end of the text.
 */
static bool logical_line(struct conf_lexer *lx, struct span *out, unsigned *number)
{
	struct buffer full = {0};
	struct span raw;
	bool some = false, more = true;
	while (more && span_split(&lx->rest, '\n', &raw)) {
		lx->line++;
		if (lx->rest.len == 0) /* the last line's newline begins no other */
			lx->rest = SPAN_NULL;
		struct span s = trim_right(cut_comment(trim_left(raw)));
		if (s.len == 0 && (!some || lx->patient))
			continue;
		if (!some)
			*number = lx->line;
		some = true;
		more = s.len > 0 && s.ptr[s.len - 1] == '\\';
		if (more)
			s = trim_right(span_first(s, s.len - 1));
		if (full.len > 0 && s.len > 0)
			buffer_append_char(&full, ' ');
		buffer_append(&full, s);
		more = more && lx->rest.ptr != NULL;
	}
	*out = arena_dup(lx->arena, span_make(full.data != NULL ? full.data : "", full.len));
	buffer_free(&full);
	return some;
}

/* A backslash takes the next byte as it is. */
static struct span unescape(struct span s, struct arena *a)
{
	if (span_find(s, '\\') < 0)
		return s;
	char *out = arena_alloc(a, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\\' && ++i == s.len)
			break; /* nothing follows: it is dropped */
		out[n++] = s.ptr[i];
	}
	return span_make(out, n);
}

static void bad(struct conf_line *l, const char *why)
{
	l->kind = CONF_LINE_BAD;
	(void)err_set(&l->err, 0, "%s", why);
}

/* Sets value and value_kind from what follows "=". */
static void read_value(struct conf_line *l, struct span s, struct arena *a)
{
	l->kind = CONF_LINE_SETTING;
	l->value_kind = CONF_VALUE_PLAIN;
	l->value = s;
	if (s.len > 0 && s.ptr[0] == '<') {
		l->value_kind = CONF_VALUE_FILE;
		l->value = trim_left(span_skip(s, 1));
	} else if (s.len > 0 && (s.ptr[0] == '"' || s.ptr[0] == '\'')) {
		l->value_kind = CONF_VALUE_QUOTED; /* no $names, closed or not */
		if (s.len > 1 && s.ptr[s.len - 1] == s.ptr[0])
			l->value = unescape(span_first(span_skip(s, 1), s.len - 2), a);
	}
}

/* "@label name {" of a group: the name has two words. */
static void read_group(struct conf_line *l, struct span s)
{
	l->kind = CONF_LINE_SECTION;
	l->name = trim_right(span_first(s, s.len - 1));
	if (s.len == 0 || s.ptr[s.len - 1] != '{' || span_find(l->name, ' ') < 0)
		bad(l, "a group is written: group @label name {");
}

/* Reads "[name] {" after the section's key. */
static void read_section(struct conf_line *l, struct span s, struct arena *a)
{
	l->kind = CONF_LINE_SECTION;
	l->name = SPAN_NULL;
	if (s.len > 0 && s.ptr[0] == '"') {
		size_t end = skip_quoted(s, 0);
		if (end == s.len) {
			bad(l, "the quote is not closed");
			return;
		}
		l->name = unescape(span_first(span_skip(s, 1), end - 1), a);
		s = trim_left(span_skip(s, end + 1));
	} else if (s.len > 0 && s.ptr[0] != '{') {
		size_t n = 0;
		while (n < s.len && !is_blank(s.ptr[n]))
			n++;
		l->name = span_first(s, n);
		s = trim_left(span_skip(s, n));
	}
	if (s.len == 0 || s.ptr[0] != '{')
		bad(l, "expected \"=\" or \"{\"");
	else if (s.len > 1)
		bad(l, "there is something after \"{\": it belongs on the next line");
}

static void read_line(struct conf_line *l, struct span s, struct arena *a, bool groups)
{
	size_t n = 0;
	while (n < s.len && !is_blank(s.ptr[n]) && s.ptr[n] != '=')
		n++;
	l->key = span_first(s, n);
	s = trim_left(span_skip(s, n));
	if (span_eq_str(l->key, "!include") || span_eq_str(l->key, "!include_try")) {
		l->kind = l->key.len == 8 ? CONF_LINE_INCLUDE : CONF_LINE_INCLUDE_TRY;
		read_value(l, s, a);
		l->kind = l->key.len == 8 ? CONF_LINE_INCLUDE : CONF_LINE_INCLUDE_TRY;
		if (l->value.len == 0)
			bad(l, "expected a file name");
	} else if (s.len > 0 && s.ptr[0] == '=') {
		read_value(l, trim_left(span_skip(s, 1)), a);
		if (l->key.len == 0)
			bad(l, "there is no name before \"=\"");
	} else if (span_eq_str(l->key, "}")) {
		l->kind = CONF_LINE_END;
		if (s.len > 0)
			bad(l, "there is something after \"}\": it belongs on the next line");
	} else if (l->key.len > 0 && l->key.ptr[l->key.len - 1] == '{') {
		bad(l, "a space is missing before \"{\"");
	} else if (groups && span_eq_str(l->key, "group")) {
		read_group(l, s);
	} else {
		read_section(l, s, a);
	}
}

struct conf_line conf_lexer_next(struct conf_lexer *lx)
{
	struct conf_line l = {.kind = CONF_LINE_EOF};
	struct span s;
	do {
		if (!logical_line(lx, &s, &l.line)) {
			l.line = lx->line;
			return l;
		}
	} while (s.len == 0); /* nothing but a backslash */
	if (span_find(s, '\0') >= 0) {
		bad(&l, "the line has a NUL byte in it");
		return l;
	}
	read_line(&l, s, lx->arena, lx->groups);
	if (l.kind == CONF_LINE_BAD)
		l.opens = span_find(s, '{') >= 0 && s.ptr[s.len - 1] != '}';
	return l;
}

static bool must_quote(struct span v)
{
	if (v.len == 0)
		return false;
	if (is_blank(v.ptr[0]) || is_blank(v.ptr[v.len - 1]) || v.ptr[0] == '<')
		return true;
	for (size_t i = 0; i < v.len; i++) {
		if (strchr("\"'#$\\\r", v.ptr[i]) != NULL)
			return true;
	}
	return false;
}

struct span conf_quote(struct span v, struct arena *a)
{
	if (!must_quote(v))
		return v;
	char *out = arena_alloc(a, 2 * v.len + 3);
	size_t n = 0;
	out[n++] = '"';
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '"' || v.ptr[i] == '\\')
			out[n++] = '\\';
		out[n++] = v.ptr[i];
	}
	out[n++] = '"';
	return span_make(out, n);
}
