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
	struct form_24 **forms; /* 2.4: each passdb and userdb */
	size_t form_count;
	struct service_settings *auth, *worker; /* service auth {}, service auth-worker {} */
	bool no_files;				/* read from memory */
	const char *version_24;			/* the file is written for Dovecot 2.4; else NULL */
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

/* The value of a setting, that of "<file" included. False: reported. */
bool load_value(struct load *l, const struct conf_node *n, struct span *v);
/* Sets one setting from its node. False: reported. */
bool load_set(struct load *l, const struct conf_node *n, const struct setting *row, void *target);

/* Every setting of a section into target; sections inside it are errors. */
void load_section(struct load *l, const struct conf_node *section,
    const struct setting_table *table, void *target);

/* What to write instead of something of another version of Dovecot; NULL: nothing known. */
const char *load_advice(const struct conf_node *n);
/* Dovecot 1.x's auth NAME {}: says for all in it what to write today. */
void load_old_auth(struct load *l, const struct conf_node *section);

/* "", or ", did you mean ...?" */
const char *load_hint(struct load *l, const char *near);
/* The default of a setting of any name, NULL: there is none. */
const char *load_default_of(void *load, const char *name);

/* ---- Dovecot 2.4's form: load-24*.c, form-24.c ---- */

/* One row of a driver, as a section of 2.4 sets it. */
struct form_value {
	struct span text; /* SPAN_NULL: not set */
	struct config_place place;
	const char *name; /* what 2.4 calls it */
	bool bad;	  /* it was wrong, which has been said */
};

/* What the args of a database would be in the form of 2.3, made of its settings. */
struct load_made {
	const char *file_text;		 /* ARGS_FILE: the file; else NULL */
	const struct form_value *values; /* by row; NULL: the args are in 2.3's form */
	const struct conf_node *written;
};

/* What one section of 2.4 says of its driver's settings; form-24.h is what drivers see of it. */
struct form_24 {
	struct load *l;
	const struct conf_node *scopes[3]; /* the section, protocol X {} or NULL, the top level */
	bool passdb;
	const char *driver, *prefix;	/* "passwd-file", "passwd_file_" */
	const struct driver_spec *spec; /* NULL: not known here */
	struct form_value *values;	/* by row of the driver */
	struct conf_node *args;		/* of the section in the form of 2.3 */
	struct load_made *made;
	struct form_24 *leader;	     /* whose text this one shares; itself: it has its own */
	bool has_passdb, has_userdb; /* of a leader: what its values hold */
};

/* form-24.c: the last setting of that full name in the section or around it; NULL: none */
const struct conf_node *form_24_find(const struct form_24 *f, const char *name);
/* Is it how that setting may be written inside the section? */
bool form_24_matches(const struct form_24 *f, const char *key, const char *name);
const char *form_24_kind(const struct form_24 *f); /* "passdb_" or "userdb_" */
/* Is the name for sections of this kind? */
bool form_24_is_for(const struct form_24 *f, const char *name);
/* Every setting of the driver that is one row. */
void form_24_map(struct form_24 *f);
/* form-24-text.c: "key=value ..." or attributes of all these blocks; SPAN_NULL: none */
struct span form_24_fields(struct form_24 *f, const char *const *names, bool attributes);
/* "key=value" at the end of a list of fields */
void form_24_put_field(struct buffer *list, const char *key, struct span value);
/* The args, or the text of the file that they would name. */
struct span form_24_text(struct form_24 *f, const struct form_value *values);

/* The tree of a file for 2.4 as one in the form of 2.3; what was written stays. */
struct conf_node *load_24(struct load *l, struct conf_node *root);
/* passdb NAME {} or userdb NAME {}: into parent. block: protocol X {}, or NULL */
void load_24_db(struct load *l, struct conf_node *parent, const struct conf_node *section,
    const struct conf_node *block, const struct conf_node *root);
/* When all databases are known: which share their settings, and the text of each. */
void load_24_finish(struct load *l);
/* load-24-blocks.c: blocks that are settings in another form; changes the tree. */
void load_24_blocks(struct load *l, struct conf_node *root);
/* Is it one of a driver's or a database's settings, or a block of them? */
bool load_24_is_of_driver(struct load *l, const struct conf_node *n);
/* Reports what is not known in such a block. */
void load_24_check_block(struct load *l, const struct conf_node *block);
/* The nearest such name. */
const char *load_24_nearest(const struct load *l, struct span name);
/* A new setting or section at the end of parent, in n's place. */
struct conf_node *load_24_add(struct load *l, struct conf_node *parent, const struct conf_node *n,
    const char *key, const char *value);

/* One passdb {} or userdb {} into its block. */
void load_db(struct load *l, struct config_block *block, const struct conf_node *n, bool passdb);
/* Where an auth_ setting of the block stands, else the block. */
struct config_place load_auth_place(const struct config_block *b, const char *name);
/* NULL: no driver of that name is part of the program's list */
const struct driver_spec *load_find_driver(const struct load *l, const char *name);
void load_pools(struct load *l);
void load_check_databases(struct load *l);
void load_check_auth(struct load *l);

void load_service(struct load *l, const struct conf_node *n);
void load_default_listeners(struct load *l);
bool load_listener_type(const struct listener_settings *set, enum listener_type *type);

void load_scopes(struct load *l);
void load_top(struct load *l, const struct conf_node *root);

#endif
