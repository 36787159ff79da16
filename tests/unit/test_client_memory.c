/*
 * libauthd-client when memory runs out: each allocation in turn fails, and the
 * library says so, breaks nothing and keeps nothing. The library's sources are
 * compiled into this file so that their allocations can be counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t fail_at; /* 0: never */

static bool may_allocate(void)
{
	return fail_at == 0 || --fail_at > 0;
}

static void *test_malloc_or_fail(size_t size)
{
	return may_allocate() ? malloc(size) : NULL;
}

static void *test_calloc_or_fail(size_t count, size_t size)
{
	return may_allocate() ? calloc(count, size) : NULL;
}

static void *test_reallocarray_or_fail(void *p, size_t count, size_t size)
{
	return may_allocate() ? reallocarray(p, count, size) : NULL;
}

static char *test_strdup_or_fail(const char *s)
{
	return may_allocate() ? strdup(s) : NULL;
}

#define malloc test_malloc_or_fail
#define calloc test_calloc_or_fail
#define reallocarray test_reallocarray_or_fail
#undef strdup
#define strdup test_strdup_or_fail

#include "client-lib/bytes.c"
#include "client-lib/conn.c"

#define handshake_line client_handshake_line
#define reply_line client_reply_line
#include "client-lib/client.c"
#undef handshake_line
#undef reply_line
#include "client-lib/master.c"

static const char client_says[] =
    "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t15532\nCUID\t1\n"
    "COOKIE\ta6bc002fa8085f6a9672d35651227192\nDONE\n"
    "OK\t1\tuser=tim\tresp=dj0x\n";
static const char master_says[] = "VERSION\t1\t1\nSPID\t15532\nUSER\t1\ttim\tuid=1\thome=/h\n";

enum { REQUESTS = 20 }; /* enough to make the table of requests grow */

/* What a request may come to: it was made, or there was no memory and it was not. */
static size_t make_requests(struct authd_conn *c)
{
	static const struct authd_field smtp[] = {{.name = "service", .value = "smtp"}};
	const struct authd_auth auth = {.mech = "PLAIN",
	    .fields = smtp,
	    .field_count = 1,
	    .initial = "0123456789",
	    .initial_length = 10};
	size_t made = 0;
	for (int i = 0; i < REQUESTS; i++) {
		const void *data;
		uint32_t id;
		size_t before = authd_conn_output(c, &data), pending = authd_conn_pending(c);
		enum authd_status status = c->kind == AUTHD_CLIENT
					       ? authd_client_auth(c, &auth, &id)
					       : authd_master_user(c, "tim", smtp, 1, &id);
		if (status == AUTHD_OK) {
			made++;
			continue;
		}
		assert_int_equal(status, AUTHD_NO_MEMORY);
		assert_int_equal(authd_conn_output(c, &data), before);
		assert_int_equal(authd_conn_pending(c), pending);
	}
	return made;
}

/* True when nothing failed. */
static bool converse(enum authd_kind kind, const char *says, size_t length)
{
	struct authd_event e;
	size_t made = 0, failed = 0, answered = 0;
	struct authd_conn *c = kind == AUTHD_CLIENT ? authd_client_new(1) : authd_master_new();
	if (c == NULL)
		return false;
	bool closed = false;
	authd_conn_feed(c, says, length);
	while (authd_conn_next(c, &e) != AUTHD_EVENT_NONE) {
		assert_false(closed);
		closed = e.type == AUTHD_EVENT_CLOSED;
		if (closed)
			assert_int_equal(e.status, AUTHD_NO_MEMORY);
		else if (e.type == AUTHD_EVENT_READY)
			made = make_requests(c);
		else if (e.type == AUTHD_EVENT_FAIL)
			failed++;
		else
			answered++;
	}
	if (closed)
		assert_int_equal(failed + answered, made);
	bool good = !closed && made == REQUESTS && answered == 1;
	authd_conn_free(c);
	return good;
}

static void each_allocation(enum authd_kind kind, const char *says, size_t length)
{
	assert_true(converse(kind, says, length));
	size_t n = 0;
	bool good;
	do {
		fail_at = ++n;
		good = converse(kind, says, length);
		if (fail_at == 0)
			assert_false(good); /* one failed, and somebody noticed */
	} while (fail_at == 0);
	assert_true(good);
	assert_true(n > 5);
	fail_at = 0;
}

static void test_client(void **state)
{
	(void)state;
	each_allocation(AUTHD_CLIENT, client_says, sizeof(client_says) - 1);
}

static void test_master(void **state)
{
	(void)state;
	each_allocation(AUTHD_MASTER, master_says, sizeof(master_says) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_client),
	    cmocka_unit_test(test_master),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
