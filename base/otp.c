/*
 * The chains of one-time passwords and their writing (RFC 2289, RFC 1760).
 */
#include "base/otp.h"

#include "base/encode.h"
#include "base/hmac.h"
#include "base/mem.h"

enum { WORDS = 6, WORD_BITS = 11, SHORT_WORDS = 571 /* those before have three letters at most */ };

struct otp_hash {
	const char *name;
	const struct nettle_hash *hash;
	void (*fold)(const uint8_t *digest, uint8_t *out); /* to eight bytes */
};

static void xor_halves(const uint8_t *digest, uint8_t *out)
{
	for (size_t i = 0; i < OTP_LEN; i++)
		out[i] = digest[i] ^ digest[i + OTP_LEN];
}

/* RFC 2289 appendix A: the fifth word joins the first; words go out little-endian */
static void fold_sha1(const uint8_t *digest, uint8_t *out)
{
	for (size_t i = 0; i < 4; i++) {
		out[3 - i] = digest[i] ^ digest[i + 8] ^ digest[i + 16];
		out[7 - i] = digest[i + 4] ^ digest[i + 12];
	}
}

static void fold(const struct otp_hash *h, struct span x, struct span y, uint8_t *out)
{
	uint8_t digest[HASH_MAX];
	hash_of_two(h->hash, x, y, digest);
	h->fold(digest, out);
	mem_wipe(digest, sizeof(digest));
}

static const struct otp_hash hashes[] = {{"md4", &nettle_md4, xor_halves},
    {"md5", &nettle_md5, xor_halves}, {"sha1", &nettle_sha1, fold_sha1}};

const struct otp_hash *otp_hash_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		if (span_eq_ci(name, span_of(hashes[i].name)))
			return &hashes[i];
	}
	return NULL;
}

const char *otp_hash_name(const struct otp_hash *hash)
{
	return hash->name;
}

/* ---- what is stored ---- */

bool otp_take_parameters(struct span *text, struct otp *out)
{
	struct span name, sequence;
	*out = (struct otp){0};
	if (!span_split(text, ' ', &name) || !span_split(text, ' ', &sequence) ||
	    !span_split(text, ' ', &out->seed))
		return false;
	out->hash = otp_hash_find(name);
	for (size_t i = 0; i < out->seed.len; i++) {
		/* of a challenge it is a word of its own */
		if ((unsigned char)out->seed.ptr[i] <= ' ' ||
		    (unsigned char)out->seed.ptr[i] >= 127)
			return false;
	}
	return out->hash != NULL && span_to_u32(sequence, &out->sequence) &&
	       out->sequence <= OTP_SEQUENCE_MAX && out->seed.len > 0 &&
	       out->seed.len <= OTP_SEED_MAX;
}

bool otp_parse(struct span text, struct otp *out)
{
	return otp_take_parameters(&text, out) && text.len == 2 * (size_t)OTP_LEN &&
	       otp_from_hex(text, out->last);
}

struct span otp_format(const struct otp *o, struct arena *a)
{
	struct span hex = hex_encode_arena(a, span_make(o->last, OTP_LEN));
	return arena_printf(
	    a, "%s %u %.*s %.*s", o->hash->name, o->sequence, SPAN_ARG(o->seed), SPAN_ARG(hex));
}

/* ---- the chain ---- */

void otp_first(const struct otp *o, struct secret password, uint8_t out[OTP_LEN])
{
	char seed[OTP_SEED_MAX];
	/* section 6.0: whatever case it was typed in */
	for (size_t i = 0; i < o->seed.len; i++) {
		char c = o->seed.ptr[i];
		seed[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	fold(o->hash, span_make(seed, o->seed.len), secret_reveal(password), out);
}

void otp_next(const struct otp *o, uint8_t link[OTP_LEN])
{
	fold(o->hash, span_make(link, OTP_LEN), SPAN_LIT(""), link);
}

/* ---- as people type it ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool otp_from_hex(struct span text, uint8_t out[OTP_LEN])
{
	size_t n = 0;
	memset(out, 0, OTP_LEN);
	for (size_t i = 0; i < text.len; i++) {
		int digit = hex_digit(text.ptr[i]);
		if (text.ptr[i] == ' ' || text.ptr[i] == '\t')
			continue;
		if (digit < 0 || n == 2 * (size_t)OTP_LEN)
			return false;
		out[n / 2] |= (uint8_t)(n % 2 == 0 ? digit << 4 : digit);
		n++;
	}
	return n == 2 * (size_t)OTP_LEN;
}

static const char *word_at(int number)
{
	return otp_words[number / OTP_ROW] + number % OTP_ROW * OTP_WORD_LEN;
}

/* Its number; -1: there is no such word. Two ranges, each of them sorted. */
static int word_number(struct span word)
{
	char key[OTP_WORD_LEN];
	if (word.len == 0 || word.len > OTP_WORD_LEN)
		return -1;
	memset(key, ' ', sizeof(key));
	for (size_t i = 0; i < word.len; i++) {
		char c = word.ptr[i];
		key[i] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
	}
	int low = word.len < OTP_WORD_LEN ? 0 : SHORT_WORDS;
	int high = word.len < OTP_WORD_LEN ? SHORT_WORDS : OTP_WORDS;
	while (low < high) {
		int middle = (low + high) / 2;
		int order = memcmp(key, word_at(middle), OTP_WORD_LEN);
		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

/* The sum of all pairs of bits (RFC 1760) */
static unsigned checksum(const uint8_t link[OTP_LEN])
{
	unsigned sum = 0;
	for (size_t i = 0; i < OTP_LEN; i++) {
		for (unsigned bit = 0; bit < 8; bit += 2)
			sum += (unsigned)link[i] >> bit & 3;
	}
	return sum & 3;
}

/* Six words are 66 bits: the link, and two bits of checksum. */
bool otp_from_words(struct span text, uint8_t out[OTP_LEN])
{
	struct span word;
	unsigned held = 0, bits = 0;
	size_t words = 0, n = 0;
	while (span_word(&text, " \t", &word)) {
		int number = word_number(word);
		if (number < 0 || ++words > WORDS)
			return false;
		held = held << WORD_BITS | (unsigned)number;
		bits += WORD_BITS;
		while (bits >= 8 && n < OTP_LEN) {
			bits -= 8;
			out[n++] = (uint8_t)(held >> bits);
		}
		held &= (1U << bits) - 1;
	}
	return words == WORDS && held == checksum(out);
}
