/*
 * Turns a configured query into a statement with parameters: each literal
 * that holds variables is one parameter, and so is a variable that stands as
 * a value of its own. Anything else is refused, so no byte of a request is
 * ever part of a statement's text. Runs in: parent, authctl, worker; pure.
 * The order is Dovecot's: variables first, then SQL's own quoting.
 */
#include <ctype.h>
#include <stdio.h>
#include <sysexits.h>

#include "conf/template-parts.h"
#include "drivers/sql.h"

enum { NESTING_MAX = 64 };

enum token { TOKEN_START, TOKEN_OPERATOR, TOKEN_WORD, TOKEN_KEYWORD, TOKEN_LITERAL, TOKEN_VALUE };

struct lexer {
	struct arena *arena;
	enum sql_dialect dialect;
	struct span text;
	size_t at;
	struct buffer out;
	struct sql_query *query;
	enum token before;  /* the token before this one */
	struct span word;   /* the last word */
	struct span clause; /* the keyword that says whether values may stand here */
	bool values_here;
	struct {
		bool values_here;
		struct span clause;
	} outer[NESTING_MAX];
	size_t depth;
	struct err *err;
};

static bool fail(struct lexer *lx, size_t at, const char *what)
{
	return err_set(lx->err, EX_CONFIG, "%s at offset %zu", what, at);
}

static bool mysql(const struct lexer *lx)
{
	return lx->dialect == SQL_MYSQL || lx->dialect == SQL_MYSQL_NO_ESCAPES;
}

static char peek(const struct lexer *lx, size_t ahead)
{
	return lx->at + ahead < lx->text.len ? lx->text.ptr[lx->at + ahead] : '\0';
}

static bool at_end(const struct lexer *lx)
{
	return lx->at >= lx->text.len;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_space(char c)
{
	return c != '\0' && strchr(" \t\r\n\f\v", c) != NULL;
}

static void emit(struct lexer *lx, size_t len)
{
	buffer_append(&lx->out, span_make(lx->text.ptr + lx->at, len));
	lx->at += len;
}

/* ---- words that say whether a value may follow ---- */

static bool listed(struct span word, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (span_eq_ci(word, span_of(*list)))
			return true;
	}
	return false;
}

/* clauses in which values stand, and those in which names or numbers of the statement do */
static const char *const value_clauses[] = {
    "SELECT", "WHERE", "HAVING", "SET", "ON", "VALUES", "CALL", "RETURNING", NULL};
static const char *const other_clauses[] = {"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "LIMIT",
    "OFFSET", "FETCH", "FOR", "ORDER", "GROUP", "WINDOW", "PARTITION", "USING", "WITH", NULL};
/* words directly after which a value may stand */
static const char *const before_values[] = {"SELECT", "DISTINCT", "ALL", "ANY", "WHERE", "HAVING",
    "ON", "AND", "OR", "XOR", "NOT", "IN", "LIKE", "ILIKE", "REGEXP", "RLIKE", "GLOB", "MATCH",
    "ESCAPE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "BINARY", "DIV", "MOD", "RETURNING",
    "VALUES", NULL};

static void take_word(struct lexer *lx)
{
	size_t len = 0;
	while (is_word(peek(lx, len)))
		len++;
	lx->word = span_make(lx->text.ptr + lx->at, len);
	lx->before = listed(lx->word, before_values) ? TOKEN_KEYWORD : TOKEN_WORD;
	bool values = listed(lx->word, value_clauses);
	if (values || listed(lx->word, other_clauses)) {
		lx->values_here = values;
		lx->clause = lx->word;
	}
	emit(lx, len);
}

static bool open_paren(struct lexer *lx)
{
	if (lx->depth == NESTING_MAX)
		return fail(lx, lx->at, "too many parentheses in each other");
	lx->outer[lx->depth].values_here = lx->values_here;
	lx->outer[lx->depth++].clause = lx->clause;
	if (lx->before == TOKEN_WORD)
		lx->values_here = true; /* a function's arguments */
	lx->before = TOKEN_OPERATOR;
	emit(lx, 1);
	return true;
}

