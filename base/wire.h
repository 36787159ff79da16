/*
 * Binary messages between our own processes: values in the machine's byte
 * order, spans as a 32-bit length and bytes (length 2^32-1: absent), and
 * frames of a 32-bit length, an 8-bit type and a payload.
 * A reader goes to "failed" at the first value that is not there and stays
 * so; check wire_done() once at the end.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include "base/buffer.h"
#include "base/fields.h"

enum { WIRE_FRAME_MAX = 16 * 1024 * 1024, WIRE_HEADER = 5, WIRE_FIELDS_MAX = 1000 };

struct wire_reader {
	const char *at, *end;
	bool failed;
};

struct wire_reader wire_reader_of(struct span payload);

/* n bytes of the payload; NULL (and failed) when there are fewer */
static inline const char *wire_take(struct wire_reader *r, size_t n)
{
	if (r->failed || (size_t)(r->end - r->at) < n) {
		r->failed = true;
		return NULL;
	}
	const char *p = r->at;
	r->at += n;
	return p;
}

static inline uint8_t wire_get_u8(struct wire_reader *r)
{
	const char *p = wire_take(r, 1);
	return p != NULL ? (uint8_t)*p : 0;
}

static inline uint32_t wire_get_u32(struct wire_reader *r)
{
	uint32_t v = 0;
	const char *p = wire_take(r, sizeof(v));
	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t wire_get_u64(struct wire_reader *r)
{
	uint64_t v = 0;
	const char *p = wire_take(r, sizeof(v));
	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return v;
}

enum { WIRE_ABSENT = -1 }; /* as a length */

/* points into the payload */
static inline struct span wire_get_span(struct wire_reader *r)
{
	uint32_t len = wire_get_u32(r);
	if (r->failed || len == (uint32_t)WIRE_ABSENT)
		return SPAN_NULL;
	const char *p = wire_take(r, len);
	return p != NULL ? span_make(p, len) : SPAN_NULL;
}

void wire_get_fields(struct wire_reader *r, struct fields *out);      /* copies */
void wire_get_fields_kept(struct wire_reader *r, struct fields *out); /* points into the payload */

/* not failed, nothing left over */
MUST_CHECK static inline bool wire_done(const struct wire_reader *r)
{
	return !r->failed && r->at == r->end;
}

static inline void wire_put_u8(struct buffer *b, uint8_t v)
{
	buffer_append_char(b, (char)v);
}

static inline void wire_put_u32(struct buffer *b, uint32_t v)
{
	buffer_append(b, span_make(&v, sizeof(v)));
}

static inline void wire_put_u64(struct buffer *b, uint64_t v)
{
	buffer_append(b, span_make(&v, sizeof(v)));
}

static inline void wire_put_span(struct buffer *b, struct span s)
{
	wire_put_u32(b, s.ptr != NULL ? (uint32_t)s.len : (uint32_t)WIRE_ABSENT);
	buffer_append(b, s);
}

void wire_put_fields(struct buffer *b, const struct fields *f);

/* begin returns the frame's place in the buffer, for end */
size_t wire_frame_begin(struct buffer *b, uint8_t type);
void wire_frame_end(struct buffer *b, size_t place);

/*
 * Takes one whole frame off the front of *in. 1: *type and *payload are set;
 * 0: more bytes are needed; -1: the length is absurd, the peer is broken.
 */
int wire_frame_next(struct span *in, uint8_t *type, struct span *payload) MUST_CHECK;

#endif
