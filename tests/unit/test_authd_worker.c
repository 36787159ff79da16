/*
 * The worker over its sockets: verdicts, lanes, lists, deadlines, its end.
 */
#include "tests/unit/worker-kit.h"

/* of "pencil"; many rounds, so that it takes far longer than anything cheap */
static char slow_hash[256];

static const char config[] = "hash_lanes = 1\n"
			     "passdb {\n driver = passwd-file\n args = DIR/users\n}\n";

static void write_users(struct kit *k)
{
	struct buffer b = {0};
	buffer_printf(&b,
	    "tim:{PLAIN}pencil:1:1::/h::nodelay userdb_x=y\n"
	    "slow:%s:1:1::/h::a=b\n"
	    "slow2:%s:1:1::/h\n"
	    "any::1:1::/h::nopassword=y\n"
	    "both:{PLAIN}x:1:1::/h::nopassword=y\n"
	    "none\n"
	    "next:{PLAIN}x:1:1::/h::noauthenticate a=b\n"
	    "weak:{MD5-CRYPT}$1$GgvxyNz8$OjZhLh4P.gF1lxYEbLZ3e/:1:1\n"
	    "weak2:{CRYPT}$1$GgvxyNz8$OjZhLh4P.gF1lxYEbLZ3e/:1:1\n"
	    "weak3:JBOZ0DgmtucwE:1:1\n"
	    "locked:!%s:1:1\n"
	    "star:*:1:1\n"
	    "x:x:1:1::/h::nopassword=y\n"
	    "locked2:{DES-CRYPT}!:1:1\n"
	    "odd:{NO-SUCH}x:1:1\n"
	    "fat:{ARGON2ID}$argon2id$v=19$m=2097152,t=1,p=1$vBb99oJ12p3WAdYlaMHz1A$"
	    "jtFOtbo/sYV9OSlTxDo/nVNq3uArHd5GJSEx0ty85Cc:1:1\n",
	    slow_hash, slow_hash, slow_hash);
	kit_write(k, "users", buffer_span(&b));
	buffer_free(&b);
}

static void start_users(struct kit *k)
{
	write_users(k);
	kit_run(k, config);
}

static void test_hello(void **state)
{
	struct kit *k = *state;
	start_users(k);
	assert_int_equal(k->hello.pid, getpid());
	assert_true(k->hello.slots >= 256);
	assert_int_equal(k->hello.can, CAN_VERIFY | CAN_SHOW | CAN_LIST | CAN_STORE);
	assert_true(k->hello.needs == VAR_BIT(VAR_USER));
}

static void test_verify(void **state)
{
	struct kit *k = *state;
	static const struct {
		const char *user, *password, *detail;
		enum verdict verdict;
		bool has_password;
	} row[] = {
	    {"tim", "pencil", "", VERDICT_OK, true},
	    {"tim", "pen", "Password mismatch", VERDICT_MISMATCH, true},
	    {"tim", "", "Password mismatch", VERDICT_MISMATCH, true},
	    {"slow", "pencil", "", VERDICT_OK, true},
	    {"slow", "Pencil", "Password mismatch", VERDICT_MISMATCH, true},
	    {"nobody", "pencil", "unknown user", VERDICT_UNKNOWN_USER, false},
	    {"any", "thing", "", VERDICT_OK, false},
	    {"both", "x", "", VERDICT_OK, true},
	    {"both", "y", "Password mismatch", VERDICT_MISMATCH, true},
	    {"none", "", "Password mismatch: No password returned (and no nopassword)",
		VERDICT_MISMATCH, false},
	    /* who locks an account so has no outage, and nothing else lets anybody in */
	    {"locked", "pencil", "Password mismatch", VERDICT_MISMATCH, false},
	    {"star", "*", "Password mismatch", VERDICT_MISMATCH, false},
	    {"x", "x", "Password mismatch", VERDICT_MISMATCH, false},
	    {"locked2", "!", "Password mismatch", VERDICT_MISMATCH, false},
	    {"next", "anything", "", VERDICT_NEXT, false},
	    {"weak", "test", "Weak password scheme 'MD5-CRYPT' used and refused", VERDICT_INTERNAL,
		false},
	    {"weak2", "test", "Weak password scheme 'MD5-CRYPT' used and refused", VERDICT_INTERNAL,
		false},
	    {"weak3", "test", "Weak password scheme 'DES-CRYPT' used and refused", VERDICT_INTERNAL,
		false},
	};
	start_users(k);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct channel_answer an = kit_ask(k, CHANNEL_VERIFY, row[i].user, row[i].password);
		if (an.verdict != row[i].verdict)
			fail_msg(
			    "%s/%s: %s", row[i].user, row[i].password, verdict_name(an.verdict));
		assert_detail(an, row[i].detail);
		assert_int_equal(an.has_password, row[i].has_password);
		assert_false(secret_is_set(an.credential));
		assert_false(fields_has(&an.fields, "password"));
	}
}

