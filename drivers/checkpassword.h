/*
 * What a checkpassword program may be told and what it says: the parts of the
 * driver that do not run a program.
 */
#ifndef DRIVERS_CHECKPASSWORD_H
#define DRIVERS_CHECKPASSWORD_H

#include "drivers/driver.h"

enum { CHECKPASSWORD_ENV_MAX = 128 };

/* "NAME=value" ..., NULL-terminated, in the question's arena. */
char **checkpassword_environment(const struct question *q);

/* How it ended, and (when OK) its fields put into the entry. */
enum verdict checkpassword_verdict(
    struct question *q, bool exited, int status, struct span reply) MUST_CHECK;

/* Takes apart what the reply helper wrote; false and q->err when it makes no sense. */
bool checkpassword_take_reply(struct question *q, struct span reply) MUST_CHECK;

/* ---- checkpassword-run.c ---- */

enum { CHECKPASSWORD_REPLY_MAX = 8192 };

struct checkpassword_run {
	char *const *argv, *const *env;
	struct span input;   /* for descriptor 3 */
	int64_t deadline_ms; /* then it is killed */
	bool exited;	     /* out: status is its exit code; else a signal's number */
	int status;
	char reply[CHECKPASSWORD_REPLY_MAX]; /* out: from descriptor 4 */
	size_t reply_len;
};

/* false and *err when it could not be run or had no time left. */
bool checkpassword_run(struct checkpassword_run *run, struct err *err) MUST_CHECK;

#endif
