/* checkpassword: the environment, the reply, exit codes, and programs that are really run. */
#include "tests/unit/driver-kit.h"

#include <signal.h>

#include "drivers/checkpassword.h"

static struct question *question(struct kit *k, enum question_kind kind)
{
	arena_reset(&k->answer);
	k->q = (struct question){
	    .kind = kind,
	    .vars = &k->vars,
	    .arena = &k->answer,
	    .entry = {.fields = fields_in(&k->answer)},
	};
	return &k->q;
}

/* ---- environment ---- */

static const char *env_get(char **env, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name);
	for (; *env != NULL; env++) {
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
			assert_null(found);
			found = *env + n + 1;
		}
	}
	return found;
}

static void test_environment(void **state)
{
	struct kit *k = *state;
	k->vars.v[VAR_USER] = SPAN_LIT("tim@example.com");
	k->vars.v[VAR_SERVICE] = SPAN_LIT("imap");
	k->vars.v[VAR_LIP] = SPAN_LIT("192.0.2.1");
	k->vars.v[VAR_RIP] = SPAN_LIT("192.0.2.9");
	k->vars.v[VAR_RPORT] = SPAN_LIT("4321");
	k->vars.v[VAR_SESSION] = SPAN_LIT("a\0b");
	k->vars.password = secret_of(SPAN_LIT("hidden"));
	struct fields fields = fields_in(&k->arena);
	fields_set_str(&fields, "quota", "5");
	fields_set_str(&fields, "ld_preload", "/tmp/evil.so");
	fields_set_str(&fields, "path", "/tmp");
	fields_set_str(&fields, "a b", "c");
	k->vars.passdb = &fields;
	char **env = checkpassword_environment(question(k, ASK_VERIFY));
	assert_string_equal(env_get(env, "PROTO"), "TCP");
	assert_string_equal(env_get(env, "SERVICE"), "imap");
	assert_string_equal(env_get(env, "TCPLOCALIP"), "192.0.2.1");
	assert_string_equal(env_get(env, "REMOTE_IP"), "192.0.2.9");
	assert_string_equal(env_get(env, "TCPREMOTEPORT"), "4321");
	assert_string_equal(env_get(env, "AUTH_USER"), "tim@example.com");
	assert_string_equal(env_get(env, "AUTH_DOMAIN"), "example.com");
	assert_string_equal(env_get(env, "QUOTA"), "5");
	assert_non_null(env_get(env, "ORIG_UID"));
	assert_null(env_get(env, "AUTHORIZED"));
	assert_null(env_get(env, "AUTH_SESSION"));
	assert_null(env_get(env, "LD_PRELOAD"));
	assert_string_not_equal(env_get(env, "PATH"), "/tmp");
	for (char **e = env; *e != NULL; e++)
		assert_null(strstr(*e, "hidden"));
}

static void test_environment_of_lookups(void **state)
{
	struct kit *k = *state;
	k->vars.v[VAR_USER] = SPAN_LIT("tim");
	char **env = checkpassword_environment(question(k, ASK_USERDB));
	assert_string_equal(env_get(env, "AUTHORIZED"), "1");
	assert_null(env_get(env, "CREDENTIALS_LOOKUP"));
	env = checkpassword_environment(question(k, ASK_PASSDB));
	assert_string_equal(env_get(env, "CREDENTIALS_LOOKUP"), "1");
	assert_string_equal(env_get(env, "SCHEME"), ""); /* only whether there is such a user */
	struct question *q = question(k, ASK_PASSDB);
	q->scheme = SPAN_LIT("CRAM-MD5");
	assert_string_equal(env_get(checkpassword_environment(q), "SCHEME"), "CRAM-MD5");
}

static void test_many_fields(void **state)
{
	struct kit *k = *state;
	struct fields fields = fields_in(&k->arena);
	char name[16];
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fields_set_str(&fields, name, "x");
	}
	k->vars.passdb = &fields;
	char **env = checkpassword_environment(question(k, ASK_VERIFY));
	size_t n = 0;
	while (env[n] != NULL)
		n++;
	assert_int_equal(n, CHECKPASSWORD_ENV_MAX);
}

/* ---- reply and exit codes ---- */

static enum verdict judge(struct kit *k, enum question_kind kind, int status, const char *reply)
{
	return checkpassword_verdict(question(k, kind), true, status, span_of(reply));
}

