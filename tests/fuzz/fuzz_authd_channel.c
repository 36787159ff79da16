/*
 * Every decoder of the channel: what decodes is encoded again and must decode
 * to the same. The first byte chooses the message, or the framing itself.
 */
#include <stdlib.h>

#include "authd/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool same_secret(struct secret a, struct secret b)
{
	return secret_is_set(a) == secret_is_set(b) && span_eq(secret_reveal(a), secret_reveal(b));
}

/* The payload of the only frame in b. */
static struct span payload_of(const struct buffer *b)
{
	struct span in = buffer_span(b), payload;
	uint8_t type;
	must(wire_frame_next(&in, &type, &payload) == 1 && in.len == 0);
	return payload;
}

static void check_hello(struct span in, struct buffer *b)
{
	struct channel_hello h, again;
	if (!channel_get_hello(in, &h))
		return;
	channel_put_hello(b, &h);
	must(channel_get_hello(payload_of(b), &again));
	must(h.pid == again.pid && h.slots == again.slots && h.can == again.can &&
	     h.needs == again.needs);
}

static void check_ask(struct span in, struct buffer *b, struct arena *a)
{
	struct channel_question q, again;
	if (!channel_get_ask(in, a, &q))
		return;
	channel_put_ask(b, &q, VAR_BIT(VAR_BITS) - 1);
	must(channel_get_ask(payload_of(b), a, &again));
	must(q.serial == again.serial && q.ask == again.ask && q.flags == again.flags &&
	     q.deadline_ms == again.deadline_ms && span_eq(q.scheme, again.scheme) &&
	     same_secret(q.password, again.password) && span_eq(q.handle, again.handle));
	for (int i = 0; i < VAR_COUNT; i++)
		must(span_eq(q.vars.v[i], again.vars.v[i]));
	must(q.passdb_fields.count == again.passdb_fields.count);
}

static void check_answer(struct span in, struct buffer *b, struct arena *a)
{
	struct channel_answer an, again;
	if (!channel_get_answer(in, a, &an))
		return;
	channel_put_answer(b, &an);
	must(channel_peek_answer(in, &again));
	must(an.serial == again.serial && an.backend == again.backend);
	must(channel_get_answer(payload_of(b), a, &again));
	must(an.serial == again.serial && an.verdict == again.verdict &&
	     an.backend == again.backend && an.has_password == again.has_password &&
	     span_eq(an.detail, again.detail) && same_secret(an.credential, again.credential) &&
	     an.fields.count == again.fields.count && an.keep_ms == again.keep_ms &&
	     an.tell.count == again.tell.count);
}

static void check_small(struct span in, struct buffer *b)
{
	uint64_t serial, other;
	uint32_t count, other_count;
	if (channel_get_cancel(in, &serial)) {
		channel_put_cancel(b, serial);
		must(channel_get_cancel(payload_of(b), &other) && other == serial);
		buffer_consume(b, b->len);
	}
	if (channel_get_more(in, &serial, &count)) {
		channel_put_more(b, serial, count);
		must(channel_get_more(payload_of(b), &other, &other_count));
		must(other == serial && other_count == count);
	}
}

static void check_items(struct span in)
{
	struct wire_reader r;
	uint64_t serial;
	if (!channel_get_items(in, &serial, &r))
		return;
	while (r.at < r.end && !r.failed) {
		struct span name = wire_get_span(&r);
		must(name.ptr == NULL || r.failed ||
		     (name.ptr >= in.ptr && name.ptr + name.len <= in.ptr + in.len));
	}
}

static void check_frames(struct span in)
{
	uint8_t type;
	struct span payload, before = in;
	while (wire_frame_next(&in, &type, &payload) > 0) {
		must(payload.len + WIRE_HEADER == before.len - in.len);
		before = in;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct buffer b = {0};
	if (size == 0)
		return 0;
	struct span in = span_make(data + 1, size - 1);
	switch (data[0] % 6) {
	case 0:
		check_hello(in, &b);
		break;
	case 1:
		check_ask(in, &b, &a);
		break;
	case 2:
		check_answer(in, &b, &a);
		break;
	case 3:
		check_small(in, &b);
		break;
	case 4:
		check_items(in);
		break;
	default:
		check_frames(in);
	}
	buffer_free(&b);
	arena_free(&a);
	return 0;
}