static void close_paren(struct lexer *lx)
{
	if (lx->depth > 0) {
		lx->values_here = lx->outer[--lx->depth].values_here;
		lx->clause = lx->outer[lx->depth].clause;
	}
	lx->before = TOKEN_VALUE;
	emit(lx, 1);
}

/* ---- parameters ---- */

static bool add_param(struct lexer *lx, struct template *value, bool bare, size_t at)
{
	struct sql_query *q = lx->query;
	if (q->count == SQL_PARAMS_MAX)
		return fail(lx, at, "too many variables");
	q->params[q->count++] = (struct sql_param){value, bare};
	if ((template_needs(value) & VAR_BIT(VAR_PASSWORD)) != 0)
		q->shows_password = true;
	if (lx->out.len > 0 && is_word(lx->out.data[lx->out.start + lx->out.len - 1]))
		buffer_append_char(&lx->out, ' ');
	if (lx->dialect == SQL_PGSQL)
		buffer_printf(&lx->out, "$%zu", q->count);
	else
		buffer_append_char(&lx->out, '?');
	if (is_word(peek(lx, 0)))
		buffer_append_char(&lx->out, ' ');
	return true;
}

static struct template *parse_template(struct lexer *lx, struct span text, size_t at)
{
	struct err err = {0};
	struct template *t = template_parse(lx->arena, text, &err);
	if (t == NULL)
		err_set(lx->err, EX_CONFIG, "%s, counted from offset %zu", err.text, at);
	return t;
}

/* The text with %% as %, and nothing else in it. */
static void emit_text(struct lexer *lx, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		buffer_append_char(&lx->out, text.ptr[i]);
		if (text.ptr[i] == '%')
			i++;
	}
}

/* ---- literals ---- */

struct literal {
	size_t start;
	char quote;
	bool escapes; /* backslashes */
	bool variables;
	struct buffer value; /* as a template: what SQL's quoting means is done away with */
};

static void put_char(struct literal *l, char c)
{
	buffer_append_char(&l->value, c);
	if (c == '%')
		buffer_append_char(&l->value, '%');
}

/* What follows a backslash; *odd: something that is not worth translating beside a variable. */
static void take_escape(struct lexer *lx, struct literal *l, bool *odd)
{
	static const char mysql_from[] = "bnrtZ", mysql_to[] = "\b\n\r\t\x1a";
	static const char pg_from[] = "bfnrt", pg_to[] = "\b\f\n\r\t";
	const char *from = mysql(lx) ? mysql_from : pg_from;
	const char *to = mysql(lx) ? mysql_to : pg_to;
	char c = peek(lx, 1);
	const char *known = c != '\0' ? strchr(from, c) : NULL;
	lx->at += 2;
	if (known != NULL) {
		put_char(l, to[known - from]);
	} else if (c == '%') {
		put_char(l, '\\');
		lx->at--;
		if (peek(lx, 1) != '%')
			*odd = true; /* the backslash is before a variable's value */
	} else if (mysql(lx) && c == '_') {
		put_char(l, '\\');
		put_char(l, '_');
	} else {
		if (mysql(lx) ? c == '0' : (isdigit((unsigned char)c) || strchr("xuU", c) != NULL))
			*odd = true;
		put_char(l, c);
	}
}

static void take_variable(struct lexer *lx, struct literal *l)
{
	size_t end = template_skip_variable(lx->text, lx->at);
	struct span source = span_make(lx->text.ptr + lx->at, end - lx->at);
	if (!span_eq_str(source, "%%"))
		l->variables = true;
	buffer_append(&l->value, source);
	lx->at = end;
}

/* From the opening quote to behind the closing one. */
static bool scan_literal(struct lexer *lx, struct literal *l)
{
	bool odd = false;
	l->start = lx->at++;
	for (;;) {
		char c = peek(lx, 0);
		if (at_end(lx))
			return fail(lx, l->start, "the quote is never closed, opened");
		if (c == '%') {
			take_variable(lx, l);
		} else if (c == '\\' && l->escapes) {
			if (lx->at + 1 >= lx->text.len)
				return fail(lx, l->start, "the quote is never closed, opened");
			take_escape(lx, l, &odd);
		} else if (c == l->quote && peek(lx, 1) == l->quote) {
			put_char(l, c);
			lx->at += 2;
		} else if (c == l->quote) {
			lx->at++;
			break;
		} else {
			put_char(l, c);
			lx->at++;
		}
	}
	if (odd && l->variables)
		return fail(lx, l->start,
		    "this backslash escape is not possible in a literal with variables");
	return true;
}

