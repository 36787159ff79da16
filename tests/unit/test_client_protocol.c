/*
 * The event layer of libauthd-client against recorded conversations and
 * hostile bytes: whole, byte by byte and cut anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client-lib/internal.h"

#define HELLO                                                                                      \
	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"                          \
	"MECH\tCRAM-MD5\tdictionary\tactive\nMECH\tAPOP\tprivate\tdictionary\tactive\n"            \
	"MECH\tNEW\tunheard-of\nSPID\t15532\nCUID\t1\n"                                            \
	"COOKIE\ta6bc002fa8085f6a9672d35651227192\nDONE\n"
#define MASTER_HELLO "VERSION\t1\t1\nSPID\t15532\n"

static const struct authd_field smtp[] = {{.name = "service", .value = "smtp"}};

/* ---- a log of events as text, to compare ---- */

static void note(char *log, size_t size, const struct authd_event *e)
{
	size_t n = strlen(log);
	n += (size_t)snprintf(
	    log + n, size - n, "%d:%u:%s", (int)e->type, e->id, authd_status_name(e->status));
	if (e->user != NULL)
		n += (size_t)snprintf(log + n, size - n, " user<%s>", e->user);
	if (e->code != NULL)
		n += (size_t)snprintf(log + n, size - n, " code<%s>", e->code);
	if (e->reason != NULL)
		n += (size_t)snprintf(log + n, size - n, " reason<%s>", e->reason);
	if (e->data != NULL)
		n += (size_t)snprintf(
		    log + n, size - n, " data<%.*s>", (int)e->data_length, (const char *)e->data);
	for (size_t i = 0; i < e->field_count; i++)
		n += (size_t)snprintf(log + n, size - n, " %s%s%s", e->fields[i].name,
		    e->fields[i].value != NULL ? "=" : "",
		    e->fields[i].value != NULL ? e->fields[i].value : "");
	snprintf(log + n, size - n, "\n");
}

static void pull(struct authd_conn *c, char *log, size_t size)
{
	struct authd_event e;
	while (authd_conn_next(c, &e) != AUTHD_EVENT_NONE)
		note(log, size, &e);
}

enum cutting { WHOLE, BYTES, RANDOM };

static void feed(
    struct authd_conn *c, const char *text, size_t length, enum cutting how, char *log, size_t size)
{
	for (size_t n; length > 0; text += n, length -= n) {
		n = how == WHOLE ? length : how == BYTES ? 1 : 1 + (size_t)rand() % 40;
		if (n > length)
			n = length;
		char *copy = malloc(n); /* exact, for the address sanitizer */
		memcpy(copy, text, n);
		authd_conn_feed(c, copy, n);
		free(copy);
		pull(c, log, size);
	}
}

static void expect_output(struct authd_conn *c, const char *text)
{
	const void *data;
	size_t length = authd_conn_output(c, &data);
	assert_int_equal(length, strlen(text));
	assert_memory_equal(data, text, length);
	authd_conn_sent(c, length);
	assert_int_equal(authd_conn_output(c, &data), 0);
}

static struct authd_conn *ready(enum authd_kind kind)
{
	char log[512] = "";
	const char *hello = kind == AUTHD_CLIENT ? HELLO : MASTER_HELLO;
	struct authd_conn *c = kind == AUTHD_CLIENT ? authd_client_new(15491) : authd_master_new();
	assert_non_null(c);
	expect_output(c, kind == AUTHD_CLIENT ? "VERSION\t1\t2\nCPID\t15491\n" : "VERSION\t1\t1\n");
	feed(c, hello, strlen(hello), WHOLE, log, sizeof(log));
	assert_string_equal(log, "1:0:ok\n");
	return c;
}

static uint32_t begin(struct authd_conn *c, const char *mech, const char *initial)
{
	struct authd_auth auth = {.mech = mech, .fields = smtp, .field_count = 1};
	uint32_t id = 0;
	if (initial != NULL) {
		auth.initial = initial;
		auth.initial_length = strlen(initial);
	}
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_OK);
	return id;
}

