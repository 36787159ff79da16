/*
 * The worker brings a weak stored password up to date after the login, with
 * what SCRAM-SHA-256 needs beside it; and which of those counts.
 */
#include "tests/unit/worker-kit.h"

static const char config[] =
    "auth_mechanisms = plain scram-sha-256\n"
    "auth_rehash_scheme = SHA512-CRYPT\n"
    "passdb {\n driver = passwd-file\n args = DIR/users\n rehash = yes\n}\n";

static struct channel_answer ask(
    struct kit *k, enum channel_ask kind, const char *user, const char *password)
{
	struct buffer b = {0};
	bool verify = kind == CHANNEL_VERIFY;
	struct channel_question q = {.serial = 7, .ask = kind, .flags = verify ? ASK_REHASH : 0};
	q.vars.v[VAR_USER] = span_of(user);
	q.password = verify ? secret_of(span_of(password)) : SECRET_NULL;
	q.scheme = verify ? SPAN_NULL : SPAN_LIT("SCRAM-SHA-256");
	channel_put_ask(&b, &q, k->hello.needs);
	kit_send(k, &b);
	return kit_answer(k);
}

static void read_users(struct kit *k, char *text, size_t size)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/users", k->dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, size - 1, f)] = '\0';
	fclose(f);
}

/* HELLO says that the worker has the new file. */
static void wait_for_store(struct kit *k)
{
	struct span payload;
	assert_int_equal(kit_frame(k, &payload), CHANNEL_HELLO);
}

static bool credential_fits(struct kit *k, const struct channel_answer *an, const char *password)
{
	struct scheme_hash h = {
	    .scheme = scheme_find(SPAN_LIT("SCRAM-SHA-256")), .raw = an->credential};
	return scheme_verify(&h, secret_of(span_of(password)), SPAN_NULL, &k->arena, NULL) ==
	       VERDICT_OK;
}

static void test_verifier_with_room(void **state)
{
	struct kit *k = *state;
	char text[2048];
	kit_write(k, "users",
	    SPAN_LIT("# two of a kind\n"
		     "bob:{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO:1:1::/h::a=b\n"
		     "sue:{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO\n"));
	kit_run(k, config);
	struct channel_answer an = ask(k, CHANNEL_CREDENTIAL, "bob", NULL);
	assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
	an = ask(k, CHANNEL_VERIFY, "bob", "test");
	assert_int_equal(an.verdict, VERDICT_OK);
	wait_for_store(k);
	an = ask(k, CHANNEL_CREDENTIAL, "bob", NULL);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_true(credential_fits(k, &an, "test"));
	assert_false(credential_fits(k, &an, "tset"));
	/* nobody but the mechanism sees it */
	assert_false(fields_has(&an.fields, "password_scram_sha_256"));
	an = ask(k, CHANNEL_VERIFY, "bob", "test");
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_int_equal(an.fields.count, 1);
	assert_int_equal(ask(k, CHANNEL_VERIFY, "sue", "test").verdict, VERDICT_OK);
	wait_for_store(k);
	read_users(k, text, sizeof(text));
	/* bob's line had a column for it, sue's has not */
	assert_non_null(strstr(text, ":1:1::/h::password_scram_sha_256=4096,"));
	assert_non_null(strstr(text, " a=b\nsue:{SHA512-CRYPT}$6$"));
	char *sue = strstr(text, "\nsue:");
	assert_null(strchr(sue + 5, ','));
	an = ask(k, CHANNEL_CREDENTIAL, "sue", NULL);
	assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
}

/* Somebody changes the password and leaves the verifier: the old password is over. */
static void test_verifier_of_another_password(void **state)
{
	struct kit *k = *state;
	char text[2048];
	kit_write(
	    k, "users", SPAN_LIT("bob:{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO:1:1::/h::a=b\n"));
	kit_run(k, config);
	assert_int_equal(ask(k, CHANNEL_VERIFY, "bob", "test").verdict, VERDICT_OK);
	wait_for_store(k);
	read_users(k, text, sizeof(text));
	char *hash = strstr(text, "{SHA512-CRYPT}");
	assert_non_null(hash);
	hash[20] = hash[20] == 'a' ? 'b' : 'a';
	kit_write(k, "users", span_of(text));
	for (int i = 0; i < 100; i++) {
		usleep(50000);
		if (ask(k, CHANNEL_CREDENTIAL, "bob", NULL).verdict == VERDICT_NO_SCHEME)
			return;
	}
	fail_msg("the verifier of the old password still counts");
}

