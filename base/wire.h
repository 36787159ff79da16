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
uint8_t wire_get_u8(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
struct span wire_get_span(struct wire_reader *r);		 /* points into the payload */
void wire_get_fields(struct wire_reader *r, struct fields *out); /* copies */
bool wire_done(const struct wire_reader *r) MUST_CHECK;		 /* not failed, nothing left over */

void wire_put_u8(struct buffer *b, uint8_t v);
void wire_put_u32(struct buffer *b, uint32_t v);
void wire_put_u64(struct buffer *b, uint64_t v);
void wire_put_span(struct buffer *b, struct span s);
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