static void test_fields(void **state)
{
	struct kit *k = *state;
	start_users(k);
	struct channel_answer an = kit_ask(k, CHANNEL_VERIFY, "tim", "pencil");
	assert_int_equal(an.fields.count, 2);
	assert_true(fields_has(&an.fields, "nodelay"));
	assert_true(span_eq_str(fields_get(&an.fields, "userdb_x"), "y"));
	an = kit_ask(k, CHANNEL_VERIFY, "slow", "wrong");
	assert_true(span_eq_str(fields_get(&an.fields, "a"), "b"));
	an = kit_ask(k, CHANNEL_VERIFY, "any", "x");
	assert_true(fields_has(&an.fields, "nopassword"));
	an = kit_ask(k, CHANNEL_VERIFY, "both", "x");
	assert_false(fields_has(&an.fields, "nopassword"));
	an = kit_ask(k, CHANNEL_USERDB, "tim", NULL);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_true(span_eq_str(fields_get(&an.fields, "uid"), "1"));
	assert_true(span_eq_str(fields_get(&an.fields, "x"), "y"));
	an = kit_ask(k, CHANNEL_USERDB, "nobody", NULL);
	assert_int_equal(an.verdict, VERDICT_UNKNOWN_USER);
}

static struct channel_answer ask_with(
    struct kit *k, enum channel_ask ask, const char *user, const char *scheme, unsigned flags)
{
	struct buffer b = {0};
	struct channel_question q = {.serial = 5, .ask = ask, .flags = flags};
	q.vars.v[VAR_USER] = span_of(user);
	q.scheme = span_of(scheme);
	channel_put_ask(&b, &q, k->hello.needs);
	kit_send(k, &b);
	return kit_answer(k);
}

static void test_flags(void **state)
{
	struct kit *k = *state;
	start_users(k);
	struct channel_answer an = ask_with(k, CHANNEL_VERIFY, "slow", "", ASK_SKIP_PASSWORD);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_false(an.has_password);
	an = ask_with(k, CHANNEL_VERIFY, "nobody", "", ASK_SKIP_PASSWORD);
	assert_int_equal(an.verdict, VERDICT_UNKNOWN_USER);
	an = ask_with(k, CHANNEL_VERIFY, "none", "", ASK_NOPASSWORD);
	assert_int_equal(an.verdict, VERDICT_OK);
	/* the question brings no password, and nothing says that none is needed */
	an = ask_with(k, CHANNEL_VERIFY, "tim", "", 0);
	assert_int_equal(an.verdict, VERDICT_INTERNAL);
	an = ask_with(k, CHANNEL_VERIFY, "tim", "", ASK_NOPASSWORD);
	assert_int_equal(an.verdict, VERDICT_INTERNAL);
}