/* ---- the client protocol ---- */

static void test_handshake(void **state)
{
	(void)state;
	struct authd_conn *c = ready(AUTHD_CLIENT);
	const struct authd_mech *mechs;
	assert_int_equal(authd_conn_mechs(c, &mechs), 5);
	assert_string_equal(mechs[3].name, "APOP");
	assert_int_equal(
	    mechs[3].flags, AUTHD_MECH_PRIVATE | AUTHD_MECH_DICTIONARY | AUTHD_MECH_ACTIVE);
	assert_int_equal(mechs[4].flags, 0);
	assert_int_equal(authd_conn_server_pid(c), 15532);
	assert_int_equal(authd_conn_connect_uid(c), 1);
	assert_string_equal(authd_conn_cookie(c), "a6bc002fa8085f6a9672d35651227192");
	assert_non_null(authd_conn_find_mech(c, "plain"));
	assert_null(authd_conn_find_mech(c, "GSSAPI"));
	authd_conn_free(c);
}

/* Every recorded conversation of one connection, in one stream of replies. */
static void transcript(enum cutting how)
{
	char log[4096] = "";
	struct authd_conn *c = ready(AUTHD_CLIENT);
	struct authd_field fields[] = {{.name = "service", .value = "smtp"}, {.name = "nologin"},
	    {.name = "lip", .value = "127.0.0.1"}, {.name = "rip", .value = "127.0.0.1"},
	    {.name = "secured"}};
	struct authd_auth auth = {.mech = "plain",
	    .fields = fields,
	    .field_count = 5,
	    .initial = "\0tim\0tanstaaftanstaaf",
	    .initial_length = 21};
	uint32_t id;
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_OK);
	expect_output(c, "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1\t"
			 "secured\tresp=AHRpbQB0YW5zdGFhZnRhbnN0YWFm\n");
	for (int i = 2; i <= 8; i++)
		assert_int_equal(begin(c, "LOGIN", NULL), i);
	authd_conn_sent(c, SIZE_MAX);
	static const char replies[] =
	    "OK\t1\tuser=tim\t\n"
	    "CONT\t3\tVXNlcm5hbWU6\n"
	    "FAIL\t4\tuser=tim\n"
	    "CONT\t2\t\n"
	    "FAIL\t6\tcode=invalid_base64\treason=Invalid base64 data in initial response\n"
	    "FAIL\t5\tuser=nobody\tcode=authz_fail\toriginal_user=master\tauth_user=master\n"
	    "OK\t7\tuser=a\001tb\tproxy\thost=192.0.2.1\tforward=\001n\0011\t\tresp=dj0x\n"
	    "FAIL\t8\tuser=tim\tcode=temp_fail\n";
	feed(c, replies, sizeof(replies) - 1, how, log, sizeof(log));
	assert_string_equal(log,
	    "3:1:ok user<tim> user=tim\n"
	    "2:3:ok data<Username:>\n"
	    "4:4:refused user<tim> user=tim\n"
	    "2:2:ok data<>\n"
	    "4:6:refused code<invalid_base64> reason<Invalid base64 data in initial response> "
	    "code=invalid_base64 reason=Invalid base64 data in initial response\n"
	    "4:5:refused user<nobody> code<authz_fail> user=nobody code=authz_fail "
	    "original_user=master auth_user=master\n"
	    "3:7:ok user<a\tb> data<v=1> user=a\tb proxy host=192.0.2.1 forward=\n\001\n"
	    "4:8:temporary failure user<tim> code<temp_fail> user=tim code=temp_fail\n");
	log[0] = '\0';
	assert_int_equal(authd_client_continue(c, 3, "tim", 3), AUTHD_OK);
	assert_int_equal(authd_client_continue(c, 3, "tim", 3), AUTHD_USAGE); /* once */
	assert_int_equal(authd_client_continue(c, 2, "", 0), AUTHD_OK);
	expect_output(c, "CONT\t3\tdGlt\nCONT\t2\t\n");
	static const char more[] = "CONT\t3\tUGFzc3dvcmQ6\nFAIL\t2\treason=Authentication request "
				   "timed out\n";
	feed(c, more, sizeof(more) - 1, how, log, sizeof(log));
	assert_string_equal(log, "2:3:ok data<Password:>\n"
				 "4:2:temporary failure reason<Authentication request timed out> "
				 "reason=Authentication request timed out\n");
	assert_int_equal(authd_conn_pending(c), 1);
	authd_conn_free(c);
}

