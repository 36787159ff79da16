/*
 * What the configuration must know of a driver to check a section without
 * running the driver: where it may be used, how its args are written, its
 * settings. The drivers own these; the configuration gets a list of them.
 */
#ifndef CONF_DRIVER_SPEC_H
#define CONF_DRIVER_SPEC_H

#include "conf/setting.h"

enum driver_use {
	DRIVER_PASSDB = 1 << 0,
	DRIVER_USERDB = 1 << 1,
	DRIVER_ROOT = 1 << 2,	  /* its worker runs as root (service auth-worker { user }) */
	DRIVER_IN_FRONT = 1 << 3, /* needs no worker: a matter of the chain alone (prefetch) */
	/* as a userdb it says yes to any name, unless args has the word allow_all_users=yes: the
	   passdbs are asked first whether the user exists */
	DRIVER_ASSUMES_USER = 1 << 4,
	DRIVER_PROCESS = 1 << 5, /* one question a process at a time: several workers by default */
	DRIVER_EXEC = 1 << 6,	 /* may run programs */
	DRIVER_ONLY_VERIFIES = 1 << 7, /* never shows a credential that a mechanism could use */
};

enum driver_args {
	ARGS_NONE,   /* args must be empty */
	ARGS_WORDS,  /* "key=value key=value rest": what no row names goes to the row .rest */
	ARGS_FIELDS, /* the whole args is the value of the row .rest, of type FIELDS */
	ARGS_FILE,   /* args is the path of a file of "key = value" lines */
};

/* A loadable module and Debian's packages of its client library: to run it, and to build it. */
struct driver_module {
	const char *name; /* NAME.so in driver_dir */
	const char *package, *build_package;
};

/* row: which setting it is about; NULL: all of them together */
typedef void driver_complain(void *ctx, const char *row, const char *text);

struct form_24; /* conf/form-24.h */

/* A setting of Dovecot 2.4, and what it is to the driver. */
struct driver_name_24 {
	const char *name; /* in full: passdb_ldap_filter, ldap_uris */
	const char *row;  /* of .settings; NULL: it has no effect, or compose() looks at it */
	bool negated;	  /* its yes is the row's no */
	bool variables;	  /* text with %variables, though the row's type does not say so */
	bool inside;	  /* only what the section itself says counts */
};

/* How a section is written in the form of 2.4. */
struct driver_form_24 {
	const struct driver_name_24 *names; /* ends where the name is NULL */
	const char *blocks;		    /* words: "mysql" for blocks "mysql HOST {" */
	/* The rows that fields {} of a passdb and a userdb become; NULL: override_fields. */
	const char *passdb_fields, *userdb_fields;
	const char *iterate_fields; /* the same of iterate_fields {} of a userdb */
	bool attributes;	    /* these rows are in the language of LDAP attributes */
	/* Providers that the templates of these rows know, of the driver alone; NULL: none. */
	const char *const *sources;
	const char *provider; /* %{sql:x} is the field x of the entry, as %{passdb:x} is */
	/* Makes what is not one name to one row; NULL: nothing. */
	void (*compose)(struct form_24 *form, bool passdb);
};

/* What a spec's check() works with: where strings go, whom to tell. */
struct driver_check {
	struct arena *arena;
	driver_complain *complain;
	void *ctx;
};
void driver_check_says(const struct driver_check *c, const char *row, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

struct driver_spec {
	const char *name;
	unsigned use; /* enum driver_use */
	enum driver_args args;
	const char *rest;
	/*
	 * Words: SASL mechanisms whose exchanges it carries out for the front. It then gets a pool
	 * when auth_mechanisms names one of them, with args made from the auth_ settings; NULL:
	 * none.
	 */
	const char *mechanisms;
	const struct setting_table *settings; /* NULL with ARGS_NONE */
	/*
	 * Looks at all settings together when each is right for itself, and completes the struct
	 * (members without a row). NULL: there is nothing more to check.
	 */
	void (*check)(void *settings, struct arena *a, driver_complain *complain, void *ctx);
	/* The module that these settings need; NULL: the one with the driver's own name. */
	const struct driver_module *(*module)(const void *settings);
	/*
	 * The directory in or below which store() writes files, with these settings.
	 * A worker whose spec has this may write nowhere else, and there only when a
	 * setting wants store(). NULL: the driver may write wherever its user may.
	 */
	const char *(*writes)(const void *settings, struct arena *a);
	const struct driver_form_24 *form_24; /* NULL: args, as in 2.3 */
	/* set in place of all the above: why this driver is not here and what to do instead */
	const char *refusal;
};

/*
 * Fills a struct of spec->settings from args (and, with ARGS_FILE, from the
 * file's text, which the parent read). NULL and *err when it is wrong.
 */
void *driver_args_parse(const struct driver_spec *spec, struct span args, struct span file_text,
    struct arena *a, struct err *err) MUST_CHECK;

#endif