static void test_credential(void **state)
{
	struct kit *k = *state;
	start_users(k);
	struct channel_answer an = ask_with(k, CHANNEL_CREDENTIAL, "slow", "", 0);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_false(secret_is_set(an.credential));
	an = ask_with(k, CHANNEL_CREDENTIAL, "tim", "PLAIN", 0);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_true(span_eq_str(secret_reveal(an.credential), "pencil"));
	an = ask_with(k, CHANNEL_CREDENTIAL, "slow", "CRAM-MD5", 0);
	assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
	assert_detail(an, "Requested CRAM-MD5 scheme, but we have only SHA512-CRYPT");
	assert_false(secret_is_set(an.credential));
	an = ask_with(k, CHANNEL_CREDENTIAL, "none", "CRAM-MD5", 0);
	assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
	an = ask_with(k, CHANNEL_CREDENTIAL, "nobody", "CRAM-MD5", 0);
	assert_int_equal(an.verdict, VERDICT_UNKNOWN_USER);
	an = ask_with(k, CHANNEL_CREDENTIAL, "next", "PLAIN", 0);
	assert_int_equal(an.verdict, VERDICT_NEXT);
	assert_false(secret_is_set(an.credential));
}

/* What is slow to make is made in a lane, with the salt of the question. */
static void test_credential_that_is_slow_to_make(void **state)
{
	struct kit *k = *state;
	start_users(k);
	for (int i = 0; i < 3; i++) {
		struct buffer b = {0};
		struct channel_question q = {.serial = 5, .ask = CHANNEL_CREDENTIAL};
		q.vars.v[VAR_USER] = SPAN_LIT("tim");
		q.scheme = SPAN_LIT("SCRAM-SHA-256");
		q.salt = SPAN_LIT("0123456789abcdef");
		channel_put_ask(&b, &q, k->hello.needs);
		kit_send(k, &b);
		struct channel_answer an = kit_answer(k);
		assert_int_equal(an.verdict, VERDICT_OK);
		assert_true(
		    span_starts(secret_reveal(an.credential), "4096,MDEyMzQ1Njc4OWFiY2RlZg==,"));
		an = ask_with(k, CHANNEL_CREDENTIAL, "nobody", "SCRAM-SHA-256", 0);
		assert_int_equal(an.verdict, VERDICT_UNKNOWN_USER);
		assert_false(secret_is_set(an.credential));
		an = ask_with(k, CHANNEL_CREDENTIAL, "slow", "SCRAM-SHA-1", 0);
		assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
		assert_detail(an, "Requested SCRAM-SHA-1 scheme, but we have only SHA512-CRYPT");
		assert_false(secret_is_set(an.credential));
	}
}

static void test_bad_hashes(void **state)
{
	struct kit *k = *state;
	start_users(k);
	struct channel_answer an = kit_ask(k, CHANNEL_VERIFY, "odd", "x");
	assert_int_equal(an.verdict, VERDICT_INTERNAL);
	assert_true(an.detail.len > 0);
}

static void test_memory_limit(void **state)
{
	struct kit *k = *state;
	write_users(k);
	kit_run(k, "hash_memory_limit = 64M\n"
		   "passdb {\n driver = passwd-file\n args = DIR/users\n}\n");
	struct channel_answer an = kit_ask(k, CHANNEL_VERIFY, "fat", "x");
	assert_int_equal(an.verdict, VERDICT_INTERNAL);
	char detail[512];
	assert_true(span_to_cstr(an.detail, detail, sizeof(detail)));
	assert_non_null(strstr(detail, "2048 MiB"));
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "slow", "pencil").verdict, VERDICT_OK);
}

/* Two hashes of 64 MiB each, room for one, lanes for both: one after the other, both answered. */
static void test_memory_shared(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	struct arena a = {0};
	struct err err = {0};
	struct secret hash = scheme_generate(
	    SPAN_LIT("ARGON2ID"), &(struct scheme_gen){0}, secret_of(SPAN_LIT("x")), &a, &err);
	assert_true(secret_is_set(hash));
	buffer_printf(&b, "a:%.*s:1:1\nb:{PLAIN}x:1:1\nslow:%s:1:1\n",
	    SPAN_ARG(secret_reveal(hash)), slow_hash);
	kit_write(k, "users", buffer_span(&b));
	buffer_free(&b);
	arena_free(&a);
	kit_run(k, "hash_memory_limit = 100M\nhash_lanes = 4\n"
		   "passdb {\n driver = passwd-file\n args = DIR/users\n}\n");
	for (uint64_t i = 1; i <= 5; i++)
		kit_put(k, &b, i, CHANNEL_VERIFY, "a", "x");
	kit_put(k, &b, 6, CHANNEL_VERIFY, "b", "x");
	kit_put(k, &b, 7, CHANNEL_VERIFY, "slow", "pencil");
	kit_send(k, &b);
	assert_int_equal(kit_answer(k).serial, 6);
	/* what needs no memory overtakes those that wait for it */
	unsigned before_slow = 0;
	for (int i = 0; i < 6; i++) {
		struct channel_answer an = kit_answer(k);
		assert_int_equal(an.verdict, VERDICT_OK);
		if (an.serial == 7)
			before_slow = (unsigned)i;
	}
	assert_in_range(before_slow, 0, 4);
}

