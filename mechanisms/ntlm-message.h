/*
 * The three messages of NTLM (MS-NLMP section 2.2.1). Pure; a reader takes
 * nothing on trust: what its fields point at lies within the message.
 */
#ifndef MECHANISMS_NTLM_MESSAGE_H
#define MECHANISMS_NTLM_MESSAGE_H

#include "base/arena.h"

enum { NTLM_CHALLENGE_LEN = 8 };

enum ntlm_flags {
	NTLM_UNICODE = 0x1,
	NTLM_OEM = 0x2,
	NTLM_REQUEST_TARGET = 0x4,
	NTLM_NTLM = 0x200,
	NTLM_ALWAYS_SIGN = 0x8000,
	NTLM_TARGET_IS_SERVER = 0x20000,
	NTLM_EXTENDED_SECURITY = 0x80000,
	NTLM_TARGET_INFO = 0x800000,
	NTLM_128 = 0x20000000,
};

/* From the client: what it can do. */
bool ntlm_read_negotiate(struct span message, uint32_t *flags) MUST_CHECK;

/* For the client. name: this server's, in UTF-8. */
struct span ntlm_write_challenge(struct arena *a, uint32_t client_flags, struct span name,
    const uint8_t challenge[NTLM_CHALLENGE_LEN]);

/* From the client; everything points into the message. */
struct ntlm_answer {
	struct span nt_response, domain, user;
};
bool ntlm_read_authenticate(struct span message, struct ntlm_answer *out) MUST_CHECK;

#endif
