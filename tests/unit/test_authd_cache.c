/*
 * The cache of answers by itself, with a clock of its own: what is found
 * again and what is not, for how long, in how much memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "authd/cache.h"
#include "base/mem.h"

enum { TTL = 1000, NEGATIVE_TTL = 300, EXPIRED_LIMIT = 500 };

static struct cache *cache;
static struct arena arena;
static int64_t now;
static uint64_t needs, epoch;
static struct channel_answer got; /* by the last ask_for() */

static void set_up_with(uint64_t size, int64_t negative_ttl, int64_t expired_limit)
{
	struct cache_limits limits = {size, TTL, negative_ttl, expired_limit};
	cache = cache_new(&limits);
	now = 1000000;
	needs = VAR_BIT(VAR_USER);
	epoch = 1;
}

static int set_up(void **state UNUSED)
{
	set_up_with(1024 * 1024, NEGATIVE_TTL, EXPIRED_LIMIT);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	cache_free(&cache);
	cache_free(&cache); /* of none: nothing */
	arena_free(&arena);
	return 0;
}

static struct channel_question question(const char *user, const char *password)
{
	struct channel_question q = {.ask = CHANNEL_VERIFY, .scheme = SPAN_LIT("")};
	q.vars.v[VAR_USER] = span_of(user);
	q.password = secret_of(span_of(password));
	return q;
}

static struct channel_answer answer(enum verdict v)
{
	struct channel_answer an = {.verdict = v, .fields = fields_in(&arena)};
	an.has_password = v == VERDICT_OK || v == VERDICT_MISMATCH;
	return an;
}

static struct cache_key key_of(const struct channel_question *q)
{
	return cache_key_of(cache, 0, epoch, q, needs);
}

static void keep_question(const struct channel_question *q, struct channel_answer an)
{
	struct cache_key key = key_of(q);
	cache_keep(cache, &key, q, &an, now);
}

static bool has_question(const struct channel_question *q, enum cache_use use)
{
	struct cache_key key = key_of(q);
	return cache_answer(cache, &key, q, use, now, &arena, &got);
}

static void keep(const char *user, const char *password, enum verdict v)
{
	struct channel_question q = question(user, password);
	keep_question(&q, answer(v));
}

static bool has(const char *user, const char *password)
{
	struct channel_question q = question(user, password);
	return has_question(&q, CACHE_FRESH);
}

static bool has_expired(const char *user, const char *password)
{
	struct channel_question q = question(user, password);
	return has_question(&q, CACHE_EVEN_EXPIRED);
}

/* ---- what is found again ---- */

static void test_a_yes_is_for_its_password(void **state UNUSED)
{
	struct channel_question q = question("tim", "good");
	struct channel_answer an = answer(VERDICT_OK);
	assert_false(has("tim", "good"));
	fields_set_str(&an.fields, "uid", "5000");
	fields_set_str(&an.fields, "nologin", NULL);
	fields_set_str(&an.fields, "empty", "");
	keep_question(&q, an);
	assert_true(has("tim", "good"));
	assert_int_equal(got.verdict, VERDICT_OK);
	assert_true(got.has_password);
	assert_int_equal(got.fields.count, 3);
	assert_true(span_eq_str(fields_get(&got.fields, "uid"), "5000"));
	assert_null(got.fields.items[1].value.ptr);
	assert_non_null(got.fields.items[2].value.ptr);
	assert_false(secret_is_set(got.credential));
	assert_false(has("tim", "wrong"));
	assert_false(has("tim", "goo"));
	assert_false(has("tim", "good2"));
	assert_false(has("tim", ""));
	assert_false(has("bob", "good"));
	assert_true(has("tim", "good")); /* none of these took it away */
}

