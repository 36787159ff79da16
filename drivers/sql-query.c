/*
 * Turns a configured query into a statement with parameters: each literal
 * that holds variables is one parameter, and so is a variable that stands as
 * a value of its own. Anything else is refused, so no byte of a request is
 * ever part of a statement's text. Runs in: parent, authctl, worker; pure.
 * The order is Dovecot's: variables first, then SQL's own quoting.
 */
#include <stdio.h>
#include <sysexits.h>

#include "conf/template-parts.h"
#include "drivers/sql-lexer.h"

/* ---- words that say whether a value may follow ---- */

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

/* ---- words that say what may go to the server together with others ---- */

/* not followed by "(": some are the names of functions, too */
static const char *const changing[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "CALL",
    "DO", "EXECUTE", "SHARE", "LOCK", NULL};
/* what a server puts into a temporary table first, and what belongs to the statement or session */
static const char *const apart[] = {"LIMIT", "GROUP", "ORDER", "UNION", "EXCEPT", "INTERSECT",
    "DISTINCT", "DISTINCTROW", "HAVING", "OVER", "INTO", "PROCEDURE", "SQL_CALC_FOUND_ROWS", "NEXT",
    "PREVIOUS", "NEXTVAL", NULL};
/*
 * Functions whose value is that of their arguments, the time and the account, and other words
 * before "(". Any other name may be that of a function which does something, or says something
 * of the last statement.
 */
static const char *const pure[] = {"ABS", "AGAINST", "AS", "ASCII", "AVG", "BIN", "CAST", "CEIL",
    "CEILING", "CHAR", "CHARACTER_LENGTH", "CHAR_LENGTH", "CHR", "COALESCE", "CONCAT", "CONCAT_WS",
    "CONV", "CONVERT", "COUNT", "CRC32", "CURDATE", "CURRENT_DATE", "CURRENT_TIMESTAMP",
    "CURRENT_USER", "DATABASE", "DATE", "DATEDIFF", "DATE_ADD", "DATE_FORMAT", "DATE_SUB", "DAY",
    "DECIMAL", "ELT", "EXISTS", "FIELD", "FIND_IN_SET", "FLOOR", "FORMAT", "FROM", "FROM_BASE64",
    "FROM_UNIXTIME", "GREATEST", "GROUP_CONCAT", "HEX", "IF", "IFNULL", "INET6_ATON", "INET6_NTOA",
    "INET_ATON", "INET_NTOA", "INSERT", "INSTR", "ISNULL", "JOIN", "JSON_EXTRACT", "JSON_UNQUOTE",
    "JSON_VALUE", "LCASE", "LEAST", "LEFT", "LENGTH", "LOCATE", "LOWER", "LPAD", "LTRIM", "MAX",
    "MD5", "MID", "MIN", "NOW", "NULLIF", "NVL", "OCTET_LENGTH", "ORD", "POSITION", "POW", "POWER",
    "REGEXP_REPLACE", "REGEXP_SUBSTR", "REPEAT", "REPLACE", "REVERSE", "RIGHT", "ROUND", "RPAD",
    "RTRIM", "SHA", "SHA1", "SHA2", "SIGN", "STRCMP", "STR_TO_DATE", "SUBSTR", "SUBSTRING",
    "SUBSTRING_INDEX", "SUM", "TIME", "TIMESTAMP", "TIMESTAMPDIFF", "TO_BASE64", "TO_DAYS", "TRIM",
    "TRUNCATE", "UCASE", "UNHEX", "UNIX_TIMESTAMP", "UPPER", "USER", "USING", "UTC_TIMESTAMP",
    "YEAR", NULL};

static bool is_called(const struct sql_lexer *lx, size_t len)
{
	while (sqlx_is_space(sqlx_peek(lx, len)))
		len++;
	return sqlx_peek(lx, len) == '(';
}

static void note_word(struct sql_lexer *lx, size_t len)
{
	if (sqlx_listed(lx->word, changing) && !is_called(lx, len))
		lx->query->changes = true;
	if (sqlx_listed(lx->word, apart))
		lx->query->apart = true;
}

/* Of a word in another schema nobody knows what it does. */
static bool is_pure(const struct sql_lexer *lx)
{
	if (!sqlx_listed(lx->word, pure))
		return false;
	/* one that is listed stands in the text */
	return lx->word.ptr == lx->text.ptr || lx->word.ptr[-1] != '.';
}

