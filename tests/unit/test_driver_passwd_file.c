/*
 * passwd-file: the format, the templates, files by variable, changes while it
 * runs, lists.
 */
#include "tests/unit/driver-kit.h"

#include <sys/wait.h>

#include "drivers/passwd-file.h"

static const char users[] = "# a comment\n"
			    "\n"
			    ":no:name:\n"
			    "tim:{PLAIN}pencil:1001:1002:Tim:/home/tim:/bin/sh:"
			    "userdb_quota=1:2 nodelay userdb_x=%u/%d  a=b\n"
			    "only\n"
			    "short:{PLAIN}x\n"
			    "empty:{PLAIN}x::::::\n"
			    "bare::1:1::/h::nopassword=y\n"
			    "old:x:5:6::/o:::maildir:/var/mail/o\n"
			    "old2:x:5:6::/o::\n"
			    "des:abcdefghijklm[13]:1:1\n"
			    "md5:0123[34]:1:1\n"
			    "dig:0123456789abcdef0123456789abcdef[56]:1:1\n"
			    "dig2:short[56]:1:1\n"
			    "dollar:$1$x[13]:1:1\n"
			    "root:x:0:0::/root\n"
			    "wheel:x:10:0::/root\n"
			    "bad:x:abc:1::/root\n"
			    "huge:x:4294967295:1::/root\n"
			    "big:x:4294967296:1::/root\n"
			    "tim:{PLAIN}second:1:1\n"
			    "o\\'brien:{PLAIN}x:7:7\n"
			    "crlf:{PLAIN}x:8:8::/c::a=b\r\n"
			    "lonecr\r\n"
			    "last:{PLAIN}end:9:9::/l";

static void open_users(struct kit *k, const char *args)
{
	kit_write(k, "users", users);
	kit_open(k, &driver_passwd_file, args);
}

static void test_passdb(void **state)
{
	struct kit *k = *state;
	open_users(k, "DIR/users");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim"), VERDICT_OK);
	assert_string_equal(kit_password(k), "{PLAIN}pencil");
	assert_null(k->q.entry.default_scheme);
	assert_string_equal(kit_fields(k), "userdb_quota=1:2 nodelay userdb_x=tim/ a=b");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@example.com"), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "only"), VERDICT_OK);
	assert_null(kit_password(k));
	assert_int_equal(kit_ask(k, ASK_PASSDB, "short"), VERDICT_OK);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "bare"), VERDICT_OK);
	assert_string_equal(kit_password(k), "");
	assert_string_equal(kit_fields(k), "nopassword=y");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "old"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "userdb_mail=maildir:/var/mail/o");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "last"), VERDICT_OK);
	assert_string_equal(kit_password(k), "{PLAIN}end");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "lonecr"), VERDICT_OK);
	assert_null(kit_password(k));
}

static void test_unknown(void **state)
{
	struct kit *k = *state;
	static const char *const names[] = {"", "#", "# a comment", "ti", "timx", "Tim",
	    "tim:{PLAIN}pencil", "only\nshort", "\n", "no", "lonecr\r", "root", "wheel", "bad",
	    "huge", "big", "dig2"};
	open_users(k, "DIR/users");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (kit_ask(k, ASK_PASSDB, names[i]) != VERDICT_UNKNOWN_USER)
			fail_msg("\"%s\" is known", names[i]);
	}
}

static void test_password_forms(void **state)
{
	struct kit *k = *state;
	static const struct {
		const char *user, *password;
	} row[] = {{"des", "{CRYPT}abcdefghijklm"}, {"md5", "{PLAIN-MD5}0123"},
	    {"dig", "{DIGEST-MD5}0123456789abcdef0123456789abcdef"}, {"dollar", "$1$x[13]"}};
	open_users(k, "scheme=SHA512-CRYPT DIR/users");
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(kit_ask(k, ASK_PASSDB, row[i].user), VERDICT_OK);
		assert_string_equal(kit_password(k), row[i].password);
		assert_string_equal(k->q.entry.default_scheme, "SHA512-CRYPT");
	}
}