static void test_a_yes_without_comparing_is_for_its_password_too(void **state UNUSED)
{
	static const unsigned flags[] = {0, ASK_SKIP_PASSWORD, ASK_NOPASSWORD};
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		struct channel_question q = question("free", "anything"),
					other = question("free", "else");
		struct channel_answer an = answer(VERDICT_OK);
		an.has_password = false;
		q.flags = other.flags = flags[i];
		keep_question(&q, an);
		assert_true(has_question(&q, CACHE_FRESH));
		assert_false(got.has_password);
		assert_false(has_question(&other, CACHE_FRESH));
	}
}

static void test_unknown_users(void **state UNUSED)
{
	keep("nobody", "a", VERDICT_UNKNOWN_USER);
	assert_true(has("nobody", "b"));
	assert_int_equal(got.verdict, VERDICT_UNKNOWN_USER);
	assert_false(got.has_password);
	/* he is there now: the backend was asked because of another key, or after a flush */
	keep("nobody", "b", VERDICT_OK);
	assert_true(has("nobody", "b"));
	assert_int_equal(got.verdict, VERDICT_OK);
	assert_false(has("nobody", "a"));
	/* and is gone again */
	keep("nobody", "a", VERDICT_UNKNOWN_USER);
	assert_true(has("nobody", "b"));
	assert_int_equal(got.verdict, VERDICT_UNKNOWN_USER);
}

static void test_a_query_that_compares_the_password_itself(void **state UNUSED)
{
	struct channel_answer an = answer(VERDICT_OK);
	struct channel_question q = question("tim", "good");
	needs |= VAR_BIT(VAR_PASSWORD);
	an.has_password =
	    false; /* SELECT NULL AS password, 'y' AS nopassword ... WHERE pw = '%w' */
	keep_question(&q, an);
	assert_true(has("tim", "good"));
	assert_false(has("tim", "wrong"));
	keep("tim", "wrong", VERDICT_UNKNOWN_USER); /* is a wrong password, if one looks closely */
	assert_true(has("tim", "good"));
	assert_false(has("tim", "wrong"));
	keep("tim", "good", VERDICT_UNKNOWN_USER); /* no longer right */
	assert_false(has("tim", "good"));
}

static void test_what_is_not_kept(void **state UNUSED)
{
	static const enum verdict never[] = {VERDICT_MISMATCH, VERDICT_INTERNAL, VERDICT_DISABLED,
	    VERDICT_EXPIRED, VERDICT_NO_SCHEME, VERDICT_NEXT};
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		keep("tim", "x", never[i]);
		assert_false(has("tim", "x"));
	}
	struct channel_question q = question("tim", NULL);
	struct channel_answer an = answer(VERDICT_OK);
	q.ask = CHANNEL_LIST;
	keep_question(&q, an);
	assert_false(has_question(&q, CACHE_FRESH));
	q.ask = CHANNEL_CREDENTIAL;
	q.scheme = SPAN_LIT("PLAIN");
	keep_question(&q, an); /* a scheme was asked for: no yes is harmless */
	assert_false(has_question(&q, CACHE_FRESH));
	keep_question(&q, answer(VERDICT_UNKNOWN_USER)); /* nor is a no */
	assert_false(has_question(&q, CACHE_FRESH));
	an.credential = secret_of(SPAN_LIT("secret"));
	keep_question(&q, an);
	assert_false(has_question(&q, CACHE_FRESH));
	q.scheme = SPAN_LIT("");
	keep_question(&q, an);
	assert_false(has_question(&q, CACHE_FRESH));
	assert_int_equal(cache_stats(cache).used, 0);
}

static void test_what_needs_no_password(void **state UNUSED)
{
	struct channel_question q = question("tim", NULL);
	q.ask = CHANNEL_USERDB;
	keep_question(&q, answer(VERDICT_OK));
	assert_true(has_question(&q, CACHE_FRESH));
	q.ask = CHANNEL_CREDENTIAL; /* scheme "": is the user there? */
	assert_false(has_question(&q, CACHE_FRESH));
	keep_question(&q, answer(VERDICT_OK));
	assert_true(has_question(&q, CACHE_FRESH));
	assert_false(has("tim", "")); /* neither says anything of a password */
}

