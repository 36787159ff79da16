/*
 * The arena: zeroed, aligned, wiped; absent spans stay absent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static bool is_zero(const void *p, size_t n)
{
	const char *bytes = p;
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void test_zeroed_and_aligned(void **state UNUSED)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 2000, 2015, 2016, 2017, 2048, 100000};
	/* the second round gets chunks that held something before */
	for (int round = 0; round < 2; round++) {
		struct arena a = {0};
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			char *p = arena_alloc(&a, sizes[i]);
			assert_int_equal((uintptr_t)p % 16, 0);
			assert_true(is_zero(p, sizes[i]));
			memset(p, 0xa5, sizes[i]);
		}
		arena_free(&a);
		assert_null(a.chunks);
	}
}

static void test_objects_do_not_overlap(void **state UNUSED)
{
	struct arena a = {0};
	unsigned char *p[300];
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = arena_alloc(&a, i + 1);
		memset(p[i], (int)(i & 0xff), i + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		assert_int_equal(p[i][0], i & 0xff);
		assert_int_equal(p[i][i], i & 0xff);
	}
	arena_free(&a);
}

static void test_free_wipes(void **state UNUSED)
{
	/* a chunk of the standard size goes to the spare list, so its bytes may be looked at */
	struct arena a = {0};
	char *p = arena_alloc(&a, 64);
	memcpy(p, "tanstaaftanstaaf", 16);
	arena_free(&a);
	char *q = arena_alloc(&a, 64);
	assert_ptr_equal(p, q);
	assert_true(is_zero(q, 64));
	arena_free(&a);
}

static void test_reset_wipes_and_keeps_one(void **state UNUSED)
{
	struct arena a = {0};
	char *first = arena_alloc(&a, 32);
	memset(first, 'x', 32);
	memset(arena_alloc(&a, 5000), 'y', 5000);
	arena_reset(&a);
	char *again = arena_alloc(&a, 32);
	assert_ptr_equal(first, again);
	assert_true(is_zero(again, 32));
	arena_free(&a);
	arena_reset(&a); /* of an empty one */
	assert_null(a.chunks);
}

static void test_dup(void **state UNUSED)
{
	struct arena a = {0};
	assert_null(arena_dup(&a, SPAN_NULL).ptr);
	struct span empty = arena_dup(&a, SPAN_LIT(""));
	assert_non_null(empty.ptr);
	assert_int_equal(empty.len, 0);
	struct span s = arena_dup(&a, SPAN_LIT("a\0b"));
	assert_memory_equal(s.ptr, "a\0b\0", 4);
	assert_string_equal(arena_cstr(&a, span_first(SPAN_LIT("abc"), 2)), "ab");
	assert_string_equal(arena_cstr(&a, SPAN_NULL), "");
	arena_free(&a);
}

static void test_join_and_printf(void **state UNUSED)
{
	struct arena a = {0};
	struct span s = arena_join(&a, SPAN_LIT("tim"), SPAN_LIT("@x"));
	assert_string_equal(s.ptr, "tim@x");
	assert_int_equal(arena_join(&a, SPAN_NULL, SPAN_NULL).len, 0);
	assert_non_null(arena_join(&a, SPAN_NULL, SPAN_NULL).ptr);
	s = arena_printf(&a, "%s-%d", "n", 5);
	assert_true(span_eq_str(s, "n-5"));
	s = arena_printf(&a, "%5000s", "x");
	assert_int_equal(s.len, 5000);
	assert_int_equal(s.ptr[4999], 'x');
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_zeroed_and_aligned),
	    cmocka_unit_test(test_objects_do_not_overlap),
	    cmocka_unit_test(test_free_wipes),
	    cmocka_unit_test(test_reset_wipes_and_keeps_one),
	    cmocka_unit_test(test_dup),
	    cmocka_unit_test(test_join_and_printf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