static void test_transcripts(void **state)
{
	(void)state;
	transcript(WHOLE);
	transcript(BYTES);
	for (int i = 0; i < 50; i++)
		transcript(RANDOM);
}

static void test_handshake_cuts(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		char log[256] = "";
		struct authd_conn *c = authd_client_new(1);
		feed(c, HELLO, strlen(HELLO), i == 0 ? BYTES : RANDOM, log, sizeof(log));
		assert_string_equal(log, "1:0:ok\n");
		authd_conn_free(c);
	}
}

/* Initial responses: none, empty, and one with all that escaping has to do elsewhere. */
static void test_initial(void **state)
{
	(void)state;
	struct authd_conn *c = ready(AUTHD_CLIENT);
	begin(c, "LOGIN", NULL);
	begin(c, "LOGIN", "");
	begin(c, "LOGIN", "a");
	expect_output(c, "AUTH\t1\tLOGIN\tservice=smtp\nAUTH\t2\tLOGIN\tservice=smtp\tresp==\n"
			 "AUTH\t3\tLOGIN\tservice=smtp\tresp=YQ==\n");
	struct authd_field odd[] = {{.name = "service", .value = "a\tb\nc\rd\001e"}};
	struct authd_auth auth = {.mech = "PLAIN", .fields = odd, .field_count = 1};
	uint32_t id;
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_OK);
	expect_output(c, "AUTH\t4\tPLAIN\tservice=a\001tb\001nc\001rd\0011e\n");
	authd_conn_free(c);
}

static void test_usage(void **state)
{
	(void)state;
	uint32_t id = 77;
	struct authd_conn *c = authd_client_new(1);
	struct authd_auth auth = {.mech = "PLAIN", .fields = smtp, .field_count = 1};
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE); /* no handshake */
	authd_conn_free(c);
	c = ready(AUTHD_CLIENT);
	auth.mech = "GSSAPI";
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE);
	assert_string_equal(authd_conn_error(c), "the server does not offer the mechanism GSSAPI");
	auth.mech = "PLAIN";
	auth.field_count = 0;
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE); /* no service */
	struct authd_field resp[] = {smtp[0], {.name = "resp", .value = "AA=="}};
	auth.fields = resp;
	auth.field_count = 2;
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE);
	auth.field_count = 1;
	auth.initial = calloc(1, AUTHD_CLIENT_LINE_MAX);
	auth.initial_length = AUTHD_CLIENT_LINE_MAX;
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE);
	free((void *)auth.initial);
	assert_int_equal(authd_master_user(c, "tim", smtp, 1, &id), AUTHD_USAGE); /* other kind */
	assert_int_equal(id, 77);
	expect_output(c, "");
	assert_int_equal(authd_conn_status(c), AUTHD_OK);
	assert_int_equal(authd_conn_pending(c), 0);
	authd_conn_free(c);
}

