/*
 * The worker puts another password in the place of a stored one (passwd-file).
 */
#include <sys/file.h>
#include <sys/xattr.h>

#include "tests/unit/worker-kit.h"

#define OLD "sha1 1024 ae6b49aa481f7233 f69fc7f98b8fbf54"
#define NEW "sha1 1023 ae6b49aa481f7233 0011223344556677"

static const char config[] = "auth_mechanisms = plain otp\n"
			     "passdb {\n driver = passwd-file\n args = DIR/users\n}\n";

static const char users[] = "# a comment: with tim:\n"
			    "timothy:{PLAIN}x:1:1\r\n"
			    "tim:{OTP}" OLD ":1:1::/h::a=b c=d\n"
			    "tim:{OTP}second line of the same name\n"
			    "none::1:1\n"
			    "last:{OTP}" OLD;

static void start_users(struct kit *k)
{
	kit_write(k, "users", span_of(users));
	kit_run(k, config);
}

static struct channel_answer store(
    struct kit *k, const char *user, const char *old, const char *new)
{
	struct buffer b = {0};
	struct channel_question q = {.serial = 7, .ask = CHANNEL_STORE, .scheme = SPAN_LIT("OTP")};
	q.vars.v[VAR_USER] = span_of(user);
	q.password = secret_of(span_of(old));
	q.replacement = secret_of(span_of(new));
	channel_put_ask(&b, &q, k->hello.needs);
	kit_send(k, &b);
	struct channel_answer an = kit_answer(k);
	assert_int_equal(an.serial, 7);
	return an;
}

static void path_of(const struct kit *k, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", k->dir, name);
}

static void assert_file(struct kit *k, const char *name, const char *want)
{
	char path[128], text[1024] = "";
	path_of(k, name, path);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	assert_string_equal(text, want);
}

static void test_replaces(void **state)
{
	struct kit *k = *state;
	char want[sizeof(users)];
	start_users(k);
	assert_true((k->hello.can & CAN_STORE) != 0);
	struct channel_answer an = store(k, "tim", OLD, NEW);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_int_equal(an.fields.count, 0);
	strcpy(want, users);
	memcpy(strstr(want, "{OTP}" OLD) + 5, NEW, strlen(NEW));
	assert_file(k, "users", want);
	/* what is in memory is the new one at once */
	an = store(k, "tim", OLD, NEW);
	assert_int_equal(an.verdict, VERDICT_MISMATCH);
	an = store(k, "tim", NEW, OLD);
	assert_int_equal(an.verdict, VERDICT_OK);
	assert_file(k, "users", users);
	/* the last line has no newline, and gets none */
	an = store(k, "last", OLD, NEW);
	assert_int_equal(an.verdict, VERDICT_OK);
	strcpy(want, users);
	strcpy(want + strlen(want) - strlen(NEW), NEW);
	assert_file(k, "users", want);
}

static void test_refuses(void **state)
{
	struct kit *k = *state;
	start_users(k);
	assert_int_equal(store(k, "nobody", OLD, NEW).verdict, VERDICT_UNKNOWN_USER);
	assert_int_equal(store(k, "none", OLD, NEW).verdict, VERDICT_MISMATCH);
	assert_int_equal(store(k, "tim", NEW, OLD).verdict, VERDICT_MISMATCH);
	assert_int_equal(store(k, "timothy", "x", NEW).verdict, VERDICT_MISMATCH);
	assert_int_equal(store(k, "tim", OLD, "a:b").verdict, VERDICT_INTERNAL);
	assert_int_equal(store(k, "tim", OLD, "a\nroot:x").verdict, VERDICT_INTERNAL);
	assert_file(k, "users", users);
}

/* Somebody has edited the file, and nobody has looked at it since. */
static void test_changed_meanwhile(void **state)
{
	struct kit *k = *state;
	start_users(k);
	kit_write(k, "users", SPAN_LIT("tim:{OTP}" NEW ":1:1\n"));
	assert_int_equal(store(k, "tim", OLD, NEW).verdict, VERDICT_MISMATCH);
	assert_file(k, "users", "tim:{OTP}" NEW ":1:1\n");
	assert_int_equal(store(k, "tim", NEW, OLD).verdict, VERDICT_OK);
}

