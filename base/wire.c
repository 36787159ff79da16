/*
 * Encoding and decoding of binary messages.
 */
#include "base/wire.h"

struct wire_reader wire_reader_of(struct span payload)
{
	if (payload.ptr == NULL)
		payload = SPAN_LIT("");
	return (struct wire_reader){payload.ptr, payload.ptr + payload.len, false};
}

static inline void get_fields(struct wire_reader *r, struct fields *out,
    void (*set)(struct fields *f, struct span key, struct span value))
{
	uint32_t count = wire_get_u32(r);
	/* setting fields is quadratic: a peer gone mad must not cost more than a moment */
	if (count > WIRE_FIELDS_MAX)
		r->failed = true;
	for (uint32_t i = 0; i < count && !r->failed; i++) {
		struct span key = wire_get_span(r);
		struct span value = wire_get_span(r);
		if (!r->failed && key.len > 0)
			set(out, key, value);
	}
}

void wire_get_fields(struct wire_reader *r, struct fields *out)
{
	get_fields(r, out, fields_set);
}

void wire_get_fields_kept(struct wire_reader *r, struct fields *out)
{
	get_fields(r, out, fields_put);
}

void wire_put_fields(struct buffer *b, const struct fields *f)
{
	wire_put_u32(b, (uint32_t)f->count);
	for (size_t i = 0; i < f->count; i++) {
		wire_put_span(b, f->items[i].key);
		wire_put_span(b, f->items[i].value);
	}
}

size_t wire_frame_begin(struct buffer *b, uint8_t type)
{
	size_t place = b->len;
	wire_put_u32(b, 0);
	wire_put_u8(b, type);
	return place;
}

void wire_frame_end(struct buffer *b, size_t place)
{
	uint32_t len = (uint32_t)(b->len - place - WIRE_HEADER);
	memcpy(b->data + b->start + place, &len, sizeof(len));
}

int wire_frame_next(struct span *in, uint8_t *type, struct span *payload)
{
	if (in->len < WIRE_HEADER)
		return 0;
	uint32_t len;
	memcpy(&len, in->ptr, sizeof(len));
	if (len > WIRE_FRAME_MAX)
		return -1;
	if (in->len - WIRE_HEADER < len)
		return 0;
	*type = (uint8_t)in->ptr[4];
	*payload = span_make(in->ptr + WIRE_HEADER, len);
	*in = span_skip(*in, WIRE_HEADER + (size_t)len);
	return 1;
}
