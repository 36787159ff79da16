/*
 * Secrets: set or not, copied, compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/secret.h"

static void test_set(void **state UNUSED)
{
	assert_false(secret_is_set(SECRET_NULL));
	assert_true(secret_is_set(secret_of(SPAN_LIT(""))));
}

static void test_equal(void **state UNUSED)
{
	struct secret empty = secret_of(SPAN_LIT("")), x = secret_of(SPAN_LIT("a\0b"));
	assert_true(secret_eq(x, secret_of(SPAN_LIT("a\0b"))));
	assert_false(secret_eq(x, secret_of(SPAN_LIT("a\0c"))));
	assert_false(secret_eq(x, secret_of(SPAN_LIT("a"))));
	assert_false(secret_eq(x, secret_of(SPAN_LIT("a\0bb"))));
	assert_true(secret_eq(empty, empty));
	/* an absent secret equals nothing, not even another absent one */
	assert_false(secret_eq(SECRET_NULL, SECRET_NULL));
	assert_false(secret_eq(SECRET_NULL, empty));
	assert_false(secret_eq(empty, SECRET_NULL));
}

/* One wrong bit anywhere, in whatever length. */
static void test_each_byte(void **state UNUSED)
{
	unsigned char a[40], b[40];
	for (size_t i = 0; i < sizeof(a); i++)
		a[i] = b[i] = (unsigned char)(i * 37);
	for (size_t len = 0; len <= sizeof(a); len++) {
		assert_true(secret_bytes_eq(a, b, len));
		for (size_t i = 0; i < sizeof(a); i++) {
			b[i] ^= (unsigned char)(1 << i % 8);
			assert_int_equal(secret_bytes_eq(a, b, len), i >= len);
			b[i] = a[i];
		}
	}
}

static void test_dup(void **state UNUSED)
{
	struct arena a = {0};
	char bytes[] = "pencil";
	struct secret copy = secret_dup(&a, secret_of(span_of(bytes)));
	bytes[0] = '#';
	assert_true(span_eq_str(secret_reveal(copy), "pencil"));
	assert_false(secret_is_set(secret_dup(&a, SECRET_NULL)));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_each_byte),
	    cmocka_unit_test(test_dup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