static void take_word(struct sql_lexer *lx)
{
	size_t len = 0;
	while (sqlx_is_word(sqlx_peek(lx, len)))
		len++;
	lx->word = span_make(lx->text.ptr + lx->at, len);
	note_word(lx, len);
	lx->before = sqlx_listed(lx->word, before_values) ? TOKEN_KEYWORD : TOKEN_WORD;
	bool values = sqlx_listed(lx->word, value_clauses);
	if (values || sqlx_listed(lx->word, other_clauses)) {
		lx->values_here = values;
		lx->clause = lx->word;
	}
	sqlx_emit(lx, len);
}

static bool open_paren(struct sql_lexer *lx)
{
	if (lx->depth == NESTING_MAX)
		return sqlx_fail(lx, lx->at, "too many parentheses in each other");
	lx->outer[lx->depth].values_here = lx->values_here;
	lx->outer[lx->depth++].clause = lx->clause;
	if (lx->before == TOKEN_WORD) {
		lx->values_here = true; /* a function's arguments */
		lx->query->apart = lx->query->apart || !is_pure(lx);
	}
	lx->before = TOKEN_OPERATOR;
	sqlx_emit(lx, 1);
	return true;
}

static void close_paren(struct sql_lexer *lx)
{
	if (lx->depth > 0) {
		lx->values_here = lx->outer[--lx->depth].values_here;
		lx->clause = lx->outer[lx->depth].clause;
	}
	lx->before = TOKEN_VALUE;
	sqlx_emit(lx, 1);
}

/* ---- comments ---- */

/* Puts the comment in, or a blank when there are %s in it, which mean nothing there. */
static void emit_comment(struct sql_lexer *lx, size_t len)
{
	struct span text = span_make(lx->text.ptr + lx->at, len);
	if (span_find(text, '%') < 0)
		buffer_append(&lx->out, text);
	else
		buffer_append_char(&lx->out, ' ');
	lx->at += len;
}

static size_t line_comment(const struct sql_lexer *lx)
{
	const char *p = lx->text.ptr + lx->at;
	const char *nl = memchr(p, '\n', lx->text.len - lx->at);
	return nl != NULL ? (size_t)(nl - p) : lx->text.len - lx->at;
}

static bool take_block_comment(struct sql_lexer *lx)
{
	size_t i = 2, depth = 1;
	if (sqlx_mysql(lx) &&
	    (sqlx_peek(lx, 2) == '!' || (sqlx_peek(lx, 2) == 'M' && sqlx_peek(lx, 3) == '!'))) {
		sqlx_emit(lx, 3); /* what is in it runs: it is lexed as the rest is */
		return true;
	}
	for (; lx->at + i < lx->text.len; i++) {
		if (sqlx_peek(lx, i) == '*' && sqlx_peek(lx, i + 1) == '/') {
			i++;
			if (--depth == 0) {
				emit_comment(lx, i + 1);
				return true;
			}
		} else if (lx->dialect == SQL_PGSQL && sqlx_peek(lx, i) == '/' &&
			   sqlx_peek(lx, i + 1) == '*') {
			depth++;
			i++;
		}
	}
	return sqlx_fail(lx, lx->at, "the comment is never closed, opened");
}

static bool is_line_comment(const struct sql_lexer *lx)
{
	if (sqlx_mysql(lx) && sqlx_peek(lx, 0) == '#')
		return true;
	if (sqlx_peek(lx, 0) != '-' || sqlx_peek(lx, 1) != '-')
		return false;
	char c = sqlx_peek(lx, 2);
	return !sqlx_mysql(lx) || c == '\0' || sqlx_is_space(c) || iscntrl((unsigned char)c);
}

/* ---- variables outside of quotes ---- */

static bool bare_fail(struct sql_lexer *lx, size_t at, struct span source, const char *why)
{
	return err_set(lx->err, EX_CONFIG,
	    "%.*s cannot be a value at offset %zu: %s; write '%.*s' if it is meant as one",
	    SPAN_ARG(source), at, why, SPAN_ARG(source));
}