/* The longest line that fits is sent, one more byte is not. */
static void test_longest(void **state)
{
	(void)state;
	static const char prefix[] = "AUTH\t1\tPLAIN\tservice=";
	size_t room = AUTHD_CLIENT_LINE_MAX - (sizeof(prefix) - 1);
	char *value = malloc(room + 2);
	memset(value, 'x', room + 1);
	value[room + 1] = '\0';
	struct authd_field f = {.name = "service", .value = value};
	struct authd_auth auth = {.mech = "PLAIN", .fields = &f, .field_count = 1};
	uint32_t id;
	struct authd_conn *c = ready(AUTHD_CLIENT);
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE);
	value[room] = '\0';
	authd_conn_free(c);
	c = ready(AUTHD_CLIENT);
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_OK);
	const void *data;
	assert_int_equal(authd_conn_output(c, &data), AUTHD_CLIENT_LINE_MAX + 1);
	authd_conn_free(c);
	free(value);
}

/* A cancelled request's late answer is no event and no error. */
static void test_cancel(void **state)
{
	(void)state;
	char log[512] = "";
	struct authd_conn *c = ready(AUTHD_CLIENT);
	begin(c, "PLAIN", "x");
	begin(c, "PLAIN", "y");
	authd_conn_sent(c, SIZE_MAX);
	assert_int_equal(authd_conn_cancel(c, 1), AUTHD_OK);
	assert_int_equal(authd_conn_cancel(c, 99), AUTHD_OK);
	expect_output(c, "CANCEL\t1\n");
	static const char late[] =
	    "CANCELLED\t1\nFAIL\t1\tuser=x\nNEWS\t9\nOK\t2\tuser=y\nOK\t2\tuser=y\n";
	feed(c, late, sizeof(late) - 1, WHOLE, log, sizeof(log));
	assert_string_equal(log, "3:2:ok user<y> user=y\n");
	assert_int_equal(authd_conn_status(c), AUTHD_OK);
	authd_conn_free(c);
}

/* What was answered before the end counts; what waits is a temporary failure, not a refusal. */
static void test_eof(void **state)
{
	(void)state;
	char log[512] = "";
	struct authd_conn *c = ready(AUTHD_CLIENT);
	begin(c, "PLAIN", "x");
	begin(c, "PLAIN", "y");
	authd_conn_feed(c, "OK\t2\tuser=y\nOK\t1\tuser=x", 24);
	authd_conn_eof(c);
	pull(c, log, sizeof(log));
	assert_string_equal(log,
	    "3:2:ok user<y> user=y\n4:1:temporary failure\n"
	    "11:0:temporary failure reason<the server closed the connection>\n");
	uint32_t id;
	struct authd_auth auth = {.mech = "PLAIN", .fields = smtp, .field_count = 1};
	assert_int_equal(authd_client_auth(c, &auth, &id), AUTHD_USAGE);
	authd_conn_free(c);
}

/* Ten thousand at once, answered in another order, all cuts; each answer finds its own. */
static void test_many(void **state)
{
	(void)state;
	enum { N = 10000 };
	struct authd_conn *c = ready(AUTHD_CLIENT);
	for (uint32_t i = 1; i <= N; i++)
		assert_int_equal(begin(c, "PLAIN", "x"), i);
	assert_int_equal(authd_conn_pending(c), N);
	authd_conn_sent(c, SIZE_MAX);
	bool *seen = calloc(N + 1, 1);
	for (uint32_t i = 0; i < N; i++) {
		char line[64];
		uint32_t id = 1 + i * 7919 % N; /* 7919 is prime to N: each once */
		int n = snprintf(line, sizeof(line), "%s\t%u\tuser=u%u\n", i % 2 ? "OK" : "FAIL",
		    (unsigned)id, (unsigned)id);
		authd_conn_feed(c, line, (size_t)n);
		struct authd_event e;
		authd_conn_next(c, &e);
		assert_int_equal(e.id, id);
		assert_int_equal(e.status, i % 2 ? AUTHD_OK : AUTHD_REFUSED);
		assert_false(seen[id]);
		seen[id] = true;
	}
	free(seen);
	assert_int_equal(authd_conn_pending(c), 0);
	assert_int_equal(authd_conn_status(c), AUTHD_OK);
	authd_conn_free(c);
}

