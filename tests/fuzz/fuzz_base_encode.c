/*
 * Text encodings: whatever comes in, decoding ends; encoding and decoding
 * again gives back every byte; what base64 and hex accept is canonical.
 */
#include <stdlib.h>

#include "base/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void tabs(struct arena *a, struct span in)
{
	struct span out = tab_unescape(a, in);
	check(out.len <= in.len);
	struct span escaped = tab_escape_arena(a, in);
	check(span_find(escaped, '\t') < 0 && span_find(escaped, '\n') < 0 &&
	      span_find(escaped, '\r') < 0 && span_find(escaped, '\0') < 0);
	check(span_eq(tab_unescape(a, escaped), in));
}

static void base64(struct arena *a, struct span in)
{
	struct span bytes = base64_decode(a, in);
	if (bytes.ptr != NULL)
		check(span_eq(base64_encode_arena(a, bytes), in));
	check(span_eq(base64_decode(a, base64_encode_arena(a, in)), in));
}

static void hex(struct arena *a, struct span in)
{
	struct span bytes = hex_decode(a, in);
	if (bytes.ptr != NULL)
		check(span_eq_ci(hex_encode_arena(a, bytes), in));
	check(span_eq(hex_decode(a, hex_encode_arena(a, in)), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct span in = span_make(data, size);
	tabs(&a, in);
	base64(&a, in);
	hex(&a, in);
	arena_free(&a);
	return 0;
}
