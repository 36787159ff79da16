/*
 * What is in quotes in a configured query: literals, which become parameters
 * when they hold variables, and names, which must not hold any.
 * Runs in: parent, authctl, worker; pure.
 */
#include <sysexits.h>

#include "conf/template-parts.h"
#include "drivers/sql-lexer.h"

bool sqlx_fail(struct sql_lexer *lx, size_t at, const char *what)
{
	return err_set(lx->err, EX_CONFIG, "%s at offset %zu", what, at);
}

void sqlx_emit(struct sql_lexer *lx, size_t len)
{
	buffer_append(&lx->out, span_make(lx->text.ptr + lx->at, len));
	lx->at += len;
}

/* ---- parameters ---- */

bool sqlx_add_param(struct sql_lexer *lx, struct template *value, bool bare, size_t at)
{
	struct sql_query *q = lx->query;
	if (q->count == SQL_PARAMS_MAX)
		return sqlx_fail(lx, at, "too many variables");
	q->params[q->count++] = (struct sql_param){value, bare};
	if ((template_needs(value) & VAR_BIT(VAR_PASSWORD)) != 0)
		q->shows_password = true;
	if (lx->out.len > 0 && sqlx_is_word(lx->out.data[lx->out.start + lx->out.len - 1]))
		buffer_append_char(&lx->out, ' ');
	if (lx->dialect == SQL_PGSQL)
		buffer_printf(&lx->out, "$%zu", q->count);
	else
		buffer_append_char(&lx->out, '?');
	if (sqlx_is_word(sqlx_peek(lx, 0)))
		buffer_append_char(&lx->out, ' ');
	return true;
}

struct template *sqlx_template(struct sql_lexer *lx, struct span text, size_t at)
{
	struct err err = {0};
	struct template *t = template_parse_with(lx->arena, text, lx->sources, &err);
	if (t == NULL)
		err_set(lx->err, EX_CONFIG, "%s, counted from offset %zu", err.text, at);
	return t;
}

/* The text with %% as %, and nothing else in it. */
void sqlx_emit_text(struct sql_lexer *lx, struct span text)
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
static void take_escape(struct sql_lexer *lx, struct literal *l, bool *odd)
{
	static const char mysql_from[] = "bnrtZ", mysql_to[] = "\b\n\r\t\x1a";
	static const char pg_from[] = "bfnrt", pg_to[] = "\b\f\n\r\t";
	const char *from = sqlx_mysql(lx) ? mysql_from : pg_from;
	const char *to = sqlx_mysql(lx) ? mysql_to : pg_to;
	char c = sqlx_peek(lx, 1);
	const char *known = c != '\0' ? strchr(from, c) : NULL;
	lx->at += 2;
	if (known != NULL) {
		put_char(l, to[known - from]);
	} else if (c == '%') {
		put_char(l, '\\');
		lx->at--;
		if (sqlx_peek(lx, 1) != '%')
			*odd = true; /* the backslash is before a variable's value */
	} else if (sqlx_mysql(lx) && c == '_') {
		put_char(l, '\\');
		put_char(l, '_');
	} else {
		if (sqlx_mysql(lx) ? c == '0'
				   : (isdigit((unsigned char)c) || strchr("xuU", c) != NULL))
			*odd = true;
		put_char(l, c);
	}
}

static void take_variable(struct sql_lexer *lx, struct literal *l)
{
	size_t end = template_skip_variable(lx->text, lx->at);
	struct span source = span_make(lx->text.ptr + lx->at, end - lx->at);
	if (!span_eq_str(source, "%%"))
		l->variables = true;
	buffer_append(&l->value, source);
	lx->at = end;
}