static void test_what_a_refusal_does_to_a_yes(void **state UNUSED)
{
	static const enum verdict ends[] = {VERDICT_DISABLED, VERDICT_EXPIRED, VERDICT_NEXT};
	keep("tim", "good", VERDICT_OK);
	keep("tim", "wrong", VERDICT_MISMATCH);
	keep("tim", "wrong", VERDICT_INTERNAL);
	keep("tim", "good", VERDICT_INTERNAL);
	assert_true(has("tim", "good"));
	keep("tim", "good", VERDICT_MISMATCH); /* the backend was asked again, and said no */
	assert_false(has("tim", "good"));
	assert_false(has_expired("tim", "good"));
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		keep("tim", "good", VERDICT_OK);
		assert_true(has("tim", "good"));
		keep("tim", "any", ends[i]);
		assert_false(has("tim", "good"));
	}
}

/* ---- passwords that change ---- */

static void test_a_new_password_ends_the_old_one(void **state UNUSED)
{
	keep("tim", "old", VERDICT_OK);
	keep("tim", "new", VERDICT_OK);
	assert_true(has("tim", "new"));
	assert_false(has("tim", "old"));
	assert_false(has_expired("tim", "old"));
}

static struct channel_question from(const char *ip, const char *user, const char *password)
{
	struct channel_question q = question(user, password);
	q.vars.v[VAR_RIP] = span_of(ip);
	return q;
}

static void test_a_new_password_elsewhere_makes_the_old_one_doubtful(void **state UNUSED)
{
	needs |= VAR_BIT(VAR_RIP);
	struct channel_question a = from("1", "tim", "old"), b = from("2", "tim", "old"),
				c = from("3", "TIM", "new");
	keep_question(&a, answer(VERDICT_OK));
	keep_question(&b, answer(VERDICT_OK));
	assert_true(has_question(&a, CACHE_FRESH)); /* the same password: no doubt */
	keep_question(&c, answer(VERDICT_OK));
	assert_true(has_question(&c, CACHE_FRESH));
	assert_false(has_question(&a, CACHE_FRESH));
	assert_false(has_question(&b, CACHE_FRESH));
	assert_false(has_question(&a, CACHE_EVEN_EXPIRED));
	/* the backend says that it is right here all the same: each place has its own */
	keep_question(&a, answer(VERDICT_OK));
	assert_true(has_question(&a, CACHE_FRESH));
	assert_true(has_question(&c, CACHE_FRESH));
	assert_false(has_question(&b, CACHE_FRESH));
	keep_question(&b, answer(VERDICT_MISMATCH));
	assert_false(has_question(&b, CACHE_FRESH));
	struct channel_question other = from("1", "bob", "old");
	keep_question(&other, answer(VERDICT_OK));
	assert_true(has_question(&a, CACHE_FRESH));
}

static void test_an_older_answer_does_not_replace_a_newer_one(void **state UNUSED)
{
	struct channel_question old = question("tim", "old"), new = question("tim", "new");
	struct cache_key old_key = key_of(&old), new_key = key_of(&new);
	struct channel_answer yes = answer(VERDICT_OK), unknown = answer(VERDICT_UNKNOWN_USER);
	assert_true(cache_is_current(cache, &old_key));
	cache_keep(cache, &new_key, &new, &yes, now);
	assert_false(cache_is_current(cache, &old_key));
	assert_true(cache_is_current(cache, &new_key));
	cache_keep(cache, &old_key, &old, &yes, now);
	assert_false(has("tim", "old"));
	cache_keep(cache, &old_key, &old, &unknown, now);
	assert_true(has("tim", "new"));
	assert_int_equal(got.verdict, VERDICT_OK);
	/* the same with two keys */
	needs |= VAR_BIT(VAR_RIP);
	old = from("1", "bob", "old");
	new = from("2", "bob", "new");
	old_key = key_of(&old);
	new_key = key_of(&new);
	cache_keep(cache, &new_key, &new, &yes, now);
	cache_keep(cache, &old_key, &old, &yes, now);
	assert_false(has_question(&old, CACHE_FRESH));
	assert_true(has_question(&new, CACHE_FRESH));
}

