/*
 * static, and the table of drivers.
 */
#include "tests/unit/driver-kit.h"

static void test_passdb(void **state)
{
	struct kit *k = *state;
	kit_open(k, &driver_static, "password=%n-secret proxy=y host=\"a b\" flag");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "tim@example.com"), VERDICT_OK);
	/* the worker takes the password out of the fields */
	assert_string_equal(kit_fields(k), "password=tim-secret proxy=y host=a b flag");
	assert_string_equal(k->q.entry.default_scheme, "PLAIN");
	assert_true((settings_needs(driver_static.spec->settings,
			 driver_args_parse(driver_static.spec, SPAN_LIT("a=%r"), SPAN_NULL,
			     &k->arena, &k->q.err)) &
			VAR_BIT(VAR_RIP)) != 0);
}

static void test_userdb(void **state)
{
	struct kit *k = *state;
	kit_open(k, &driver_static, "uid=1000 gid=1001 home=/var/vmail/%d/%n allow_all_users=yes");
	assert_int_equal(kit_ask(k, ASK_USERDB, "tim@example.com"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=1000 gid=1001 home=/var/vmail/example.com/tim");
}

static void test_names(void **state)
{
	struct kit *k = *state;
	kit_open(k, &driver_static, "uid=root gid=root");
	assert_int_equal(kit_ask(k, ASK_USERDB, "x"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=0 gid=0");
	/* in a passdb they are fields like any other */
	assert_int_equal(kit_ask(k, ASK_PASSDB, "x"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=root gid=root");
	kit_open(k, &driver_static, "uid=%n gid=%n");
	assert_int_equal(kit_ask(k, ASK_USERDB, "root@x"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=0 gid=0");
	assert_int_equal(kit_ask(k, ASK_USERDB, "12@x"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "uid=12 gid=12");
	assert_int_equal(kit_ask(k, ASK_USERDB, "nobody-of-this-name@x"), VERDICT_INTERNAL);
	assert_non_null(strstr(k->q.err.text, "uid=nobody-of-this-name: no such name"));
	assert_int_equal(kit_ask(k, ASK_USERDB, "@x"), VERDICT_INTERNAL);
	kit_open(k, &driver_static, "uid=nobody-of-this-name");
	assert_int_equal(kit_ask(k, ASK_USERDB, "x"), VERDICT_INTERNAL);
	kit_open(k, &driver_static, "gid=-1");
	assert_int_equal(kit_ask(k, ASK_USERDB, "x"), VERDICT_INTERNAL);
	kit_open(k, &driver_static, "uid");
	assert_int_equal(kit_ask(k, ASK_USERDB, "x"), VERDICT_INTERNAL);
}

static void test_bad_args(void **state)
{
	struct kit *k = *state;
	struct err err = {0};
	assert_false(kit_try_open(k, &driver_static, "password=%{nonsense", &err));
	assert_true(err.text[0] != '\0');
	kit_open(k, &driver_static, "");
	assert_int_equal(kit_ask(k, ASK_PASSDB, "x"), VERDICT_OK);
	assert_string_equal(kit_fields(k), "");
}

static void test_table(void **state UNUSED)
{
	size_t builtin = 0;
	for (size_t i = 0; builtin_drivers[i] != NULL; i++) {
		const struct driver *d = builtin_drivers[i];
		bool known = false;
		for (size_t n = 0; known_driver_specs[n] != NULL; n++)
			known = known || known_driver_specs[n] == d->spec;
		assert_true(known);
		assert_int_equal(d->abi, DRIVER_ABI);
		assert_null(d->spec->refusal);
		assert_true((d->can & (CAN_VERIFY | CAN_SHOW)) != 0);
		assert_true((d->list != NULL) == ((d->can & CAN_LIST) != 0));
		builtin++;
	}
	assert_true(builtin >= 2);
	for (size_t i = 0; known_driver_specs[i] != NULL; i++) {
		const struct driver_spec *s = known_driver_specs[i];
		/* gssapi is no database: it carries out a mechanism */
		bool is_helper = strcmp(s->name, "gssapi") == 0;
		assert_true(s->refusal != NULL ? s->settings == NULL : is_helper == (s->use == 0));
		if (s->refusal != NULL)
			assert_non_null(strstr(s->refusal, s->name));
		for (size_t n = 0; n < i; n++)
			assert_string_not_equal(s->name, known_driver_specs[n]->name);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_passdb),
	    T(test_userdb),
	    T(test_names),
	    T(test_bad_args),
	    cmocka_unit_test(test_table),
	};
	log_init("test", LOG_FORMAT_TEXT, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
