/*
 * What a driver knows of a user: passwords and fields. For passdb and userdb
 * alike, both being views of an entry. Owner: the question's arena.
 */
#ifndef DRIVERS_ENTRY_H
#define DRIVERS_ENTRY_H

#include "base/fields.h"
#include "base/secret.h"

/* One more password of the same user. */
struct entry_password {
	struct secret password;
	bool noscheme;
	struct span name; /* for the log: which of them it is; may be SPAN_NULL */
};

/* What a driver knows of a user. Everything lives in the question's arena. */
struct entry {
	struct secret password;	    /* "{SCHEME}hash" or a hash in default_scheme; unset: none */
	bool password_noscheme;	    /* a leading "{X}" belongs to the hash, it is no scheme */
	const char *default_scheme; /* set by ask(); NULL: CRYPT */
	struct span password_name;  /* for the log; SPAN_NULL: the only one */
	/* Others of which any lets in, as password does. */
	const struct entry_password *more;
	size_t more_count;
	struct fields fields; /* extra fields, in the backend's order */
};

#endif