static void test_wrap(void **state)
{
	(void)state;
	char log[256] = "";
	struct authd_conn *c = ready(AUTHD_CLIENT);
	assert_int_equal(begin(c, "PLAIN", "x"), 1);
	c->last_id = UINT32_MAX - 1;
	assert_int_equal(begin(c, "PLAIN", "x"), UINT32_MAX);
	assert_int_equal(begin(c, "PLAIN", "x"), 2); /* 0 is illegal, 1 still waits */
	feed(c, "FAIL\t4294967295\nFAIL\t1\n", 23, WHOLE, log, sizeof(log));
	assert_string_equal(log, "4:4294967295:refused\n4:1:refused\n");
	authd_conn_free(c);
}

/* ---- the master protocol ---- */

static void master_transcript(enum cutting how)
{
	char log[2048] = "";
	uint32_t id;
	struct authd_conn *c = ready(AUTHD_MASTER);
	assert_int_equal(authd_conn_server_pid(c), 15532);
	assert_int_equal(authd_master_user(c, "tim", smtp, 1, &id), AUTHD_OK);
	assert_int_equal(authd_master_pass(c, "t\tm", smtp, 1, &id), AUTHD_OK);
	assert_int_equal(authd_master_list(c, "*", smtp, 1, &id), AUTHD_OK);
	struct authd_field pid = {.name = "session_pid", .value = "16219"};
	assert_int_equal(authd_master_request(c, 16219, 1, "0f98bc83", &pid, 1, &id), AUTHD_OK);
	assert_int_equal(authd_master_user(c, "nobody", smtp, 1, &id), AUTHD_OK);
	const char *const users[] = {"tim", "tom", NULL};
	assert_int_equal(authd_master_cache_flush(c, users, &id), AUTHD_OK);
	assert_int_equal(authd_master_list(c, NULL, smtp, 1, &id), AUTHD_OK);
	assert_int_equal(authd_master_user(c, "later", smtp, 1, &id), AUTHD_OK);
	expect_output(c,
	    "USER\t1\ttim\tservice=smtp\nPASS\t2\tt\001tm\tservice=smtp\n"
	    "LIST\t3\tuser=*\tservice=smtp\nREQUEST\t4\t16219\t1\t0f98bc83\tsession_pid=16219\n"
	    "USER\t5\tnobody\tservice=smtp\nCACHE-FLUSH\t6\ttim\ttom\nLIST\t7\tservice=smtp\n"
	    "USER\t8\tlater\tservice=smtp\n");
	static const char replies[] =
	    "LIST\t3\ttim\nNOTFOUND\t5\nUSER\t1\ttim\tuid=1000\tmail=maildir:~/Maildir\n"
	    "LIST\t3\ttom\nUSER\t4\ttim\tauth_mech=PLAIN\tanonymous\nDONE\t3\t\nOK\t6\t2\n"
	    "PASS\t2\tuser=t\001tm\tproxy=y\t\nDONE\t7\tfail\nFAIL\t8\treason=no\n";
	feed(c, replies, sizeof(replies) - 1, how, log, sizeof(log));
	assert_string_equal(log,
	    "8:3:ok user<tim>\n7:5:no such user\n"
	    "5:1:ok user<tim> uid=1000 mail=maildir:~/Maildir\n8:3:ok user<tom>\n"
	    "5:4:ok user<tim> auth_mech=PLAIN anonymous\n9:3:ok\n10:6:ok\n"
	    "6:2:ok user<t\tm> user=t\tm proxy=y\n9:7:temporary failure\n"
	    "4:8:temporary failure reason<no> reason=no\n");
	assert_int_equal(authd_conn_pending(c), 0);
	authd_conn_free(c);
}

static void test_master(void **state)
{
	(void)state;
	master_transcript(WHOLE);
	master_transcript(BYTES);
	for (int i = 0; i < 50; i++)
		master_transcript(RANDOM);
}

