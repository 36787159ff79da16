/*
 * What a question about a login can end in. The same few words everywhere:
 * drivers, mechanisms, the channel, the chains and the log. Zero is never
 * success: forgotten initialisation reads as "nobody decided".
 */
#ifndef BASE_VERDICT_H
#define BASE_VERDICT_H

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

const char *verdict_name(enum verdict v); /* "ok", "mismatch", ... */

#endif
