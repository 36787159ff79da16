/*
 * A hash and its HMAC (RFC 2104) in one call each, for whichever hash of
 * nettle's: what schemes and mechanisms that come in several sizes compute
 * with. Pure; what was secret on the stack is wiped.
 */
#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include <nettle/nettle-meta.h>

#include "base/span.h"

enum { HASH_MAX = 64 }; /* bytes of the longest digest (SHA-512) */

/* out: h->digest_size bytes */
void hash_of(const struct nettle_hash *h, struct span bytes, uint8_t *out);
/* of x and then y */
void hash_of_two(const struct nettle_hash *h, struct span x, struct span y, uint8_t *out);
void hmac_of(const struct nettle_hash *h, struct span key, struct span bytes, uint8_t *out);

#endif