/* ---- enemies ---- */

struct attack {
	enum authd_kind kind;
	bool after_handshake; /* and after two requests, 1 and 2 */
	const char *bytes;
	size_t length; /* 0: to the NUL */
	enum authd_status status;
	const char *error; /* a part of it */
};

static const struct attack attacks[] = {
    {AUTHD_CLIENT, false, "VERSION\t1\t1\nSPID\t12\n", 0, AUTHD_WRONG_SOCKET, "master socket"},
    {AUTHD_MASTER, false, HELLO, 0, AUTHD_WRONG_SOCKET, "client socket"},
    {AUTHD_MASTER, false, "VERSION\t1\t2\nSPID\t1\nCUID\t7\n", 0, AUTHD_WRONG_SOCKET,
	"client socket"},
    {AUTHD_CLIENT, false, "220 mail ESMTP\r\n", 0, AUTHD_PROTOCOL, "VERSION"},
    {AUTHD_CLIENT, false, "\n", 0, AUTHD_PROTOCOL, "VERSION"},
    {AUTHD_CLIENT, false, "VERSION\t2\t0\n", 0, AUTHD_PROTOCOL, "version 2"},
    {AUTHD_CLIENT, false, "VERSION\t1\n", 0, AUTHD_PROTOCOL, "VERSION"},
    {AUTHD_CLIENT, false, "VERSION\t1\t99999999999\n", 0, AUTHD_PROTOCOL, "VERSION"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\nOK\t1\tuser=x\n", 0, AUTHD_PROTOCOL, "handshake"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\nDONE\n", 0, AUTHD_PROTOCOL, "no mechanisms"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\nMECH\n", 0, AUTHD_PROTOCOL, "without a name"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\nMECH\tPLAIN\nSPID\t1\nDONE\n", 0, AUTHD_PROTOCOL,
	"COOKIE"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\nMECH\tPLAIN\nSPID\t0\n", 0, AUTHD_PROTOCOL, "SPID"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\nCOOKIE\tzz\n", 0, AUTHD_PROTOCOL, "COOKIE"},
    {AUTHD_CLIENT, false,
	"VERSION\t1\t2\nCOOKIE\ta6bc002fa8085f6a9672d35651227192\n"
	"COOKIE\ta6bc002fa8085f6a9672d35651227192\n",
	0, AUTHD_PROTOCOL, "COOKIE"},
    {AUTHD_CLIENT, false, "VERSION\t1\t2\0\n", 13, AUTHD_PROTOCOL, "NUL"},
    {AUTHD_CLIENT, true, "OK\t3\tuser=x\n", 0, AUTHD_PROTOCOL, "never made"},
    {AUTHD_CLIENT, true, "OK\t0\tuser=x\n", 0, AUTHD_PROTOCOL, "id"},
    {AUTHD_CLIENT, true, "OK\t4294967297\tuser=x\n", 0, AUTHD_PROTOCOL, "id"},
    {AUTHD_CLIENT, true, "OK\t-1\tuser=x\n", 0, AUTHD_PROTOCOL, "id"},
    {AUTHD_CLIENT, true, "OK\t1\n", 0, AUTHD_PROTOCOL, "without a user"},
    {AUTHD_CLIENT, true, "OK\t1\tuser=\n", 0, AUTHD_PROTOCOL, "without a user"},
    {AUTHD_CLIENT, true, "OK\t1\tuser\n", 0, AUTHD_PROTOCOL, "without a user"},
    {AUTHD_CLIENT, true, "OK\t1\tuser=root\0010x\n", 0, AUTHD_PROTOCOL, "NUL"},
    {AUTHD_CLIENT, true, "OK\t1\tuser=x\tresp=!\n", 0, AUTHD_PROTOCOL, "base64"},
    {AUTHD_CLIENT, true, "CONT\t1\tab\n", 0, AUTHD_PROTOCOL, "base64"},
    {AUTHD_CLIENT, true, "CONT\t1\tabc=d===\n", 0, AUTHD_PROTOCOL, "base64"},
    {AUTHD_CLIENT, true, "CONT\t1\t\nCONT\t1\t\n", 0, AUTHD_PROTOCOL, "second challenge"},
    {AUTHD_CLIENT, true, "OK\t1\tus\0er=x\n", 13, AUTHD_PROTOCOL, "NUL"},
    {AUTHD_MASTER, false, "SPID\t1\n", 0, AUTHD_PROTOCOL, "VERSION"},
    {AUTHD_MASTER, false, "VERSION\t1\t1\nUSER\t1\tx\n", 0, AUTHD_PROTOCOL, "handshake"},
    {AUTHD_MASTER, true, "USER\t2\ttim\n", 0, AUTHD_PROTOCOL, "no answer to it"},
    {AUTHD_MASTER, true, "DONE\t1\t\n", 0, AUTHD_PROTOCOL, "no answer to it"},
    {AUTHD_MASTER, true, "USER\t1\n", 0, AUTHD_PROTOCOL, "without a user"},
    {AUTHD_MASTER, true, "USER\t1\troot\0010x\n", 0, AUTHD_PROTOCOL, "without a user"},
    {AUTHD_MASTER, true, "LIST\t2\t\n", 0, AUTHD_PROTOCOL, "without a user"},
    {AUTHD_MASTER, true, "HELLO\t1\n", 0, AUTHD_PROTOCOL, "HELLO"},
    {AUTHD_MASTER, true, "CUID\t1\n", 0, AUTHD_WRONG_SOCKET, "client socket"},
    {AUTHD_MASTER, true, "USER\t7\tx\n", 0, AUTHD_PROTOCOL, "never made"},
};

