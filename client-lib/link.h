/*
 * The blocking layer's connection, shared by connect.c and blocking.c.
 */
#ifndef LIBAUTHD_LINK_H
#define LIBAUTHD_LINK_H

#include "client-lib/internal.h"

struct authd_link {
	int fd;
	struct authd_conn *conn;
	int64_t deadline; /* of the call that runs: milliseconds of the monotonic clock */
	struct authd_error error;
};

/* Sets the error; gives its status. errnum: appended as text unless 0. */
enum authd_status libauthd_link_fail(struct authd_error *error, enum authd_status status,
    int errnum, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

void libauthd_link_start(struct authd_link *link, int timeout_ms);
/* The next event, waiting for it. AUTHD_TEMPORARY with ETIMEDOUT at the deadline; else AUTHD_OK. */
enum authd_status libauthd_link_next(struct authd_link *link, struct authd_event *event);

/* An open non-blocking socket, connected; -1 and *error. */
int libauthd_connect(const char *address, int64_t deadline, struct authd_error *error);
/* Waits; false at the deadline. */
bool libauthd_wait(int fd, short events, int64_t deadline);
int64_t libauthd_now(void);

#endif
