/*
 * A pool that nobody looks anything up in, with a worker that the test plays:
 * the one that carries out GSSAPI.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KIT_WITHOUT_FUZZER
#define KIT_MORE_MECHANISMS "gssapi"
#include "authd/breaker.h"
#include "base/wheel.h"
#include "tests/fuzz/front-kit.h"

struct play {
	struct kit kit;
	struct pool *pool;
	int client, worker;
	uint32_t id;
	struct buffer in; /* from the client's side */
};

static void begin(struct play *p)
{
	struct buffer b = {0};
	*p = (struct play){0};
	kit_begin(&p->kit);
	p->pool = generation_helper(p->kit.generation, "gssapi");
	assert_non_null(p->pool);
	p->worker = kit_worker(&p->kit, p->pool->index);
	const struct channel_hello h = {.pid = 1, .slots = 4};
	channel_put_hello(&b, &h);
	kit_send(p->worker, buffer_span(&b));
	buffer_free(&b);
	p->client = kit_connect(&p->kit, LISTENER_AUTH);
	kit_send(p->client, SPAN_LIT("VERSION\t1\t1\nCPID\t7\n"));
	kit_turns(&p->kit);
}

static void finish(struct play *p)
{
	close(p->client);
	kit_turns(&p->kit);
	assert_int_equal(request_table_count(p->kit.front->requests), 0);
	close(p->worker);
	buffer_free(&p->in);
	kit_end(&p->kit);
}

/* A client begins. True: the worker was asked, as *serial. */
static bool client_begins(struct play *p, uint64_t *serial)
{
	struct arena a = {0};
	struct buffer b = {0};
	struct channel_question q;
	struct span payload;
	uint8_t type;
	buffer_printf(&b, "AUTH\t%u\tGSSAPI\tservice=imap\tresp=AAAA\n", ++p->id);
	kit_send(p->client, buffer_span(&b));
	buffer_consume(&b, b.len);
	kit_turns(&p->kit);
	kit_drain(p->client, &p->in);
	kit_turns(&p->kit); /* what there was no room for */
	kit_drain(p->worker, &b);
	struct span in = buffer_span(&b);
	bool asked = wire_frame_next(&in, &type, &payload) == 1;
	if (asked) {
		assert_int_equal(type, CHANNEL_ASK);
		assert_true(channel_get_ask(payload, &a, &q));
		*serial = q.serial;
	}
	buffer_free(&b);
	arena_free(&a);
	return asked;
}

static void worker_says(struct play *p, uint64_t serial, enum verdict v, enum backend_state backend)
{
	struct arena a = {0};
	struct buffer b = {0};
	struct channel_answer an = {
	    .serial = serial, .verdict = v, .backend = backend, .fields = fields_in(&a)};
	an.tell = fields_in(&a);
	if (v == VERDICT_NEXT) {
		an.credential = secret_of(SPAN_LIT("go on"));
		fields_set_str(&an.tell, "handle", "0123456789abcdef");
	}
	channel_put_answer(&b, &an);
	kit_send(p->worker, buffer_span(&b));
	kit_turns(&p->kit);
	buffer_free(&b);
	arena_free(&a);
}

static bool client_heard(struct play *p, const char *word)
{
	kit_drain(p->client, &p->in);
	buffer_append_char(&p->in, '\0');
	bool heard = strstr(p->in.data + p->in.start, word) != NULL;
	buffer_consume(&p->in, p->in.len);
	return heard;
}

/* No lookup comes here that could find out: it is the next client's first message. */
static void test_a_helper_that_was_down_is_found_again(void **state UNUSED)
{
	struct play p;
	uint64_t serial;
	begin(&p);
	for (int i = 0; i < BREAKER_FAILURES; i++) {
		assert_true(client_begins(&p, &serial));
		worker_says(&p, serial, VERDICT_INTERNAL, BACKEND_DOWN);
	}
	assert_true(p.pool->breaker.open);
	assert_false(client_begins(&p, &serial));
	bool asked = false;
	for (int i = 0; i < 100 && !asked; i++) {
		usleep(50000);
		asked = client_begins(&p, &serial);
	}
	assert_true(asked);
	worker_says(&p, serial, VERDICT_NEXT, BACKEND_ANSWERS);
	assert_true(client_heard(&p, "CONT\t"));
	assert_false(p.pool->breaker.open);
	finish(&p);
}

/* A message in pieces, the last of them with the beginning of the next one. */
static void test_an_answer_in_pieces(void **state UNUSED)
{
	struct play p;
	uint64_t first, second;
	struct arena a = {0};
	struct buffer b = {0};
	begin(&p);
	assert_true(client_begins(&p, &first));
	assert_true(client_begins(&p, &second));
	struct channel_answer an = {
	    .serial = first, .verdict = VERDICT_MISMATCH, .fields = fields_in(&a)};
	an.tell = fields_in(&a);
	channel_put_answer(&b, &an);
	an.serial = second;
	channel_put_answer(&b, &an);
	size_t half = b.len / 2;
	const size_t cuts[] = {0, 3, half - 1, half + 2, b.len - 1, b.len};
	for (size_t i = 1; i < ARRAY_LEN(cuts); i++) {
		assert_int_equal(
		    request_table_count(p.kit.front->requests), cuts[i - 1] < half ? 2 : 1);
		kit_send(p.worker,
		    span_first(span_skip(buffer_span(&b), cuts[i - 1]), cuts[i] - cuts[i - 1]));
		kit_turns(&p.kit);
	}
	assert_true(client_heard(&p, "FAIL\t2"));
	finish(&p);
	buffer_free(&b);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_helper_that_was_down_is_found_again),
	    cmocka_unit_test(test_an_answer_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
