/*
 * The blocking layer of libauthd-client against a server that plays a script
 * in a thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client-lib/authd-client.h"

#define HELLO                                                                                      \
	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t15532\n"             \
	"CUID\t1\nCOOKIE\ta6bc002fa8085f6a9672d35651227192\nDONE\n"
#define MASTER_HELLO "VERSION\t1\t1\nSPID\t15532\n"

enum { LONG_MS = 60000, SHORT_MS = 50 };

static const struct authd_field smtp[] = {{.name = "service", .value = "smtp"}};

/* ---- the server ---- */

struct server {
	char directory[64], path[96];
	int listener;
	pthread_t thread;
	/* "<text": what must come; ">text": what is sent, a byte at a time; NULL: close */
	const char *const *script;
	char wrong[2048];
};

static bool expect(int fd, const char *text, struct server *s)
{
	size_t length = strlen(text), have = 0;
	char got[1024] = "";
	while (have < length) {
		ssize_t n = read(fd, got + have, length - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	if (have == length && memcmp(got, text, length) == 0)
		return true;
	snprintf(s->wrong, sizeof(s->wrong), "expected %s, got %s", text, got);
	return false;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	for (const char *const *step = s->script; *step != NULL; step++) {
		if (**step == '<' && !expect(fd, *step + 1, s))
			break;
		for (const char *p = *step + 1; **step == '>' && *p != '\0'; p++)
			if (send(fd, p, 1, MSG_NOSIGNAL) != 1)
				break;
	}
	close(fd);
	return NULL;
}

static void server_listen(struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(s->directory, "/tmp/authd-test-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->path, sizeof(s->path), "%s/socket", s->directory);
	strcpy(address.sun_path, s->path);
	s->wrong[0] = '\0';
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->listener, 5), 0);
}

static void server_start(struct server *s, const char *const *script)
{
	s->script = script;
	server_listen(s);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_remove(struct server *s)
{
	close(s->listener);
	unlink(s->path);
	rmdir(s->directory);
}

static void server_end(struct server *s)
{
	pthread_join(s->thread, NULL);
	server_remove(s);
	assert_string_equal(s->wrong, "");
}

static struct authd_link *connected(struct server *s, enum authd_kind kind)
{
	struct authd_error error = {0};
	struct authd_link *link = authd_connect(kind, s->path, LONG_MS, &error);
	if (link == NULL)
		fail_msg("%s", error.text);
	return link;
}

/* Logs in; CPID differs from run to run, so scripts of client sockets begin behind it. */
static enum authd_status log_in(struct authd_link *link, const char *mech, const char *master,
    int timeout_ms, struct authd_event *e)
{
	const struct authd_login login = {.mech = mech,
	    .user = "tim",
	    .password = "pw",
	    .master = master,
	    .fields = smtp,
	    .field_count = 1};
	return authd_authenticate(link, &login, timeout_ms, e);
}

static char cpid[64];
#define AUTH_1 "AUTH\t1\tPLAIN\tservice=smtp\tresp=AHRpbQBwdw==\n"

/* ---- logging in ---- */

static void test_plain(void **state)
{
	(void)state;
	static const char *const script[] = {">" HELLO, cpid, "<" AUTH_1, ">OK\t1\tuser=tim\t\n",
	    "<AUTH\t2\tPLAIN\tservice=smtp\tresp=dGltAG1hc3RlcgBwdw==\n",
	    ">FAIL\t2\tuser=tim\tcode=user_disabled\treason=Gone\n",
	    "<AUTH\t3\tPLAIN\tservice=smtp\tresp=AHRpbQBwdw==\n",
	    ">FAIL\t3\tuser=tim\tcode=temp_fail\n",
	    "<AUTH\t4\tPLAIN\tservice=smtp\tresp=AHRpbQBwdw==\n", NULL};
	struct server s;
	struct authd_event e;
	server_start(&s, script);
	struct authd_link *link = connected(&s, AUTHD_CLIENT);
	assert_int_equal(log_in(link, NULL, NULL, LONG_MS, &e), AUTHD_OK);
	assert_string_equal(e.user, "tim");
	assert_int_equal(e.id, 1);
	assert_int_equal(log_in(link, "PLAIN", "master", LONG_MS, &e), AUTHD_REFUSED);
	assert_string_equal(e.code, "user_disabled");
	assert_string_equal(e.reason, "Gone");
	assert_int_equal(log_in(link, "plain", NULL, LONG_MS, &e), AUTHD_TEMPORARY);
	assert_int_equal(authd_conn_status(authd_link_conn(link)), AUTHD_OK);
	/* closed before the answer: that was no refusal */
	assert_int_equal(log_in(link, NULL, NULL, LONG_MS, &e), AUTHD_TEMPORARY);
	assert_string_equal(authd_link_error(link)->text, "the server closed the connection");
	assert_int_equal(log_in(link, NULL, NULL, LONG_MS, &e), AUTHD_USAGE);
	authd_disconnect(link);
	server_end(&s);
}

static void test_login(void **state)
{
	(void)state;
	static const char *const script[] = {">" HELLO, cpid, "<AUTH\t1\tLOGIN\tservice=smtp\n",
	    ">CONT\t1\tVXNlcm5hbWU6\n", "<CONT\t1\tdGlt\n", ">CONT\t1\tUGFzc3dvcmQ6\n",
	    "<CONT\t1\tcHc=\n", ">OK\t1\tuser=tim\n", "<AUTH\t2\tLOGIN\tservice=smtp\n",
	    ">CONT\t2\t\n", "<CONT\t2\tdGlt\n", ">CONT\t2\t\n", "<CONT\t2\tcHc=\n", ">CONT\t2\t\n",
	    NULL};
	struct server s;
	struct authd_event e;
	server_start(&s, script);
	struct authd_link *link = connected(&s, AUTHD_CLIENT);
	assert_int_equal(log_in(link, "LOGIN", NULL, LONG_MS, &e), AUTHD_OK);
	assert_string_equal(e.user, "tim");
	assert_int_equal(log_in(link, "LOGIN", NULL, LONG_MS, &e), AUTHD_PROTOCOL);
	assert_int_equal(log_in(link, "LOGIN", "master", LONG_MS, &e), AUTHD_USAGE);
	assert_int_equal(log_in(link, "CRAM-MD5", NULL, LONG_MS, &e), AUTHD_USAGE);
	authd_disconnect(link);
	server_end(&s);
}

/* A late answer to a request that was given up is not the answer to the next one. */
static void test_late(void **state)
{
	(void)state;
	static const char *const script[] = {">" HELLO, cpid, "<" AUTH_1,
	    "<CANCEL\t1\nAUTH\t2\tPLAIN\tservice=smtp\tresp=AHRpbQBwdw==\n",
	    ">OK\t1\tuser=tim\nFAIL\t2\tuser=tim\n", NULL};
	struct server s;
	struct authd_event e;
	server_start(&s, script);
	struct authd_link *link = connected(&s, AUTHD_CLIENT);
	assert_int_equal(log_in(link, NULL, NULL, SHORT_MS, &e), AUTHD_TEMPORARY);
	assert_int_equal(authd_link_error(link)->errnum, ETIMEDOUT);
	assert_int_equal(log_in(link, NULL, NULL, LONG_MS, &e), AUTHD_REFUSED);
	assert_int_equal(e.id, 2);
	authd_disconnect(link);
	server_end(&s);
}

/* ---- lookups ---- */

struct names {
	char text[128];
	size_t most;
};

static bool add_name(void *context, const char *user)
{
	struct names *n = context;
	strcat(n->text, user);
	strcat(n->text, " ");
	return --n->most > 0;
}

static void test_lookups(void **state)
{
	(void)state;
	static const char *const script[] = {">" MASTER_HELLO, "<VERSION\t1\t1\n",
	    "<USER\t1\ttim\tservice=smtp\n", ">USER\t1\tTim\tuid=1000\n",
	    "<USER\t2\tnobody\tservice=smtp\n", ">NOTFOUND\t2\n", "<PASS\t3\ttim\tservice=smtp\n",
	    ">FAIL\t3\treason=no credentials here\n", "<LIST\t4\tuser=t*\tservice=smtp\n",
	    ">LIST\t4\ttim\nLIST\t4\tbob\nLIST\t4\ttom\nDONE\t4\t\n", "<LIST\t5\tservice=smtp\n",
	    ">LIST\t5\ta\nLIST\t5\tb\nLIST\t5\tc\nDONE\t5\tfail\n", "<LIST\t6\tservice=smtp\n",
	    ">LIST\t6\ta\nDONE\t6\tfail\n", "<REQUEST\t7\t1\t2\tcafe\n", ">FAIL\t7\n",
	    "<REQUEST\t8\t1\t2\tcafe\n", ">USER\t8\ttim\tauth_mech=PLAIN\n", "<CACHE-FLUSH\t9\n",
	    ">OK\t9\t12\n", "<CACHE-STATUS\t10\treset\n", ">OK\t10\thits=4\tmisses=2\n",
	    "<CACHE-STATUS\t11\n", ">OK\t11\n", "<REQUEST\t12\t1\t2\tcafe\n", NULL};
	struct server s;
	struct authd_event e;
	uint64_t count = 0;
	server_start(&s, script);
	struct authd_link *l = connected(&s, AUTHD_MASTER);
	assert_int_equal(authd_lookup_user(l, "tim", smtp, 1, LONG_MS, &e), AUTHD_OK);
	assert_string_equal(e.user, "Tim");
	assert_string_equal(e.fields[0].value, "1000");
	assert_int_equal(authd_lookup_user(l, "nobody", smtp, 1, LONG_MS, &e), AUTHD_NOT_FOUND);
	assert_int_equal(authd_lookup_user(l, "tim", NULL, 0, LONG_MS, &e), AUTHD_USAGE);
	assert_int_equal(authd_lookup_pass(l, "tim", smtp, 1, LONG_MS, &e), AUTHD_TEMPORARY);
	assert_string_equal(authd_link_error(l)->text, "the server says: no credentials here");
	struct names n = {.most = 9}; /* the server ignored the mask */
	assert_int_equal(authd_list(l, "t*", smtp, 1, LONG_MS, add_name, &n), AUTHD_OK);
	assert_string_equal(n.text, "tim tom ");
	n = (struct names){.most = 2};
	assert_int_equal(authd_list(l, NULL, smtp, 1, LONG_MS, add_name, &n), AUTHD_OK);
	assert_string_equal(n.text, "a b ");
	n = (struct names){.most = 9};
	assert_int_equal(authd_list(l, NULL, smtp, 1, LONG_MS, add_name, &n), AUTHD_TEMPORARY);
	assert_int_equal(authd_request(l, 1, 2, "cafe", NULL, 0, LONG_MS, &e), AUTHD_REFUSED);
	assert_int_equal(authd_request(l, 1, 2, "cafe", NULL, 0, LONG_MS, &e), AUTHD_OK);
	assert_string_equal(e.fields[0].value, "PLAIN");
	assert_int_equal(authd_cache_flush(l, NULL, LONG_MS, &count), AUTHD_OK);
	assert_int_equal(count, 12);
	assert_int_equal(authd_cache_status(l, true, LONG_MS, &e), AUTHD_OK);
	assert_int_equal(e.type, AUTHD_EVENT_CACHE);
	assert_int_equal(e.field_count, 2);
	assert_string_equal(e.fields[1].name, "misses");
	assert_string_equal(e.fields[1].value, "2");
	assert_int_equal(authd_cache_status(l, false, LONG_MS, &e), AUTHD_OK);
	assert_int_equal(e.field_count, 0);
	/* closed before the answer: not refused */
	assert_int_equal(authd_request(l, 1, 2, "cafe", NULL, 0, LONG_MS, &e), AUTHD_TEMPORARY);
	authd_disconnect(l);
	server_end(&s);
}

/* ---- connecting ---- */

static void cannot(const char *path, enum authd_kind kind, int timeout_ms, enum authd_status status,
    int errnum, const char *text)
{
	struct authd_error error;
	assert_null(authd_connect(kind, path, timeout_ms, &error));
	assert_int_equal(error.status, status);
	assert_int_equal(error.errnum, errnum);
	if (strstr(error.text, text) == NULL)
		fail_msg("%s: %s", text, error.text);
}

static void test_no_server(void **state)
{
	(void)state;
	char path[200];
	cannot(
	    "/nonexistent/socket", AUTHD_CLIENT, LONG_MS, AUTHD_TEMPORARY, ENOENT, "No such file");
	cannot("nonsense", AUTHD_CLIENT, LONG_MS, AUTHD_USAGE, 0, "host:port");
	cannot("inet:host:", AUTHD_CLIENT, LONG_MS, AUTHD_USAGE, 0, "host:port");
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	cannot(path, AUTHD_CLIENT, LONG_MS, AUTHD_USAGE, ENAMETOOLONG, "too long");
	struct server s;
	server_listen(&s);
	cannot(s.path, AUTHD_CLIENT, SHORT_MS, AUTHD_TEMPORARY, ETIMEDOUT, "did not greet");
	close(s.listener);
	s.listener = -1;
	cannot(s.path, AUTHD_MASTER, LONG_MS, AUTHD_TEMPORARY, ECONNREFUSED, "refused");
	server_remove(&s);
}

static void test_wrong_server(void **state)
{
	(void)state;
	static const char *const master[] = {">" MASTER_HELLO, NULL};
	static const char *const client[] = {">" HELLO, NULL};
	static const char *const smtpd[] = {">220 mail.example ESMTP\r\n", NULL};
	static const char *const hasty[] = {">VERSION\t1\t2\n", NULL};
	struct server s;
	server_start(&s, master);
	cannot(s.path, AUTHD_CLIENT, LONG_MS, AUTHD_WRONG_SOCKET, 0, "master socket");
	server_end(&s);
	server_start(&s, client);
	cannot(s.path, AUTHD_MASTER, LONG_MS, AUTHD_WRONG_SOCKET, 0, "client socket");
	server_end(&s);
	server_start(&s, smtpd);
	cannot(s.path, AUTHD_CLIENT, LONG_MS, AUTHD_PROTOCOL, 0, "VERSION");
	server_end(&s);
	server_start(&s, hasty);
	cannot(s.path, AUTHD_CLIENT, LONG_MS, AUTHD_TEMPORARY, 0, "before its handshake");
	server_end(&s);
}

int main(void)
{
	snprintf(cpid, sizeof(cpid), "<VERSION\t1\t2\nCPID\t%d\n", (int)getpid());
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_lookups),
	    cmocka_unit_test(test_no_server),
	    cmocka_unit_test(test_wrong_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
