/*
 * What the families of schemes share among themselves: their rows, for the
 * table, and a few helpers. Nobody outside schemes/ includes this.
 */
#ifndef SCHEMES_FAMILIES_H
#define SCHEMES_FAMILIES_H

#include "schemes/scheme.h"

/* plain.c */
extern const struct scheme scheme_plain, scheme_clear, scheme_cleartext, scheme_plain_trunc;
/* crypt.c */
extern const struct scheme scheme_crypt, scheme_blf_crypt, scheme_des_crypt, scheme_md5_crypt,
    scheme_md5, scheme_sha256_crypt, scheme_sha512_crypt;
/* argon2.c */
extern const struct scheme scheme_argon2, scheme_argon2i, scheme_argon2id;
/* digest.c */
extern const struct scheme scheme_sha, scheme_sha1, scheme_sha256, scheme_sha512, scheme_ssha,
    scheme_ssha256, scheme_ssha512, scheme_smd5, scheme_plain_md4, scheme_plain_md5,
    scheme_ldap_md5;
/* pbkdf2.c, cram-md5.c, digest-md5.c, scram.c, otp.c */
extern const struct scheme scheme_pbkdf2, scheme_cram_md5, scheme_hmac_md5, scheme_digest_md5,
    scheme_scram_sha1, scheme_scram_sha256, scheme_scram_sha512, scheme_otp;

/* nt.c */
extern const struct scheme scheme_nt, scheme_ntlm;

/* n random characters of ./0-9A-Za-z; no NUL is added */
void scheme_salt(char *out, size_t n);

/* Always INTERNAL: the stored value is not what its scheme says. */
enum verdict scheme_invalid(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The plaintext behind a stored PLAIN-TRUNC value; unset if it was cut off. */
struct secret scheme_plain_trunc_full(struct secret raw);

/* What a crypt(3) string costs (crypt-cost.c). */
struct scheme_cost scheme_crypt_cost(struct span raw);

/* products that stop at UINT64_MAX */
static inline uint64_t scheme_mul(uint64_t x, uint64_t y)
{
	uint64_t product;
	return __builtin_mul_overflow(x, y, &product) ? UINT64_MAX : product;
}

static inline uint64_t scheme_add(uint64_t x, uint64_t y)
{
	return x > UINT64_MAX - y ? UINT64_MAX : x + y;
}

#endif