static bool check_bare(struct sql_lexer *lx, size_t start, struct span source)
{
	char before = start > 0 ? lx->text.ptr[start - 1] : ' ', after = sqlx_peek(lx, 0);
	char why[128];
	if (!sqlx_is_space(before) && strchr("(,=<>!+-*/|&^~", before) == NULL)
		return bare_fail(lx, start, source, "it is part of something longer");
	if (after != '\0' && !sqlx_is_space(after) && strchr("),;=<>!+-*/|&^~:", after) == NULL)
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

static bool take_bare(struct sql_lexer *lx)
{
	size_t start = lx->at;
	lx->at = template_skip_variable(lx->text, start);
	struct span source = span_make(lx->text.ptr + start, lx->at - start);
	struct template *t = sqlx_template(lx, source, start);
	if (t == NULL)
		return false;
	if (template_is_constant(t)) {
		/* the administrator's own: %% or an environment variable, say */
		static const struct vars none;
		buffer_append(&lx->out, template_expand(t, &none, lx->arena, NULL, NULL, lx->err));
		lx->before = span_eq_str(source, "%%") ? TOKEN_OPERATOR : TOKEN_WORD;
		lx->word = SPAN_LIT("%");
		return true;
	}
	if (!check_bare(lx, start, source))
		return false;
	lx->before = TOKEN_VALUE;
	return sqlx_add_param(lx, t, true, start);
}

/* ---- the statement ---- */

static bool is_placeholder(const struct sql_lexer *lx)
{
	char c = sqlx_peek(lx, 0), next = sqlx_peek(lx, 1);
	if (lx->dialect == SQL_PGSQL)
		return c == '$' && isdigit((unsigned char)next);
	if (lx->dialect == SQL_SQLITE && c != '\0' && strchr(":@$#", c) != NULL)
		return sqlx_is_word(next);
	return c == '?';
}

static bool take_end(struct sql_lexer *lx)
{
	size_t start = lx->at++;
	while (sqlx_is_space(sqlx_peek(lx, 0)) || sqlx_peek(lx, 0) == ';')
		lx->at++;
	return sqlx_at_end(lx) || sqlx_fail(lx, start, "only one statement is possible, it ends");
}

static bool take_quoted(struct sql_lexer *lx, char c)
{
	bool escapes = lx->dialect == SQL_MYSQL;
	if (c == '\'' || sqlx_mysql(lx))
		return sqlx_literal(lx, c, escapes);
	return sqlx_quoted_name(lx, c);
}

static bool take_symbol(struct sql_lexer *lx, char c)
{
	if (is_placeholder(lx))
		return sqlx_fail(lx, lx->at, "placeholders are authd's own, there is one");
	if (c == '(')
		return open_paren(lx);
	if (c == ')')
		close_paren(lx);
	else if (c == ';')
		return take_end(lx);
	else {
		lx->before = c == '.' ? TOKEN_WORD : TOKEN_OPERATOR;
		lx->word = SPAN_LIT(".");
		if (c == '@') /* a variable of the session */
			lx->query->apart = true;
		sqlx_emit(lx, 1);
	}
	return true;
}

static bool step(struct sql_lexer *lx)
{
	char c = sqlx_peek(lx, 0);
	if (sqlx_is_space(c)) {
		sqlx_emit(lx, 1);
	} else if (is_line_comment(lx)) {
		emit_comment(lx, line_comment(lx));
	} else if (c == '/' && sqlx_peek(lx, 1) == '*') {
		return take_block_comment(lx);
	} else if (c == '%') {
		return take_bare(lx);
	} else if (c == '\'' || c == '"') {
		return take_quoted(lx, c);
	} else if (c == '`' && lx->dialect != SQL_PGSQL) {
		return sqlx_quoted_name(lx, '`');
	} else if (c == '[' && lx->dialect == SQL_SQLITE) {
		return sqlx_quoted_name(lx, ']');
	} else if (c == '$' && lx->dialect == SQL_PGSQL && sqlx_is_dollar_quote(lx)) {
		return sqlx_dollar_quote(lx);
	} else if ((c == 'E' || c == 'e') && sqlx_peek(lx, 1) == '\'' && lx->dialect == SQL_PGSQL) {
		return sqlx_escape_literal(lx);
	} else if (sqlx_is_word(c) && !(c == '$' && is_placeholder(lx))) {
		take_word(lx);
	} else {
		return take_symbol(lx, c);
	}
	return true;
}

struct sql_query *sql_query_parse(
    struct arena *a, enum sql_dialect dialect, struct span text, struct err *err)
{
	return sql_query_parse_with(a, dialect, text, NULL, err);
}

struct sql_query *sql_query_parse_with(struct arena *a, enum sql_dialect dialect, struct span text,
    const struct template_sources *sources, struct err *err)
{
	struct sql_lexer lx = {.arena = a, .dialect = dialect, .sources = sources, .err = err};
	lx.text = span_make(arena_cstr(a, text), text.len);
	lx.query = arena_alloc(a, sizeof(*lx.query));
	bool ok = span_find(text, '\0') < 0 || sqlx_fail(&lx, 0, "there is a NUL byte");
	while (ok && !sqlx_at_end(&lx))
		ok = step(&lx);
	if (ok && lx.depth > 0)
		ok = sqlx_fail(&lx, text.len, "a parenthesis is never closed");
	if (ok)
		lx.query->text = arena_cstr(a, buffer_span(&lx.out));
	buffer_free(&lx.out);
	return ok ? lx.query : NULL;
}
