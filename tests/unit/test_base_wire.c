/*
 * Binary messages: what was put is got; a message cut anywhere fails and
 * stays failed; frames that are absurd are told from frames that are short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wire.h"

static void put_one_of_each(struct buffer *b, struct arena *a)
{
	struct fields f = fields_in(a);
	fields_set_str(&f, "uid", "1000");
	fields_set_str(&f, "proxy", NULL);
	fields_set_str(&f, "mail", "");
	wire_put_u8(b, 0xfe);
	wire_put_u32(b, 0xfedcba98);
	wire_put_u64(b, UINT64_C(0xfedcba9876543210));
	wire_put_span(b, SPAN_LIT("a\0b"));
	wire_put_span(b, SPAN_NULL);
	wire_put_span(b, SPAN_LIT(""));
	wire_put_fields(b, &f);
}

struct got {
	uint8_t u8;
	uint32_t u32;
	uint64_t u64;
	struct span bytes, absent, empty;
	struct fields fields;
};

static void get_one_of_each(struct wire_reader *r, struct got *g, struct arena *a)
{
	g->u8 = wire_get_u8(r);
	g->u32 = wire_get_u32(r);
	g->u64 = wire_get_u64(r);
	g->bytes = wire_get_span(r);
	g->absent = wire_get_span(r);
	g->empty = wire_get_span(r);
	g->fields = fields_in(a);
	wire_get_fields(r, &g->fields);
}

static void test_round_trip(void **state UNUSED)
{
	struct arena a = {0};
	struct buffer b = {0};
	struct got g;
	put_one_of_each(&b, &a);
	struct wire_reader r = wire_reader_of(buffer_span(&b));
	get_one_of_each(&r, &g, &a);
	assert_true(wire_done(&r));
	assert_int_equal(g.u8, 0xfe);
	assert_true(g.u32 == 0xfedcba98);
	assert_true(g.u64 == UINT64_C(0xfedcba9876543210));
	assert_true(span_eq(g.bytes, SPAN_LIT("a\0b")));
	assert_null(g.absent.ptr);
	assert_non_null(g.empty.ptr);
	assert_int_equal(g.empty.len, 0);
	assert_int_equal(g.fields.count, 3);
	assert_true(span_eq_str(fields_get(&g.fields, "uid"), "1000"));
	assert_null(fields_find(&g.fields, "proxy")->value.ptr);
	assert_non_null(fields_find(&g.fields, "mail")->value.ptr);
	buffer_free(&b);
	arena_free(&a);
}

/* copied to its exact size, so that the sanitizer sees a byte too much */
static void test_cut_at_every_byte(void **state UNUSED)
{
	struct arena a = {0};
	struct buffer b = {0};
	put_one_of_each(&b, &a);
	for (size_t n = 0; n < b.len; n++) {
		struct got g;
		char *part = test_malloc(n);
		memcpy(part, b.data, n);
		struct wire_reader r = wire_reader_of(span_make(part, n));
		get_one_of_each(&r, &g, &a);
		assert_false(wire_done(&r));
		/* failed stays failed, and yields nothing any more */
		assert_true(r.failed);
		assert_int_equal(wire_get_u8(&r), 0);
		assert_int_equal(wire_get_u64(&r), 0);
		assert_null(wire_get_span(&r).ptr);
		test_free(part);
	}
	buffer_free(&b);
	arena_free(&a);
}

static void test_left_over(void **state UNUSED)
{
	struct buffer b = {0};
	wire_put_u32(&b, 1);
	wire_put_u8(&b, 0);
	struct wire_reader r = wire_reader_of(buffer_span(&b));
	assert_int_equal(wire_get_u32(&r), 1);
	assert_false(wire_done(&r));
	(void)wire_get_u8(&r);
	assert_true(wire_done(&r));
	buffer_free(&b);
	r = wire_reader_of(SPAN_NULL);
	assert_true(wire_done(&r));
	assert_int_equal(wire_get_u8(&r), 0);
	assert_false(wire_done(&r));
}