static void test_userdb(void **state)
{
	struct kit *k = *state;
	open_users(k, "DIR/users");
	assert_int_equal(kit_ask(k, ASK_USERDB, "tim"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=1001 gid=1002 home=/home/tim quota=1:2 x=tim/");
	assert_null(kit_password(k));
	assert_int_equal(kit_ask(k, ASK_USERDB, "only"), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_USERDB, "short"), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_USERDB, "empty"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "");
	assert_int_equal(kit_ask(k, ASK_USERDB, "old"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=5 gid=6 home=/o mail=maildir:/var/mail/o");
	assert_int_equal(kit_ask(k, ASK_USERDB, "old2"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=5 gid=6 home=/o");
	assert_int_equal(kit_ask(k, ASK_USERDB, "crlf"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=8 gid=8 home=/c");
}

static void test_username_format(void **state)
{
	struct kit *k = *state;
	open_users(k, "username_format=%n DIR/users");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@example.com"), VERDICT_OK);
	assert_string_equal(
	    kit_fields(k), "userdb_quota=1:2 nodelay userdb_x=tim@example.com/example.com a=b");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "o'brien@x"), VERDICT_OK);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "o\\'brien@x"), VERDICT_UNKNOWN_USER);
}

static void test_bad_template(void **state)
{
	struct kit *k = *state;
	kit_write(k, "users", "u:x:1:1::::a=%{nonsense\nv:x:1:1::::a=b\n");
	kit_open(k, &driver_passwd_file, "DIR/users");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "u"), VERDICT_INTERNAL);
	assert_non_null(strstr(k->q.err.text, "extra field a"));
	assert_int_equal(kit_ask(k, ASK_PASSDB, "v"), VERDICT_OK);
}

static void test_needs(void **state)
{
	struct kit *k = *state;
	uint64_t all = VAR_BIT(VAR_BITS) - 1;
	open_users(k, "DIR/users");
	assert_true(k->driver->needs(k->state) == all);
	kit_write(k, "plain", "u:x:1:1::::a=b\n%weird:100%:1:1::::\n");
	kit_open(k, &driver_passwd_file, "DIR/plain");
	assert_true(k->driver->needs(k->state) == 0);
	kit_open(k, &driver_passwd_file, "DIR/%d");
	assert_true(k->driver->needs(k->state) == all);
}

static void test_variable_path(void **state)
{
	struct kit *k = *state;
	assert_int_equal(mkdir(kit_path(k, "example.com"), 0700), 0);
	kit_write(k, "example.com/users", "tim:{PLAIN}x:1:1::/h\n");
	kit_write(k, "users", "tim:{PLAIN}y:1:1::/h\n");
	kit_open(k, &driver_passwd_file, "username_format=%n DIR/%d/users");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@example.com"), VERDICT_OK);
	assert_string_equal(kit_password(k), "{PLAIN}x");
	/* cut at the slash; nothing but a plain name below the directory */
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@example.com/../x"), VERDICT_OK);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@other.org"), VERDICT_UNKNOWN_USER);
	assert_non_null(strstr(k->q.err.text, "no passwd-file"));
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@."), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@.."), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@/users"), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim"), VERDICT_UNKNOWN_USER);
	/* a file that comes later is seen at once, a missing one is not remembered */
	kit_write(k, "other.org", "");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@other.org"), VERDICT_UNKNOWN_USER);
	assert_int_equal(unlink(kit_path(k, "other.org")), 0);
	assert_int_equal(mkdir(kit_path(k, "other.org"), 0700), 0);
	kit_write(k, "other.org/users", "tim:{PLAIN}z:1:1::/h\n");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@other.org"), VERDICT_OK);
}

