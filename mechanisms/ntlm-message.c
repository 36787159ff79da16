/*
 * Reading and writing of NTLM's messages (MS-NLMP section 2.2.1); all numbers
 * are little-endian.
 */
#include "mechanisms/ntlm-message.h"

#include "base/buffer.h"
#include "base/utf16.h"

enum {
	NEGOTIATE = 1,
	CHALLENGE = 2,
	AUTHENTICATE = 3,
	SIGNATURE_LEN = 8,
	NEGOTIATE_LEN = 16,    /* as far as the flags */
	CHALLENGE_HEAD = 48,   /* no version behind it */
	AUTHENTICATE_LEN = 64, /* as far as the flags */
	AT_NT_RESPONSE = 20,
	AT_DOMAIN = 28,
	AT_USER = 36,
};

/* what the challenge tells of the server (section 2.2.2.1) */
enum { PAIR_END, PAIR_NB_COMPUTER, PAIR_NB_DOMAIN, PAIR_DNS_COMPUTER, PAIR_DNS_DOMAIN };

static uint32_t number_at(struct span s, size_t at, size_t len)
{
	uint32_t value = 0;
	for (size_t i = 0; i < len; i++)
		value |= (uint32_t)(unsigned char)s.ptr[at + i] << (8 * i);
	return value;
}

static bool is_message(struct span s, uint32_t type, size_t least)
{
	return s.len >= least && memcmp(s.ptr, "NTLMSSP", SIGNATURE_LEN) == 0 &&
	       number_at(s, SIGNATURE_LEN, 4) == type;
}

bool ntlm_read_negotiate(struct span message, uint32_t *flags)
{
	if (!is_message(message, NEGOTIATE, NEGOTIATE_LEN))
		return false;
	*flags = number_at(message, 12, 4);
	return true;
}

/* Length, room, place */
static bool read_field(struct span message, size_t at, struct span *out)
{
	uint32_t len = number_at(message, at, 2), offset = number_at(message, at + 4, 4);
	if (offset > message.len || len > message.len - offset)
		return false;
	*out = span_make(message.ptr + offset, len);
	return true;
}

bool ntlm_read_authenticate(struct span message, struct ntlm_answer *out)
{
	return is_message(message, AUTHENTICATE, AUTHENTICATE_LEN) &&
	       read_field(message, AT_NT_RESPONSE, &out->nt_response) &&
	       read_field(message, AT_DOMAIN, &out->domain) &&
	       read_field(message, AT_USER, &out->user);
}

/* ---- writing ---- */

static void put_number(struct buffer *b, uint32_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buffer_append_char(b, (char)(value >> (8 * i) & 0xff));
}

static void put_field(struct buffer *b, size_t len, size_t offset)
{
	put_number(b, (uint32_t)len, 2);
	put_number(b, (uint32_t)len, 2);
	put_number(b, (uint32_t)offset, 4);
}

static void put_pair(struct buffer *b, uint32_t id, struct span value)
{
	put_number(b, id, 2);
	put_number(b, (uint32_t)value.len, 2);
	buffer_append(b, value);
}

/* One name stands for all: nobody here is a member of a domain. */
static void put_info(struct buffer *b, struct span name)
{
	static const uint32_t ids[] = {
	    PAIR_NB_DOMAIN, PAIR_NB_COMPUTER, PAIR_DNS_DOMAIN, PAIR_DNS_COMPUTER};
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		put_pair(b, ids[i], name);
	put_pair(b, PAIR_END, SPAN_LIT(""));
}

struct span ntlm_write_challenge(struct arena *a, uint32_t client_flags, struct span name,
    const uint8_t challenge[NTLM_CHALLENGE_LEN])
{
	uint32_t flags = NTLM_NTLM | NTLM_TARGET_INFO | NTLM_TARGET_IS_SERVER |
			 (client_flags & (NTLM_REQUEST_TARGET | NTLM_ALWAYS_SIGN |
					     NTLM_EXTENDED_SECURITY | NTLM_128));
	struct buffer info = {0}, b = {0};
	struct span wide = utf16_from_utf8(a, name), target = wide;
	if (wide.ptr == NULL)
		wide = target = SPAN_LIT("");
	bool unicode = (client_flags & NTLM_UNICODE) != 0;
	flags |= unicode ? NTLM_UNICODE : NTLM_OEM;
	if (!unicode)
		target = name;
	put_info(&info, wide);
	buffer_append(&b, span_make("NTLMSSP", SIGNATURE_LEN));
	put_number(&b, CHALLENGE, 4);
	put_field(&b, target.len, CHALLENGE_HEAD);
	put_number(&b, flags, 4);
	buffer_append(&b, span_make(challenge, NTLM_CHALLENGE_LEN));
	put_number(&b, 0, 4);
	put_number(&b, 0, 4);
	put_field(&b, info.len, CHALLENGE_HEAD + target.len);
	buffer_append(&b, target);
	buffer_append(&b, buffer_span(&info));
	struct span out = arena_dup(a, buffer_span(&b));
	buffer_free(&b);
	buffer_free(&info);
	return out;
}