/* "N'...'" and the like: what stands before the quote says what the literal is. */
static bool has_prefix(const struct lexer *lx, size_t quote)
{
	static const char *const prefixes[] = {"N", "B", "X", NULL};
	size_t i = quote;
	if (lx->dialect == SQL_PGSQL && i >= 2 && lx->text.ptr[i - 1] == '&' &&
	    (lx->text.ptr[i - 2] == 'U' || lx->text.ptr[i - 2] == 'u'))
		return true;
	if (lx->before != TOKEN_WORD)
		return false;
	if (mysql(lx) && lx->word.ptr[0] == '_')
		return true; /* a character set */
	return i > 0 && is_word(lx->text.ptr[i - 1]) && listed(lx->word, prefixes);
}

static bool take_literal(struct lexer *lx, char quote, bool escapes)
{
	struct literal l = {.quote = quote, .escapes = escapes};
	bool ok = scan_literal(lx, &l);
	struct span source = span_make(lx->text.ptr + l.start, lx->at - l.start);
	if (ok && l.variables) {
		struct template *t = NULL;
		if (has_prefix(lx, l.start))
			ok = fail(lx, l.start, "a literal of this type cannot hold variables");
		else
			ok = (t = parse_template(lx, buffer_span(&l.value), l.start)) != NULL &&
			     add_param(lx, t, false, l.start);
		if (quote == '"')
			lx->query->double_quoted = true;
	} else if (ok) {
		emit_text(lx, source);
	}
	buffer_free(&l.value);
	lx->before = TOKEN_LITERAL;
	return ok;
}

/* E'...': a parameter is what the literal means, so the E goes with it. */
static bool take_escape_literal(struct lexer *lx)
{
	size_t mark = lx->out.len, count = lx->query->count;
	emit(lx, 1);
	lx->before = TOKEN_OPERATOR;
	bool ok = take_literal(lx, '\'', true);
	if (ok && lx->query->count > count)
		lx->out.data[lx->out.start + mark] = ' ';
	return ok;
}

/* $tag$ ... $tag$ */
static bool take_dollar_quote(struct lexer *lx)
{
	size_t start = lx->at, tag = 1;
	while (peek(lx, tag) != '$')
		tag++;
	struct span mark = span_make(lx->text.ptr + start, ++tag);
	lx->at += tag;
	struct literal l = {.start = start};
	while (!at_end(lx)) {
		struct span rest = span_skip(lx->text, lx->at);
		if (rest.len >= mark.len && span_eq(span_first(rest, mark.len), mark))
			break;
		if (peek(lx, 0) == '%')
			take_variable(lx, &l);
		else
			put_char(&l, lx->text.ptr[lx->at++]);
	}
	bool ok = !at_end(lx) || fail(lx, start, "the dollar quote is never closed, opened");
	if (ok)
		lx->at += mark.len;
	if (ok && l.variables) {
		struct template *t = parse_template(lx, buffer_span(&l.value), start);
		ok = t != NULL && add_param(lx, t, false, start);
	} else if (ok) {
		emit_text(lx, span_make(lx->text.ptr + start, lx->at - start));
	}
	buffer_free(&l.value);
	lx->before = TOKEN_LITERAL;
	return ok;
}

static bool is_dollar_quote(const struct lexer *lx)
{
	size_t i = 1;
	if (isdigit((unsigned char)peek(lx, 1)))
		return false;
	while (peek(lx, i) != '$' && is_word(peek(lx, i)))
		i++;
	return peek(lx, i) == '$';
}

/* ---- names ---- */

