/*
 * The circuit breaker, with a clock of our own: when it opens, whom it lets
 * through while it is open, and what closes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authd/breaker.h"

enum { REST_LONGEST_MS = BREAKER_REST_MAX_MS + BREAKER_REST_MAX_MS / 4 };

static struct breaker b;
static int64_t now;

static int set_up(void **state)
{
	(void)state;
	b = (struct breaker){.name = "sql"};
	now = 1000;
	return 0;
}

static struct breaker_pass let(bool want)
{
	struct breaker_pass pass;
	assert_int_equal(breaker_admit(&b, now, &pass), want);
	return pass;
}

static bool say(struct breaker_pass pass, enum backend_state s)
{
	return breaker_answered(&b, pass, s, SPAN_LIT("gone"), now);
}

static void open_it(void)
{
	for (int i = 1; i <= BREAKER_FAILURES; i++)
		assert_int_equal(say(let(true), BACKEND_DOWN), i == BREAKER_FAILURES);
}

static void test_opens_after_failures_in_a_row(void **state)
{
	(void)state;
	for (int i = 0; i < 6 * BREAKER_FAILURES + 1; i++)
		assert_false(
		    say(let(true), i % BREAKER_FAILURES == 0 ? BACKEND_ANSWERS : BACKEND_DOWN));
	open_it();
	struct arena a = {0};
	now += 3000;
	assert_string_equal(breaker_why(&b, now, &a), "down for 3.0 s now: gone");
	arena_free(&a);
}

static void test_one_users_trouble_is_no_failure(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_false(say(let(true), BACKEND_AWAY));
		assert_false(say(let(true), BACKEND_UNSAID));
		assert_false(say(let(true), BACKEND_ANSWERS));
	}
}

/* Many questions at once: those that fail while others are answered prove nothing. */
static void test_a_failure_beside_answers_does_not_count(void **state)
{
	struct breaker_pass old = let(true);
	(void)state;
	assert_false(say(let(true), BACKEND_ANSWERS));
	for (int i = 0; i < 20; i++)
		assert_false(say(old, BACKEND_DOWN));
	open_it();
}

static void test_one_at_a_time_while_open(void **state)
{
	int64_t longest = 0;
	(void)state;
	open_it();
	for (int i = 0; i < 20; i++) {
		let(false);
		int64_t before = now;
		struct breaker_pass pass;
		while (!breaker_admit(&b, now, &pass))
			now++;
		assert_true(pass.probe);
		let(false); /* the others wait for what it finds out */
		if (now - before > longest)
			longest = now - before;
		/* one that hangs is followed by another after a rest, too */
		assert_false(i % 2 == 0 && say(pass, BACKEND_DOWN));
	}
	assert_true(longest > BREAKER_REST_FIRST_MS && longest <= REST_LONGEST_MS);
}

static void test_closes_with_an_answer(void **state)
{
	(void)state;
	open_it();
	now += REST_LONGEST_MS;
	struct breaker_pass probe = let(true);
	assert_true(probe.probe);
	assert_false(say(probe, BACKEND_ANSWERS));
	assert_false(let(true).probe);
	/* what failed before that is old news; one new failure is enough, until it has proven
	 * itself */
	assert_false(say(probe, BACKEND_DOWN));
	assert_true(say(let(true), BACKEND_DOWN));
	now += REST_LONGEST_MS;
	assert_false(say(let(true), BACKEND_ANSWERS));
	assert_false(say(let(true), BACKEND_ANSWERS));
	open_it();
}

/* An answer that comes after its question was given up is one, too. */
static void test_closes_with_a_late_answer(void **state)
{
	(void)state;
	open_it();
	assert_false(say((struct breaker_pass){0}, BACKEND_ANSWERS));
	let(true);
}

/* A probe whose client went away, or that was about something else, holds up nobody. */
static void test_a_probe_that_found_out_nothing(void **state)
{
	(void)state;
	open_it();
	now += REST_LONGEST_MS;
	struct breaker_pass probe = let(true);
	let(false);
	assert_false(say(probe, BACKEND_UNSAID));
	assert_true(let(true).probe);
	let(false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, set_up)
	const struct CMUnitTest tests[] = {
	    T(test_opens_after_failures_in_a_row),
	    T(test_one_users_trouble_is_no_failure),
	    T(test_a_failure_beside_answers_does_not_count),
	    T(test_one_at_a_time_while_open),
	    T(test_closes_with_an_answer),
	    T(test_closes_with_a_late_answer),
	    T(test_a_probe_that_found_out_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