/* An expensive hash that was asked first is answered last. */
static void test_slow_behind_cheap(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "slow", "pencil");
	kit_put(k, &b, 2, CHANNEL_VERIFY, "slow2", "pencil");
	kit_put(k, &b, 3, CHANNEL_VERIFY, "tim", "pencil");
	kit_put(k, &b, 4, CHANNEL_USERDB, "tim", NULL);
	kit_send(k, &b);
	static const uint64_t order[] = {3, 4, 1, 2};
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct channel_answer an = kit_answer(k);
		assert_int_equal(an.serial, order[i]);
		assert_int_equal(an.verdict, VERDICT_OK);
	}
}

/* Once an expensive hash was seen here, an unknown user goes the same way. */
static void test_unknown_like_known(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "slow", "pencil").verdict, VERDICT_OK);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "nobody", "pencil");
	kit_put(k, &b, 2, CHANNEL_VERIFY, "tim", "pencil");
	kit_send(k, &b);
	assert_int_equal(kit_answer(k).serial, 2);
	struct channel_answer an = kit_answer(k);
	assert_int_equal(an.serial, 1);
	assert_int_equal(an.verdict, VERDICT_UNKNOWN_USER);
	assert_detail(an, "unknown user");
}

static void put_with_deadline(
    struct kit *k, struct buffer *b, uint64_t serial, const char *user, int64_t deadline_ms)
{
	struct channel_question q = {
	    .serial = serial, .ask = CHANNEL_VERIFY, .deadline_ms = deadline_ms};
	q.vars.v[VAR_USER] = span_of(user);
	q.password = secret_of(SPAN_LIT("pencil"));
	channel_put_ask(b, &q, k->hello.needs);
}

static void test_deadline(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	int64_t now = clock_ms();
	put_with_deadline(k, &b, 1, "tim", now - 100);
	put_with_deadline(k, &b, 2, "tim", now + 60000);
	put_with_deadline(k, &b, 3, "slow", now + 60000);
	put_with_deadline(k, &b, 4, "slow", now + 2); /* behind 3, which takes longer */
	kit_send(k, &b);
	static const enum verdict want[] = {
	    VERDICT_INTERNAL, VERDICT_OK, VERDICT_OK, VERDICT_INTERNAL};
	for (int i = 0; i < 4; i++) {
		struct channel_answer an = kit_answer(k);
		assert_in_range(an.serial, 1, 4);
		assert_int_equal(an.verdict, want[an.serial - 1]);
		if (an.verdict == VERDICT_INTERNAL)
			assert_detail(an, "timed out in the queue");
	}
}

static void test_cancel(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "slow", "pencil");
	kit_put(k, &b, 2, CHANNEL_VERIFY, "slow", "pencil");
	kit_put(k, &b, 3, CHANNEL_VERIFY, "slow", "pencil");
	channel_put_cancel(&b, 2);
	channel_put_cancel(&b, 77); /* long answered */
	kit_send(k, &b);
	/* the cancelled one is answered too: that its slot is free */
	bool answered[4] = {0};
	for (int i = 0; i < 3; i++) {
		struct channel_answer an = kit_answer(k);
		assert_in_range(an.serial, 1, 3);
		assert_false(answered[an.serial]);
		answered[an.serial] = true;
	}
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "tim", "pencil").verdict, VERDICT_OK);
}