static bool take_quoted_name(struct lexer *lx, char close)
{
	size_t start = lx->at, len = 1;
	while (start + len < lx->text.len) {
		char c = peek(lx, len);
		if (c == '%' && peek(lx, len + 1) != '%')
			return fail(lx, start + len,
			    close == '"' ? "in this database \"...\" is the name of a table or "
					   "column, write '...' for a value with variables,"
					 : "the name of a table or column cannot hold a variable,");
		if (c == '%')
			len++;
		if (c == close && (close == ']' || peek(lx, len + 1) != close)) {
			emit_text(lx, span_make(lx->text.ptr + start, len + 1));
			lx->at += len + 1;
			lx->before = TOKEN_WORD;
			lx->word = SPAN_LIT("\"");
			return true;
		}
		len += c == close ? 2 : 1;
	}
	return fail(lx, start, "the quote is never closed, opened");
}

/* ---- comments ---- */

/* Puts the comment in, or a blank when there are %s in it, which mean nothing there. */
static void emit_comment(struct lexer *lx, size_t len)
{
	struct span text = span_make(lx->text.ptr + lx->at, len);
	if (span_find(text, '%') < 0)
		buffer_append(&lx->out, text);
	else
		buffer_append_char(&lx->out, ' ');
	lx->at += len;
}

static size_t line_comment(const struct lexer *lx)
{
	const char *p = lx->text.ptr + lx->at;
	const char *nl = memchr(p, '\n', lx->text.len - lx->at);
	return nl != NULL ? (size_t)(nl - p) : lx->text.len - lx->at;
}

static bool take_block_comment(struct lexer *lx)
{
	size_t i = 2, depth = 1;
	if (mysql(lx) && (peek(lx, 2) == '!' || (peek(lx, 2) == 'M' && peek(lx, 3) == '!'))) {
		emit(lx, 3); /* what is in it runs: it is lexed as the rest is */
		return true;
	}
	for (; lx->at + i < lx->text.len; i++) {
		if (peek(lx, i) == '*' && peek(lx, i + 1) == '/') {
			i++;
			if (--depth == 0) {
				emit_comment(lx, i + 1);
				return true;
			}
		} else if (lx->dialect == SQL_PGSQL && peek(lx, i) == '/' &&
			   peek(lx, i + 1) == '*') {
			depth++;
			i++;
		}
	}
	return fail(lx, lx->at, "the comment is never closed, opened");
}

static bool is_line_comment(const struct lexer *lx)
{
	if (mysql(lx) && peek(lx, 0) == '#')
		return true;
	if (peek(lx, 0) != '-' || peek(lx, 1) != '-')
		return false;
	char c = peek(lx, 2);
	return !mysql(lx) || c == '\0' || is_space(c) || iscntrl((unsigned char)c);
}

/* ---- variables outside of quotes ---- */

static bool bare_fail(struct lexer *lx, size_t at, struct span source, const char *why)
{
	return err_set(lx->err, EX_CONFIG,
	    "%.*s cannot be a value at offset %zu: %s; write '%.*s' if it is meant as one",
	    SPAN_ARG(source), at, why, SPAN_ARG(source));
}

static bool check_bare(struct lexer *lx, size_t start, struct span source)
{
	char before = start > 0 ? lx->text.ptr[start - 1] : ' ', after = peek(lx, 0);
	char why[128];
	if (!is_space(before) && strchr("(,=<>!+-*/|&^~", before) == NULL)
		return bare_fail(lx, start, source, "it is part of something longer");
	if (after != '\0' && !is_space(after) && strchr("),;=<>!+-*/|&^~:", after) == NULL)
		return bare_fail(lx, start, source, "it is part of something longer");
	if (lx->before != TOKEN_OPERATOR && lx->before != TOKEN_KEYWORD)
		return bare_fail(lx, start, source, "no operator stands before it");
	if (!lx->values_here) {
		snprintf(why, sizeof(why), "the clause %.*s takes no variables",
		    lx->clause.len < 32 ? (int)lx->clause.len : 32,
		    lx->clause.ptr != NULL ? lx->clause.ptr : "");
		return bare_fail(lx, start, source, why);
	}
	return true;
}

