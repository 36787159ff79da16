/*
 * Loadable drivers, and lanes of the other two kinds. The module is compiled
 * here, so the test runs in the top directory of the sources.
 */
#include "tests/unit/worker-kit.h"

#include <sys/wait.h>

static char hash_define[256];

static const char config[] = "driver_dir = DIR\npassdb {\n driver = testmodule\n}\n";

static void compile(struct kit *k, const char *defines)
{
	char command[1024];
	const char *cc = getenv("CC");
	snprintf(command, sizeof(command),
	    "%s -std=gnu11 -D_GNU_SOURCE -I. %s %s -fPIC -shared -o %s/testmodule.so "
	    "tests/unit/data/driver-module.c",
	    cc != NULL ? cc : "cc", hash_define, defines, k->dir);
	assert_int_equal(system(command), 0);
}

static void expect_failure(struct kit *k, const char *text)
{
	char buf[CONTROL_PACKET_MAX], why[512];
	struct control_message m = kit_start(k, config, buf);
	assert_int_equal(m.type, CONTROL_FAILED);
	assert_true(span_to_cstr(m.text, why, sizeof(why)));
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, why);
	assert_int_equal(kit_join(k), EX_CONFIG);
}

static void test_wrong_abi(void **state)
{
	struct kit *k = *state;
	compile(k, "-DABI=999");
	char want[80];
	snprintf(want, sizeof(want),
	    "was built for driver ABI 999, but this authd has driver ABI %d", DRIVER_ABI);
	expect_failure(k, want);
}

static void test_wrong_name(void **state)
{
	struct kit *k = *state;
	compile(k, "-DNAME='\"other\"'");
	expect_failure(k, "holds the driver \"other\", not \"testmodule\"");
}

static void test_no_symbol(void **state)
{
	struct kit *k = *state;
	compile(k, "-Dauthd_driver=something_else");
	expect_failure(k, "no symbol authd_driver");
}

static void test_open_fails(void **state)
{
	struct kit *k = *state;
	compile(k, "-DREFUSE");
	expect_failure(k, "somebody must mend this");
}

static void test_own_lanes(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	compile(k, "");
	kit_run(k, config);
	assert_int_equal(k->hello.can, CAN_VERIFY);
	assert_in_range(k->hello.slots, 2, 256);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "slow", "secret");
	kit_put(k, &b, 2, CHANNEL_VERIFY, "quick", "secret");
	kit_send(k, &b);
	assert_int_equal(kit_answer(k).serial, 2);
	struct channel_answer an = kit_answer(k);
	assert_int_equal(an.serial, 1);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_true(an.has_password);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "quick", "x").verdict, VERDICT_MISMATCH);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "no", "x").verdict, VERDICT_UNKNOWN_USER);
	an = kit_ask(k, CHANNEL_CREDENTIAL, "quick", NULL);
	assert_int_equal(an.verdict, VERDICT_NO_SCHEME);
	assert_detail(an, "passdb doesn't support lookups, can't verify user's existence");
}

/* So many users in one piece, whose serials begin at 1. */
static void put_all(struct kit *k, const char *first, uint64_t count)
{
	struct buffer b = {0};
	for (uint64_t i = 1; i <= count; i++)
		kit_put(k, &b, i, CHANNEL_USERDB, i == 1 ? first : "quick", NULL);
	kit_send(k, &b);
}

/* While all are quick one lane does the work; when one is not, the others wait for its batch only.
 */
static void test_slow_one_among_quick(void **state)
{
	struct kit *k = *state;
	enum { ROUNDS = 20, COUNT = 40 };
	compile(k, "-DCAN=CAN_SHOW -DMANY=2");
	kit_run(k, config);
	for (int i = 0; i < ROUNDS; i++) {
		put_all(k, "quick", COUNT);
		for (int n = 0; n < COUNT; n++)
			assert_int_equal(kit_answer(k).verdict, VERDICT_OK);
	}
	put_all(k, "slow", COUNT);
	for (int n = 0; n < COUNT - 2; n++)
		assert_true(kit_answer(k).serial > 2);
	assert_int_equal(kit_answer(k).serial, 1);
	assert_int_equal(kit_answer(k).serial, 2);
}