/* ---- time ---- */

static void test_times(void **state UNUSED)
{
	keep("tim", "good", VERDICT_OK);
	keep("nobody", "x", VERDICT_UNKNOWN_USER);
	now += NEGATIVE_TTL - 1;
	assert_true(has("nobody", "x"));
	now += 1;
	assert_false(has("nobody", "x"));
	assert_false(has_expired("nobody", "x")); /* an outage is no unknown user */
	now += TTL - NEGATIVE_TTL - 1;
	assert_true(has("tim", "good"));
	now += 1;
	assert_false(has("tim", "good")); /* a use does not make it younger */
	assert_true(has_expired("tim", "good"));
	assert_false(has_expired("tim", "wrong"));
	now += EXPIRED_LIMIT - 1;
	assert_true(has_expired("tim", "good"));
	now += 1;
	assert_false(has_expired("tim", "good"));
	keep("tim", "good", VERDICT_OK);
	assert_true(has("tim", "good"));
}

/* A token's end: it holds also where an expired answer may stand in for an outage. */
static void test_an_answer_may_limit_its_own_time(void **state UNUSED)
{
	struct channel_question q = question("tim", "token");
	struct channel_answer an = answer(VERDICT_OK);
	an.keep_ms = TTL / 2;
	keep_question(&q, an);
	now += TTL / 2 - 1;
	assert_true(has("tim", "token"));
	now++;
	assert_false(has("tim", "token"));
	assert_false(has_expired("tim", "token"));
	an.keep_ms = TTL + EXPIRED_LIMIT / 2;
	keep_question(&q, an);
	now += TTL;
	assert_false(has("tim", "token"));
	assert_true(has_expired("tim", "token"));
	now += EXPIRED_LIMIT / 2;
	assert_false(has_expired("tim", "token"));
	an.keep_ms = -1;
	keep_question(&q, an);
	assert_false(has("tim", "token"));
}

static void test_a_changed_password_is_not_fallen_back_on(void **state UNUSED)
{
	keep("tim", "old", VERDICT_OK);
	now += TTL;
	assert_true(has_expired("tim", "old"));
	keep("tim", "old", VERDICT_MISMATCH); /* the backend is there, and says no */
	assert_false(has_expired("tim", "old"));
}

static void test_without_the_optional_times(void **state UNUSED)
{
	cache_free(&cache);
	set_up_with(65536, 0, 0);
	keep("nobody", "x", VERDICT_UNKNOWN_USER);
	assert_false(has("nobody", "x"));
	keep("tim", "good", VERDICT_OK);
	assert_true(has_expired("tim", "good"));
	now += TTL;
	assert_false(has_expired("tim", "good"));
	/* not to be kept, but he is gone */
	keep("tim", "good", VERDICT_OK);
	keep("tim", "good", VERDICT_UNKNOWN_USER);
	assert_false(has("tim", "good"));
}

/* ---- the key ---- */

static struct cache_key all_set(unsigned pool, uint64_t at_epoch, const struct channel_question *q)
{
	return cache_key_of(cache, pool, at_epoch, q, VAR_BIT(VAR_BITS) - 1);
}

static void assert_other(const struct cache_key *a, const struct cache_key *b)
{
	assert_memory_not_equal(a->bytes, b->bytes, sizeof(a->bytes));
}