static void write_many(struct kit *k, int count)
{
	struct buffer b = {0};
	for (int i = 0; i < count; i++)
		buffer_printf(&b, "user%d:{PLAIN}x:1:1::/h\n", i);
	kit_write(k, "users", buffer_span(&b));
	buffer_free(&b);
}

static void test_list(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	write_many(k, 2500);
	kit_run(k, config);
	kit_put(k, &b, 9, CHANNEL_LIST, "*", NULL);
	kit_send(k, &b);
	/* the list stops for want of credit; others go on */
	while (k->names_got < 1000)
		assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "user7", "x").verdict, VERDICT_OK);
	for (int i = 0; i < 20; i++)
		kit_ask(k, CHANNEL_VERIFY, "user7", "x");
	assert_int_equal(k->names_got, 1000);
	channel_put_more(&b, 9, 700);
	kit_send(k, &b);
	while (k->names_got < 1700)
		kit_ask(k, CHANNEL_USERDB, "user7", NULL);
	channel_put_more(&b, 9, 5000);
	kit_send(k, &b);
	struct channel_answer an = kit_answer(k);
	assert_int_equal(an.serial, 9);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_int_equal(k->names_got, 2500);
	assert_string_equal(k->last_name, "user2499");
}

static void test_list_cancelled(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	write_many(k, 5000);
	kit_run(k, config);
	/* more lists than there are lanes for them, all without credit after a while */
	for (uint64_t i = 0; i < 6; i++)
		kit_put(k, &b, 10 + i, CHANNEL_LIST, "*", NULL);
	kit_send(k, &b);
	while (k->names_got < 4000)
		kit_ask(k, CHANNEL_VERIFY, "user7", "x");
	for (uint64_t i = 0; i < 5; i++)
		channel_put_cancel(&b, 10 + i);
	channel_put_more(&b, 15, 100000);
	kit_send(k, &b);
	struct channel_answer an;
	do {
		an = kit_answer(k);
	} while (an.serial != 15);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_string_equal(k->last_name, "user4999");
}

static void test_list_hang_up(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	write_many(k, 5000);
	kit_run(k, config);
	kit_put(k, &b, 9, CHANNEL_LIST, "*", NULL);
	kit_send(k, &b);
	kit_ask(k, CHANNEL_VERIFY, "user7", "x");
	close(k->channel);
	k->channel = -1;
	assert_int_equal(kit_join(k), 0);
}

/* A front that does not read: the worker stops reading too, and loses nothing. */
static void test_back_pressure(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	uint64_t sent = 0;
	start_users(k);
	for (;;) {
		if (b.len == 0)
			kit_put(k, &b, ++sent, CHANNEL_VERIFY, "tim", "wrong");
		struct pollfd p = {.fd = k->channel, .events = POLLOUT};
		if (poll(&p, 1, 1000) == 0)
			break;
		ssize_t n = send(k->channel, buffer_span(&b).ptr, b.len, MSG_DONTWAIT);
		if (n > 0)
			buffer_consume(&b, (size_t)n);
		assert_true(sent < 1000000);
	}
	assert_true(sent > 1000);
	uint64_t whole = b.len > 0 ? sent - 1 : sent;
	for (uint64_t i = 1; i <= whole; i++)
		assert_int_equal(kit_answer(k).serial, i);
	kit_send(k, &b);
	if (whole < sent)
		assert_int_equal(kit_answer(k).serial, sent);
}

