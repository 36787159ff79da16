/*
 * Lines of Dovecot's configuration language: comments, continuation, quotes,
 * and which of "key = value", "section name {", "}" and "!include" a line is.
 * Runs in: parent, authctl. The text is the caller's; what a line yields
 * lives in the arena.
 */
#ifndef CONF_LEXER_H
#define CONF_LEXER_H

#include "base/arena.h"
#include "base/err.h"

enum conf_line_kind {
	CONF_LINE_SETTING,     /* key = value */
	CONF_LINE_SECTION,     /* key [name] { */
	CONF_LINE_END,	       /* } */
	CONF_LINE_INCLUDE,     /* !include value */
	CONF_LINE_INCLUDE_TRY, /* !include_try value */
	CONF_LINE_BAD,	       /* err says why; the next line can be read */
	CONF_LINE_EOF,
};

enum conf_value_kind {
	CONF_VALUE_PLAIN,  /* $names are replaced */
	CONF_VALUE_QUOTED, /* begins with a quote: taken as it is */
	CONF_VALUE_FILE,   /* "<path" */
};

struct conf_line {
	enum conf_line_kind kind;
	unsigned line; /* where it begins, from 1 */
	struct span key;
	struct span name;  /* of a section; ptr NULL: none was written */
	struct span value; /* unquoted and unescaped */
	enum conf_value_kind value_kind;
	bool opens; /* a bad line that was probably meant to open a section */
	struct err err;
};

struct conf_lexer {
	struct span rest;
	unsigned line;
	struct arena *arena;
	bool patient; /* comments and empty lines amid a continued line are passed over */
	bool groups;  /* Dovecot 2.4: "group @label name {" is a section */
};

struct conf_lexer conf_lexer_of(struct span text, struct arena *a);
struct conf_line conf_lexer_next(struct conf_lexer *lx);

/* value as it must be written so that the lexer reads it back: quoted if it has to be */
struct span conf_quote(struct span value, struct arena *a);

#endif
