/*
 * Starting children: fork, wire up the agreed descriptors, close the rest,
 * exec this same program with a role. Runs in: parent. Failure to start one
 * is reported; what the child cannot do before exec ends the child (status
 * EX_OSERR).
 */
#ifndef AUTHD_SPAWN_H
#define AUTHD_SPAWN_H

#include "base/err.h"

/* Environment by which a child learns what it is; nothing else is secret or trusted there. */
#define SPAWN_ENV_ROLE "AUTHD_ROLE"	    /* "front" or "worker" */
#define SPAWN_ENV_SECTION "AUTHD_SECTION"   /* worker: "passwd-file" */
#define SPAWN_ENV_IDENTITY "AUTHD_IDENTITY" /* identity_print(); absent: stay as started */
#define SPAWN_ENV_LOG "AUTHD_LOG"	    /* "text|json,debug|nodebug,facility|" */
#define SPAWN_ENV_PROGRAMS "AUTHD_PROGRAMS" /* worker: set when it may run programs */
#define SPAWN_ENV_PARENT "AUTHD_PARENT"	    /* its pid */
#define SPAWN_ENV_FILES "AUTHD_FILES"	    /* descriptors that it should be able to have */

/* Opens the running program, so that one replaced on disk does not matter. Call once, early. */
bool spawn_init(const char *argv0, struct err *err) MUST_CHECK;

struct spawn {
	const char *title;		/* argv[0], what ps shows */
	const char *const *environment; /* "NAME=value", NULL-terminated */
	int control;			/* becomes descriptor 3 */
	int channel;			/* becomes descriptor 4; -1: none */
	int errors; /* becomes descriptor 2, and the log 5; -1: the log stays 2 */
};

/* The child's pid, or -1 and *err. The caller still owns its descriptors. */
pid_t spawn_child(const struct spawn *s, struct err *err) MUST_CHECK;

/* A connected pair; ours is close-on-exec, and non-blocking if asked for. */
bool spawn_pair(int type, int buffer_bytes, bool nonblock_ours, int *ours, int *theirs,
    struct err *err) MUST_CHECK;

#endif
