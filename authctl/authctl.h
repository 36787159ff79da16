/*
 * What the commands of authctl share.
 * Runs in: authctl. Exit statuses are those of sysexits(3).
 */
#ifndef AUTHCTL_AUTHCTL_H
#define AUTHCTL_AUTHCTL_H

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/secret.h"
#include "client-lib/authd-client.h"
#include "conf/config.h"

/* ---- the commands: argv[0] is the command's name; the exit status is returned ---- */

int authctl_auth_test(int argc, char **argv);
int authctl_auth_login(int argc, char **argv);
int authctl_auth_lookup(int argc, char **argv);
int authctl_auth_cache_flush(int argc, char **argv);
int authctl_auth_cache_status(int argc, char **argv);
int authctl_user(int argc, char **argv);
int authctl_pw(int argc, char **argv); /* pw.c, on the schemes */
int authctl_pw_status(int argc, char **argv);
int authctl_config(int argc, char **argv);
int authctl_config_check(int argc, char **argv);
int authctl_driver_test(int argc, char **argv); /* runs authd --test-driver */
int authctl_reload(int argc, char **argv);
int authctl_version(int argc, char **argv);

/* Writes the usage of the command that runs to standard error; returns EX_USAGE. */
int authctl_usage(void);

/* "authctl: TEXT" on standard error. */
void authctl_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* ---- the options before the command ---- */

enum output_format { OUTPUT_DEFAULT, OUTPUT_TAB, OUTPUT_TABLE, OUTPUT_FLOW, OUTPUT_JSON };

extern struct authctl_globals {
	const char *config_path; /* -c; NULL: not given */
	enum output_format format;
	bool dovecot; /* --dovecot: the file is a whole dovecot.conf */
} authctl_globals;

/* ---- settings.c: what of the configuration the commands need ---- */

extern const struct option authctl_dovecot_option[]; /* --dovecot is 'd' to getopt_long() */
/* The file to read: -c, or the installed one. */
const char *authctl_config_path(void);
struct config *authctl_load(const char *path, bool dovecot); /* errors went to standard error */
/* Never NULL; exits with EX_CONFIG when a file that was named with -c is bad. */
const char *authctl_base_dir(void);

/* ---- socket.c ---- */

enum { AUTHCTL_CONNECT_MS = 10000, AUTHCTL_TIMEOUT_MS = 60000 };

/* address NULL: NAME in the base_dir. NULL: it said why, and what to do about it. */
struct authd_link *authctl_connect(enum authd_kind kind, const char *address, const char *name);
/* Why a call on the link failed; gives the exit status for it. */
int authctl_failed(const struct authd_link *link, enum authd_status status);

/* -x name=value; at most that many, and "service" is there from the start. */
enum { AUTHCTL_FIELDS_MAX = 64 };
struct authctl_fields {
	struct authd_field items[AUTHCTL_FIELDS_MAX];
	size_t count;
};
void authctl_fields_init(struct authctl_fields *f);
bool authctl_fields_add(struct authctl_fields *f, char *argument); /* splits it in place */

/* ---- password.c ---- */

/*
 * From the terminal without echo, or the first line of standard input when
 * that is no terminal. In the arena; unset (and it said why) when there is none.
 */
struct secret authctl_read_password(const char *prompt, struct arena *a);
/* An argument that is a password: copied, and overwritten where ps(1) would show it. */
struct secret authctl_take_password(char *argument, struct arena *a);

/* ---- output.c: rows of named columns, in the format of -o ---- */

struct output {
	enum output_format format;
	const char *const *columns;
	size_t column_count;
	size_t row_count;
	char **cells; /* OUTPUT_TABLE: kept until the end, to know the widths */
	size_t cell_count, cell_size;
};

/* fallback: the format when there was no -o. columns must outlive the output. */
void output_begin(
    struct output *o, enum output_format fallback, const char *const *columns, size_t column_count);
void output_row(struct output *o, const char *const *cells);
void output_end(struct output *o);
void output_json_string(FILE *f, const char *text);
/* {"name":"value",...}; a bare name has the value true */
void output_json_fields(FILE *f, const struct authd_field *fields, size_t count);
/* in a line of text: control bytes as ? */
void output_text(FILE *f, const char *text);
/* for programs to read: as it is, but a terminal gets control bytes as ? */
void output_data(struct span data);

#endif
