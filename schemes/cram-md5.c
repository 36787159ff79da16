/*
 * CRAM-MD5 and HMAC-MD5: the two halves of an HMAC-MD5 begun with the password
 * (RFC 2195 section 3): MD5's state after the outer pad, then after the inner
 * one, each as four little-endian words. Runs in workers and authctl.
 */
#include <nettle/md5.h>

#include "base/mem.h"
#include "schemes/families.h"

enum { CONTEXT_LEN = 2 * MD5_DIGEST_SIZE, OUTER_PAD = 0x5c, INNER_PAD = 0x36 };

/* MD5's state after one block of the key, which is padded with zeros, XOR pad */
static void half(const uint8_t *key, uint8_t pad, char *out)
{
	struct md5_ctx ctx;
	uint8_t block[MD5_BLOCK_SIZE];
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	md5_init(&ctx);
	md5_update(&ctx, sizeof(block), block);
	for (size_t i = 0; i < MD5_DIGEST_SIZE; i++)
		out[i] = (char)(ctx.state[i / 4] >> (8 * (i % 4)));
	mem_wipe(&ctx, sizeof(ctx));
	mem_wipe(block, sizeof(block));
}

static struct secret cram_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	struct span plain = secret_reveal(password);
	uint8_t key[MD5_BLOCK_SIZE] = {0};
	char *out = arena_alloc(a, CONTEXT_LEN);
	if (plain.len > sizeof(key)) {
		struct md5_ctx ctx;
		md5_init(&ctx);
		md5_update(&ctx, plain.len, (const uint8_t *)plain.ptr);
		md5_digest(&ctx, MD5_DIGEST_SIZE, key);
		mem_wipe(&ctx, sizeof(ctx));
	} else if (plain.len > 0) {
		memcpy(key, plain.ptr, plain.len);
	}
	half(key, OUTER_PAD, out);
	half(key, INNER_PAD, out + MD5_DIGEST_SIZE);
	mem_wipe(key, sizeof(key));
	return secret_of(span_make(out, CONTEXT_LEN));
}

const struct scheme scheme_cram_md5 = {.name = "CRAM-MD5",
    .family = "CRAM-MD5",
    .encoding = ENCODING_HEX,
    .raw_len = CONTEXT_LEN,
    .generate = cram_generate};
const struct scheme scheme_hmac_md5 = {.name = "HMAC-MD5",
    .family = "CRAM-MD5",
    .encoding = ENCODING_HEX,
    .raw_len = CONTEXT_LEN,
    .flags = SCHEME_WEAK,
    .generate = cram_generate};
