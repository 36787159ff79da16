/*
 * The byte queue: order is kept however appending and consuming mix.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_empty(void **state UNUSED)
{
	struct buffer b = {0};
	assert_int_equal(buffer_span(&b).len, 0);
	buffer_append(&b, SPAN_NULL);
	buffer_append(&b, SPAN_LIT(""));
	buffer_append_str(&b, "");
	buffer_consume(&b, 0);
	assert_int_equal(b.len, 0);
	buffer_free(&b);
	buffer_free(&b);
}

static void test_text(void **state UNUSED)
{
	struct buffer b = {0};
	buffer_append_str(&b, "OK\t");
	buffer_append_u64_text(&b, 0);
	buffer_append_char(&b, '\t');
	buffer_append_u64_text(&b, UINT64_MAX);
	buffer_printf(&b, "%s%c", "\tuser=tim", '\n');
	assert_true(span_eq_str(buffer_span(&b), "OK\t0\t18446744073709551615\tuser=tim\n"));
	buffer_free(&b);
}

/* printf needs a byte more for its NUL than it appends */
static void test_printf_at_the_brim(void **state UNUSED)
{
	for (int before = 250; before < 260; before++) {
		struct buffer b = {0};
		for (int i = 0; i < before; i++)
			buffer_append_char(&b, 'x');
		buffer_printf(&b, "%s", "abcd");
		assert_int_equal(b.len, before + 4);
		assert_true(span_eq_str(span_skip(buffer_span(&b), (size_t)before), "abcd"));
		buffer_free(&b);
	}
}

/* against a plain counter: what goes in comes out, in order */
static void test_queue(void **state UNUSED)
{
	struct buffer b = {0};
	unsigned in = 0, out = 0;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		for (int n = rand() % 40; n > 0; n--)
			buffer_append_char(&b, (char)in++);
		size_t take = (size_t)rand() % 41;
		if (take > b.len)
			take = b.len;
		for (size_t i = 0; i < take; i++)
			assert_int_equal(buffer_span(&b).ptr[i], (char)out++);
		buffer_consume(&b, take);
		assert_int_equal(b.len, in - out);
		assert_true(b.start + b.len <= b.size);
	}
	buffer_free(&b);
}

static void test_consumed_space_is_used_again(void **state UNUSED)
{
	struct buffer b = {0};
	char kilo[1024] = {0};
	buffer_append(&b, span_make(kilo, sizeof(kilo)));
	for (int i = 0; i < 1000; i++) {
		buffer_append(&b, span_make(kilo, sizeof(kilo)));
		buffer_consume(&b, sizeof(kilo));
	}
	assert_int_equal(b.len, sizeof(kilo));
	assert_true(b.size <= 8 * sizeof(kilo));
	buffer_free(&b);
}

static void test_reserve_then_commit(void **state UNUSED)
{
	struct buffer b = {0};
	buffer_append_str(&b, "ab");
	char *p = buffer_reserve(&b, 10000);
	memset(p, 'z', 10000);
	buffer_commit(&b, 3);
	assert_true(span_eq_str(buffer_span(&b), "abzzz"));
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_printf_at_the_brim),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_consumed_space_is_used_again),
	    cmocka_unit_test(test_reserve_then_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
