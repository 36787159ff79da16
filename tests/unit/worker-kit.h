/*
 * A worker in a thread of the test, with the test in the place of the front
 * and of the parent.
 */
#ifndef TESTS_UNIT_WORKER_KIT_H
#define TESTS_UNIT_WORKER_KIT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "authd/channel.h"
#include "authd/control.h"
#include "authd/worker.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/drivers.h"
#include "schemes/scheme.h"

struct kit {
	char dir[64];
	int control, channel;
	int worker_control, worker_channel;
	pthread_t thread;
	bool running;
	int result;
	struct channel_hello hello;
	struct buffer in;
	struct arena arena; /* of what was received */
	uint64_t names_got; /* in ITEMS */
	char last_name[64];
};

static inline int kit_setup(void **state)
{
	struct kit *k = mem_alloc(sizeof(*k));
	strcpy(k->dir, "/tmp/authd-test-XXXXXX");
	*state = k;
	k->control = k->channel = -1;
	return mkdtemp(k->dir) != NULL ? 0 : -1;
}

static inline void *kit_thread(void *arg)
{
	struct kit *k = arg;
	k->result = worker_run(k->worker_control, k->worker_channel, NULL);
	arena_thread_end();
	return NULL;
}

static inline void kit_hang_up(struct kit *k)
{
	if (k->control >= 0)
		close(k->control);
	if (k->channel >= 0)
		close(k->channel);
	k->control = k->channel = -1;
}

static inline int kit_join(struct kit *k)
{
	if (k->running)
		pthread_join(k->thread, NULL);
	k->running = false;
	return k->result;
}

static inline int kit_teardown(void **state)
{
	struct kit *k = *state;
	char command[128];
	kit_hang_up(k);
	kit_join(k);
	arena_free(&k->arena);
	buffer_free(&k->in);
	snprintf(command, sizeof(command), "rm -rf '%s'", k->dir);
	int rc = system(command);
	mem_free(&k);
	return rc;
}

static inline void kit_write(struct kit *k, const char *name, struct span text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
	fclose(f);
	/* old, so that nobody waits for it to settle */
	struct timespec ts[2];
	clock_gettime(CLOCK_REALTIME, &ts[0]);
	ts[0].tv_sec -= 100;
	ts[1] = ts[0];
	assert_int_equal(utimensat(AT_FDCWD, path, ts, 0), 0);
}

static inline void kit_config_error(void *ctx UNUSED, const char *message)
{
	fail_msg("configuration: %s", message);
}

/* "DIR" in text stands for the temporary directory; its only section is the worker's */
static inline void kit_export(struct kit *k, const char *text, struct buffer *blob)
{
	static const char *const mechs[] = {"PLAIN", "OTP", "SCRAM-SHA-256", NULL};
	struct config_options o = {
	    .drivers = known_driver_specs, .mechanisms = mechs, .module_dir = k->dir};
	struct buffer b = {0};
	const char *at;
	while ((at = strstr(text, "DIR")) != NULL) {
		buffer_append(&b, span_make(text, (size_t)(at - text)));
		buffer_append_str(&b, k->dir);
		text = at + 3;
	}
	buffer_append_str(&b, text);
	buffer_append_str(
	    &b, "service auth {\n unix_listener auth-client {\n mode = 0600\n }\n}\n");
	kit_write(k, "test.conf", buffer_span(&b));
	buffer_consume(&b, b.len);
	buffer_printf(&b, "%s/test.conf%c", k->dir, 0);
	struct config *c = config_load(buffer_span(&b).ptr, &o, kit_config_error, NULL);
	assert_non_null(c);
	config_export_worker(c, 0, blob);
	config_free(&c);
	buffer_free(&b);
}

