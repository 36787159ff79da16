/*
 * The chains' policy, by table: every result_* word under every verdict, and
 * the rules around them (deny, skip, filters, the end of a chain).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authd/chain.h"

enum { DBS_MAX = 4 };

static struct db_settings settings[DBS_MAX];
static struct config_db dbs[DBS_MAX];
static const struct config_db *list[DBS_MAX];
static struct chain chain;

/* a chain of n with Dovecot's defaults: return-ok, continue, continue */
static void make(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		settings[i] = (struct db_settings){
		    .mechanisms = "",
		    .username_filter = "",
		    .result_success = RULE_RETURN_OK,
		    .result_failure = RULE_CONTINUE,
		    .result_internalfail = RULE_CONTINUE,
		};
		dbs[i] = (struct config_db){.set = &settings[i], .id = (unsigned)i + 1};
		list[i] = &dbs[i];
	}
	chain = chain_of(list, n);
}

/* 0: nothing is left to ask */
static unsigned next_passdb(void)
{
	const struct config_db *db = chain_next_passdb(&chain, "PLAIN", SPAN_LIT("tim"));
	return db != NULL ? db->id : 0;
}

static unsigned next_userdb(void)
{
	const struct config_db *db = chain_next_userdb(&chain);
	return db != NULL ? db->id : 0;
}

/* asks all passdbs, in order, with the verdicts given (a string of letters) */
static enum verdict run(const char *verdicts)
{
	static const struct {
		char letter;
		enum verdict v;
	} letters[] = {{'o', VERDICT_OK}, {'m', VERDICT_MISMATCH}, {'u', VERDICT_UNKNOWN_USER},
	    {'i', VERDICT_INTERNAL}, {'d', VERDICT_DISABLED}, {'e', VERDICT_EXPIRED},
	    {'s', VERDICT_NO_SCHEME}, {'n', VERDICT_NEXT}};
	bool more = true;
	const char *at = verdicts;
	while (more && next_passdb() != 0) {
		enum verdict v = VERDICT_COUNT;
		for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
			if (letters[i].letter == *at)
				v = letters[i].v;
		}
		assert_int_not_equal(v, VERDICT_COUNT); /* more were asked than expected */
		at++;
		more = chain_passdb_verdict(&chain, v);
	}
	assert_int_equal(*at, '\0'); /* fewer were asked than expected */
	return chain_passdb_end(&chain);
}

/* ---- every word ---- */

static const struct word {
	enum result_rule rule;
	bool go_on;
	int success; /* 1 sets, -1 clears, 0 keeps */
} words[] = {
    {RULE_RETURN, false, 0},
    {RULE_RETURN_OK, false, 1},
    {RULE_RETURN_FAIL, false, -1},
    {RULE_CONTINUE, true, 0},
    {RULE_CONTINUE_OK, true, 1},
    {RULE_CONTINUE_FAIL, true, -1},
};

static const enum verdict failures[] = {VERDICT_MISMATCH, VERDICT_UNKNOWN_USER, VERDICT_NO_SCHEME};

static void one_word(const struct word *w, enum verdict v, bool success_before)
{
	make(3);
	settings[1].result_success = v == VERDICT_OK ? (int)w->rule : RULE_RETURN_OK;
	settings[1].result_internalfail = v == VERDICT_INTERNAL ? (int)w->rule : RULE_CONTINUE;
	settings[1].result_failure =
	    v != VERDICT_OK && v != VERDICT_INTERNAL ? (int)w->rule : RULE_CONTINUE;
	settings[0].result_success = RULE_CONTINUE_OK;
	settings[0].result_failure = RULE_CONTINUE_FAIL;
	assert_int_equal(next_passdb(), 1);
	assert_true(
	    chain_passdb_verdict(&chain, success_before ? VERDICT_OK : VERDICT_UNKNOWN_USER));
	assert_int_equal(chain.success, success_before);
	assert_int_equal(chain.verified, success_before);
	assert_int_equal(next_passdb(), 2);
	assert_int_equal(chain_passdb_verdict(&chain, v), w->go_on);
	bool success = w->success == 0 ? success_before : w->success > 0;
	assert_int_equal(chain.success, success);
	/* an ok that is gone on from, and continue-ok, spare later passdbs the password */
	if (w->go_on)
		assert_int_equal(
		    chain.verified, success_before || v == VERDICT_OK || w->success > 0);
	assert_int_equal(chain_passdb_end(&chain) == VERDICT_OK, success);
	if (v == VERDICT_INTERNAL && !success)
		assert_int_equal(chain_passdb_end(&chain), VERDICT_INTERNAL);
	if (w->go_on)
		assert_int_equal(next_passdb(), 3);
}

