/*
 * One passwd-file in memory: its bytes as they are, and an index of where each
 * user's line starts. Lines are taken apart when they are asked for.
 * Immutable once loaded; whoever holds a reference may read it in any thread.
 */
#ifndef DRIVERS_PASSWD_FILE_H
#define DRIVERS_PASSWD_FILE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/verdict.h"
#include "base/span.h"

/* What tells one version of a file from the next. */
struct pf_stamp {
	struct timespec mtime;
	off_t size;
	ino_t inode;
	dev_t device;
};

struct pf_table;

/*
 * A line taken apart; everything points into the table. Columns that the line
 * does not have are SPAN_NULL.
 */
struct pf_line {
	struct span user;
	struct span password;	     /* as written, without "[NN]" */
	const char *password_prefix; /* "{PLAIN-MD5}" for "[34]" and so on; else "" */
	struct span uid, gid, home;
	struct span extra;	  /* words "key=value" */
	const char *extra_prefix; /* "userdb_mail=" for the old form; else "" */
};

/* A line without its end; false: it is a comment or has no user. */
bool pf_line_parse(struct span line, struct pf_line *out);

struct pf_stamp pf_stamp_of(const struct stat *st);
bool pf_stamp_eq(const struct pf_stamp *a, const struct pf_stamp *b);

/* NULL and *err; err->code is then an errno. Bad lines are logged and left out. */
struct pf_table *pf_table_load(const char *path, struct err *err) MUST_CHECK;
/* The same from bytes (tests, fuzzing). */
struct pf_table *pf_table_of(const char *path, struct span text) MUST_CHECK;
struct pf_table *pf_table_ref(struct pf_table *t);
void pf_table_unref(struct pf_table *t);
/* somebody else has a reference too */
bool pf_table_is_shared(const struct pf_table *t);

const struct pf_stamp *pf_table_stamp(const struct pf_table *t);
size_t pf_table_users(const struct pf_table *t);
/* any "%" in extra fields: they are templates */
bool pf_table_has_templates(const struct pf_table *t);
/* the file was touched a moment ago and its last line has no end: perhaps it is being written */
bool pf_table_is_cut(const struct pf_table *t);

bool pf_table_find(const struct pf_table *t, struct span user, struct pf_line *out) MUST_CHECK;
/* The users in the file's order; start with *at = 0. */
bool pf_table_next(const struct pf_table *t, size_t *at, struct pf_line *out) MUST_CHECK;

/*
 * Puts a new password into the file (passwd-file-replace.c): OK, MISMATCH
 * (the user's is not r->old any more), UNKNOWN_USER or INTERNAL and *err. The
 * file is replaced whole, all other bytes, its owner, mode and attributes kept.
 */
struct replacement;
enum verdict pf_replace(const char *path, struct span user, const struct replacement *r,
    int64_t deadline_ms, struct err *err) MUST_CHECK;

enum { PF_SETTLE_MS = 250 };
/* It may still be being written: last changed less than PF_SETTLE_MS ago. */
bool pf_is_fresh(const struct pf_stamp *s);

#endif
