/* The system's users: passwd (and what it shares with shadow). root is on every system. */
#include "tests/unit/driver-kit.h"

#include <errno.h>
#include <pwd.h>

#include "drivers/nss.h"

static void test_userdb(void **state)
{
	struct kit *k = *state;
	char want[512];
	const struct passwd *pw = getpwuid(1);
	assert_non_null(pw);
	kit_open(k, &driver_passwd, "");
	assert_int_equal(kit_ask(k, ASK_USERDB, pw->pw_name), VERDICT_OK);
	snprintf(want, sizeof(want), "system_groups_user=%s uid=%u gid=%u home=%s", pw->pw_name,
	    (unsigned)pw->pw_uid, (unsigned)pw->pw_gid, pw->pw_dir);
	assert_string_equal(kit_fields(k), want);
}

static void test_templates(void **state)
{
	struct kit *k = *state;
	kit_open(k, &driver_passwd, "blocking=no home=/var/mail/%u quota_rule=*:storage=1G");
	assert_int_equal(kit_ask(k, ASK_USERDB, "root"), VERDICT_OK);
	assert_string_equal(kit_fields(k),
	    "system_groups_user=root uid=0 gid=0 home=/var/mail/root quota_rule=*:storage=1G");
	struct err err = {0};
	assert_false(kit_try_open(k, &driver_passwd, "home=%{nothing}", &err));
}

static void test_passdb(void **state)
{
	struct kit *k = *state;
	const struct passwd *pw = getpwnam("root");
	kit_open(k, &driver_passwd, "");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "root"), VERDICT_OK);
	bool usable = nss_password_is_usable(span_of(pw->pw_passwd));
	assert_true(secret_is_set(k->q.entry.password) == usable);
	assert_string_equal(kit_fields(k), "");
}

static void test_unknown(void **state)
{
	struct kit *k = *state;
	char longest[5000];
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	kit_open(k, &driver_passwd, "");
	static const char *const names[] = {
	    "", "no-such-user-here", "root:x", "../root", "root\n", "%u"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(kit_ask(k, ASK_USERDB, names[i]), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_USERDB, longest), VERDICT_UNKNOWN_USER);
	struct arena a = {0};
	struct passwd pw;
	struct err err = {0};
	assert_int_equal(nss_passwd(SPAN_LIT("root\0x"), &a, &pw, &err), VERDICT_UNKNOWN_USER);
	arena_free(&a);
}

static void test_outages(void **state UNUSED)
{
	static const int outages[] = {EIO, EMFILE, ENFILE, ENOMEM, EINTR, ENOENT, ECONNREFUSED,
	    EAGAIN, ETIMEDOUT, ERANGE, EACCES};
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(outages); i++) {
		err.text[0] = '\0';
		assert_int_equal(
		    nss_verdict(false, outages[i], "getpwnam()", &err), VERDICT_INTERNAL);
		assert_non_null(strstr(err.text, "getpwnam() failed: "));
	}
	assert_int_equal(nss_verdict(false, 0, "", &err), VERDICT_UNKNOWN_USER);
	assert_int_equal(nss_verdict(false, ESRCH, "", &err), VERDICT_UNKNOWN_USER);
	assert_int_equal(nss_verdict(true, 0, "", &err), VERDICT_OK);
}

static void test_usable(void **state UNUSED)
{
	static const char *const no[] = {"", "x", "*", "!", "!!", "!*", "*LK*", "!$6$abc$def"};
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(nss_password_is_usable(span_of(no[i])));
	assert_true(nss_password_is_usable(SPAN_LIT("$6$abc$def")));
	assert_true(nss_password_is_usable(SPAN_LIT("xy1234567890.")));
}

static enum verdict age(long expire, long changed, long max, long today)
{
	const struct spwd sp = {.sp_expire = expire, .sp_lstchg = changed, .sp_max = max};
	struct err err = {0};
	enum verdict v = nss_shadow_age(&sp, today, &err);
	assert_true((v == VERDICT_OK) == (err.text[0] == '\0'));
	return v;
}

static void test_shadow_age(void **state UNUSED)
{
	assert_int_equal(age(-1, -1, -1, 20000), VERDICT_OK);
	assert_int_equal(age(-1, 19000, 99999, 20000), VERDICT_OK);
	assert_int_equal(age(20001, 19000, 99999, 20000), VERDICT_OK);
	assert_int_equal(age(20000, 19000, 99999, 20000), VERDICT_DISABLED);
	assert_int_equal(age(0, 19000, 99999, 20000), VERDICT_DISABLED);
	assert_int_equal(age(-1, 0, 99999, 20000), VERDICT_EXPIRED);
	assert_int_equal(age(-1, 19900, 100, 20000), VERDICT_OK);
	assert_int_equal(age(-1, 19900, 99, 20000), VERDICT_EXPIRED);
	assert_int_equal(age(-1, 20005, 0, 20000), VERDICT_OK); /* a clock that went back */
	assert_int_equal(age(20000, 0, 0, 20000), VERDICT_DISABLED);
}

static void test_shadow(void **state)
{
	struct kit *k = *state;
	struct err err = {0};
	kit_open(k, &driver_shadow, "blocking=no");
	if (geteuid() != 0) {
		print_message("not root: /etc/shadow is not looked at\n");
		return;
	}
	assert_int_equal(kit_ask(k, ASK_PASSDB, "no-such-user-here"), VERDICT_UNKNOWN_USER);
	assert_int_equal(kit_ask(k, ASK_PASSDB, "nobody"), VERDICT_OK);
	assert_false(secret_is_set(k->q.entry.password));
	assert_false(kit_try_open(k, &driver_shadow, "something", &err));
}

struct listed {
	unsigned count, stop_at;
	bool saw_root;
};

static bool take(void *ctx, struct span user)
{
	struct listed *l = ctx;
	l->count++;
	l->saw_root = l->saw_root || span_eq_str(user, "root");
	return l->count != l->stop_at;
}

static unsigned list(struct kit *k, unsigned first, unsigned last, unsigned stop_at, bool *root)
{
	struct listed l = {.stop_at = stop_at};
	struct err err = {0};
	driver_limits.first_valid_uid = first;
	driver_limits.last_valid_uid = last;
	assert_true(driver_passwd.list(k->state, &k->vars, take, &l, &err));
	if (root != NULL)
		*root = l.saw_root;
	return l.count;
}

static void test_list(void **state)
{
	struct kit *k = *state;
	bool root;
	kit_open(k, &driver_passwd, "");
	unsigned all = list(k, 0, 0, 0, &root);
	assert_true(all > 2 && root);
	assert_int_equal(list(k, 1, 0, 0, &root), all - 1);
	assert_false(root);
	assert_int_equal(list(k, 0, 1, 0, NULL), 2);
	assert_int_equal(list(k, 0, 0, 2, NULL), 2);
	assert_int_equal(list(k, 4000000000u, 4000000001u, 0, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_userdb),
	    T(test_templates),
	    T(test_passdb),
	    T(test_unknown),
	    T(test_outages),
	    T(test_usable),
	    T(test_list),
	    T(test_shadow_age),
	    T(test_shadow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