static void test_keeps_attributes(void **state)
{
	struct kit *k = *state;
	char path[128], link_path[128], value[16] = "";
	struct stat st;
	kit_write(k, "real", span_of(users));
	path_of(k, "real", path);
	path_of(k, "users", link_path);
	assert_int_equal(symlink("real", link_path), 0);
	assert_int_equal(chmod(path, 0640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(path, 1234, 4321), 0);
	bool xattrs = setxattr(path, "user.authd", "kept", 4, 0) == 0;
	kit_run(k, config);
	assert_int_equal(store(k, "tim", OLD, NEW).verdict, VERDICT_OK);
	assert_int_equal(lstat(link_path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (geteuid() == 0) {
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(st.st_gid, 4321);
	}
	if (xattrs) {
		assert_int_equal(getxattr(path, "user.authd", value, sizeof(value)), 4);
		assert_string_equal(value, "kept");
	}
	char temporary[128];
	path_of(k, ".real.authd", temporary);
	assert_int_equal(access(temporary, F_OK), -1);
}

/* What one that was killed has left behind is in nobody's way. */
static void test_left_over(void **state)
{
	struct kit *k = *state;
	kit_write(k, ".users.authd", SPAN_LIT("half a fi"));
	start_users(k);
	assert_int_equal(store(k, "tim", OLD, NEW).verdict, VERDICT_OK);
	char temporary[128];
	path_of(k, ".users.authd", temporary);
	assert_int_equal(access(temporary, F_OK), -1);
}

/* Two long names with the same beginning: what is written for the one is not the other's. */
static void test_long_names(void **state)
{
	struct kit *k = *state;
	char name[240], path[512], other[512];
	struct buffer text = {0};
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	snprintf(other, sizeof(other), "%s/.%.200s.authd", k->dir, name);
	FILE *f = fopen(path, "w"), *g = fopen(other, "w");
	assert_true(f != NULL && g != NULL);
	assert_true(fputs(users, f) >= 0);
	fclose(f);
	fclose(g);
	buffer_printf(&text,
	    "auth_mechanisms = plain otp\npassdb {\n driver = passwd-file\n args = DIR/%s\n}\n",
	    name);
	buffer_append_char(&text, '\0');
	kit_run(k, buffer_span(&text).ptr);
	buffer_free(&text);
	assert_int_equal(store(k, "tim", OLD, NEW).verdict, VERDICT_OK);
	assert_int_equal(access(other, F_OK), 0);
}

static void test_hard_link(void **state)
{
	struct kit *k = *state;
	char path[128], other[128];
	start_users(k);
	path_of(k, "users", path);
	path_of(k, "other", other);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(store(k, "tim", OLD, NEW).verdict, VERDICT_INTERNAL);
	assert_file(k, "users", users);
}

static void test_locked(void **state)
{
	struct kit *k = *state;
	char path[128];
	start_users(k);
	path_of(k, "users", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	struct buffer b = {0};
	struct channel_question q = {.serial = 9,
	    .ask = CHANNEL_STORE,
	    .scheme = SPAN_LIT("OTP"),
	    .deadline_ms = clock_ms() + 200};
	q.vars.v[VAR_USER] = SPAN_LIT("tim");
	q.password = secret_of(SPAN_LIT(OLD));
	q.replacement = secret_of(SPAN_LIT(NEW));
	channel_put_ask(&b, &q, k->hello.needs);
	kit_send(k, &b);
	assert_int_equal(kit_answer(k).verdict, VERDICT_INTERNAL);
	close(fd);
	assert_int_equal(store(k, "tim", OLD, NEW).verdict, VERDICT_OK);
}

/* A driver that stores nothing says so, and nobody takes it for a refusal. */
static void test_cannot(void **state)
{
	struct kit *k = *state;
	kit_run(k, "passdb {\n driver = static\n args = password={OTP}" OLD "\n}\n");
	struct channel_answer an = store(k, "tim", OLD, NEW);
	assert_int_equal(an.verdict, VERDICT_INTERNAL);
	assert_detail(an, "a new OTP value must be stored, and driver static stores nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_replaces, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_refuses, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_changed_meanwhile, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_keeps_attributes, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_left_over, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_long_names, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_hard_link, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_locked, kit_setup, kit_teardown),
	    cmocka_unit_test_setup_teardown(test_cannot, kit_setup, kit_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