/* Starts the worker; its first word to the parent. */
static inline struct control_message kit_start(struct kit *k, const char *config, char *buf)
{
	int control[2], channel[2];
	struct buffer blob = {0};
	struct err err = {0};
	struct control_message m = {.type = CONTROL_WORKER_CONFIG};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	k->control = control[0];
	k->worker_control = control[1];
	k->channel = channel[0];
	k->worker_channel = channel[1];
	kit_export(k, config, &blob);
	m.fd = control_memfd(buffer_span(&blob), &err);
	assert_true(m.fd >= 0);
	assert_true(control_send(k->control, &m, &err));
	close(m.fd);
	buffer_free(&blob);
	assert_int_equal(pthread_create(&k->thread, NULL, kit_thread, k), 0);
	k->running = true;
	assert_int_equal(control_receive(k->control, &m, buf, CONTROL_PACKET_MAX, &err), 1);
	return m;
}

/* The next frame; 0 at the end of the channel. */
static inline uint8_t kit_frame(struct kit *k, struct span *payload)
{
	for (;;) {
		struct span all = buffer_span(&k->in), rest = all;
		uint8_t type;
		int got = wire_frame_next(&rest, &type, payload);
		assert_true(got >= 0);
		if (got > 0) {
			*payload = arena_dup(&k->arena, *payload);
			buffer_consume(&k->in, all.len - rest.len);
			return type;
		}
		struct pollfd p = {.fd = k->channel, .events = POLLIN};
		if (poll(&p, 1, 60000) <= 0)
			fail_msg("the worker says nothing");
		ssize_t n = read(k->channel, buffer_reserve(&k->in, 65536), 65536);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		assert_true(n > 0);
		buffer_commit(&k->in, (size_t)n);
	}
}

static inline void kit_run(struct kit *k, const char *config)
{
	char buf[CONTROL_PACKET_MAX];
	struct span payload;
	struct control_message m = kit_start(k, config, buf);
	if (m.type != CONTROL_READY)
		fail_msg("the worker failed: %.*s", SPAN_ARG(m.text));
	assert_int_equal(kit_frame(k, &payload), CHANNEL_HELLO);
	assert_true(channel_get_hello(payload, &k->hello));
}

static inline void kit_send(struct kit *k, struct buffer *b)
{
	while (b->len > 0) {
		ssize_t n = send(k->channel, buffer_span(b).ptr, buffer_span(b).len, MSG_NOSIGNAL);
		assert_true(n > 0);
		buffer_consume(b, (size_t)n);
	}
	buffer_free(b);
}

static inline void kit_put(struct kit *k, struct buffer *b, uint64_t serial, enum channel_ask ask,
    const char *user, const char *password)
{
	struct channel_question q = {.serial = serial, .ask = ask};
	q.vars.v[VAR_USER] = span_of(user);
	q.password = secret_of(span_of(password));
	channel_put_ask(b, &q, k->hello.needs);
}

/* The next answer; names of lists that come before it are counted, what changed is noted. */
static inline struct channel_answer kit_answer(struct kit *k)
{
	struct span payload, name;
	struct channel_answer an = {0};
	struct wire_reader r;
	uint64_t serial;
	uint8_t type;
	while ((type = kit_frame(k, &payload)) == CHANNEL_ITEMS || type == CHANNEL_HELLO) {
		if (type == CHANNEL_HELLO) {
			assert_true(channel_get_hello(payload, &k->hello));
			continue;
		}
		assert_true(channel_get_items(payload, &serial, &r));
		while (r.at < r.end) {
			name = wire_get_span(&r);
			k->names_got++;
			span_to_cstr(name, k->last_name, sizeof(k->last_name));
		}
		assert_true(wire_done(&r));
	}
	assert_int_equal(type, CHANNEL_ANSWER);
	assert_true(channel_get_answer(payload, &k->arena, &an));
	return an;
}

static inline struct channel_answer kit_ask(
    struct kit *k, enum channel_ask ask, const char *user, const char *password)
{
	static uint64_t serial = 1000;
	struct buffer b = {0};
	kit_put(k, &b, ++serial, ask, user, password);
	kit_send(k, &b);
	struct channel_answer an = kit_answer(k);
	assert_int_equal(an.serial, serial);
	return an;
}

#define assert_detail(an, text)                                                                    \
	do {                                                                                       \
		char detail_[512];                                                                 \
		assert_true(span_to_cstr((an).detail, detail_, sizeof(detail_)));                  \
		assert_string_equal(detail_, text);                                                \
	} while (0)

#endif
