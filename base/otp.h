/*
 * One-time passwords (RFC 2289): a chain of hashes that is used from its end,
 * what is stored of it, and how people type its links.
 * Shared by the scheme OTP and the mechanism OTP. Pure.
 */
#ifndef BASE_OTP_H
#define BASE_OTP_H

#include "base/arena.h"
#include "base/secret.h"

enum {
	OTP_LEN = 8,
	OTP_SEQUENCE_MAX = 9999,
	OTP_SEED_MAX = 16,
	OTP_WORDS = 2048,
	OTP_WORD_LEN = 4,
	OTP_ROW = 16,
};

/* otp-words.c: filled up with blanks, some to a row */
extern const char otp_words[OTP_WORDS / OTP_ROW][OTP_ROW * OTP_WORD_LEN];

struct otp {
	const struct otp_hash *hash;
	uint32_t sequence;
	struct span seed;
	uint8_t last[OTP_LEN]; /* the link that was used last, whose number is .sequence */
};

const struct otp_hash *otp_hash_find(struct span name); /* md4, md5, sha1, any case; or NULL */
const char *otp_hash_name(const struct otp_hash *hash);

/* "sha1 1024 seed", and what follows it; .seed points into the text. */
bool otp_take_parameters(struct span *text, struct otp *out) MUST_CHECK;
/* "sha1 1024 seed 16hex" */
bool otp_parse(struct span text, struct otp *out) MUST_CHECK;
struct span otp_format(const struct otp *o, struct arena *a);

/* The chain's beginning (its link 0), and the one after a link. */
void otp_first(const struct otp *o, struct secret password, uint8_t out[OTP_LEN]);
void otp_next(const struct otp *o, uint8_t link[OTP_LEN]);

/* As people type it: hexadecimal digits, or six words with their checksum; blanks between. */
bool otp_from_hex(struct span text, uint8_t out[OTP_LEN]) MUST_CHECK;
bool otp_from_words(struct span text, uint8_t out[OTP_LEN]) MUST_CHECK;

#endif