static void test_each_input_makes_another_key(void **state UNUSED)
{
	struct channel_question q = question("tim", "good");
	for (int i = 0; i < VAR_COUNT; i++)
		q.vars.v[i] = SPAN_LIT("value");
	q.passdb_fields = fields_in(&arena);
	fields_set_str(&q.passdb_fields, "a", "b");
	const struct cache_key base = all_set(1, 1, &q), again = all_set(1, 1, &q);
	assert_memory_equal(base.bytes, again.bytes, sizeof(base.bytes));
	assert_memory_equal(base.person, again.person, sizeof(base.person));
	assert_true(again.asked > base.asked);
	static const struct span values[] = {
	    {"valuE", 5}, {"value ", 6}, {"valu", 4}, {"", 0}, {NULL, 0}, {"value\0", 6}};
	for (int i = 0; i < VAR_COUNT; i++) {
		for (size_t k = 0; k < ARRAY_LEN(values); k++) {
			struct channel_question o = q;
			o.vars.v[i] = values[k];
			struct cache_key key = all_set(1, 1, &o);
			assert_other(&base, &key);
		}
	}
	struct channel_question o = q;
	o.flags = ASK_SKIP_PASSWORD;
	struct cache_key k1 = all_set(1, 1, &o);
	o.flags = ASK_NOPASSWORD;
	struct cache_key k2 = all_set(1, 1, &o);
	assert_other(&base, &k1);
	assert_other(&base, &k2);
	assert_other(&k1, &k2);
	o = q;
	o.scheme = SPAN_LIT("PLAIN");
	k1 = all_set(1, 1, &o);
	assert_other(&base, &k1);
	for (int ask = CHANNEL_CREDENTIAL; ask <= CHANNEL_LIST; ask++) {
		o = q;
		o.ask = (enum channel_ask)ask;
		k1 = all_set(1, 1, &o);
		assert_other(&base, &k1);
	}
	k1 = all_set(2, 1, &q);
	assert_other(&base, &k1);
	assert_memory_not_equal(base.person, k1.person, sizeof(base.person));
	k1 = all_set(1, 2, &q);
	assert_other(&base, &k1);
	assert_memory_equal(base.person, k1.person, sizeof(base.person));
	struct channel_question f = q;
	f.passdb_fields = fields_in(&arena);
	fields_set_str(&f.passdb_fields, "a", "c");
	k1 = all_set(1, 1, &f);
	assert_other(&base, &k1);
	fields_set_str(&f.passdb_fields, "a", "b");
	fields_set_str(&f.passdb_fields, "more", NULL);
	k1 = all_set(1, 1, &f);
	assert_other(&base, &k1);
}

static void test_neighbours_do_not_run_together(void **state UNUSED)
{
	struct channel_question q = question("a", "x"), o = question("ab", "x");
	q.vars.v[VAR_SERVICE] = SPAN_LIT("bc");
	o.vars.v[VAR_SERVICE] = SPAN_LIT("c");
	struct cache_key k1 = all_set(0, 0, &q), k2 = all_set(0, 0, &o);
	assert_other(&k1, &k2);
}

static void test_only_what_is_needed_is_in_the_key(void **state UNUSED)
{
	struct channel_question q = question("tim", "good"), o = question("tim", "good");
	o.vars.v[VAR_RIP] = SPAN_LIT("192.0.2.7");
	o.serial = 7;
	o.deadline_ms = 8;
	struct cache_key k1 = key_of(&q), k2 = key_of(&o);
	assert_memory_equal(k1.bytes, k2.bytes, sizeof(k1.bytes));
	assert_false(k1.reads_password);
	needs |= VAR_BIT(VAR_RIP) | VAR_BIT(VAR_PASSWORD);
	k1 = key_of(&q);
	k2 = key_of(&o);
	assert_other(&k1, &k2);
	assert_true(k1.reads_password);
}

static void test_each_cache_has_keys_of_its_own(void **state UNUSED)
{
	struct channel_question q = question("tim", "good");
	struct cache_key k1 = key_of(&q);
	struct cache *first = cache;
	set_up_with(65536, 0, 0);
	struct cache_key k2 = key_of(&q);
	cache_free(&cache);
	cache = first;
	assert_other(&k1, &k2);
}

/* ---- memory ---- */

static void keep_many(unsigned count, const char *password)
{
	char user[32];
	for (unsigned i = 0; i < count; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		keep(user, password, VERDICT_OK);
		struct cache_stats s = cache_stats(cache);
		assert_true(s.used <= s.max);
		assert_int_equal(s.used, s.positive_size + s.negative_size);
	}
}