static void test_every_word(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		for (int before = 0; before < 2; before++) {
			one_word(&words[i], VERDICT_OK, before);
			one_word(&words[i], VERDICT_INTERNAL, before);
			for (size_t k = 0; k < ARRAY_LEN(failures); k++)
				one_word(&words[i], failures[k], before);
		}
	}
}

static void test_every_word_of_userdbs(void **state UNUSED)
{
	static const enum verdict all[] = {VERDICT_OK, VERDICT_INTERNAL, VERDICT_UNKNOWN_USER,
	    VERDICT_MISMATCH, VERDICT_DISABLED, VERDICT_NEXT};
	for (size_t i = 0; i < ARRAY_LEN(words) * ARRAY_LEN(all) * 2; i++) {
		const struct word *w = &words[i / 2 / ARRAY_LEN(all)];
		enum verdict v = all[i / 2 % ARRAY_LEN(all)];
		bool before = i % 2;
		make(3);
		settings[0].result_success = RULE_CONTINUE_OK;
		settings[1].result_success = v == VERDICT_OK ? (int)w->rule : RULE_RETURN_OK;
		settings[1].result_internalfail =
		    v == VERDICT_INTERNAL ? (int)w->rule : RULE_CONTINUE;
		settings[1].result_failure =
		    v != VERDICT_OK && v != VERDICT_INTERNAL ? (int)w->rule : RULE_CONTINUE;
		assert_int_equal(next_userdb(), 1);
		assert_true(
		    chain_userdb_verdict(&chain, before ? VERDICT_OK : VERDICT_UNKNOWN_USER));
		assert_int_equal(next_userdb(), 2);
		assert_int_equal(chain_userdb_verdict(&chain, v), w->go_on);
		bool success = w->success == 0 ? before : w->success > 0;
		enum verdict no = v == VERDICT_INTERNAL ? VERDICT_INTERNAL : VERDICT_UNKNOWN_USER;
		assert_int_equal(chain_userdb_end(&chain), success ? VERDICT_OK : no);
	}
}

/* ---- whole chains with the default words ---- */

