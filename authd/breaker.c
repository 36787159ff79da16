/*
 * The circuit breaker's states. Runs in: front.
 */
#include "authd/breaker.h"

#include <stdio.h>

#include "base/log.h"
#include "base/rest.h"

static void rest(struct breaker *b, int64_t now_ms)
{
	b->retry_ms = now_ms + rest_ms(++b->rests, BREAKER_REST_FIRST_MS, BREAKER_REST_MAX_MS);
}

bool breaker_admit(struct breaker *b, int64_t now_ms, struct breaker_pass *pass)
{
	*pass = (struct breaker_pass){b->answers, b->open};
	if (!b->open)
		return true;
	if (now_ms < b->retry_ms)
		return false;
	rest(b, now_ms); /* it may never come back: the next one goes after that */
	return true;
}

const char *breaker_why(const struct breaker *b, int64_t now_ms, struct arena *a)
{
	return arena_printf(
	    a, "down for %.1f s now: %s", (double)(now_ms - b->since_ms) / 1000, b->why)
	    .ptr;
}

static bool failed(struct breaker *b, struct span why, int64_t now_ms)
{
	snprintf(b->why, sizeof(b->why), "%.*s", SPAN_ARG(why));
	if (b->open || ++b->failures < BREAKER_FAILURES)
		return false;
	b->open = true;
	b->since_ms = now_ms;
	rest(b, now_ms);
	log_error(
	    "%s: the backend is down, logins are put off until it is back: %s", b->name, b->why);
	return true;
}

static void answers(struct breaker *b, int64_t now_ms)
{
	b->answers++;
	b->failures = 0;
	if (!b->open) {
		b->rests = 0;
		return;
	}
	b->open = false;
	b->failures = BREAKER_FAILURES - 1; /* on trial: the next failure opens it again */
	log_info(
	    "%s: the backend is back after %.1f s", b->name, (double)(now_ms - b->since_ms) / 1000);
}

bool breaker_answered(struct breaker *b, struct breaker_pass pass, enum backend_state backend,
    struct span why, int64_t now_ms)
{
	if (backend == BACKEND_DOWN && pass.answers == b->answers)
		return failed(b, why, now_ms);
	if (backend == BACKEND_ANSWERS)
		answers(b, now_ms);
	else if (pass.probe && b->open)
		b->retry_ms = now_ms; /* it has found out nothing: the next one */
	return false;
}
