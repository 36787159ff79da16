/*
 * What the files that build struct config share (load*.c, config.c).
 * Runs in: parent, authctl. Nothing here is fatal: errors are reported and
 * counted, and config_load() returns NULL at the end.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/config.h"
#include "conf/parser.h"

struct load_problem {
	struct config_place place;
	size_t file_order, seq;
	const char *text; /* "file:line: what" */
};

struct load {
	struct config *c;
	const struct config_options *options;
	config_error *error;
	void *ctx;
	struct load_problem *problems; /* handed over sorted, at the end */
	size_t errors;
	struct arena *arena; /* the config's */
	unsigned passdb_ids, userdb_ids;
	struct service_settings *auth, *worker; /* service auth {}, service auth-worker {} */
	bool no_files;				/* read from memory */
	bool
	    incomplete; /* something could not be read at all: do not say that things are missing */
};

struct config_place load_place(const struct conf_node *n);
/* the place of the last setting of that name in the section, else the section's own */
struct config_place load_place_of(const struct conf_node *section, const char *key);
void load_error(struct load *l, struct config_place place, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Gives all errors to the caller's function: by file, as they came up, and by line. */
void load_report_errors(struct load *l);
void load_pass_over(struct load *l, const struct conf_node *n);

/* Room in the arena for one more: new memory whenever count reaches a power of two. */
void *load_grow(struct load *l, void *items, size_t count, size_t item_size);
/* "protocol imap { mail_plugins", as Dovecot names it */
const char *load_full_name(struct load *l, const struct conf_node *n);

/* Reports a name that no row has, with the nearest of the table. */
void load_unknown(struct load *l, const struct conf_node *n, const struct setting_table *table);

/* Sets one setting from its node, "<file" included. False: reported. */
bool load_set(struct load *l, const struct conf_node *n, const struct setting *row, void *target);

/* Every setting of a section into target; sections inside it are errors. */
void load_section(struct load *l, const struct conf_node *section,
    const struct setting_table *table, void *target);

/* What to write instead of something of another version of Dovecot; NULL: nothing known. */
const char *load_advice(const struct conf_node *n);
/* Dovecot 1.x's auth NAME {}: says for all in it what to write today. */
void load_old_auth(struct load *l, const struct conf_node *section);

/* One passdb {} or userdb {} into its block. */
void load_db(struct load *l, struct config_block *block, const struct conf_node *n, bool passdb);
/* Where an auth_ setting of the block stands, else the block. */
struct config_place load_auth_place(const struct config_block *b, const char *name);
void load_pools(struct load *l);
void load_check_databases(struct load *l);
void load_check_auth(struct load *l);

void load_service(struct load *l, const struct conf_node *n);
void load_default_listeners(struct load *l);
bool load_listener_type(const struct listener_settings *set, enum listener_type *type);

void load_scopes(struct load *l);
void load_top(struct load *l, const struct conf_node *root);

#endif
