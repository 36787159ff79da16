/* What an IMAP server's lines mean, and what "args" of imap may say. */
#include "tests/unit/driver-kit.h"

#include "drivers/imap-reply.c" /* part of the module, not of the library */
#include "drivers/imap.h"

static struct imap_reply reply_of(const char *line)
{
	struct imap_reply r = {.last = IMAP_TAGGED_NONE};
	imap_reply_line(&r, SPAN_LIT("* CAPABILITY IMAP4rev1\r\n"));
	imap_reply_line(&r, SPAN_LIT("A001 OK done\r\n"));
	imap_reply_line(&r, span_of(line));
	return r;
}

static bool is_outage(const char *line)
{
	struct imap_reply r = reply_of(line);
	return imap_reply_is_outage(&r);
}

static enum verdict judge(const char *line)
{
	struct imap_reply r = reply_of(line);
	struct err err = {0};
	enum verdict v = imap_reply_verdict(&r, &err);
	assert_string_not_equal(err.text, "");
	return v;
}

static void test_refusals(void **state UNUSED)
{
	assert_int_equal(judge("A002 NO Login failed.\r\n"), VERDICT_MISMATCH);
	assert_int_equal(judge("A002 NO\r\n"), VERDICT_MISMATCH);
	assert_int_equal(judge("A002 no [AUTHENTICATIONFAILED] x\r\n"), VERDICT_MISMATCH);
	assert_int_equal(judge("A002 NO [ALERT] password\r\n"), VERDICT_MISMATCH);
	assert_int_equal(judge("A002 NO [EXPIRED] x\r\n"), VERDICT_EXPIRED);
}

static void test_outages(void **state UNUSED)
{
	assert_int_equal(judge("A002 NO [UNAVAILABLE] x\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [unavailable] x\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [UNAVAILABLE more] x\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [REFERRAL imap://b/] try there\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [THROTTLED] later\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [SERVERBUG]\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [INUSE] x\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 NO [PRIVACYREQUIRED] x\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 BAD what?\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A002 WHAT\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("* NO Login failed.\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("* BYE NO\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("+ NO\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("\r\n"), VERDICT_INTERNAL);
	assert_int_equal(judge("A00x NO Login failed.\r\n"), VERDICT_INTERNAL);
}

/* The server's own trouble; others are the user's, or the mailbox's. */
static void test_whose_outage(void **state UNUSED)
{
	assert_true(is_outage("A002 NO [UNAVAILABLE] x\r\n"));
	assert_true(is_outage("A002 NO [SERVERBUG] x\r\n"));
	assert_false(is_outage("A002 NO [INUSE] x\r\n"));
	assert_false(is_outage("A002 NO [CONTACTADMIN] x\r\n"));
	assert_false(is_outage("A002 NO wrong\r\n"));
	assert_false(is_outage("A002 BAD [UNAVAILABLE]\r\n"));
}

static void test_text(void **state UNUSED)
{
	struct imap_reply r = {.last = IMAP_TAGGED_NONE};
	char line[1000];
	memset(line, 'x', sizeof(line));
	memcpy(line, "A1 NO ", 6);
	line[8] = '\n';
	line[9] = '\0';
	imap_reply_line(&r, span_make(line, sizeof(line)));
	assert_int_equal(r.last, IMAP_TAGGED_NO);
	assert_int_equal(strlen(r.text), sizeof(r.text) - 1);
	assert_int_equal(r.text[2], '?');
	assert_int_equal(r.text[3], '?');
	assert_false(r.preauth);
	imap_reply_line(&r, SPAN_LIT("* PREAUTH hello\r\n"));
	assert_true(r.preauth);
	imap_reply_line(&r, SPAN_LIT("A2 OK fine\r\n"));
	assert_int_equal(r.last, IMAP_TAGGED_OK);
}

static const struct imap_settings *parse(struct kit *k, const char *args, const char *error)
{
	struct err err = {0};
	kit_close(k);
	const struct imap_settings *set =
	    driver_args_parse(&spec_imap, span_of(args), SPAN_NULL, &k->arena, &err);
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
	assert_int_equal(parse(k, "host=a", NULL)->port, 143);
	assert_int_equal(parse(k, "host=a ssl=imaps", NULL)->port, 993);
	assert_int_equal(parse(k, "host=a ssl=starttls port=10143", NULL)->port, 10143);
	assert_true(parse(k, "host=a ssl=imaps allow_invalid_cert=yes rawlog_dir=/x", NULL)
			->allow_invalid_cert);
	parse(k, "", "host is missing");
	parse(k, "host=a ssl=tls", "ssl");
	parse(k, "host=a port=70000", "no such port");
	parse(k, "host=a sll=imaps", "did you mean \"ssl\"");
	parse(k, "host=a word", "key=value");
	parse(k, "host=a allow_invalid_cert=yes", "without ssl");
	parse(k, "host=a username=%{nothing}", "nothing");
}

#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_refusals),
	    T(test_outages),
	    T(test_whose_outage),
	    T(test_text),
	    T(test_args),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
