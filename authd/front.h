/*
 * The front: the process that faces the clients. One event loop, no threads,
 * no database. This struct is its whole state; there is one.
 */
#ifndef AUTHD_FRONT_H
#define AUTHD_FRONT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "authd/exclusive.h"
#include "authd/fake.h"
#include "base/buffer.h"
#include "base/wheel.h"

struct conn;
struct generation;
struct request_table;

TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(generation_list, generation);

enum { FRONT_SPARES = 64, FRONT_SPARE_SIZE = 8192 };

struct front {
	struct event_base *base;
	struct wheel wheel;
	struct event tick; /* drives the wheel while a timer runs */
	int64_t tick_ms;   /* clock_ms() of the last tick: what the timers go by */
	int64_t now_us;	   /* see front_now_us(); 0: not read yet */
	/* clients' bytes and workers' messages, how often they have come in all and at the last
	   look; when; how many times soon after */
	uint64_t arrivals, arrivals_seen;
	int64_t arrived_us;
	unsigned in_a_row;
	bool ticking;
	struct event control;		    /* the parent */
	struct generation *current;	    /* for new requests; NULL before the first */
	struct generation_list generations; /* current, being built, and retired but still used */
	struct conn_list conns;
	size_t conn_count;
	struct conn *dirty_conns; /* something to write or to free, at the end of the turn */
	struct pool_link *dirty_links;
	struct request_table *requests;
	uint32_t pid;			    /* SPID */
	struct buffer spares[FRONT_SPARES]; /* empty, for connections that begin to write */
	unsigned spare_count;
	uint32_t last_connect_uid; /* CUID */
	int64_t started;	   /* unix time */
	struct fakes fakes;
	struct request *exclusive[EXCLUSIVE_BUCKETS]; /* see exclusive.h */
	bool draining;
	bool finished; /* leave the loop */
};

/* Entry of the child process; returns the exit status. Descriptor 3 is the control socket. */
int front_main(void);

/* What front_main() is made of; apart for the tests, which play the parent. */
struct front *front_new(void);
void front_turn(struct front *f, bool wait); /* what has arrived, answered and written */
void front_free(struct front **f);

/*
 * clock_us() of when the bytes at hand were read: one look at the clock for all
 * the requests that came with them. front_bytes_came() makes the next one look again.
 */
static inline int64_t front_now_us(struct front *f)
{
	if (f->now_us == 0)
		f->now_us = clock_us();
	return f->now_us;
}

static inline void front_bytes_came(struct front *f)
{
	f->now_us = 0;
}

/* Starts a timer of the front's wheel, in ms from now or at a time of clock_ms(). */
void front_timer_at(struct front *f, struct wheel_timer *t, int64_t due_ms);
void front_timer_stop(struct front *f, struct wheel_timer *t);

#endif
