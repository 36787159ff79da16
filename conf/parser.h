/*
 * The tree of a configuration: settings and sections in the order of the
 * text, includes in place, each with its file and line. It knows no setting.
 * Runs in: parent, authctl. Everything lives in the caller's arena.
 */
#ifndef CONF_PARSER_H
#define CONF_PARSER_H

#include "conf/lexer.h"

enum {
	CONF_INCLUDE_DEPTH = 16,
	CONF_SECTION_DEPTH = 16,
	CONF_FILE_MAX = 64 * 1024 * 1024,
};

struct conf_node {
	const char *file;
	unsigned line;
	bool section;
	bool bad; /* its first line was wrong, which has been reported: do not judge it */
	const char *key;
	const char *name;  /* of a section; NULL: none was written */
	const char *value; /* of a setting, $names replaced; CONF_VALUE_FILE: the absolute path */
	enum conf_value_kind value_kind;
	const char *unknown;		 /* a $name in the value that nothing defines, else NULL */
	bool busy;			 /* 2.4: its $SET:name is being looked up */
	bool foreign;			 /* 2.4: in a database's section, and passed over */
	bool of_driver;			 /* 2.4: looked at by the sections that it is around */
	const char *as;			 /* what the administrator calls it; NULL: key */
	const struct conf_node *written; /* 2.4: what this one was made of */
	const struct load_made *made; /* of a database in the form of 2.4: what its args would be */
	struct conf_node *parent, *first, *last, *next, *prev;
};

typedef void conf_report(void *ctx, const char *file, unsigned line, const char *what);

struct conf_parser {
	struct arena *arena;
	bool no_files; /* text from memory: !include is an error */
	/* Out: the first setting is dovecot_config_version. Then $SET:name is left as it is. */
	bool is_24;
	bool begun; /* the parser's own: there was a setting or a section */
	conf_report *report;
	void *ctx;
	/* the default of a setting that was not set, for $name; NULL: unknown */
	const char *(*default_of)(void *ctx, const char *name);
};

/* The root: a section without key. There is always one, however many errors were reported. */
struct conf_node *conf_parse_file(struct conf_parser *p, const char *path);
struct conf_node *conf_parse_text(struct conf_parser *p, const char *name, struct span text);

/*
 * A regular file's whole content. False and *err ("cannot read PATH: why").
 * Anything but a regular file is refused, so nothing here can block.
 */
bool conf_read_file(
    const char *path, struct arena *a, struct span *text, struct err *err) MUST_CHECK;

/* path, taken relative to the directory of the file that names it */
const char *conf_relative(const char *path, const char *file, struct arena *a);

#endif