static void test_new_needs(void **state)
{
	struct kit *k = *state;
	struct span payload;
	struct channel_hello again;
	start_users(k);
	/* another time stamp than that of before, but old */
	struct timespec ts[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char path[128];
	snprintf(path, sizeof(path), "%s/users", k->dir);
	kit_write(k, "users", SPAN_LIT("tim:{PLAIN}x:1:1::::r=%r\n"));
	assert_int_equal(utimensat(AT_FDCWD, path, ts, 0), 0);
	assert_int_equal(kit_frame(k, &payload), CHANNEL_HELLO);
	assert_true(channel_get_hello(payload, &again));
	assert_true((again.needs & VAR_BIT(VAR_RIP)) != 0);
	assert_int_equal(again.slots, k->hello.slots);
}

static void expect_broken(struct kit *k, struct span bytes)
{
	struct span payload;
	assert_int_equal(send(k->channel, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
	assert_int_equal(kit_frame(k, &payload), 0);
	assert_int_equal(kit_join(k), EX_SOFTWARE);
}

static void test_garbage(void **state)
{
	struct kit *k = *state;
	start_users(k);
	expect_broken(k, SPAN_LIT("\xff\xff\xff\xff\x02garbage"));
}

static void test_wrong_type(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	channel_put_answer(&b, &(struct channel_answer){.serial = 1});
	expect_broken(k, buffer_span(&b));
	buffer_free(&b);
}

static void test_short_ask(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	size_t place = wire_frame_begin(&b, CHANNEL_ASK);
	wire_put_u64(&b, 1);
	wire_frame_end(&b, place);
	expect_broken(k, buffer_span(&b));
	buffer_free(&b);
}

static void test_ends(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	start_users(k);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "slow", "pencil");
	kit_send(k, &b);
	kit_hang_up(k);
	assert_int_equal(kit_join(k), 0);
	/* the parent's end alone is enough */
	kit_run(k, config);
	close(k->control);
	k->control = -1;
	assert_int_equal(kit_join(k), 0);
}

/* Told to end: what was asked before is answered. */
static void test_drain(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	struct err err = {0};
	struct span payload;
	start_users(k);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "slow", "pencil");
	kit_put(k, &b, 2, CHANNEL_VERIFY, "slow", "wrong");
	kit_put(k, &b, 3, CHANNEL_VERIFY, "tim", "pencil");
	kit_send(k, &b);
	assert_int_equal(kit_answer(k).serial, 3);
	assert_true(control_send(
	    k->control, &(struct control_message){.type = CONTROL_DRAIN, .fd = -1}, &err));
	assert_int_equal(kit_answer(k).verdict, VERDICT_OK);
	assert_int_equal(kit_answer(k).verdict, VERDICT_MISMATCH);
	assert_int_equal(kit_frame(k, &payload), 0);
	assert_int_equal(kit_join(k), 0);
}

static void test_static(void **state)
{
	struct kit *k = *state;
	kit_run(k, "passdb {\n driver = static\n args = password=%n-%{rip} proxy=y\n}\n");
	assert_true((k->hello.needs & VAR_BIT(VAR_RIP)) != 0);
	struct channel_answer an = kit_ask(k, CHANNEL_VERIFY, "tim@x", "tim-");
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_int_equal(an.fields.count, 1);
	assert_true(fields_has(&an.fields, "proxy"));
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "tim@x", "tim").verdict, VERDICT_MISMATCH);
	assert_int_equal(kit_ask(k, CHANNEL_LIST, "*", NULL).verdict, VERDICT_INTERNAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_hello),
	    T(test_verify),
	    T(test_fields),
	    T(test_flags),
	    T(test_credential),
	    T(test_credential_that_is_slow_to_make),
	    T(test_bad_hashes),
	    T(test_memory_limit),
	    T(test_memory_shared),
	    T(test_slow_behind_cheap),
	    T(test_unknown_like_known),
	    T(test_deadline),
	    T(test_cancel),
	    T(test_list),
	    T(test_list_cancelled),
	    T(test_list_hang_up),
	    T(test_back_pressure),
	    T(test_new_needs),
	    T(test_garbage),
	    T(test_wrong_type),
	    T(test_short_ask),
	    T(test_ends),
	    T(test_drain),
	    T(test_static),
	};
	struct arena a = {0};
	struct err err = {0};
	log_init("test", LOG_FORMAT_TEXT, false);
	struct secret hash = scheme_generate(SPAN_LIT("SHA512-CRYPT"),
	    &(struct scheme_gen){.rounds = 60000}, secret_of(SPAN_LIT("pencil")), &a, &err);
	if (!span_to_cstr(secret_reveal(hash), slow_hash, sizeof(slow_hash)))
		return 1;
	arena_free(&a);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