static void test_the_least_recently_used_goes(void **state UNUSED)
{
	cache_free(&cache);
	set_up_with(8192, NEGATIVE_TTL, 0);
	keep("favourite", "x", VERDICT_OK);
	for (unsigned i = 0; i < 20; i++) {
		keep_many(4, "p");
		assert_true(has("favourite", "x"));
	}
	keep_many(1000, "p");
	assert_false(has("favourite", "x"));
	assert_false(has("user0", "p"));
	assert_true(has("user999", "p"));
	assert_true(has("user998", "p"));
	struct cache_stats s = cache_stats(cache);
	assert_int_equal(s.max, 8192);
	assert_true(s.used > 4096); /* it is full, not emptied */
	assert_true(s.positive >= 8 && s.positive < 50);
}

static void test_made_up_users_do_not_push_out_real_ones(void **state UNUSED)
{
	char user[32];
	cache_free(&cache);
	set_up_with(8192, NEGATIVE_TTL, 0);
	keep_many(100, "p");
	uint64_t before = cache_stats(cache).positive;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(user, sizeof(user), "nobody%u", i);
		keep(user, "x", VERDICT_UNKNOWN_USER);
		assert_true(has(user, "y"));
		assert_true(cache_stats(cache).used <= 8192);
	}
	struct cache_stats s = cache_stats(cache);
	assert_true(s.positive > before / 2);
	assert_true(s.negative_size < 8192 / 3);
	assert_true(has("user99", "p"));
	keep_many(1000, "p"); /* nor is the room kept for them */
	assert_true(cache_stats(cache).positive > before / 2);
}

static void test_one_user_cannot_take_more_either(void **state UNUSED)
{
	char ip[32];
	cache_free(&cache);
	set_up_with(8192, NEGATIVE_TTL, 0);
	needs |= VAR_BIT(VAR_RIP);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(ip, sizeof(ip), "%u", i);
		struct channel_question q = from(ip, "tim", i % 2 != 0 ? "a" : "b");
		keep_question(&q, answer(VERDICT_OK));
		assert_true(has_question(&q, CACHE_FRESH));
		assert_true(cache_stats(cache).used <= 8192);
	}
}

static void test_the_smallest_cache_holds_something(void **state UNUSED)
{
	cache_free(&cache);
	set_up_with(1024, NEGATIVE_TTL, 0);
	keep("tim", "good", VERDICT_OK);
	assert_true(has("tim", "good"));
	keep_many(100, "p");
	assert_true(has("user99", "p"));
}

static void test_an_entry_larger_than_the_cache(void **state UNUSED)
{
	char *big = mem_alloc(8193);
	memset(big, 'x', 8192);
	cache_free(&cache);
	set_up_with(4096, NEGATIVE_TTL, 0);
	keep("tim", "good", VERDICT_OK);
	struct channel_question q = question("tim", "good");
	struct channel_answer an = answer(VERDICT_OK);
	fields_set_str(&an.fields, "big", big);
	keep_question(&q, an);
	assert_false(has("tim", "good")); /* not what was true before, at any rate */
	assert_int_equal(cache_stats(cache).used, 0);
	keep("tim", "good", VERDICT_OK);
	assert_true(has("tim", "good"));
	mem_free(&big);
}

/* ---- flushing and counting ---- */

