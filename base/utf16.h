/*
 * Little-endian UTF-16, in which Windows hashes passwords and writes names.
 */
#ifndef BASE_UTF16_H
#define BASE_UTF16_H

#include "base/arena.h"

/* SPAN_NULL: the text is not valid in its encoding. An empty text stays one. */
struct span utf16_from_utf8(struct arena *a, struct span text);
struct span utf16_to_utf8(struct arena *a, struct span text);
/* Letter by letter, as Windows does it; text that is not valid stays as it is. */
struct span utf16_upper(struct arena *a, struct span text);

#endif