/* The hash that a lane found goes to a hash lane, and the lane is free again. */
static void test_own_lanes_hash(void **state)
{
	struct kit *k = *state;
	compile(k, "-DCAN=CAN_SHOW");
	kit_run(k, config);
	assert_int_equal(k->hello.can, CAN_SHOW | CAN_VERIFY);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "hashed", "pencil").verdict, VERDICT_OK);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "hashed", "x").verdict, VERDICT_MISMATCH);
	assert_int_equal(kit_ask(k, CHANNEL_USERDB, "quick", NULL).verdict, VERDICT_OK);
}

static void test_process_lane(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	compile(k, "-DLANES=LANES_PROCESS");
	kit_run(k, config);
	assert_int_equal(k->hello.slots, 1);
	kit_put(k, &b, 1, CHANNEL_VERIFY, "slow", "secret");
	kit_put(k, &b, 2, CHANNEL_VERIFY, "quick", "secret");
	kit_send(k, &b);
	assert_int_equal(kit_answer(k).serial, 1);
	assert_int_equal(kit_answer(k).serial, 2);
}

/* In a process of its own: it ends without its stuck thread. */
static void test_stuck(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	int status;
	compile(k, "");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		kit_run(k, config);
		kit_put(k, &b, 1, CHANNEL_VERIFY, "stuck", "secret");
		kit_send(k, &b);
		kit_ask(k, CHANNEL_VERIFY, "quick", "secret");
		kit_hang_up(k);
		kit_join(k);
		_exit(99); /* not reached: the worker ended the process */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Before its last answer it says that it takes no more questions; then it ends. */
static void test_retire(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	struct span payload;
	struct channel_hello hello;
	compile(k, "-DLANES=LANES_PROCESS");
	kit_run(k, config);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "quick", "secret").verdict, VERDICT_OK);
	kit_put(k, &b, 7, CHANNEL_VERIFY, "last", "secret");
	kit_send(k, &b);
	assert_int_equal(kit_frame(k, &payload), CHANNEL_HELLO);
	assert_true(channel_get_hello(payload, &hello));
	assert_int_equal(hello.slots, 0);
	assert_int_equal(kit_answer(k).serial, 7);
	assert_int_equal(kit_frame(k, &payload), 0);
	assert_int_equal(kit_join(k), EX_OK);
}

/* Lanes that others share are not given up for one question's sake. */
static void test_retire_is_for_processes(void **state)
{
	struct kit *k = *state;
	compile(k, "");
	kit_run(k, config);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "last", "secret").verdict, VERDICT_OK);
	assert_int_equal(kit_ask(k, CHANNEL_VERIFY, "quick", "secret").verdict, VERDICT_OK);
}

/* Long after its deadline nothing but the end of the process ends a stuck lane. */
static void test_stuck_past_the_deadline(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	struct span payload;
	int status;
	compile(k, "-DLANES=LANES_PROCESS");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct channel_question q = {
		    .serial = 1, .ask = CHANNEL_VERIFY, .deadline_ms = clock_ms() + 500};
		kit_run(k, config);
		q.vars.v[VAR_USER] = SPAN_LIT("stuck");
		q.password = secret_of(SPAN_LIT("secret"));
		channel_put_ask(&b, &q, k->hello.needs);
		kit_send(k, &b);
		kit_frame(k, &payload);
		_exit(99); /* not reached: the worker ended the process */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_wrong_abi),
	    T(test_wrong_name),
	    T(test_no_symbol),
	    T(test_open_fails),
	    T(test_own_lanes),
	    T(test_slow_one_among_quick),
	    T(test_own_lanes_hash),
	    T(test_process_lane),
	    T(test_stuck),
	    T(test_retire),
	    T(test_retire_is_for_processes),
	    T(test_stuck_past_the_deadline),
	};
	struct arena a = {0};
	struct err err = {0};
	log_init("test", LOG_FORMAT_TEXT, false);
	struct secret hash = scheme_generate(SPAN_LIT("SHA512-CRYPT"),
	    &(struct scheme_gen){.rounds = 5000}, secret_of(SPAN_LIT("pencil")), &a, &err);
	if (!secret_is_set(hash))
		return 1;
	snprintf(
	    hash_define, sizeof(hash_define), "-DHASH='\"%.*s\"'", SPAN_ARG(secret_reveal(hash)));
	arena_free(&a);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
