/*
 * The wheel, with a clock of our own: never early, never late by more than a
 * tick, whatever callbacks do to other timers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wheel.h"

enum { START = 123450, TURN_MS = WHEEL_SLOTS * WHEEL_TICK_MS };

static struct wheel wheel;

struct probe {
	struct wheel_timer timer;
	int fired;
	struct wheel_timer *stop;  /* stopped when it fires */
	struct wheel_timer *start; /* started when it fires */
	int64_t start_at;
};

static void fire(struct wheel_timer *t)
{
	struct probe *p = CONTAINER_OF(t, struct probe, timer);
	p->fired++;
	assert_null(t->link);
	if (p->stop != NULL)
		wheel_stop(&wheel, p->stop);
	if (p->start != NULL)
		wheel_start(&wheel, p->start, p->start_at);
}

static void reset(struct probe *p, size_t n)
{
	wheel_init(&wheel, START);
	for (size_t i = 0; i < n; i++)
		p[i] = (struct probe){.timer.fire = fire};
}

static void test_precision(void **state UNUSED)
{
	static const int64_t waits[] = {
	    0, 1, 9, 10, 11, 15, 500, TURN_MS - 1, TURN_MS, TURN_MS + 1, 3 * TURN_MS + 7};
	struct probe p;
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		reset(&p, 1);
		int64_t due = START + waits[i], now = START;
		wheel_start(&wheel, &p.timer, due);
		assert_int_equal(wheel.running, 1);
		while (p.fired == 0) {
			now++;
			wheel_advance(&wheel, now);
			assert_true(now < due + 2 * WHEEL_TICK_MS);
		}
		assert_true(now >= due);
		assert_int_equal(wheel.running, 0);
		wheel_advance(&wheel, now + 2 * TURN_MS);
		assert_int_equal(p.fired, 1);
	}
}

static void test_past_and_negative(void **state UNUSED)
{
	struct probe p[2];
	reset(p, 2);
	wheel_start(&wheel, &p[0].timer, START - 5000);
	wheel_start(&wheel, &p[1].timer, -1);
	wheel_advance(&wheel, START); /* no time has passed: not within this tick */
	assert_int_equal(p[0].fired + p[1].fired, 0);
	wheel_advance(&wheel, START + WHEEL_TICK_MS);
	assert_int_equal(p[0].fired, 1);
	assert_int_equal(p[1].fired, 1);
}

static void test_stop_and_restart(void **state UNUSED)
{
	struct probe p[2];
	reset(p, 2);
	wheel_stop(&wheel, &p[0].timer); /* not running: nothing happens */
	wheel_start(&wheel, &p[0].timer, START + 100);
	wheel_start(&wheel, &p[1].timer, START + 100);
	wheel_start(&wheel, &p[1].timer, START + 300);
	assert_int_equal(wheel.running, 2);
	wheel_stop(&wheel, &p[0].timer);
	wheel_stop(&wheel, &p[0].timer);
	assert_int_equal(wheel.running, 1);
	wheel_advance(&wheel, START + 200);
	assert_int_equal(p[0].fired + p[1].fired, 0);
	wheel_advance(&wheel, START + 310);
	assert_int_equal(p[1].fired, 1);
	assert_int_equal(p[0].fired, 0);
}

/* several in a slot, some of them turns later */
static void test_one_slot(void **state UNUSED)
{
	struct probe p[6];
	reset(p, 6);
	for (int i = 0; i < 6; i++)
		wheel_start(&wheel, &p[i].timer, START + 50 + (i % 3) * TURN_MS);
	for (int turn = 0; turn < 3; turn++) {
		wheel_advance(&wheel, START + 60 + turn * TURN_MS);
		for (int i = 0; i < 6; i++)
			assert_int_equal(p[i].fired, i % 3 <= turn);
	}
	assert_int_equal(wheel.running, 0);
}

/* whichever of the slot's timers fires first stops the two others */
static void test_stop_within_callback(void **state UNUSED)
{
	for (int killer = 0; killer < 3; killer++) {
		struct probe p[3], *a = &p[killer], *b = &p[(killer + 1) % 3];
		reset(p, 3);
		a->stop = &b->timer;
		b->stop = &a->timer;
		for (int i = 0; i < 3; i++)
			wheel_start(&wheel, &p[i].timer, START + 50);
		wheel_advance(&wheel, START + 100);
		assert_int_equal(a->fired + b->fired, 1);
		assert_int_equal(p[(killer + 2) % 3].fired, 1);
		assert_int_equal(wheel.running, 0);
	}
}