/* An empty one asks for it, also where the hash is strong enough. */
static void test_empty_verifier(void **state)
{
	struct kit *k = *state;
	const struct scheme_gen gen = {0};
	struct buffer b = {0};
	struct err err = {0};
	struct secret strong = scheme_generate(
	    SPAN_LIT("SHA512-CRYPT"), &gen, secret_of(SPAN_LIT("test")), &k->arena, &err);
	buffer_printf(&b,
	    "bob:%.*s:1:1::/h::password_scram_sha_256= a=b\n"
	    "tim:{PLAIN}test:1:1::/h::password_scram_sha_256=4096,LfNGSFqiFykEZ1xDAYlnKQ==,"
	    "HACNf9CII7cMz3XjRy/Oh3Ae2LHApoDyNw74d3YtFws=,"
	    "AQH0j7Hf8J12g8eNBadvzlNB2am3PxgNwFCFd3RxEaw=\n",
	    SPAN_ARG(secret_reveal(strong)));
	kit_write(k, "users", buffer_span(&b));
	buffer_free(&b);
	kit_run(k, config);
	/* one that the administrator has put there himself counts as it is */
	struct channel_answer an = ask(k, CHANNEL_CREDENTIAL, "tim", NULL);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_true(span_starts(secret_reveal(an.credential), "4096,LfNGSFqiFykEZ1xDAYlnKQ=="));
	an = ask(k, CHANNEL_CREDENTIAL, "bob", NULL);
	assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
	assert_int_equal(ask(k, CHANNEL_VERIFY, "bob", "test").verdict, VERDICT_OK);
	wait_for_store(k);
	an = ask(k, CHANNEL_CREDENTIAL, "bob", NULL);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_true(credential_fits(k, &an, "test"));
}

/* What the old or the new hash does not look at does not become the password. */
static void test_passwords_that_are_cut(void **state)
{
	struct kit *k = *state;
	static const char half[] = "0123456789abcdef0123456789abcdef01234567";
	const struct scheme_gen gen = {0};
	struct err err = {0};
	struct buffer b = {0};
	char text[2048], longest[2 * sizeof(half)];
	snprintf(longest, sizeof(longest), "%s%s", half, half);
	struct secret des = scheme_generate(
	    SPAN_LIT("DES-CRYPT"), &gen, secret_of(SPAN_LIT("pencil99")), &k->arena, &err);
	struct secret ssha =
	    scheme_generate(SPAN_LIT("SSHA"), &gen, secret_of(span_of(longest)), &k->arena, &err);
	buffer_printf(&b,
	    "des:%.*s\ntrunc:{PLAIN-TRUNC}4-test\nlong:%.*s\n"
	    "end:{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO\n",
	    SPAN_ARG(secret_reveal(des)), SPAN_ARG(secret_reveal(ssha)));
	size_t kept = b.len - strlen("{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO\n");
	kit_write(k, "users", buffer_span(&b));
	kit_run(k, "auth_allow_weak_schemes = yes\nauth_rehash_scheme = BLF-CRYPT\n"
		   "passdb {\n driver = passwd-file\n args = DIR/users\n rehash = yes\n}\n");
	assert_int_equal(ask(k, CHANNEL_VERIFY, "des", "pencil99x").verdict, VERDICT_OK);
	assert_int_equal(ask(k, CHANNEL_VERIFY, "trunc", "testx").verdict, VERDICT_OK);
	assert_int_equal(ask(k, CHANNEL_VERIFY, "long", longest).verdict, VERDICT_OK);
	/* one lane does them one after the other: this one is the last */
	assert_int_equal(ask(k, CHANNEL_VERIFY, "end", "test").verdict, VERDICT_OK);
	wait_for_store(k);
	read_users(k, text, sizeof(text));
	assert_memory_equal(text, buffer_span(&b).ptr, kept);
	assert_non_null(strstr(text, "\nend:{BLF-CRYPT}"));
	/* all of it counts now */
	assert_int_equal(ask(k, CHANNEL_VERIFY, "des", "pencil99").verdict, VERDICT_OK);
	wait_for_store(k);
	read_users(k, text, sizeof(text));
	assert_true(strncmp(text, "des:{BLF-CRYPT}", 15) == 0);
	buffer_free(&b);
}

static void test_time_limit(void **state)
{
	struct kit *k = *state;
	kit_write(k, "users",
	    SPAN_LIT("slow:{CRYPT}$6$rounds=90000000$abc$x:1:1\n"
		     "tim:{PLAIN}pencil:1:1\n"));
	kit_run(
	    k, "hash_time_limit = 5 s\npassdb {\n driver = passwd-file\n args = DIR/users\n}\n");
	struct channel_answer an = kit_ask(k, CHANNEL_VERIFY, "slow", "pencil");
	assert_int_equal(an.verdict, VERDICT_INTERNAL);
	assert_detail(
	    an, "The CRYPT hash would take about 90 seconds, more than hash_time_limit allows");
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "tim", "pencil").verdict, VERDICT_OK);
}

/* Nothing is hashed with it, not even once at the start. */
static void test_absurd_rounds(void **state)
{
	struct kit *k = *state;
	char buf[CONTROL_PACKET_MAX];
	kit_write(k, "users", SPAN_LIT("tim:{PLAIN}pencil:1:1\n"));
	struct control_message m = kit_start(k,
	    "auth_rehash_scheme = BLF-CRYPT\nauth_rehash_rounds = 31\n"
	    "passdb {\n driver = passwd-file\n args = DIR/users\n rehash = yes\n}\n",
	    buf);
	assert_int_equal(m.type, CONTROL_FAILED);
	assert_true(span_eq_str(m.text, "auth_rehash_rounds = 31: for BLF-CRYPT it is 16 at most"));
	assert_int_equal(kit_join(k), EX_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_verifier_with_room, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(
		test_verifier_of_another_password, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_empty_verifier, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_passwords_that_are_cut, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_time_limit, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_absurd_rounds, kit_setup, kit_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