static void test_many_files(void **state)
{
	struct kit *k = *state;
	char name[32];
	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		kit_write(k, name, "u:x:1:1::/h\n");
	}
	kit_open(k, &driver_passwd_file, "username_format=%n DIR/%d");
	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof(name), "u@d%d", i);
		assert_int_equal(kit_ask(k, ASK_USERDB, name), VERDICT_OK);
	}
	assert_int_equal(kit_ask(k, ASK_USERDB, "u@d0"), VERDICT_OK);
}

static void test_missing_constant(void **state)
{
	struct kit *k = *state;
	kit_open(k, &driver_passwd_file, "DIR/none");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim"), VERDICT_INTERNAL);
	assert_non_null(strstr(k->q.err.text, "No such file"));
	struct err err = {0};
	assert_false(kit_try_open(k, &driver_passwd_file, "relative/path", &err));
	assert_non_null(strstr(err.text, "absolute"));
	assert_false(kit_try_open(k, &driver_passwd_file, "", &err));
	/* a directory is no file */
	kit_open(k, &driver_passwd_file, "DIR");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim"), VERDICT_INTERNAL);
}

/* Asks until the verdict comes; how long that takes is not the test's business. */
static void ask_until(struct kit *k, const char *user, enum verdict wanted)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000000L};
	for (int i = 0; i < 400; i++) {
		if (kit_ask(k, ASK_PASSDB, user) == wanted)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%s never became %s", user, verdict_name(wanted));
}

static void test_reload(void **state)
{
	struct kit *k = *state;
	kit_open(k, &driver_passwd_file, "DIR/users");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "a"), VERDICT_INTERNAL);
	kit_write(k, "users", "a:x:1:1\n");
	ask_until(k, "a", VERDICT_OK);
	/* the same size, another time stamp */
	kit_write(k, "users", "b:x:1:1\n");
	ask_until(k, "b", VERDICT_OK);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "a"), VERDICT_UNKNOWN_USER);
	/* templates that come with a change: needed first, used later */
	kit_write(k, "users", "c:x:1:1::::r=%r\n");
	ask_until(k, "c", VERDICT_OK);
	assert_true(k->driver->needs(k->state) == VAR_BIT(VAR_BITS) - 1);
	assert_int_equal(unlink(kit_path(k, "users")), 0);
	ask_until(k, "c", VERDICT_INTERNAL);
	kit_write(k, "users", "d:x:1:1\n");
	ask_until(k, "d", VERDICT_OK);
	/* there, but it cannot be read: an outage, not the old state for ever */
	assert_int_equal(unlink(kit_path(k, "users")), 0);
	assert_int_equal(mkdir(kit_path(k, "users"), 0700), 0);
	ask_until(k, "d", VERDICT_INTERNAL);
	assert_non_null(strstr(k->q.err.text, "not a regular file"));
	assert_int_equal(rmdir(kit_path(k, "users")), 0);
	kit_write(k, "users", "e:x:1:1\n");
	ask_until(k, "e", VERDICT_OK);
}

static void test_reload_large(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	kit_write(k, "users", "a:x:1:1\n");
	kit_open(k, &driver_passwd_file, "DIR/users");
	for (int i = 0; i < 40000; i++)
		buffer_printf(&b, "user%d:{PLAIN}x:1:1::/h\n", i);
	kit_write_aged(k, "users", buffer_span(&b), 5000);
	ask_until(k, "user39999", VERDICT_OK);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "a"), VERDICT_UNKNOWN_USER);
	buffer_free(&b);
	/* closing waits for a load in the background */
	kit_write(k, "users", "a:x:1:1\n");
}

/*
 * A file that is rewritten all the time: each answer is one of a whole
 * version's, never one of half a file.
 */
