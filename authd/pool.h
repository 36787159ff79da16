/*
 * A pool in the front: the worker processes of one passdb/userdb section and
 * the questions that wait for them. Numbers cross the channel, never
 * pointers: an answer whose serial is not waited for is counted and dropped.
 */
#ifndef AUTHD_POOL_H
#define AUTHD_POOL_H

#include "authd/breaker.h"
#include "authd/channel.h"
#include "authd/front.h"

struct pool;
struct request;

/* A request's place in a pool; embedded in the request. */
struct pool_ticket {
	TAILQ_ENTRY(pool_ticket) entry;
	struct pool *pool;	/* whom it is about to ask, or asks */
	bool asking;		/* in one of the pool's lists */
	struct pool_link *link; /* NULL: waiting for a free slot */
	unsigned tries;
	struct breaker_pass pass;
	enum channel_ask ask;
	unsigned flags;
	const char *scheme;
};
TAILQ_HEAD(ticket_list, pool_ticket);

/* One worker process as the front sees it: its channel. */
struct pool_link {
	TAILQ_ENTRY(pool_link) entry;
	struct pool *pool;
	int fd;
	struct event read_event, write_event;
	struct buffer in, out;
	struct pool_link *next_dirty;
	bool dirty;
	bool ready; /* said hello */
	struct channel_hello hello;
	struct ticket_list asked;
	size_t asked_count; /* not answered yet, cancelled ones too */
	unsigned unsent;    /* of these, in out */
};

struct pool {
	struct front *front;
	const char *driver;
	TAILQ_HEAD(, pool_link) links;
	struct ticket_list waiting;
	size_t waiting_count;
	int64_t down_since_ms; /* no ready link since then; 0: there is one */
	struct wheel_timer down_timer;
	struct breaker breaker;
	uint32_t can; /* of the last hello; 0: none yet */
	uint64_t needs;
	uint64_t epoch; /* changes when a worker says that the backend's data changed */
	uint64_t late_answers;
	struct channel_tally past; /* of workers that are gone */
	unsigned index;
};

void pool_init(struct pool *p, struct front *f, unsigned index, const char *driver,
    const char *name);			    /* name: for the log of outages; both outlive it */
void pool_add_link(struct pool *p, int fd); /* owns fd */
void pool_close(struct pool *p);

/*
 * What is about to be asked; pool_question() then tells it as the channel carries it. Of
 * q->vars only the user and what needs names is set: it is not copied whole for each request.
 */
void pool_set_question(
    struct pool *p, struct request *r, enum channel_ask ask, unsigned flags, const char *scheme);
void pool_question(const struct request *r, uint64_t needs, struct channel_question *q);
/* Asks it. The answer comes as request_answered(). */
void pool_ask(struct request *r);
/* The request no longer waits. */
void pool_forget(struct request *r);
/* The same, as no answer has come in time. True: the backend is to blame, see pool_fail(). */
bool pool_forget_late(struct request *r);
/* The breaker has opened: nobody waits for this pool any more. */
void pool_fail(struct pool *p);
void pool_more(struct request *r, uint32_t count); /* LIST: that many names more */

/* What its workers have counted, as of a second ago. */
struct channel_tally pool_tally(const struct pool *p);

void pool_flush(struct front *f); /* writes what the turn has put on the channels */
/* The same in the middle of a turn, where there is so much that a worker can begin with it. */
void pool_flush_full(struct front *f);

#endif
