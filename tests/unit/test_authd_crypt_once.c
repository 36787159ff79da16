/* A hash that is computed twice in a row is computed once, and nothing else is different. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "authd/crypt-once.h"
#include "base/macros.h"

static const struct {
	const char *prefix;
	unsigned long count;
} kinds[] = {{"$6$", 1000}, {"$5$", 1000}, {"$1$", 0}, {"$2b$", 4}, {"$y$", 1}, {"$gy$", 1},
    {"$7$", 6}, {"$sha1", 24}, {"$md5", 1}, {"_", 1}, {"", 0}};
static const char ordinary[] = "$1$saltstri";

typedef char *crypt_function(const char *, const char *, struct crypt_data *);

static crypt_function *libcrypts(void)
{
	union {
		void *symbol;
		crypt_function *function;
	} found = {.symbol = dlsym(RTLD_NEXT, "crypt_r")};
	assert_non_null(found.symbol);
	assert_true(found.function != crypt_r);
	return found.function;
}

static struct crypt_data data, expected;

/* The result is libcrypt's, and so is all that it leaves behind. */
static void assert_like_libcrypt(const char *phrase, const char *setting)
{
	memset(&data, 'x', sizeof(data));
	memset(&expected, 'x', sizeof(expected));
	const char *want = libcrypts()(phrase, setting, &expected);
	int want_errno = errno;
	const char *got = crypt_r(phrase, setting, &data);
	if (want == expected.output && want[0] != '*')
		assert_ptr_equal(got, data.output);
	else
		assert_int_equal(errno, want_errno);
	assert_string_equal(data.output, expected.output);
	size_t behind = sizeof(data.output); /* what follows a hash there is anybody's */
	assert_memory_equal(
	    (char *)&data + behind, (char *)&expected + behind, sizeof(data) - behind);
}

static void assert_wiped(const void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(((const unsigned char *)p)[i], 0);
}

static void test_every_scheme(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct crypt_once once;
		char setting[CRYPT_GENSALT_OUTPUT_SIZE];
		assert_non_null(crypt_gensalt_rn(
		    kinds[i].prefix, kinds[i].count, NULL, 0, setting, sizeof(setting)));
		crypt_once_begin(&once);
		assert_like_libcrypt("pencil", setting);
		assert_int_equal(once.computed, 1);
		assert_int_equal(once.repeated, 0);
		assert_string_equal(once.setting, setting);
		assert_like_libcrypt("pencil", setting);
		assert_int_equal(once.computed, 1);
		assert_int_equal(once.repeated, 1);
		/* the whole hash as the setting, as one who compares has it */
		char hash[CRYPT_OUTPUT_SIZE];
		strcpy(hash, data.output);
		for (unsigned n = 0; n < 2; n++) {
			assert_like_libcrypt("pencil", hash);
			assert_string_equal(data.output, hash);
			assert_int_equal(once.computed, 2);
			assert_int_equal(once.repeated, 1 + n);
		}
		crypt_once_end(&once);
		assert_wiped(&once, sizeof(once));
	}
}

static void test_given_once(void **state UNUSED)
{
	struct crypt_once once;
	crypt_once_begin(&once);
	assert_like_libcrypt("pencil", ordinary);
	assert_string_equal(once.phrase, "pencil");
	assert_string_equal(once.hash, data.output);
	assert_like_libcrypt("pencil", ordinary);
	assert_int_equal(once.repeated, 1);
	assert_wiped(once.phrase, sizeof(once.phrase));
	assert_wiped(once.hash, sizeof(once.hash));
	assert_like_libcrypt("pencil", ordinary);
	assert_int_equal(once.computed, 2);
	crypt_once_end(&once);
}

static void test_what_differs_is_computed(void **state UNUSED)
{
	static const char *const calls[][2] = {
	    {"pencil", "$1$salt"}, {"Pencil", "$1$salt"}, {"Penci", "$1$salt"},
	    {"Pencil ", "$1$salt"}, {"", "$1$salt"}, {"", "$1$sal"}, {"", "$1$salt$"},
	    {"pencil", "$1$salt$"}, {"pencil", "$1$salu$"},
	    {"pencil", "$1$salt"}, /* only the last one is known */
	};
	struct crypt_once once;
	crypt_once_begin(&once);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		assert_like_libcrypt(calls[i][0], calls[i][1]);
		assert_int_equal(once.computed, i + 1);
	}
	assert_int_equal(once.repeated, 0);
	crypt_once_end(&once);
}

static void test_the_next_question_knows_nothing(void **state UNUSED)
{
	struct crypt_once once;
	for (int i = 0; i < 2; i++) {
		crypt_once_begin(&once);
		assert_like_libcrypt("pencil", ordinary);
		assert_int_equal(once.computed, 1);
		crypt_once_end(&once);
		assert_wiped(&once, sizeof(once));
		assert_like_libcrypt("pencil", ordinary);
		assert_wiped(&once, sizeof(once));
	}
}

