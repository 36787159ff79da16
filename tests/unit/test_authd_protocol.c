/*
 * Dovecot's client and master protocols, line by line, on a whole front whose
 * workers are not there: what is answered at once, and what closes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KIT_WITHOUT_FUZZER
#include "tests/fuzz/front-kit.h"

struct line_case {
	const char *hello, *sent;
	const char *reply; /* behind the handshake */
	bool closed;
};

static void turn(struct kit *k)
{
	for (int i = 0; i < 4; i++)
		front_turn(k->front, false);
}

/* All that came, without what stands before and in the line that begins with last. */
static struct span behind_line(struct buffer *b, const char *last)
{
	struct span rest = buffer_span(b), line;
	while (span_split(&rest, '\n', &line)) {
		if (span_starts(line, last))
			return rest;
	}
	fail_msg("no %s in the handshake", last);
	return SPAN_NULL;
}

static void converse(enum listener_type type, const char *last, const struct line_case *c)
{
	struct kit k;
	struct buffer b = {0};
	char byte;
	kit_begin(&k);
	int fd = kit_connect(&k, type);
	turn(&k);
	kit_send(fd, span_of(c->hello));
	kit_send(fd, span_of(c->sent));
	turn(&k);
	kit_drain(fd, &b);
	bool closed = recv(fd, &byte, 1, 0) == 0;
	struct span reply = behind_line(&b, last);
	if (!span_eq_str(reply, c->reply) || closed != c->closed)
		fail_msg("to %s: %s, %.*s", c->sent, closed ? "closed" : "open", SPAN_ARG(reply));
	close(fd);
	turn(&k);
	assert_int_equal(request_table_count(k.front->requests), 0);
	buffer_free(&b);
	kit_end(&k);
}

#define HELLO "VERSION\t1\t1\nCPID\t7\n"
#define HELLO2 "VERSION\t1\t2\nCPID\t7\n"
#define HELLO4 "VERSION\t1\t4\nCPID\t7\n"