static void test_defaults(void **state UNUSED)
{
	static const struct {
		size_t dbs;
		const char *verdicts;
		enum verdict end;
	} cases[] = {
	    {1, "o", VERDICT_OK},
	    {1, "m", VERDICT_MISMATCH},
	    {1, "u", VERDICT_UNKNOWN_USER},
	    {1, "i", VERDICT_INTERNAL},
	    {1, "s", VERDICT_NO_SCHEME},
	    {1, "n", VERDICT_INTERNAL},
	    {2, "o", VERDICT_OK},
	    {2, "mo", VERDICT_OK},
	    {2, "io", VERDICT_OK},
	    {2, "no", VERDICT_OK},
	    {2, "um", VERDICT_MISMATCH},
	    {2, "mu", VERDICT_MISMATCH},
	    /* who could not be asked may have known the password */
	    {2, "im", VERDICT_INTERNAL},
	    {2, "mi", VERDICT_INTERNAL},
	    {2, "iu", VERDICT_INTERNAL},
	    /* nobody decided at the end; decided after a pass */
	    {2, "mn", VERDICT_INTERNAL},
	    {2, "un", VERDICT_INTERNAL},
	    {2, "nm", VERDICT_MISMATCH},
	    {2, "nu", VERDICT_UNKNOWN_USER},
	    /* these stop at once, whatever was before */
	    {2, "d", VERDICT_DISABLED},
	    {2, "e", VERDICT_EXPIRED},
	    {2, "md", VERDICT_DISABLED},
	    {2, "ie", VERDICT_EXPIRED},
	    /* credential lookups */
	    {2, "ss", VERDICT_NO_SCHEME},
	    {2, "su", VERDICT_UNKNOWN_USER},
	    {2, "us", VERDICT_UNKNOWN_USER},
	    {2, "so", VERDICT_OK},
	    {2, "si", VERDICT_INTERNAL},
	    {3, "uio", VERDICT_OK},
	    {3, "nnn", VERDICT_INTERNAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(cases[i].dbs);
		assert_int_equal(run(cases[i].verdicts), cases[i].end);
	}
}

static void test_stops_despite_an_earlier_success(void **state UNUSED)
{
	make(2);
	settings[0].result_success = RULE_CONTINUE_OK;
	assert_int_equal(run("od"), VERDICT_DISABLED);
	make(2);
	settings[0].result_success = RULE_CONTINUE_OK;
	assert_int_equal(run("on"), VERDICT_OK);
}

static void test_nothing_to_ask(void **state UNUSED)
{
	make(0);
	assert_int_equal(run(""), VERDICT_INTERNAL);
	make(2);
	settings[0].mechanisms = "login";
	settings[1].username_filter = "*@*";
	assert_int_equal(run(""), VERDICT_INTERNAL);
	make(0);
	assert_int_equal(next_userdb(), 0);
	assert_int_equal(chain_userdb_end(&chain), VERDICT_UNKNOWN_USER);
}

static void test_pass_goes_on(void **state UNUSED)
{
	make(2);
	settings[0].pass = true;
	assert_int_equal(run("oo"), VERDICT_OK);
	assert_true(chain.verified);
	make(2);
	settings[0].pass = true;
	assert_int_equal(run("ou"), VERDICT_UNKNOWN_USER);
}

/* ---- deny ---- */

static void test_deny(void **state UNUSED)
{
	static const struct {
		const char *verdicts;
		enum verdict end;
	} cases[] = {
	    {"uo", VERDICT_OK}, {"um", VERDICT_MISMATCH},
	    {"us", VERDICT_NO_SCHEME}, /* not being in the list of the denied says nothing */
	    {"uu", VERDICT_UNKNOWN_USER}, {"o", VERDICT_DISABLED}, {"m", VERDICT_DISABLED},
	    {"s", VERDICT_DISABLED}, {"n", VERDICT_DISABLED}, {"d", VERDICT_DISABLED},
	    {"e", VERDICT_DISABLED},
	    {"i", VERDICT_INTERNAL}, /* who cannot be looked up may be a denied one */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(2);
		settings[0].deny = true;
		assert_int_equal(run(cases[i].verdicts), cases[i].end);
	}
}

static void test_deny_forgets_nothing(void **state UNUSED)
{
	make(3);
	settings[1].deny = true;
	assert_int_equal(run("uus"), VERDICT_UNKNOWN_USER);
	make(3);
	settings[1].deny = true;
	assert_int_equal(run("mus"), VERDICT_MISMATCH);
	make(2);
	settings[0].result_success = RULE_CONTINUE_OK;
	settings[1].deny = true;
	assert_int_equal(run("ou"), VERDICT_OK);
	make(2);
	settings[0].result_success = RULE_CONTINUE_OK;
	settings[1].deny = true;
	assert_int_equal(run("oi"), VERDICT_INTERNAL);
}

/* ---- skip ---- */

static void test_skip_passdb(void **state UNUSED)
{
	make(3);
	settings[0].skip = SKIP_UNAUTHENTICATED;
	settings[1].result_success = RULE_CONTINUE;
	settings[2].skip = SKIP_AUTHENTICATED;
	assert_int_equal(next_passdb(), 2);
	assert_false(chain_passdb_verdict(&chain, VERDICT_OK) && next_passdb() != 0);
	make(3);
	settings[0].skip = SKIP_UNAUTHENTICATED;
	settings[2].skip = SKIP_AUTHENTICATED;
	assert_int_equal(run("mo"), VERDICT_OK);
	make(2);
	settings[0].result_success = RULE_CONTINUE_OK;
	settings[1].skip = SKIP_UNAUTHENTICATED;
	assert_int_equal(run("oo"), VERDICT_OK);
	make(2);
	settings[1].skip = SKIP_UNAUTHENTICATED;
	assert_int_equal(run("m"), VERDICT_MISMATCH);
}

static void test_skip_userdb(void **state UNUSED)
{
	make(3);
	settings[0].skip = SKIP_UNAUTHENTICATED; /* notfound: nothing was found yet */
	settings[1].result_success = RULE_CONTINUE_OK;
	settings[2].skip = SKIP_AUTHENTICATED; /* found */
	assert_int_equal(next_userdb(), 2);
	assert_true(chain_userdb_verdict(&chain, VERDICT_OK));
	assert_int_equal(next_userdb(), 0);
	assert_int_equal(chain_userdb_end(&chain), VERDICT_OK);
	make(2);
	settings[0].result_success = RULE_CONTINUE_OK;
	settings[1].skip = SKIP_UNAUTHENTICATED;
	assert_int_equal(next_userdb(), 1);
	assert_true(chain_userdb_verdict(&chain, VERDICT_OK));
	assert_int_equal(next_userdb(), 2);
}

/* ---- filters ---- */

static void test_mechanisms(void **state UNUSED)
{
	static const struct {
		const char *filter, *mech; /* mech NULL: a lookup */
		bool asked;
	} cases[] = {
	    {"", "PLAIN", true},
	    {"", NULL, true},
	    {" ", NULL, true},
	    {"plain", "PLAIN", true},
	    {"login, plain", "PLAIN", true},
	    {"login", "PLAIN", false},
	    {"plai", "PLAIN", false},
	    {"plain", NULL, false},
	    {"none", "PLAIN", false},
	    {"none", NULL, true},
	    {"plain none", NULL, true},
	    {"lookup", NULL, true},
	    {"lookup", "PLAIN", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(1);
		settings[0].mechanisms = cases[i].filter;
		bool asked = chain_next_passdb(&chain, cases[i].mech, SPAN_LIT("tim")) != NULL;
		assert_int_equal(asked, cases[i].asked);
		assert_int_equal(chain.asked_any, asked);
	}
}

static void test_username_filter(void **state UNUSED)
{
	static const char both[] = "!testuser@testdomain *@testdomain";
	static const struct {
		const char *filter, *user;
		bool accepted;
	} cases[] = {
	    {"", "x", true},
	    {"*", "x", true},
	    {"!*", "x", false},
	    {"*@*", "x", false},
	    {"*@*", "a@b", true},
	    {"!*@*", "x", true},
	    {"!*@*", "a@b", false},
	    {both, "testuser@testdomain", false},
	    {both, "testuser2@testdomain", true},
	    {both, "x", false},
	    {"*@testdomain !testuser@testdomain", "testuser@testdomain", false},
	    {"!testuser@testdomain !testuser2@testdomain", "testuser", true},
	    {"a, b,c", "b", true},
	    {"a, b,c", "d", false},
	    {" , ", "d", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span user = span_of(cases[i].user);
		assert_int_equal(
		    chain_user_matches(span_of(cases[i].filter), user), cases[i].accepted);
		make(1);
		settings[0].username_filter = cases[i].filter;
		assert_int_equal(
		    chain_next_passdb(&chain, "PLAIN", user) != NULL, cases[i].accepted);
	}
}

/* One login costs one hash, wherever in the chain the user is or is not. */
static void test_dummy(void **state UNUSED)
{
	struct span user = SPAN_LIT("tim");
	make(2);
	chain_next_passdb(&chain, "PLAIN", user);
	assert_false(chain_wants_dummy(&chain, "PLAIN", user)); /* the second will hash */
	assert_true(chain_passdb_verdict(&chain, VERDICT_UNKNOWN_USER));
	chain_next_passdb(&chain, "PLAIN", user);
	assert_true(chain_wants_dummy(&chain, "PLAIN", user));

	make(2);
	chain_next_passdb(&chain, "PLAIN", user);
	assert_true(chain_passdb_verdict(&chain, VERDICT_MISMATCH));
	chain_next_passdb(&chain, "PLAIN", user);
	assert_false(chain_wants_dummy(&chain, "PLAIN", user)); /* the first has hashed */

	make(2);
	settings[1].username_filter = "*@example.com";
	chain_next_passdb(&chain, "PLAIN", user);
	assert_true(chain_wants_dummy(&chain, "PLAIN", user)); /* the second is not asked */

	make(2);
	settings[0].result_failure = RULE_RETURN_FAIL;
	chain_next_passdb(&chain, "PLAIN", user);
	assert_true(chain_wants_dummy(&chain, "PLAIN", user));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_word),
	    cmocka_unit_test(test_every_word_of_userdbs),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_stops_despite_an_earlier_success),
	    cmocka_unit_test(test_nothing_to_ask),
	    cmocka_unit_test(test_pass_goes_on),
	    cmocka_unit_test(test_deny),
	    cmocka_unit_test(test_deny_forgets_nothing),
	    cmocka_unit_test(test_skip_passdb),
	    cmocka_unit_test(test_skip_userdb),
	    cmocka_unit_test(test_mechanisms),
	    cmocka_unit_test(test_username_filter),
	    cmocka_unit_test(test_dummy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