static void test_failures_are_no_hashes(void **state UNUSED)
{
	static const char *const bad[] = {"", "*", "*0", "*1", "!", "!$1$salt", "$9$salt",
	    "$1$sa:lt", "$6$rounds=0$salt", "$2b$99$abcdefghijklmnopqrstuu", "x"};
	struct crypt_once once;
	crypt_once_begin(&once);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		libcrypts()("pencil", bad[i], &data);
		if (data.output[0] != '*')
			continue; /* this libcrypt takes it */
		for (int n = 0; n < 2; n++) {
			assert_like_libcrypt("pencil", bad[i]);
			assert_false(once.holds);
		}
	}
	assert_int_equal(once.computed, 0);
	assert_string_equal(once.setting, "");
	/* a failure between two equal calls ends what is known */
	assert_like_libcrypt("pencil", ordinary);
	assert_like_libcrypt("pencil", "*0");
	assert_wiped(once.phrase, sizeof(once.phrase));
	assert_like_libcrypt("pencil", ordinary);
	assert_int_equal(once.computed, 2);
	assert_int_equal(once.repeated, 0);
	crypt_once_end(&once);
}

static void test_nothing_is_nothing(void **state UNUSED)
{
	struct crypt_once once;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* what stands before libcrypt then measures the words first */
#endif
	crypt_once_begin(&once);
	assert_like_libcrypt(NULL, ordinary);
	assert_int_equal(errno, EINVAL);
	assert_like_libcrypt("pencil", NULL);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(once.computed, 0);
	crypt_once_end(&once);
}

static void test_long_phrases(void **state UNUSED)
{
	char phrase[CRYPT_MAX_PASSPHRASE_SIZE + 1];
	struct crypt_once once;
	crypt_once_begin(&once);
	memset(phrase, 'p', sizeof(phrase));
	phrase[CRYPT_MAX_PASSPHRASE_SIZE - 1] = '\0';
	assert_like_libcrypt(phrase, ordinary);
	assert_like_libcrypt(phrase, ordinary);
	assert_int_equal(once.repeated, 1);
	assert_like_libcrypt(phrase, ordinary);
	phrase[CRYPT_MAX_PASSPHRASE_SIZE - 1] = 'p';
	phrase[CRYPT_MAX_PASSPHRASE_SIZE] = '\0';
	for (int i = 0; i < 2; i++) {
		assert_like_libcrypt(phrase, ordinary);
		assert_string_equal(data.output, "*0");
		assert_int_equal(errno, ERANGE);
	}
	assert_int_equal(once.computed, 2);
	assert_int_equal(once.repeated, 1);
	crypt_once_end(&once);
}

/* What is too long to be kept is computed each time. */
static void test_long_settings(void **state UNUSED)
{
	char setting[2 * CRYPT_OUTPUT_SIZE] = "$6$salt$";
	struct crypt_once once;
	crypt_once_begin(&once);
	memset(setting + strlen(setting), 'x', sizeof(setting) - 1 - strlen(setting));
	for (unsigned i = 1; i <= 2; i++) {
		assert_like_libcrypt("pencil", setting);
		assert_int_equal(once.computed, i);
		assert_string_equal(once.setting, "");
	}
	setting[CRYPT_OUTPUT_SIZE - 1] = '\0';
	assert_like_libcrypt("pencil", setting);
	assert_like_libcrypt("pencil", setting);
	assert_int_equal(once.computed, 3);
	assert_int_equal(once.repeated, 1);
	crypt_once_end(&once);
}

/* Who has his words where the result goes has other words afterwards. */
static void test_words_in_the_data(void **state UNUSED)
{
	struct crypt_once once;
	char result[CRYPT_OUTPUT_SIZE];
	crypt_once_begin(&once);
	for (unsigned i = 1; i <= 2; i++) {
		strcpy(data.input, "pencil");
		assert_non_null(crypt_r(data.input, ordinary, &data));
		strcpy(result, data.output);
		assert_false(once.holds);
		assert_like_libcrypt("pencil", ordinary);
		assert_string_equal(data.output, result);
		assert_int_equal(once.computed, i);
	}
	strcpy(data.output, ordinary);
	libcrypts()("pencil", data.output, &data);
	strcpy(result, data.output);
	strcpy(data.output, ordinary);
	assert_string_equal(crypt_r("pencil", data.output, &data), result);
	crypt_once_end(&once);
}

static void *call_it(void *arg UNUSED)
{
	static struct crypt_data other;
	return crypt_r("pencil", ordinary, &other) == other.output ? other.output : NULL;
}

static void test_other_threads_are_left_alone(void **state UNUSED)
{
	struct crypt_once once, before;
	pthread_t thread;
	void *result;
	crypt_once_begin(&once);
	assert_like_libcrypt("pencil", ordinary);
	before = once;
	assert_int_equal(pthread_create(&thread, NULL, call_it, NULL), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_string_equal(result, data.output);
	assert_memory_equal(&once, &before, sizeof(once));
	assert_like_libcrypt("pencil", ordinary);
	assert_int_equal(once.repeated, 1);
	crypt_once_end(&once);
}

/* As a library of a loadable module does. */
static void test_a_module_finds_it(void **state UNUSED)
{
	union {
		void *symbol;
		crypt_function *function;
	} found = {.symbol = dlsym(RTLD_DEFAULT, "crypt_r")};
	assert_true(found.function == crypt_r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_scheme),
	    cmocka_unit_test(test_given_once),
	    cmocka_unit_test(test_what_differs_is_computed),
	    cmocka_unit_test(test_the_next_question_knows_nothing),
	    cmocka_unit_test(test_failures_are_no_hashes),
	    cmocka_unit_test(test_nothing_is_nothing),
	    cmocka_unit_test(test_long_phrases),
	    cmocka_unit_test(test_long_settings),
	    cmocka_unit_test(test_words_in_the_data),
	    cmocka_unit_test(test_other_threads_are_left_alone),
	    cmocka_unit_test(test_a_module_finds_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
