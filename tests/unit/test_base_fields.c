/*
 * The list of pairs: unique keys, kept order, flags without values, snapshots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fields.h"

static char shown[512];

static const char *show(const struct fields *f)
{
	size_t n = 0;
	shown[0] = '\0';
	for (size_t i = 0; i < f->count; i++)
		n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%.*s%s%.*s;",
		    SPAN_ARG(f->items[i].key), f->items[i].value.ptr != NULL ? "=" : "",
		    SPAN_ARG(f->items[i].value));
	return shown;
}

static void test_set_and_get(void **state UNUSED)
{
	struct arena a = {0};
	struct fields f = fields_in(&a);
	assert_false(fields_has(&f, "uid"));
	assert_null(fields_get(&f, "uid").ptr);
	fields_set_str(&f, "uid", "1000");
	fields_set_str(&f, "proxy", NULL);
	fields_set_str(&f, "mail", "");
	fields_set_str(&f, "uid", "1001"); /* replaced where it stands */
	assert_string_equal(show(&f), "uid=1001;proxy;mail=;");
	assert_true(fields_has(&f, "proxy"));
	assert_non_null(fields_get(&f, "proxy").ptr);
	assert_int_equal(fields_get(&f, "proxy").len, 0);
	assert_null(fields_find(&f, "proxy")->value.ptr);
	assert_false(fields_has(&f, "UID")); /* case counts */
	assert_false(fields_has(&f, "ui"));
	arena_free(&a);
}

static void test_copies(void **state UNUSED)
{
	struct arena a = {0};
	struct fields f = fields_in(&a);
	char key[] = "host", value[] = "one";
	fields_set(&f, span_of(key), span_of(value));
	key[0] = value[0] = '#';
	assert_string_equal(show(&f), "host=one;");
	arena_free(&a);
}

static void test_remove(void **state UNUSED)
{
	struct arena a = {0};
	struct fields f = fields_in(&a);
	assert_false(fields_remove(&f, "a"));
	for (const char *k = "abc"; *k != '\0'; k++)
		fields_set(&f, span_make(k, 1), SPAN_NULL);
	assert_true(fields_remove(&f, "b"));
	assert_string_equal(show(&f), "a;c;");
	assert_true(fields_remove(&f, "c"));
	assert_true(fields_remove(&f, "a"));
	assert_false(fields_remove(&f, "a"));
	assert_int_equal(f.count, 0);
	arena_free(&a);
}

static void test_many(void **state UNUSED)
{
	struct arena a = {0};
	struct fields f = fields_in(&a);
	char key[16];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 200; i++) {
			snprintf(key, sizeof(key), "k%d", i);
			fields_set_str(&f, key, round == 0 ? "old" : key);
		}
		assert_int_equal(f.count, 200);
	}
	assert_true(span_eq_str(fields_get(&f, "k137"), "k137"));
	arena_free(&a);
}

static void test_merge(void **state UNUSED)
{
	struct arena a = {0};
	struct fields f = fields_in(&a), g = fields_in(&a);
	fields_set_str(&f, "a", "1");
	fields_set_str(&f, "b", "2");
	fields_set_str(&g, "b", NULL);
	fields_set_str(&g, "c", "3");
	fields_merge(&f, &g);
	assert_string_equal(show(&f), "a=1;b;c=3;");
	assert_string_equal(show(&g), "b;c=3;");
	arena_free(&a);
}

/* what a passdb told is taken back by going back to the snapshot, whatever was done meanwhile */
static void test_snapshot(void **state UNUSED)
{
	struct arena a = {0};
	struct fields f = fields_in(&a), kept = fields_snapshot(&f);
	fields_set_str(&f, "x", "1");
	assert_int_equal(kept.count, 0);
	fields_set_str(&f, "y", "2");
	kept = fields_snapshot(&f);
	fields_set_str(&f, "x", "changed");
	fields_remove(&f, "y");
	fields_set_str(&f, "z", "3");
	assert_string_equal(show(&kept), "x=1;y=2;");
	f = kept;
	fields_set_str(
	    &f, "w", "4"); /* it has no room of its own left: must grow, not write over */
	assert_string_equal(show(&f), "x=1;y=2;w=4;");
	assert_string_equal(show(&kept), "x=1;y=2;");
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_and_get),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_merge),
	    cmocka_unit_test(test_snapshot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
