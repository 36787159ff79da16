/*
 * A client's connection: bytes in, bytes out, back-pressure. Which requests
 * run on it, and its protocol's state. Owner: the front's list. Closing is
 * put off to the end of the turn, so a pointer stays good until then; check
 * conn_is_closing() after anything that may close.
 */
#ifndef AUTHD_CONN_H
#define AUTHD_CONN_H

#include "authd/front.h"
#include "authd/protocol.h"
#include "base/buffer.h"
#include "conf/config.h"

struct request;
TAILQ_HEAD(request_list, request);

enum {
	CONN_OUT_HIGH = 50 * 1024, /* unread replies at which reading stops */
	CONN_BUSY_MAX = 1024,	   /* requests at work at which reading stops */
	CONN_REQUESTS_MAX = 10000, /* requests in any state */
};

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct front *front;
	const struct protocol *protocol;
	int fd;
	struct event read_event, write_event;
	struct buffer in, out;
	struct conn *next_dirty;
	bool dirty, closing, paused, input_running;
	bool close_when_idle; /* an outage is answered by closing */
	enum listener_type type;
	bool newer;		     /* the listener's */
	uint64_t client_deadline_ms; /* what the client waits for one answer */
	uint32_t connect_uid;
	struct request_list requests;
	size_t request_count, busy_count;
	struct request *listing; /* a LIST at work: no input is read meanwhile */
	struct conn_peer {
		bool known;
		pid_t pid;
		uid_t uid;
		gid_t gid;
	} peer;
	bool restricted; /* userdb socket: only about its own uid */
	unsigned char state[] __attribute__((aligned(16))); /* the protocol's */
};

struct listener;
void conn_accept(const struct listener *l, int fd); /* owns fd */
void conn_close(struct conn *c, const char *why);   /* why: logged as an error; NULL: not logged */
static inline bool conn_is_closing(const struct conn *c)
{
	return c->closing;
}
static inline void *conn_state(struct conn *c)
{
	return c->state;
}

/* Has the other end hung up, though we have not read so far yet? */
bool conn_peer_is_gone(const struct conn *c);

/* Where replies are written; they go out at the end of the turn. */
struct buffer *conn_out(struct conn *c);

void conn_busy_changed(struct conn *c); /* look again whether to read on */
void conn_flush(struct front *f);	/* end of a turn: write, then free what is closing */

#endif
