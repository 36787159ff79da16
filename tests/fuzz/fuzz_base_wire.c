/*
 * Binary messages from anywhere: frames, and each payload read with a recipe
 * that the frame's type chooses. What decodes is encoded again and must
 * decode to the same.
 */
#include <stdlib.h>

#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void fields_again(const struct fields *f, struct arena *a)
{
	struct buffer b = {0};
	struct fields again = fields_in(a);
	wire_put_fields(&b, f);
	struct wire_reader r = wire_reader_of(buffer_span(&b));
	wire_get_fields(&r, &again);
	check(wire_done(&r) && again.count == f->count);
	for (size_t i = 0; i < f->count; i++)
		check(span_eq(again.items[i].key, f->items[i].key) &&
		      span_eq(again.items[i].value, f->items[i].value) &&
		      (again.items[i].value.ptr == NULL) == (f->items[i].value.ptr == NULL));
	buffer_free(&b);
}

static void read_payload(uint8_t recipe, struct span payload)
{
	struct arena a = {0};
	struct wire_reader r = wire_reader_of(payload);
	for (int i = 0; i < 4; i++) {
		struct fields f = fields_in(&a);
		switch (recipe >> (2 * i) & 3) {
		case 0:
			(void)wire_get_u8(&r);
			break;
		case 1:
			(void)wire_get_u64(&r);
			break;
		case 2:
			(void)arena_dup(&a, wire_get_span(&r)); /* reads every byte */
			break;
		default:
			wire_get_fields(&r, &f);
			fields_again(&f, &a);
		}
		check(r.at >= payload.ptr && r.at <= payload.ptr + payload.len);
	}
	check(!wire_done(&r) || !r.failed);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size), payload;
	uint8_t type;
	while (in.len > 0 && wire_frame_next(&in, &type, &payload) == 1)
		read_payload(type, payload);
	if (size > 0)
		read_payload(data[0], span_make(data + 1, size - 1));
	return 0;
}
