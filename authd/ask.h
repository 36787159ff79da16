/*
 * Asking about a request: the cache first, then whoever already asks the same,
 * then the pool. Runs in: front.
 */
#ifndef AUTHD_ASK_H
#define AUTHD_ASK_H

#include "authd/request.h"

/* The answer comes as request_answered(), perhaps before this returns. */
void ask_backend(
    struct request *r, int pool, enum channel_ask ask, unsigned flags, const char *scheme);

/* The request no longer waits; those who waited for its answer ask by themselves. */
void ask_forget(struct request *r);

/* The same because its time is over; it is answered with INTERNAL, or an expired answer. */
void ask_give_up(struct request *r, const char *why);

/*
 * An answer has come from the pool: keeps it, and tells the others who asked the
 * same. May replace it by an expired one when the backend is down.
 */
void ask_answered(struct request *r, struct channel_answer *an);

#endif
