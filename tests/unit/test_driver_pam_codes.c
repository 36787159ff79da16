/* The table of PAM's result codes, and what "args" of pam may say. */
#include "tests/unit/driver-kit.h"

#include <security/pam_appl.h>

#include "drivers/pam-codes.c" /* part of the module, not of the library */
#include "drivers/pam.h"

static void test_outages_are_internal(void **state UNUSED)
{
	static const int outages[] = {PAM_SYSTEM_ERR, PAM_SERVICE_ERR, PAM_AUTHINFO_UNAVAIL,
	    PAM_BUF_ERR, PAM_ABORT, PAM_OPEN_ERR, PAM_SYMBOL_ERR, PAM_CONV_ERR, PAM_TRY_AGAIN,
	    PAM_MODULE_UNKNOWN, PAM_CRED_INSUFFICIENT, PAM_IGNORE};
	for (size_t i = 0; i < ARRAY_LEN(outages); i++) {
		for (enum pam_phase p = PHASE_START; p <= PHASE_SESSION; p++)
			assert_int_equal(pam_code_verdict(p, outages[i]), VERDICT_INTERNAL);
	}
}

/* For these a cached answer may stand in; what may be one user's trouble is not among them. */
static void test_outages_of_what_is_behind(void **state UNUSED)
{
	assert_true(pam_code_is_outage(PAM_AUTHINFO_UNAVAIL));
	assert_true(pam_code_is_outage(PAM_MODULE_UNKNOWN));
	static const int others[] = {PAM_SUCCESS, PAM_AUTH_ERR, PAM_USER_UNKNOWN, PAM_ABORT,
	    PAM_CONV_ERR, PAM_CRED_ERR, PAM_IGNORE};
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(pam_code_is_outage(others[i]));
}

static void test_the_users_fault(void **state UNUSED)
{
	static const struct {
		int code;
		enum verdict want;
	} faults[] = {{PAM_AUTH_ERR, VERDICT_MISMATCH}, {PAM_PERM_DENIED, VERDICT_MISMATCH},
	    {PAM_MAXTRIES, VERDICT_MISMATCH}, {PAM_USER_UNKNOWN, VERDICT_UNKNOWN_USER},
	    {PAM_ACCT_EXPIRED, VERDICT_EXPIRED}, {PAM_NEW_AUTHTOK_REQD, VERDICT_EXPIRED},
	    {PAM_CRED_EXPIRED, VERDICT_EXPIRED}, {PAM_AUTHTOK_EXPIRED, VERDICT_EXPIRED}};
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		assert_int_equal(
		    pam_code_verdict(PHASE_AUTHENTICATE, faults[i].code), faults[i].want);
		assert_int_equal(pam_code_verdict(PHASE_ACCOUNT, faults[i].code), faults[i].want);
	}
	/* the password was right; a module that cannot establish credentials is no mismatch */
	assert_int_equal(pam_code_verdict(PHASE_SETCRED, PAM_AUTH_ERR), VERDICT_INTERNAL);
	assert_int_equal(pam_code_verdict(PHASE_SESSION, PAM_SESSION_ERR), VERDICT_INTERNAL);
}

/* Every code of this libpam has a row, and only success says yes. */
static void test_all_codes(void **state UNUSED)
{
	for (int code = -1; code < 200; code++) {
		size_t rows = 0;
		for (size_t i = 0; i < ARRAY_LEN(codes); i++)
			rows += codes[i].code == code;
		assert_in_range(rows, 0, 1);
		for (enum pam_phase p = PHASE_START; p <= PHASE_SESSION; p++) {
			bool yes = pam_code_verdict(p, code) == VERDICT_OK;
			assert_true(yes == (code == PAM_SUCCESS));
			if (rows == 0)
				assert_int_equal(pam_code_verdict(p, code), VERDICT_INTERNAL);
		}
	}
}

static const struct pam_settings *parse(struct kit *k, const char *args, const char *error)
{
	struct err err = {0};
	kit_close(k);
	const struct pam_settings *set =
	    driver_args_parse(&spec_pam, span_of(args), SPAN_NULL, &k->arena, &err);
	if (error == NULL && set == NULL)
		fail_msg("%s: %s", args, err.text);
	if (error != NULL) {
		assert_null(set);
		assert_non_null(strstr(err.text, error));
	}
	return set;
}

static void test_args(void **state)
{
	struct kit *k = *state;
	assert_string_equal(parse(k, "", NULL)->name, "dovecot");
	assert_int_equal(parse(k, "", NULL)->max_requests, 100);
	assert_false(parse(k, "", NULL)->session);
	assert_string_equal(parse(k, "*", NULL)->name, "");
	assert_string_equal(parse(k, "Mail", NULL)->name, "mail");
	const struct pam_settings *set = parse(k,
	    "session=yes setcred=yes cache_key=%s%u failure_show_msg=yes max_requests=12 "
	    "blocking=yes *",
	    NULL);
	assert_true(set->session && set->setcred && set->failure_show_msg);
	assert_int_equal(set->max_requests, 12);
	assert_string_equal(set->name, "");
	set = parse(k, "-session mail", NULL);
	assert_true(set->session);
	assert_string_equal(set->name, "mail");
	assert_string_equal(parse(k, "-session", NULL)->name, "dovecot");
}

/* The name is a template; without variables it is known, and looked for, at once. */
static void test_service_with_variables(void **state)
{
	struct kit *k = *state;
	assert_null(parse(k, "mail", NULL)->template);
	static const char *const good[] = {"mail-%s", "%d-mail", "-session %Ls",
	    "%{service}_%{domain}", "mail%{if;%s;eq;imap;-i;-o}", "*"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct pam_settings *set = parse(k, good[i], NULL);
		assert_non_null(set->template);
		assert_string_equal(set->name, "");
	}
	parse(k, "%d", "the client would choose");
	parse(k, "%s%u", "the client would choose");
	parse(k, "mail-%{nothing}", "nothing");
	parse(k, "%%", "cannot be the name");
}

static void test_bad_args(void **state)
{
	struct kit *k = *state;
	parse(k, "mail more", "unexpected \"more\"");
	parse(k, "../shadow", "cannot be the name");
	parse(k, "max_request=3", "did you mean \"max_requests\"");
	parse(k, "max_requests=some", "max_requests");
	parse(k, "session=perhaps", "session");
	parse(k, "cache_key=%{nothing} mail", "nothing");
}

static void test_service_of_protocol(void **state UNUSED)
{
	char name[PAM_SERVICE_MAX];
	assert_true(pam_service_name(SPAN_LIT("IMAP"), name));
	assert_string_equal(name, "imap");
	assert_false(pam_service_name(SPAN_LIT(""), name));
	assert_false(pam_service_name(SPAN_LIT(".."), name));
	assert_false(pam_service_name(SPAN_LIT("a/b"), name));
	assert_false(pam_service_name(SPAN_LIT("a\0b"), name));
	char longest[PAM_SERVICE_MAX + 1];
	memset(longest, 'a', sizeof(longest));
	assert_true(pam_service_name(span_make(longest, PAM_SERVICE_MAX - 1), name));
	assert_false(pam_service_name(span_make(longest, PAM_SERVICE_MAX), name));
}

#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_outages_are_internal),
	    T(test_outages_of_what_is_behind),
	    T(test_the_users_fault),
	    T(test_all_codes),
	    T(test_args),
	    T(test_service_with_variables),
	    T(test_bad_args),
	    T(test_service_of_protocol),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
