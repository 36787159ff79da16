/*
 * The timer wheel. A timer further away than one turn stays in its slot and
 * is looked at once a turn.
 */
#include "base/wheel.h"

#include <time.h>

int64_t clock_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_coarse_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

void wheel_init(struct wheel *w, int64_t now_ms)
{
	*w = (struct wheel){.tick = (uint64_t)now_ms / WHEEL_TICK_MS};
}

void wheel_stop(struct wheel *w, struct wheel_timer *t)
{
	if (t->link == NULL)
		return;
	*t->link = t->next;
	if (t->next != NULL)
		t->next->link = t->link;
	t->link = NULL;
	t->next = NULL;
	w->running--;
}

static void insert(struct wheel *w, struct wheel_timer *t)
{
	struct wheel_timer **slot = &w->slots[t->due_tick % WHEEL_SLOTS];
	t->next = *slot;
	t->link = slot;
	if (t->next != NULL)
		t->next->link = &t->next;
	*slot = t;
	w->running++;
}

void wheel_start(struct wheel *w, struct wheel_timer *t, int64_t due_ms)
{
	wheel_stop(w, t);
	/* rounded up: never early; never in the tick that has already passed */
	uint64_t due = ((uint64_t)(due_ms > 0 ? due_ms : 0) + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
	t->due_tick = due > w->tick ? due : w->tick + 1;
	insert(w, t);
}

static void fire_slot(struct wheel *w, uint64_t tick)
{
	/* the slot is taken off first: callbacks may start and stop timers, also in this slot */
	struct wheel_timer *pending = w->slots[tick % WHEEL_SLOTS];
	w->slots[tick % WHEEL_SLOTS] = NULL;
	if (pending != NULL)
		pending->link = &pending;
	while (pending != NULL) {
		struct wheel_timer *t = pending;
		wheel_stop(w, t);
		if (t->due_tick <= tick)
			t->fire(t);
		else
			insert(w, t);
	}
}

void wheel_advance(struct wheel *w, int64_t now_ms)
{
	uint64_t now = (uint64_t)now_ms / WHEEL_TICK_MS;
	if (w->running == 0) {
		if (now > w->tick)
			w->tick = now;
		return;
	}
	/* after a long stop one turn visits every slot; no need for more */
	if (now > w->tick + WHEEL_SLOTS)
		w->tick = now - WHEEL_SLOTS;
	while (w->tick < now) {
		w->tick++;
		fire_slot(w, w->tick);
	}
}
