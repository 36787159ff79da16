/* Pauses that grow: within a quarter of what they should be, never beyond the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rest.h"

static void test_growth(void **state)
{
	static const struct {
		unsigned failures;
		int64_t about;
	} rows[] = {{0, 100}, {1, 100}, {2, 200}, {3, 400}, {4, 700}, {5, 700}, {1000000, 700}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t least = INT64_MAX, most = 0;
		for (int n = 0; n < 500; n++) {
			int64_t ms = rest_ms(rows[i].failures, 100, 700);
			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		assert_in_range(least, rows[i].about * 3 / 4, rows[i].about * 5 / 6);
		assert_in_range(most, rows[i].about * 7 / 6, rows[i].about * 5 / 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_growth)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
