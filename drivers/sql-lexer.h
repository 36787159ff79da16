/*
 * The SQL lexer's state, shared by its two files: sql-query.c (words, bare
 * variables, comments) and sql-literal.c (what is in quotes).
 */
#ifndef DRIVERS_SQL_LEXER_H
#define DRIVERS_SQL_LEXER_H

#include <ctype.h>

#include "drivers/sql.h"

enum { NESTING_MAX = 64 };

enum token { TOKEN_START, TOKEN_OPERATOR, TOKEN_WORD, TOKEN_KEYWORD, TOKEN_LITERAL, TOKEN_VALUE };

struct sql_lexer {
	struct arena *arena;
	enum sql_dialect dialect;
	const struct template_sources *sources; /* variables beyond the ordinary; may be NULL */
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

static inline bool sqlx_mysql(const struct sql_lexer *lx)
{
	return lx->dialect == SQL_MYSQL || lx->dialect == SQL_MYSQL_NO_ESCAPES;
}

static inline char sqlx_peek(const struct sql_lexer *lx, size_t ahead)
{
	return lx->at + ahead < lx->text.len ? lx->text.ptr[lx->at + ahead] : '\0';
}

static inline bool sqlx_at_end(const struct sql_lexer *lx)
{
	return lx->at >= lx->text.len;
}

static inline bool sqlx_is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static inline bool sqlx_is_space(char c)
{
	return c != '\0' && strchr(" \t\r\n\f\v", c) != NULL;
}

static inline bool sqlx_listed(struct span word, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (span_eq_ci(word, span_of(*list)))
			return true;
	}
	return false;
}

/* "WHAT at offset N"; always false */
bool sqlx_fail(struct sql_lexer *lx, size_t at, const char *what);
/* the next len bytes as they are */
void sqlx_emit(struct sql_lexer *lx, size_t len);
/* The text with %% as %, and nothing else in it. */
void sqlx_emit_text(struct sql_lexer *lx, struct span text);
struct template *sqlx_template(struct sql_lexer *lx, struct span text, size_t at);
/* Puts a placeholder for the value. */
bool sqlx_add_param(struct sql_lexer *lx, struct template *value, bool bare, size_t at) MUST_CHECK;

/* Each from its opening quote to behind the closing one. */
bool sqlx_literal(struct sql_lexer *lx, char quote, bool escapes) MUST_CHECK;
bool sqlx_escape_literal(struct sql_lexer *lx) MUST_CHECK;
bool sqlx_dollar_quote(struct sql_lexer *lx) MUST_CHECK;
bool sqlx_is_dollar_quote(const struct sql_lexer *lx);
bool sqlx_quoted_name(struct sql_lexer *lx, char close) MUST_CHECK;

#endif
