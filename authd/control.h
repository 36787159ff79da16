/*
 * Messages between the parent and a child, one wire frame per packet on a
 * SOCK_SEQPACKET pair, each with at most one descriptor. The parent never
 * reads a request here; children say little.
 *
 * A child is started with this socket as descriptor 3 and, a worker, its
 * channel as descriptor 4; 0 and 1 are /dev/null, 2 is the log. To a worker 5
 * is the log, and 2 a pipe to the parent: libraries print there.
 */
#ifndef AUTHD_CONTROL_H
#define AUTHD_CONTROL_H

#include "base/err.h"
#include "base/wire.h"

enum { CONTROL_FD = 3, CHANNEL_FD = 4, LOG_FD = 5, CONTROL_PACKET_MAX = 4096 };

enum control_type {
	/* parent -> worker; fd: a sealed memfd with the worker's configuration */
	CONTROL_WORKER_CONFIG = 1,
	/* parent -> front; fd: a sealed memfd with the front's configuration; starts a new
	   generation */
	CONTROL_GENERATION, /* u32 generation */
	CONTROL_LISTENER,   /* u32 generation, u32 index into listeners[]; fd: listening socket */
	CONTROL_WORKER,	    /* u32 generation, u32 pool; fd: channel (also later, when one was
			       restarted) */
	CONTROL_SECRETS,    /* u32 generation, span: auth token secret */
	CONTROL_COMMIT,	    /* u32 generation: everything is there, use it */
	CONTROL_DROP,	    /* u32 generation: it failed elsewhere, forget it */
	CONTROL_DRAIN,	    /* stop listening, finish what runs, exit 0 */
	CONTROL_LOG,	    /* fd: the log was opened anew; logging_take_fd() */
	/* child -> parent */
	CONTROL_READY,	/* worker: the driver is open. front: u32 generation is in use */
	CONTROL_FAILED, /* span: why, for a person. front: u32 generation first */
};

struct control_message {
	enum control_type type;
	uint32_t generation;
	uint32_t index; /* listener or pool */
	struct span text;
	int fd; /* -1: none; the receiver owns it */
};

/* false and *err when the peer is gone or the message did not go out whole */
bool control_send(int socket, const struct control_message *m, struct err *err) MUST_CHECK;
/* 1: a message (text points into buf); 0: nothing there (non-blocking); -1: end or *err */
int control_receive(
    int socket, struct control_message *m, char *buf, size_t size, struct err *err) MUST_CHECK;

/* A sealed memfd with these bytes; -1 and *err. */
int control_memfd(struct span bytes, struct err *err) MUST_CHECK;
/* All bytes of a sealed memfd, allocated; the caller frees and closes. */
bool control_read_memfd(int fd, struct buffer *out, struct err *err) MUST_CHECK;

#endif