static bool take_bare(struct lexer *lx)
{
	size_t start = lx->at;
	struct literal l = {.start = start};
	take_variable(lx, &l);
	struct span source = span_make(lx->text.ptr + start, lx->at - start);
	buffer_free(&l.value);
	struct template *t = parse_template(lx, source, start);
	if (t == NULL)
		return false;
	if (template_is_constant(t)) {
		/* the administrator's own: %% or an environment variable, say */
		static const struct vars none;
		buffer_append(&lx->out, template_expand(t, &none, lx->arena, NULL, NULL, lx->err));
		lx->before = l.variables ? TOKEN_WORD : TOKEN_OPERATOR;
		lx->word = SPAN_LIT("%");
		return true;
	}
	if (!check_bare(lx, start, source))
		return false;
	lx->before = TOKEN_VALUE;
	return add_param(lx, t, true, start);
}

/* ---- the statement ---- */

static bool is_placeholder(const struct lexer *lx)
{
	char c = peek(lx, 0), next = peek(lx, 1);
	if (lx->dialect == SQL_PGSQL)
		return c == '$' && isdigit((unsigned char)next);
	if (lx->dialect == SQL_SQLITE && c != '\0' && strchr(":@$#", c) != NULL)
		return is_word(next);
	return c == '?';
}

static bool take_end(struct lexer *lx)
{
	size_t start = lx->at++;
	while (is_space(peek(lx, 0)) || peek(lx, 0) == ';')
		lx->at++;
	return at_end(lx) || fail(lx, start, "only one statement is possible, it ends");
}

static bool take_quoted(struct lexer *lx, char c)
{
	bool escapes = lx->dialect == SQL_MYSQL;
	if (c == '\'' || mysql(lx))
		return take_literal(lx, c, escapes);
	return take_quoted_name(lx, c);
}

static bool take_symbol(struct lexer *lx, char c)
{
	if (is_placeholder(lx))
		return fail(lx, lx->at, "placeholders are authd's own, there is one");
	if (c == '(')
		return open_paren(lx);
	if (c == ')')
		close_paren(lx);
	else if (c == ';')
		return take_end(lx);
	else {
		lx->before = c == '.' ? TOKEN_WORD : TOKEN_OPERATOR;
		lx->word = SPAN_LIT(".");
		emit(lx, 1);
	}
	return true;
}

static bool step(struct lexer *lx)
{
	char c = peek(lx, 0);
	if (is_space(c)) {
		emit(lx, 1);
	} else if (is_line_comment(lx)) {
		emit_comment(lx, line_comment(lx));
	} else if (c == '/' && peek(lx, 1) == '*') {
		return take_block_comment(lx);
	} else if (c == '%') {
		return take_bare(lx);
	} else if (c == '\'' || c == '"') {
		return take_quoted(lx, c);
	} else if (c == '`' && lx->dialect != SQL_PGSQL) {
		return take_quoted_name(lx, '`');
	} else if (c == '[' && lx->dialect == SQL_SQLITE) {
		return take_quoted_name(lx, ']');
	} else if (c == '$' && lx->dialect == SQL_PGSQL && is_dollar_quote(lx)) {
		return take_dollar_quote(lx);
	} else if ((c == 'E' || c == 'e') && peek(lx, 1) == '\'' && lx->dialect == SQL_PGSQL) {
		return take_escape_literal(lx);
	} else if (is_word(c) && !(c == '$' && is_placeholder(lx))) {
		take_word(lx);
	} else {
		return take_symbol(lx, c);
	}
	return true;
}

struct sql_query *sql_query_parse(
    struct arena *a, enum sql_dialect dialect, struct span text, struct err *err)
{
	struct lexer lx = {.arena = a, .dialect = dialect, .err = err};
	lx.text = span_make(arena_cstr(a, text), text.len);
	lx.query = arena_alloc(a, sizeof(*lx.query));
	bool ok = span_find(text, '\0') < 0 || fail(&lx, 0, "there is a NUL byte");
	while (ok && !at_end(&lx))
		ok = step(&lx);
	if (ok && lx.depth > 0)
		ok = fail(&lx, text.len, "a parenthesis is never closed");
	if (ok)
		lx.query->text = arena_cstr(a, buffer_span(&lx.out));
	buffer_free(&lx.out);
	return ok ? lx.query : NULL;
}
