/*
 * What a child may still ask of the kernel once it runs: one table of system
 * calls per kind of process (seccomp), and no file system for the front
 * (Landlock). Entered last, after privileges are dropped. Runs in: front,
 * worker. A kernel without one of the two is no error; the parent says so.
 */
#ifndef AUTHD_SANDBOX_H
#define AUTHD_SANDBOX_H

#include "base/err.h"

enum sandbox_kind {
	SANDBOX_FRONT,		 /* an allow list: an event loop over sockets that it is handed */
	SANDBOX_FRONT_SYSLOG,	 /* the same, and datagram sockets to reach syslog again */
	SANDBOX_WORKER,		 /* a deny list: client libraries are not predictable */
	SANDBOX_WORKER_PROGRAMS, /* the same, but programs may be run, and keyrings be used */
};

/* false: the process must not go on. Cannot be undone. */
bool sandbox_enter(enum sandbox_kind kind, struct err *err) MUST_CHECK;

/*
 * From now on this process creates, changes and removes files nowhere but in
 * dir and below; NULL: nowhere. What is open stays so.
 */
bool sandbox_write_only(const char *dir, struct err *err) MUST_CHECK;

/* What is missing here, for a log line; NULL: nothing. */
const char *sandbox_missing(void);

#endif