static void test_client_answers(void **state UNUSED)
{
	static const struct line_case cases[] = {
	    {HELLO, "", "", false},
	    {HELLO, "AUTH\t2\tPLAIN\tservice=smtp\tnologin\n", "CONT\t2\t\n", false},
	    {HELLO, "AUTH\t4294967295\tplain\tprotocol=smtp\n", "CONT\t4294967295\t\n", false},
	    /* what an empty resp= means depends on the version; "=" does not */
	    {HELLO, "AUTH\t2\tPLAIN\tservice=smtp\tresp=\n", "CONT\t2\t\n", false},
	    {HELLO2, "AUTH\t2\tPLAIN\tservice=smtp\tresp=\n", "FAIL\t2\n", false},
	    {HELLO, "AUTH\t2\tPLAIN\tservice=smtp\tresp==\n", "FAIL\t2\n", false},
	    {HELLO, "AUTH\t6\tPLAIN\tservice=smtp\tresp=!!!\n",
		"FAIL\t6\tcode=invalid_base64\treason=Invalid base64 data in initial response\n",
		false},
	    {HELLO, "CONT\t9\tAAAA\n", "FAIL\t9\treason=Authentication request timed out\n", false},
	    {HELLO, "AUTH\t1\tLOGIN\tservice=smtp\n", "CONT\t1\tVXNlcm5hbWU6\n", false},
	    {HELLO, "AUTH\t1\tLOGIN\tservice=smtp\t\tx=y\tresp=dGlt\n", "CONT\t1\tUGFzc3dvcmQ6\n",
		false},
	    {HELLO, "AUTH\t1\tLOGIN\tservice=smtp\nCONT\t1\tdGlt\n",
		"CONT\t1\tVXNlcm5hbWU6\nCONT\t1\tUGFzc3dvcmQ6\n", false},
	    {HELLO, "AUTH\t1\tLOGIN\tservice=smtp\nCONT\t1\t!!!\n",
		"CONT\t1\tVXNlcm5hbWU6\nFAIL\t1\tcode=invalid_base64\t"
		"reason=Invalid base64 data in continued response\n",
		false},
	    /* a NUL where the mechanism has none */
	    {HELLO, "AUTH\t1\tLOGIN\tservice=smtp\tresp=dGVzdHVzZXIAdXNlcg==\n", "FAIL\t1\n",
		false},
	    /* while the passdb is asked */
	    {HELLO, "AUTH\t1\tPLAIN\tservice=smtp\tresp=AHRpbQB4\nCONT\t1\tAAAA\n",
		"FAIL\t1\tuser=tim\treason=Unexpected continuation\n", false},
	    {HELLO, "AUTH\t1\tLOGIN\tservice=smtp\nCANCEL\t1\nCONT\t1\tAAAA\n",
		"CONT\t1\tVXNlcm5hbWU6\nFAIL\t1\treason=Authentication request timed out\n", false},
	    {HELLO, "CANCEL\t1\n", "", false},
	    /* minor 2 was announced, and it is the smaller one that counts */
	    {HELLO4, "CANCEL\t1\n", "", false},
	    /* a line in the making */
	    {HELLO, "AUTH\t2\tPLAIN\tservice=smtp", "", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		converse(LISTENER_AUTH, "DONE", &cases[i]);
}

static void test_client_is_closed(void **state UNUSED)
{
	static const char *const bad[] = {"AUTH\n", "AUTH\t0\tPLAIN\tservice=smtp\n",
	    "AUTH\tx\tPLAIN\tservice=smtp\n", "AUTH\t4294967296\tPLAIN\tservice=smtp\n",
	    "AUTH\t1\n", "AUTH\t1\tNOSUCH\tservice=smtp\n",
	    "AUTH\t1\tDOVECOT-TOKEN\tservice=smtp\n", "AUTH\t1\tPLAIN\n",
	    "AUTH\t1\tPLAIN\tservice=\n", "AUTH\t1\tPLAIN\tservice=smtp\tresp=AAAA\tx\n",
	    "AUTH\t1\tPLAIN\tservice=smtp\tresp=\t\n", "CONT\t1\n", "CONT\tx\tAAAA\n",
	    "CANCEL\tx\n", "CPID\t7\n", "VERSION\t1\t1\n", "USER\t1\ttim\tservice=imap\n", "\n",
	    "AUTH\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		converse(LISTENER_AUTH, "DONE", &(struct line_case){HELLO, bad[i], "", true});
	static const char *const hellos[] = {"CPID\t7\n", "VERSION\t2\t0\n", "VERSION\t1\n",
	    "VERSION\t1\t1\t1\n", "VERSION\t1\tx\n", "VERSION\t1\t1\nCPID\t0\n",
	    "VERSION\t1\t1\nCPID\tx\n", "VERSION\t1\t1\nAUTH\t1\tPLAIN\tservice=smtp\n"};
	for (size_t i = 0; i < ARRAY_LEN(hellos); i++)
		converse(LISTENER_AUTH, "DONE", &(struct line_case){"", hellos[i], "", true});
	static const struct line_case twice = {
	    HELLO, "AUTH\t1\tPLAIN\tservice=x\nAUTH\t1\tPLAIN\tservice=x\n", "CONT\t1\t\n", true};
	converse(LISTENER_AUTH, "DONE", &twice);
}

static void test_handshake(void **state UNUSED)
{
	static const struct {
		enum listener_type type;
		const char *begin;
	} cases[] = {
	    {LISTENER_AUTH, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tS"
			    "CRAM-SHA-256\t"},
	    {LISTENER_LOGIN, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\t"
			     "SCRAM-SHA-256\t"},
	    {LISTENER_TOKEN, "VERSION\t1\t2\nMECH\tDOVECOT-TOKEN\nSPID\t"},
	    {LISTENER_MASTER, "VERSION\t1\t1\nSPID\t"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit k;
		struct buffer b = {0};
		kit_begin(&k);
		int fd = kit_connect(&k, cases[i].type);
		turn(&k);
		kit_drain(fd, &b);
		assert_true(span_starts(buffer_span(&b), cases[i].begin));
		close(fd);
		buffer_free(&b);
		kit_end(&k);
	}
	static const struct line_case plain = {HELLO, "AUTH\t1\tPLAIN\tservice=x\n", "", true};
	converse(LISTENER_TOKEN, "DONE", &plain);
}

#define MASTER "VERSION\t1\t1\n"

static void test_master(void **state UNUSED)
{
	static const struct line_case cases[] = {
	    {"VERSION\t1\t0\n", "", "", false},
	    {MASTER, "USER\t1\ta b\tservice=imap\n", "NOTFOUND\t1\n", false},
	    {MASTER, "PASS\t2\ta\x01tb\tservice=imap\n", "NOTFOUND\t2\n", false},
	    {MASTER, "REQUEST\t100\t7\t1\t0123\tsession_pid=5\n", "FAIL\t100\n", false},
	    {MASTER, "USER\t1\ttim\n", "", true},
	    {MASTER, "USER\t1\n", "", true},
	    {MASTER, "USER\tx\ttim\tservice=imap\n", "", true},
	    {MASTER, "REQUEST\t100\t7\tx\t0123\n", "", true},
	    {MASTER, "REQUEST\t100\t7\t1\n", "", true},
	    {MASTER, "REQUEST\t100\t7\t1\t0123\tsession_pid=x\n", "", true},
	    {MASTER, "CPID\t7\n", "", true},
	    {MASTER, "NOSUCH\t7\n", "", true},
	    {MASTER, "\n", "", true},
	    {"", "USER\t1\ttim\tservice=imap\n", "", true},
	    {"VERSION\t2\t0\n", "", "", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		converse(LISTENER_MASTER, "SPID", &cases[i]);
	static const struct line_case userdb = {MASTER, "REQUEST\t100\t7\t1\t0123\n", "", true};
	converse(LISTENER_USERDB, "SPID", &userdb);
}

/* the limit itself is fine, one byte more is not, with and without a line's end */
static void test_line_limits(void **state UNUSED)
{
	static const struct {
		enum listener_type type;
		const char *hello, *start, *last;
		size_t limit;
	} cases[] = {{LISTENER_AUTH, HELLO, "AUTH\t1\tPLAIN\tservice=x\tx=", "DONE", 16384},
	    {LISTENER_MASTER, MASTER, "USER\t1\ta b\tservice=imap\tx=", "SPID", 8192}};
	static char text[20000];
	for (size_t i = 0; i < ARRAY_LEN(cases) * 3; i++) {
		size_t which = i / 3, over = i % 3, n = cases[which].limit + (over > 0);
		memset(text, 'a', n);
		memcpy(text, cases[which].start, strlen(cases[which].start));
		text[n] = '\n';
		text[over == 2 ? n : n + 1] = '\0';
		const char *reply = which == 0 ? "CONT\t1\t\n" : "NOTFOUND\t1\n";
		converse(cases[which].type, cases[which].last,
		    &(struct line_case){cases[which].hello, text, over > 0 ? "" : reply, over > 0});
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handshake),
	    cmocka_unit_test(test_client_answers),
	    cmocka_unit_test(test_client_is_closed),
	    cmocka_unit_test(test_master),
	    cmocka_unit_test(test_line_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