static void test_flush(void **state UNUSED)
{
	struct channel_question q = question("alias", "p");
	struct channel_answer an = answer(VERDICT_OK);
	keep_many(5, "p");
	keep("tim@example.com", "x", VERDICT_OK);
	keep("tom@example.com", "x", VERDICT_UNKNOWN_USER);
	fields_set_str(&an.fields, "quota", "1");
	fields_set_str(&an.fields, "user", "Real@example.org");
	keep_question(&q, an);
	assert_int_equal(cache_flush(cache, SPAN_LIT("tim")), 0);
	assert_int_equal(cache_flush(cache, SPAN_LIT("")), 0);
	assert_int_equal(cache_flush(cache, SPAN_LIT("USER1")), 1);
	assert_false(has("user1", "p"));
	assert_true(has("user2", "p"));
	assert_int_equal(cache_flush(cache, SPAN_LIT("t?m@example.*")), 2);
	assert_false(has("tim@example.com", "x"));
	assert_false(has("tom@example.com", "x"));
	assert_int_equal(cache_flush(cache, SPAN_LIT("real@example.org")), 1);
	assert_false(has("alias", "p"));
	assert_int_equal(cache_flush(cache, SPAN_NULL), 4);
	assert_false(has("user2", "p"));
	assert_int_equal(cache_stats(cache).used, 0);
	assert_int_equal(cache_flush(cache, SPAN_NULL), 0);
}

static void test_what_was_asked_before_a_flush_is_not_kept(void **state UNUSED)
{
	struct channel_question q = question("tim", "old");
	struct channel_answer yes = answer(VERDICT_OK);
	struct cache_key key = key_of(&q);
	assert_true(cache_is_current(cache, &key));
	cache_flush(cache, SPAN_LIT("tim"));
	assert_false(cache_is_current(cache, &key));
	cache_keep(cache, &key, &q, &yes, now);
	assert_false(has("tim", "old"));
	keep("tim", "old", VERDICT_OK);
	assert_true(has("tim", "old"));
}

static void test_counters(void **state UNUSED)
{
	keep("tim", "good", VERDICT_OK);
	keep("nobody", "x", VERDICT_UNKNOWN_USER);
	struct cache_stats s = cache_stats(cache);
	assert_int_equal(s.hits + s.misses, 0);
	assert_true(has("tim", "good"));
	assert_true(has("nobody", "x"));
	assert_false(has("tim", "wrong"));
	s = cache_stats(cache);
	assert_int_equal(s.hits, 2);
	assert_int_equal(s.misses, 1);
	assert_int_equal(s.positive, 1);
	assert_int_equal(s.negative, 1);
	assert_true(s.positive_size > s.negative_size && s.negative_size > 0);
	assert_int_equal(s.used, s.positive_size + s.negative_size);
	assert_int_equal(s.max, 1024 * 1024);
	cache_reset_stats(cache);
	struct cache_stats after = cache_stats(cache);
	assert_int_equal(after.hits + after.misses, 0);
	assert_int_equal(after.used, s.used);
	assert_int_equal(after.positive, 1);
	now += TTL;
	assert_false(has_expired("nobody", "x")); /* looked for in an outage: no second miss */
	assert_int_equal(cache_stats(cache).misses, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_yes_is_for_its_password),
	    TEST(test_a_yes_without_comparing_is_for_its_password_too),
	    TEST(test_unknown_users),
	    TEST(test_a_query_that_compares_the_password_itself),
	    TEST(test_what_is_not_kept),
	    TEST(test_what_needs_no_password),
	    TEST(test_what_a_refusal_does_to_a_yes),
	    TEST(test_a_new_password_ends_the_old_one),
	    TEST(test_a_new_password_elsewhere_makes_the_old_one_doubtful),
	    TEST(test_an_older_answer_does_not_replace_a_newer_one),
	    TEST(test_times),
	    TEST(test_an_answer_may_limit_its_own_time),
	    TEST(test_a_changed_password_is_not_fallen_back_on),
	    TEST(test_without_the_optional_times),
	    TEST(test_each_input_makes_another_key),
	    TEST(test_neighbours_do_not_run_together),
	    TEST(test_only_what_is_needed_is_in_the_key),
	    TEST(test_each_cache_has_keys_of_its_own),
	    TEST(test_the_least_recently_used_goes),
	    TEST(test_made_up_users_do_not_push_out_real_ones),
	    TEST(test_one_user_cannot_take_more_either),
	    TEST(test_the_smallest_cache_holds_something),
	    TEST(test_an_entry_larger_than_the_cache),
	    TEST(test_flush),
	    TEST(test_what_was_asked_before_a_flush_is_not_kept),
	    TEST(test_counters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
