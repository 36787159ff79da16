/*
 * A circuit breaker: a pool whose backend is down is not asked any more, but
 * for one question now and then that finds out whether it is back. So a login
 * hears at once that it must try later, and the next passdb of the chain is
 * asked without delay.
 *
 *   state     what a question does                   left by
 *   closed    goes                                   BREAKER_FAILURES in a row
 *   open      is refused                             the end of a rest (0.25 s, growing to 2 s)
 *   rested    one goes, the others are refused       its answer; without one, another rest
 *
 * Runs in: front. Owner: the pool.
 */
#ifndef AUTHD_BREAKER_H
#define AUTHD_BREAKER_H

#include "base/arena.h"
#include "base/verdict.h"

enum { BREAKER_FAILURES = 3, BREAKER_REST_FIRST_MS = 250, BREAKER_REST_MAX_MS = 2000 };

struct breaker {
	const char *name;  /* of the backend, for the log */
	unsigned failures; /* in a row */
	unsigned rests;	   /* in a row */
	bool open;
	int64_t since_ms; /* open since then */
	int64_t retry_ms; /* then the next question goes */
	uint64_t answers; /* how often the backend has answered */
	char why[160];	  /* the last failure */
};

/* What a question that went has to bring back. */
struct breaker_pass {
	uint64_t answers; /* the breaker's when it went */
	bool probe;	  /* it is to find out whether the backend is back */
};

/* May a question go? */
bool breaker_admit(struct breaker *b, int64_t now_ms, struct breaker_pass *pass) MUST_CHECK;

/* Why it may not, for the log. */
const char *breaker_why(const struct breaker *b, int64_t now_ms, struct arena *a);

/*
 * What its answer said of the backend, or (DOWN) that none came in time. A
 * failure says nothing when the backend has answered others meanwhile.
 * True: the breaker has opened with it.
 */
bool breaker_answered(struct breaker *b, struct breaker_pass pass, enum backend_state backend,
    struct span why, int64_t now_ms) MUST_CHECK;

#endif
