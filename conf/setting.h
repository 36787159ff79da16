/*
 * Tables of settings. Every setting is one row: name, type, default, help.
 * From the rows come the parser, the printer (authctl config), the transfer
 * to child processes, and the documentation.
 *
 * C types of the members at .offset, by row type:
 *   STRING const char * (never NULL)   BOOL bool       UINT unsigned
 *   SIZE   uint64_t, bytes             TIME uint64_t, milliseconds
 *   MODE   unsigned, octal             ENUM int, index into .choices
 *   WORDS  const char *, words kept as written, separated by spaces
 *   TEMPLATE struct template *         FIELDS struct template_fields *
 */
#ifndef CONF_SETTING_H
#define CONF_SETTING_H

#include "base/err.h"
#include "base/wire.h"
#include "conf/template.h"

enum setting_type {
	SETTING_STRING,
	SETTING_BOOL,
	SETTING_UINT,
	SETTING_SIZE,
	SETTING_TIME,
	SETTING_MODE,
	SETTING_ENUM,
	SETTING_WORDS,
	SETTING_TEMPLATE,
	SETTING_FIELDS,
};

enum setting_flags {
	SETTING_SECRET = 1 << 0,   /* printed as <hidden> */
	SETTING_REQUIRED = 1 << 1, /* empty is an error */
};

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset;
	const char *def;     /* default, as one would write it in the file; never NULL */
	const char *help;    /* one or two sentences for the documentation */
	const char *choices; /* ENUM: words separated by spaces */
	unsigned flags;
	const char *old_name; /* an alias that is understood too, or NULL */
};

struct setting_table {
	const char *name; /* "auth", "passdb", "service auth / unix_listener" ... */
	const struct setting *rows;
	size_t count;
	size_t size; /* of the struct */
};

/* All defaults, in a new zeroed struct of table->size in the arena. */
void *settings_new(const struct setting_table *table, struct arena *a);

const struct setting *settings_find(const struct setting_table *table, struct span name);

/* Parses value into the struct. *err says what is wrong with the value (not where). */
bool setting_set(const struct setting *row, void *target, struct span value, struct arena *a,
    struct err *err) MUST_CHECK;

/* The value as text in the file's syntax (unquoted); the secret ones too. */
struct span setting_text(const struct setting *row, const void *source, struct arena *a);
/* bytes of the member; a setting of the same row in another struct takes the value over */
size_t setting_member_size(const struct setting *row);
void setting_copy(const struct setting *row, void *target, const void *source);
bool setting_is_default(const struct setting *row, const void *source);

/* OR of template_needs() over all TEMPLATE and FIELDS rows. */
uint64_t settings_needs(const struct setting_table *table, const void *source);

/* The row whose name is nearest to the misspelt one, or NULL if none is near. */
const char *settings_nearest(const struct setting_table *table, struct span name);
/* the same over any list of names; distance is Damerau-Levenshtein, at most a third of the length
 */
const char *nearest_name(struct span name, const char *const *names, size_t count);

/* Documentation of a table: its rows in Markdown, and as man(7) source. */
void settings_document(const struct setting_table *table, struct buffer *out);
void settings_document_man(const struct setting_table *table, struct buffer *out);

/* Transfer to a child process: only what differs from the default. */
void settings_export(const struct setting_table *table, const void *source, struct buffer *out);
bool settings_import(const struct setting_table *table, void *target, struct wire_reader *r,
    struct arena *a, struct err *err) MUST_CHECK;

#endif
