/*
 * What a question about a login can end in. The same few words everywhere:
 * drivers, mechanisms, the channel, the chains and the log. Zero is never
 * success: forgotten initialisation reads as "nobody decided".
 */
#ifndef BASE_VERDICT_H
#define BASE_VERDICT_H

#include "base/span.h"

enum verdict {
	VERDICT_INTERNAL = 0, /* nobody decided: try again later */
	VERDICT_OK,
	VERDICT_MISMATCH, /* the user exists, the password is wrong */
	VERDICT_UNKNOWN_USER,
	VERDICT_DISABLED,
	VERDICT_EXPIRED,
	VERDICT_NO_SCHEME, /* the user exists, but not in the scheme that is needed */
	VERDICT_NEXT,	   /* the backend passes: not decided here, keep the fields */
	VERDICT_COUNT
};

/*
 * What an answer says of the backend itself, beside its verdict: a hash that cannot be read is the
 * trouble of one user, a database that is down is everybody's. AWAY and DOWN go with INTERNAL;
 * INTERNAL with ANSWERS concerns one question only.
 */
enum backend_state {
	BACKEND_UNSAID = 0, /* nothing: it was not asked */
	BACKEND_ANSWERS,    /* it was asked and has answered */
	BACKEND_AWAY,	    /* what this answer needs cannot be reached; others may be answered */
	BACKEND_DOWN,	    /* nobody can be answered */
	BACKEND_STATE_COUNT
};

struct span verdict_word(enum verdict v); /* "ok", "mismatch", ... */
static inline const char *verdict_name(enum verdict v)
{
	return verdict_word(v).ptr;
}

#endif