static void attack(const struct attack *a, enum cutting how)
{
	char log[1024] = "";
	size_t length = a->length != 0 ? a->length : strlen(a->bytes);
	uint32_t id;
	struct authd_conn *c = a->after_handshake	 ? ready(a->kind)
			       : a->kind == AUTHD_CLIENT ? authd_client_new(1)
							 : authd_master_new();
	if (a->after_handshake && a->kind == AUTHD_CLIENT) {
		begin(c, "PLAIN", "x");
		begin(c, "PLAIN", "x");
	} else if (a->after_handshake) {
		assert_int_equal(authd_master_user(c, "tim", smtp, 1, &id), AUTHD_OK);
		assert_int_equal(authd_master_list(c, "*", smtp, 1, &id), AUTHD_OK);
	}
	feed(c, a->bytes, length, how, log, sizeof(log));
	if (authd_conn_status(c) != a->status || strstr(authd_conn_error(c), a->error) == NULL)
		fail_msg("after %s: %s: %s", a->bytes, authd_status_name(authd_conn_status(c)),
		    authd_conn_error(c));
	assert_null(strstr(log, "refused")); /* nobody decided anything */
	assert_int_equal(authd_conn_pending(c), 0);
	assert_non_null(strstr(log, "11:0:")); /* told once, and nothing after it */
	log[0] = '\0';
	feed(c, "OK\t1\tuser=x\n", 12, WHOLE, log, sizeof(log));
	assert_string_equal(log, "");
	authd_conn_free(c);
}

static void test_attacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		attack(&attacks[i], WHOLE);
		attack(&attacks[i], BYTES);
	}
}