static void test_restart_itself(void **state UNUSED)
{
	struct probe p;
	reset(&p, 1);
	p.start = &p.timer;
	p.start_at = START; /* past: due in the next tick each time, never twice in one */
	wheel_start(&wheel, &p.timer, START);
	for (int i = 1; i <= 50; i++) {
		wheel_advance(&wheel, START + i * WHEEL_TICK_MS);
		assert_int_equal(p.fired, i);
	}
	p.start_at = START + 50 * WHEEL_TICK_MS + TURN_MS; /* the slot that is being emptied */
	wheel_advance(&wheel, START + 51 * WHEEL_TICK_MS);
	assert_int_equal(p.fired, 51);
	p.start = NULL;
	wheel_advance(&wheel, START + 52 * WHEEL_TICK_MS);
	assert_int_equal(p.fired, 51);
	wheel_advance(&wheel, START + 51 * WHEEL_TICK_MS + TURN_MS);
	assert_int_equal(p.fired, 52);
}

static void test_move_another_within_callback(void **state UNUSED)
{
	for (int mover = 0; mover < 2; mover++) {
		struct probe p[2];
		reset(p, 2);
		p[mover].start = &p[1 - mover].timer;
		p[mover].start_at = START + 400;
		wheel_start(&wheel, &p[0].timer, START + 50);
		wheel_start(&wheel, &p[1].timer, START + 50);
		wheel_advance(&wheel, START + 390);
		int early = p[1 - mover].fired;
		wheel_advance(&wheel, START + 410);
		assert_int_equal(p[mover].fired, 1);
		/* fired before it was moved, and again; or only where it was moved to */
		assert_int_equal(p[1 - mover].fired, early + 1);
		assert_int_equal(wheel.running, 0);
	}
}

/* the process was stopped for long: everything due fires, nothing else does */
static void test_long_standstill(void **state UNUSED)
{
	struct probe p[4];
	reset(p, 4);
	wheel_start(&wheel, &p[0].timer, START + 10);
	wheel_start(&wheel, &p[1].timer, START + 5 * TURN_MS);
	wheel_start(&wheel, &p[2].timer, START + 50 * TURN_MS);
	wheel_start(&wheel, &p[3].timer, START + 50 * TURN_MS + 20);
	wheel_advance(&wheel, START + 50 * TURN_MS + 5);
	assert_int_equal(p[0].fired, 1);
	assert_int_equal(p[1].fired, 1);
	assert_int_equal(p[2].fired, 1);
	assert_int_equal(p[3].fired, 0);
	wheel_advance(&wheel, START + 50 * TURN_MS + 30);
	assert_int_equal(p[3].fired, 1);
}

static void test_idle_then_start(void **state UNUSED)
{
	struct probe p;
	reset(&p, 1);
	int64_t now = START + 100 * TURN_MS;
	wheel_advance(&wheel, now);
	wheel_start(&wheel, &p.timer, now + 20);
	wheel_advance(&wheel, now + 10);
	assert_int_equal(p.fired, 0);
	wheel_advance(&wheel, now + 30);
	assert_int_equal(p.fired, 1);
}

static void test_clock_back(void **state UNUSED)
{
	struct probe p;
	reset(&p, 1);
	wheel_start(&wheel, &p.timer, START + 50);
	wheel_advance(&wheel, START + 30);
	wheel_advance(&wheel, START);
	assert_int_equal(p.fired, 0);
	wheel_advance(&wheel, START + 60);
	assert_int_equal(p.fired, 1);
}

/* against a list of due times */
static void test_random(void **state UNUSED)
{
	enum { N = 200 };
	static struct probe p[N];
	int64_t due[N] = {0}, now = START;
	reset(p, N);
	srand(3);
	for (int round = 0; round < 5000; round++) {
		int i = rand() % N;
		if (rand() % 4 == 0) {
			wheel_stop(&wheel, &p[i].timer);
			due[i] = 0;
		} else {
			due[i] = now + 1 + rand() % (2 * TURN_MS);
			wheel_start(&wheel, &p[i].timer, due[i]);
		}
		p[i].fired = 0;
		now += rand() % 30;
		wheel_advance(&wheel, now);
		for (int k = 0; k < N; k++) {
			if (due[k] == 0)
				assert_int_equal(p[k].fired, 0);
			else if (due[k] > now)
				assert_int_equal(p[k].fired, 0);
			else if (due[k] + 2 * WHEEL_TICK_MS <= now)
				assert_int_equal(p[k].fired, 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_precision),
	    cmocka_unit_test(test_past_and_negative),
	    cmocka_unit_test(test_stop_and_restart),
	    cmocka_unit_test(test_one_slot),
	    cmocka_unit_test(test_stop_within_callback),
	    cmocka_unit_test(test_restart_itself),
	    cmocka_unit_test(test_move_another_within_callback),
	    cmocka_unit_test(test_long_standstill),
	    cmocka_unit_test(test_idle_then_start),
	    cmocka_unit_test(test_clock_back),
	    cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