/* From the opening quote to behind the closing one. */
static bool scan_literal(struct sql_lexer *lx, struct literal *l)
{
	bool odd = false;
	l->start = lx->at++;
	for (;;) {
		char c = sqlx_peek(lx, 0);
		if (sqlx_at_end(lx))
			return sqlx_fail(lx, l->start, "the quote is never closed, opened");
		if (c == '%') {
			take_variable(lx, l);
		} else if (c == '\\' && l->escapes) {
			if (lx->at + 1 >= lx->text.len)
				return sqlx_fail(lx, l->start, "the quote is never closed, opened");
			take_escape(lx, l, &odd);
		} else if (c == l->quote && sqlx_peek(lx, 1) == l->quote) {
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
		return sqlx_fail(lx, l->start,
		    "this backslash escape is not possible in a literal with variables");
	return true;
}

/* "N'...'" and the like: what stands before the quote says what the literal is. */
static bool has_prefix(const struct sql_lexer *lx, size_t quote)
{
	static const char *const prefixes[] = {"N", "B", "X", NULL};
	/* "date '2026-01-01'": no parameter can stand there; CAST('...' AS date) takes one */
	static const char *const types[] = {"DATE", "TIME", "TIMESTAMP", NULL};
	static const char *const pg_types[] = {"TIMESTAMPTZ", "INTERVAL", "INET", "CIDR", "UUID",
	    "TEXT", "VARCHAR", "CITEXT", "NAME", "INT", "INTEGER", "BIGINT", "NUMERIC", "BOOLEAN",
	    "JSON", "JSONB", "BYTEA", NULL};
	size_t i = quote;
	if (lx->dialect == SQL_PGSQL && i >= 2 && lx->text.ptr[i - 1] == '&' &&
	    (lx->text.ptr[i - 2] == 'U' || lx->text.ptr[i - 2] == 'u'))
		return true;
	if (lx->before != TOKEN_WORD)
		return false;
	if (sqlx_mysql(lx) && lx->word.ptr[0] == '_')
		return true; /* a character set */
	if (lx->dialect != SQL_SQLITE && sqlx_listed(lx->word, types))
		return true;
	if (lx->dialect == SQL_PGSQL && sqlx_listed(lx->word, pg_types))
		return true;
	return i > 0 && sqlx_is_word(lx->text.ptr[i - 1]) && sqlx_listed(lx->word, prefixes);
}

bool sqlx_literal(struct sql_lexer *lx, char quote, bool escapes)
{
	struct literal l = {.quote = quote, .escapes = escapes};
	bool ok = scan_literal(lx, &l);
	struct span source = span_make(lx->text.ptr + l.start, lx->at - l.start);
	if (ok && l.variables) {
		struct template *t = NULL;
		if (has_prefix(lx, l.start))
			ok = sqlx_fail(lx, l.start, "a literal of this type cannot hold variables");
		else
			ok = (t = sqlx_template(lx, buffer_span(&l.value), l.start)) != NULL &&
			     sqlx_add_param(lx, t, false, l.start);
		if (quote == '"')
			lx->query->double_quoted = true;
	} else if (ok) {
		sqlx_emit_text(lx, source);
	}
	buffer_free(&l.value);
	lx->before = TOKEN_LITERAL;
	return ok;
}

/* E'...': a parameter is what the literal means, so the E goes with it. */
bool sqlx_escape_literal(struct sql_lexer *lx)
{
	size_t mark = lx->out.len, count = lx->query->count;
	sqlx_emit(lx, 1);
	lx->before = TOKEN_OPERATOR;
	bool ok = sqlx_literal(lx, '\'', true);
	if (ok && lx->query->count > count)
		lx->out.data[lx->out.start + mark] = ' ';
	return ok;
}

/* $tag$ ... $tag$ */
bool sqlx_dollar_quote(struct sql_lexer *lx)
{
	size_t start = lx->at, tag = 1;
	while (sqlx_peek(lx, tag) != '$')
		tag++;
	struct span mark = span_make(lx->text.ptr + start, ++tag);
	lx->at += tag;
	struct literal l = {.start = start};
	while (!sqlx_at_end(lx)) {
		struct span rest = span_skip(lx->text, lx->at);
		if (rest.len >= mark.len && span_eq(span_first(rest, mark.len), mark))
			break;
		if (sqlx_peek(lx, 0) == '%')
			take_variable(lx, &l);
		else
			put_char(&l, lx->text.ptr[lx->at++]);
	}
	bool ok =
	    !sqlx_at_end(lx) || sqlx_fail(lx, start, "the dollar quote is never closed, opened");
	if (ok)
		lx->at += mark.len;
	if (ok && l.variables) {
		struct template *t = sqlx_template(lx, buffer_span(&l.value), start);
		ok = t != NULL && sqlx_add_param(lx, t, false, start);
	} else if (ok) {
		sqlx_emit_text(lx, span_make(lx->text.ptr + start, lx->at - start));
	}
	buffer_free(&l.value);
	lx->before = TOKEN_LITERAL;
	return ok;
}

bool sqlx_is_dollar_quote(const struct sql_lexer *lx)
{
	size_t i = 1;
	if (isdigit((unsigned char)sqlx_peek(lx, 1)))
		return false;
	while (sqlx_peek(lx, i) != '$' && sqlx_is_word(sqlx_peek(lx, i)))
		i++;
	return sqlx_peek(lx, i) == '$';
}

/* ---- names ---- */

bool sqlx_quoted_name(struct sql_lexer *lx, char close)
{
	size_t start = lx->at, len = 1;
	while (start + len < lx->text.len) {
		char c = sqlx_peek(lx, len);
		if (c == '%' && sqlx_peek(lx, len + 1) != '%')
			return sqlx_fail(lx, start + len,
			    close == '"' ? "in this database \"...\" is the name of a table or "
					   "column, write '...' for a value with variables,"
					 : "the name of a table or column cannot hold a variable,");
		if (c == '%')
			len++;
		if (c == close && (close == ']' || sqlx_peek(lx, len + 1) != close)) {
			sqlx_emit_text(lx, span_make(lx->text.ptr + start, len + 1));
			lx->at += len + 1;
			lx->before = TOKEN_WORD;
			lx->word = SPAN_LIT("\"");
			return true;
		}
		len += c == close ? 2 : 1;
	}
	return sqlx_fail(lx, start, "the quote is never closed, opened");
}