/* The longest line is taken; one byte more is not, and not only once its end has come. */
static void test_oversized(void **state)
{
	(void)state;
	char log[1024] = "";
	char *line = malloc(AUTHD_CLIENT_LINE_MAX + 2);
	memset(line, 'x', AUTHD_CLIENT_LINE_MAX + 1);
	line[AUTHD_CLIENT_LINE_MAX] = '\n';
	struct authd_conn *c = ready(AUTHD_CLIENT);
	authd_conn_feed(c, line, AUTHD_CLIENT_LINE_MAX + 1);
	pull(c, log, sizeof(log));
	assert_int_equal(authd_conn_status(c), AUTHD_OK);
	line[AUTHD_CLIENT_LINE_MAX] = 'x';
	authd_conn_feed(c, line, AUTHD_CLIENT_LINE_MAX + 1);
	pull(c, log, sizeof(log));
	assert_int_equal(authd_conn_status(c), AUTHD_PROTOCOL);
	assert_non_null(strstr(authd_conn_error(c), "more than 16383"));
	authd_conn_free(c);
	c = ready(AUTHD_MASTER);
	feed(c, line, AUTHD_MASTER_LINE_MAX + 1, WHOLE, log, sizeof(log));
	assert_int_equal(authd_conn_status(c), AUTHD_PROTOCOL);
	authd_conn_free(c);
	free(line);
}

static void test_many_mechs(void **state)
{
	(void)state;
	char log[512] = "";
	struct authd_conn *c = authd_client_new(1);
	feed(c, "VERSION\t1\t2\n", 12, WHOLE, log, sizeof(log));
	for (int i = 0; i < 300 && authd_conn_status(c) == AUTHD_OK; i++)
		feed(c, "MECH\tX\n", 7, WHOLE, log, sizeof(log));
	assert_int_equal(authd_conn_status(c), AUTHD_PROTOCOL);
	authd_conn_free(c);
}

/* ---- small parts ---- */

static void test_base64(void **state)
{
	(void)state;
	static const char *const good[][2] = {{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"},
	    {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}, {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"}};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[16];
		size_t length = strlen(good[i][0]);
		memcpy(text, good[i][0], length);
		assert_true(libauthd_base64_decode(text, &length));
		assert_int_equal(length, strlen(good[i][1]));
		assert_memory_equal(text, good[i][1], length);
		struct libauthd_bytes b = {0};
		assert_true(libauthd_put_base64(&b, good[i][1], strlen(good[i][1])));
		assert_int_equal(libauthd_length(&b), strlen(good[i][0]));
		if (b.data != NULL)
			assert_memory_equal(b.data, good[i][0], b.end);
		libauthd_bytes_free(&b);
	}
	static const char *const bad[] = {
	    "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm 9", "Zg==Zg==", "Zm9v\n", "=Zg="};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[16];
		size_t length = strlen(bad[i]);
		memcpy(text, bad[i], length);
		if (libauthd_base64_decode(text, &length))
			fail_msg("%s was taken", bad[i]);
	}
}

static void test_unescape(void **state)
{
	(void)state;
	char text[] = "a\0010\0011\001t\001r\001n\001x\001";
	size_t length = libauthd_unescape(text, sizeof(text) - 1);
	assert_int_equal(length, 7);
	assert_memory_equal(text, "a\0\001\t\r\nx", 7);
}

static void test_masks(void **state)
{
	(void)state;
	assert_true(authd_mask_match("*", ""));
	assert_true(authd_mask_match("*@Example.com", "tim@example.COM"));
	assert_true(authd_mask_match("t?m*", "tim"));
	assert_true(authd_mask_match("*a*b*c", "xaxbxbxc"));
	assert_false(authd_mask_match("*a*b*c", "xaxbxbx"));
	assert_false(authd_mask_match("tim", "timo"));
	assert_false(authd_mask_match("tim?", "tim"));
	assert_false(authd_mask_match("", "x"));
}

int main(void)
{
	srand(20260822);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handshake),
	    cmocka_unit_test(test_handshake_cuts),
	    cmocka_unit_test(test_transcripts),
	    cmocka_unit_test(test_initial),
	    cmocka_unit_test(test_usage),
	    cmocka_unit_test(test_longest),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_eof),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_master),
	    cmocka_unit_test(test_attacks),
	    cmocka_unit_test(test_oversized),
	    cmocka_unit_test(test_many_mechs),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(test_unescape),
	    cmocka_unit_test(test_masks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
