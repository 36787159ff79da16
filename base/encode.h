/*
 * Text encodings: Dovecot's tab-escaping, base64 and hex.
 */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/arena.h"
#include "base/buffer.h"

/* Escapes NUL, 0x01, TAB, CR and LF with 0x01 (as Dovecot's protocols do). */
void tab_escape(struct buffer *out, struct span s);
struct span tab_escape_arena(struct arena *a, struct span s);
/* The reverse; s itself is returned when nothing was escaped. A lone 0x01 at the end is dropped. */
struct span tab_unescape(struct arena *a, struct span s);

/* RFC 4648 section 4, with padding, nothing else allowed. SPAN_NULL when invalid. */
struct span base64_decode(struct arena *a, struct span text);
/* Section 5, without padding, as in JSON Web Tokens; SPAN_NULL when invalid. */
struct span base64url_decode(struct arena *a, struct span text);
void base64_encode(struct buffer *out, struct span bytes);
struct span base64_encode_arena(struct arena *a, struct span bytes);

struct span hex_encode_arena(struct arena *a, struct span bytes); /* lower case */
struct span hex_decode(struct arena *a, struct span text); /* either case; SPAN_NULL when invalid */

#endif