/* counts and lengths that promise more than there is must cost nothing */
static void test_absurd_lengths(void **state UNUSED)
{
	struct arena a = {0};
	static const uint32_t lengths[] = {1, 0x7fffffff, 0xfffffffe};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct buffer b = {0};
		wire_put_u32(&b, lengths[i]);
		struct wire_reader r = wire_reader_of(buffer_span(&b));
		assert_null(wire_get_span(&r).ptr);
		assert_true(r.failed);
		r = wire_reader_of(buffer_span(&b));
		struct fields f = fields_in(&a);
		wire_get_fields(&r, &f);
		assert_true(r.failed);
		assert_int_equal(f.count, 0);
		buffer_free(&b);
	}
	arena_free(&a);
}

static void test_fields_without_key(void **state UNUSED)
{
	struct arena a = {0};
	struct buffer b = {0};
	wire_put_u32(&b, 3);
	wire_put_span(&b, SPAN_LIT(""));
	wire_put_span(&b, SPAN_LIT("x"));
	wire_put_span(&b, SPAN_NULL);
	wire_put_span(&b, SPAN_LIT("x"));
	wire_put_span(&b, SPAN_LIT("k"));
	wire_put_span(&b, SPAN_LIT("v"));
	struct wire_reader r = wire_reader_of(buffer_span(&b));
	struct fields f = fields_in(&a);
	wire_get_fields(&r, &f);
	assert_true(wire_done(&r));
	assert_int_equal(f.count, 1);
	buffer_free(&b);
	arena_free(&a);
}

static void test_frames(void **state UNUSED)
{
	struct buffer b = {0};
	uint8_t type;
	struct span payload;
	size_t place = wire_frame_begin(&b, 3);
	wire_put_u64(&b, 42);
	wire_frame_end(&b, place);
	place = wire_frame_begin(&b, 4); /* an empty one */
	wire_frame_end(&b, place);
	for (size_t n = 0; n < b.len; n++) {
		struct span in = span_first(buffer_span(&b), n), before = in;
		int whole = wire_frame_next(&in, &type, &payload);
		assert_int_equal(whole, n >= WIRE_HEADER + 8);
		if (whole == 0)
			assert_memory_equal(&in, &before, sizeof(in));
		else
			assert_int_equal(wire_frame_next(&in, &type, &payload), 0);
	}
	struct span in = buffer_span(&b);
	assert_int_equal(wire_frame_next(&in, &type, &payload), 1);
	assert_int_equal(type, 3);
	assert_int_equal(payload.len, 8);
	assert_int_equal(wire_frame_next(&in, &type, &payload), 1);
	assert_int_equal(type, 4);
	assert_int_equal(payload.len, 0);
	assert_int_equal(wire_frame_next(&in, &type, &payload), 0);
	buffer_free(&b);
}

/* the frame begins behind bytes that are already waiting, some of them consumed */
static void test_frame_in_a_moved_buffer(void **state UNUSED)
{
	struct buffer b = {0};
	uint8_t type;
	struct span payload;
	buffer_append_str(&b, "0123456789");
	buffer_consume(&b, 7);
	size_t place = wire_frame_begin(&b, 9);
	for (int i = 0; i < 1000; i++)
		wire_put_u32(&b, (uint32_t)i);
	wire_frame_end(&b, place);
	struct span in = span_skip(buffer_span(&b), 3);
	assert_int_equal(wire_frame_next(&in, &type, &payload), 1);
	assert_int_equal(type, 9);
	assert_int_equal(payload.len, 4000);
	assert_int_equal(in.len, 0);
	buffer_free(&b);
}

static void test_frame_limit(void **state UNUSED)
{
	uint8_t type;
	struct span payload;
	static const struct {
		uint32_t len;
		int want;
	} cases[] = {{WIRE_FRAME_MAX, 0}, {WIRE_FRAME_MAX + 1, -1}, {UINT32_MAX, -1}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer b = {0};
		wire_put_u32(&b, cases[i].len);
		wire_put_u8(&b, 1);
		struct span in = buffer_span(&b);
		assert_int_equal(wire_frame_next(&in, &type, &payload), cases[i].want);
		buffer_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_cut_at_every_byte),
	    cmocka_unit_test(test_left_over),
	    cmocka_unit_test(test_absurd_lengths),
	    cmocka_unit_test(test_fields_without_key),
	    cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_frame_in_a_moved_buffer),
	    cmocka_unit_test(test_frame_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
