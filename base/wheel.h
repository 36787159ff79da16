/*
 * A wheel of timers: thousands of deadlines at O(1) each, with the precision
 * of one tick. Owner of a timer: the struct that embeds it; it must be
 * stopped before that is freed.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/macros.h"

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 10 };

struct wheel_timer {
	struct wheel_timer *next, **link; /* link NULL: not running */
	uint64_t due_tick;
	void (*fire)(struct wheel_timer *t);
};

struct wheel {
	struct wheel_timer *slots[WHEEL_SLOTS];
	uint64_t tick;
	size_t running;
};

void wheel_init(struct wheel *w, int64_t now_ms);
/* Fires at the first wheel_advance() at or after due_ms. Restarting a running timer moves it. */
void wheel_start(struct wheel *w, struct wheel_timer *t, int64_t due_ms);
void wheel_stop(struct wheel *w, struct wheel_timer *t);
/* Fires everything due by now_ms. A callback may start and stop any timer. */
void wheel_advance(struct wheel *w, int64_t now_ms);

int64_t clock_ms(void); /* CLOCK_MONOTONIC, the same in all processes */
int64_t clock_us(void);
int64_t clock_coarse_ms(void); /* the same clock, some ms behind at most, a tenth of the price */

#endif