static void test_rewritten(void **state)
{
	struct kit *k = *state;
	char path[96], new[96];
	snprintf(path, sizeof(path), "%s/users", k->dir);
	snprintf(new, sizeof(new), "%s/new", k->dir);
	kit_write(k, "users", "v:{PLAIN}0:1:1\nend:{PLAIN}0:1:1\n");
	kit_open(k, &driver_passwd_file, "DIR/users");
	pid_t writer = fork();
	assert_true(writer >= 0);
	if (writer == 0) {
		for (int i = 1;; i++) {
			FILE *f = fopen(new, "w");
			if (f == NULL)
				_exit(1);
			fprintf(f, "v:{PLAIN}%d:1:1\n", i);
			for (int n = 0; n < 2000; n++)
				fprintf(f, "user%d:{PLAIN}%d:1:1::/h\n", n, i);
			fprintf(f, "end:{PLAIN}%d:1:1\n", i);
			fclose(f);
			if (rename(new, path) != 0)
				_exit(1);
		}
	}
	char first[32];
	int versions = 0;
	const struct timespec pause = {.tv_nsec = 20 * 1000000L};
	strcpy(first, "{PLAIN}0");
	for (int i = 0; i < 2000 && versions < 2; i++) {
		assert_int_equal(kit_ask(k, ASK_PASSDB, "v"), VERDICT_OK);
		if (strcmp(kit_password(k), first) != 0)
			versions++;
		snprintf(first, sizeof(first), "%s", kit_password(k));
		assert_int_equal(kit_ask(k, ASK_PASSDB, "end"), VERDICT_OK);
		if (strcmp(kit_password(k), first) != 0) {
			/* a new version came between the two questions: then it holds for both */
			snprintf(first, sizeof(first), "%s", kit_password(k));
			assert_int_equal(kit_ask(k, ASK_PASSDB, "v"), VERDICT_OK);
			assert_string_equal(kit_password(k), first);
		}
		nanosleep(&pause, NULL);
	}
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	assert_int_equal(versions, 2);
}

static void test_cut(void **state UNUSED)
{
	/* text from memory has no time stamp: old, so a missing newline means nothing */
	struct pf_table *t = pf_table_of("x", SPAN_LIT("a:b\nlast:x"));
	struct pf_line l;
	assert_false(pf_table_is_cut(t));
	assert_true(pf_table_find(t, SPAN_LIT("last"), &l));
	assert_int_equal(pf_table_users(t), 2);
	pf_table_unref(t);
}

struct listed {
	struct buffer names;
	unsigned stop_after, count;
};

static bool take(void *ctx, struct span user)
{
	struct listed *l = ctx;
	buffer_printf(&l->names, "%.*s ", SPAN_ARG(user));
	return ++l->count != l->stop_after;
}

static void test_list(void **state)
{
	struct kit *k = *state;
	struct listed l = {0};
	struct err err = {0};
	open_users(k, "DIR/users");
	assert_true(k->driver->list(k->state, &k->vars, take, &l, &err));
	buffer_append_char(&l.names, '\0');
	assert_string_equal(buffer_span(&l.names).ptr,
	    "tim empty bare old old2 des md5 dig dollar o'brien crlf last ");
	buffer_free(&l.names);
	l = (struct listed){.stop_after = 2};
	assert_false(k->driver->list(k->state, &k->vars, take, &l, &err));
	assert_int_equal(l.count, 2);
	buffer_free(&l.names);
	kit_open(k, &driver_passwd_file, "DIR/%d");
	assert_false(k->driver->list(k->state, &k->vars, take, &l, &err));
	assert_non_null(strstr(err.text, "variables"));
	buffer_free(&l.names);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_passdb),
	    T(test_unknown),
	    T(test_password_forms),
	    T(test_userdb),
	    T(test_username_format),
	    T(test_bad_template),
	    T(test_needs),
	    T(test_variable_path),
	    T(test_many_files),
	    T(test_missing_constant),
	    T(test_reload),
	    T(test_reload_large),
	    T(test_rewritten),
	    T(test_cut),
	    T(test_list),
	};
	log_init("test", LOG_FORMAT_TEXT, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
