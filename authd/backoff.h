/*
 * How long to wait before a dead child is started again: not at all the
 * first time, then 100 ms, doubling to 10 s. A child that lived for a minute
 * has earned a fresh start. Runs in: parent.
 */
#ifndef AUTHD_BACKOFF_H
#define AUTHD_BACKOFF_H

#include "base/macros.h"

enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 10 * 1000,
	BACKOFF_FORGIVEN_MS = 60 * 1000,
};

struct backoff {
	bool failed_before;
	int64_t next_delay_ms;
};

/* ms to wait before the next start, given how long the one that died had lived */
int64_t backoff_died(struct backoff *b, int64_t lived_ms);

#endif