static void test_reply(void **state)
{
	struct kit *k = *state;
	const char *reply = "user=Tim\tuserdb_home=/h/a\001tb\tuserdb_uid=5\tnologin\tx=\t";
	assert_int_equal(judge(k, ASK_VERIFY, 0, reply), VERDICT_OK);
	assert_string_equal(kit_fields(k), "user=Tim userdb_home=/h/a\tb userdb_uid=5 nologin x=");
	assert_int_equal(judge(k, ASK_USERDB, 2, reply), VERDICT_OK);
	assert_string_equal(kit_fields(k), "home=/h/a\tb uid=5");
	static const char *const bad[] = {"=x\t", "a=b\t=\t", "a=b\nc=d"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(judge(k, ASK_VERIFY, 0, bad[i]), VERDICT_INTERNAL);
	struct question *q = question(k, ASK_VERIFY);
	assert_int_equal(checkpassword_verdict(q, true, 0, SPAN_LIT("a=\0b")), VERDICT_INTERNAL);
}

static void test_exit_codes(void **state)
{
	struct kit *k = *state;
	assert_int_equal(judge(k, ASK_VERIFY, 0, "user=a"), VERDICT_OK);
	assert_int_equal(judge(k, ASK_VERIFY, 0, ""), VERDICT_INTERNAL);
	assert_int_equal(judge(k, ASK_VERIFY, 1, "user=a"), VERDICT_MISMATCH);
	assert_int_equal(judge(k, ASK_VERIFY, 2, "user=a"), VERDICT_INTERNAL);
	assert_int_equal(judge(k, ASK_VERIFY, 3, ""), VERDICT_UNKNOWN_USER);
	assert_int_equal(judge(k, ASK_VERIFY, 111, "user=a"), VERDICT_INTERNAL);
	assert_int_equal(judge(k, ASK_VERIFY, 127, ""), VERDICT_INTERNAL);
	static const enum question_kind lookups[] = {ASK_PASSDB, ASK_USERDB};
	for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
		assert_int_equal(judge(k, lookups[i], 2, "user=a"), VERDICT_OK);
		assert_int_equal(judge(k, lookups[i], 2, ""), VERDICT_INTERNAL);
		assert_int_equal(judge(k, lookups[i], 0, "user=a"), VERDICT_INTERNAL);
		assert_int_equal(judge(k, lookups[i], 1, ""), VERDICT_INTERNAL);
		assert_int_equal(judge(k, lookups[i], 3, ""), VERDICT_UNKNOWN_USER);
		assert_int_equal(judge(k, lookups[i], 111, ""), VERDICT_INTERNAL);
	}
	struct question *q = question(k, ASK_VERIFY);
	q->backend = BACKEND_ANSWERS;
	assert_int_equal(checkpassword_verdict(q, true, 2, SPAN_LIT("")), VERDICT_INTERNAL);
	assert_int_equal(q->backend, BACKEND_ANSWERS);
	assert_int_equal(checkpassword_verdict(q, true, 111, SPAN_LIT("")), VERDICT_INTERNAL);
	assert_int_equal(q->backend, BACKEND_AWAY);
	assert_int_equal(checkpassword_verdict(q, false, 9, SPAN_LIT("user=a")), VERDICT_INTERNAL);
}

/* ---- programs ---- */

static bool run(struct kit *k, struct checkpassword_run *r, const char *script, int64_t patience_ms)
{
	static char *const env[] = {(char *)"PATH=/usr/bin:/bin", NULL};
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
	*r = (struct checkpassword_run){
	    .argv = argv,
	    .env = env,
	    .input = SPAN_LIT("tim\0secret\0\0"),
	    .deadline_ms = clock_ms() + patience_ms,
	};
	k->q.err.text[0] = '\0';
	return checkpassword_run(r, &k->q.err);
}

static void assert_reply(const struct checkpassword_run *r, const char *want)
{
	assert_int_equal(r->reply_len, strlen(want));
	assert_memory_equal(r->reply, want, strlen(want));
}

static void test_run(void **state)
{
	struct kit *k = *state;
	struct checkpassword_run *r = arena_alloc(&k->arena, sizeof(*r));
	assert_true(run(k, r, "tr '\\0' '|' <&3 >&4; exit 7", 10000));
	assert_true(r->exited);
	assert_int_equal(r->status, 7);
	assert_reply(r, "tim|secret||");
	assert_true(run(k, r, "kill -9 $$", 10000));
	assert_false(r->exited);
	assert_int_equal(r->status, 9);
	/* nothing of ours is open in it */
	assert_true(run(k, r, "ls /proc/self/fd | tr '\\n' ' ' >&4", 10000));
	assert_true(r->reply_len >= strlen("0 1 2 3 ") && r->reply_len <= strlen("0 1 2 3 4 5 6 "));
}

static void test_not_run(void **state)
{
	struct kit *k = *state;
	struct checkpassword_run *r = arena_alloc(&k->arena, sizeof(*r));
	char *argv[] = {(char *)"/no/such/program", NULL}, *env[] = {NULL};
	r->argv = argv;
	r->env = env;
	r->input = SPAN_LIT("x");
	r->deadline_ms = clock_ms() + 10000;
	assert_false(checkpassword_run(r, &k->q.err));
	assert_non_null(strstr(k->q.err.text, "/no/such/program cannot be run"));
	char *big = arena_alloc(&k->arena, 100000);
	r->input = span_make(big, 100000);
	assert_false(checkpassword_run(r, &k->q.err));
	assert_non_null(strstr(k->q.err.text, "too long"));
}

static void test_too_much(void **state)
{
	struct kit *k = *state;
	struct checkpassword_run *r = arena_alloc(&k->arena, sizeof(*r));
	assert_false(run(k, r, "head -c 300000 /dev/zero >&4", 20000));
	assert_non_null(strstr(k->q.err.text, "too long"));
}

/* The program and what it started are gone when the time is over. */
static void test_time_over(void **state)
{
	struct kit *k = *state;
	struct checkpassword_run *r = arena_alloc(&k->arena, sizeof(*r));
	assert_false(run(k, r, "echo $$ >&4; sleep 1000 & sleep 1000; exit 0", 300));
	assert_non_null(strstr(k->q.err.text, "has not ended in time"));
	assert_true(r->reply_len > 0);
	assert_int_equal(kill((pid_t)atoi(r->reply), 0), -1);
}

/* A daemon that a program leaves behind and that keeps the descriptor is not waited for. */
static void test_left_behind(void **state)
{
	struct kit *k = *state;
	struct checkpassword_run *r = arena_alloc(&k->arena, sizeof(*r));
	assert_true(run(k, r, "setsid sleep 5 & echo done >&4; exit 0", 4000));
	assert_int_equal(r->status, 0);
	assert_reply(r, "done\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_environment),
	    T(test_environment_of_lookups),
	    T(test_many_fields),
	    T(test_reply),
	    T(test_exit_codes),
	    T(test_run),
	    T(test_not_run),
	    T(test_too_much),
	    T(test_time_over),
	    T(test_left_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
