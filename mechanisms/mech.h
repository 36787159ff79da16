/*
 * The interface of a SASL mechanism (RFC 4422): a pure step function. It does
 * no I/O, sees no driver and no socket, and allocates only from the request's
 * arena. docs/WRITING-A-MECHANISM.md walks through a whole one. A mechanism is
 * one const struct in one file and one line in mechanisms/table.c.
 * Runs in: front.
 */
#ifndef MECHANISMS_MECH_H
#define MECHANISMS_MECH_H

#include "base/arena.h"
#include "base/fields.h"
#include "base/secret.h"
#include "base/verdict.h"

enum mech_flags {	       /* in the order in which MECH lines list them */
	MECH_PRIVATE = 1 << 0, /* not advertised by clients */
	MECH_ANONYMOUS = 1 << 1,
	MECH_PLAINTEXT = 1 << 2,
	MECH_DICTIONARY = 1 << 3,
	MECH_ACTIVE = 1 << 4,
	MECH_FORWARD_SECRECY = 1 << 5,
	MECH_MUTUAL_AUTH = 1 << 6,
	MECH_CHANNEL_BINDING = 1 << 7,
	/* not listed */
	MECH_ALLOW_NUL = 1 << 16, /* messages may hold NUL bytes */
	MECH_SERVER_FIRST =
	    1 << 17, /* the server speaks first: no initial response is waited for */
	MECH_NEEDS_VERIFY = 1 << 18,  /* needs a passdb that can check a plaintext password */
	MECH_NEEDS_LOOKUP = 1 << 19,  /* needs a passdb that can show credentials */
	MECH_ONE_AT_A_TIME = 1 << 20, /* of a user's exchanges (RFC 2289 section 9) */
};

/* What the step wants next. Zero is failure. */
enum mech_next {
	MECH_FAIL = 0, /* refused; io->why says why, for the log */
	MECH_CLIENT,   /* send io->out as a challenge, call again with the answer */
	MECH_USER,   /* check and normalise io->user, call again; io->user is then the final name */
	MECH_VERIFY, /* ask the passdbs about (io->user, io->password), call again with io->verdict
		      */
	MECH_CREDENTIAL, /* fetch io->user's credential in io->scheme, call again with io->verdict
			  */
	MECH_STORE, /* put io->replacement in the place of io->credential (io->scheme), call again
		       with io->verdict: OK, MISMATCH (somebody was quicker) or INTERNAL */
	MECH_EXCHANGE, /* ask the mechanism's helper, call again with io->verdict: NEXT or OK with
			  io->exchange.message, and OK with io->user */
	MECH_BINDING,  /* get the binding of io->binding_type, call again with io->binding */
	MECH_DONE,     /* io->user is authenticated (by verdict or by the mechanism itself) */
};

/* What a mechanism may know of the connection that it runs on. */
struct mech_context {
	struct span service, session, cert_username;
	struct span anonymous_username;
	struct span realms; /* words */
	struct span hostname;
	bool plus_offered; /* the client was shown a mechanism with channel binding */
	uint32_t server_pid, connect_uid; /* SPID and CUID, for APOP */
	int64_t server_started, now;	  /* unix time */
	struct secret token_secret;	  /* for DOVECOT-TOKEN; set on token sockets only */
	struct span nonce; /* 64 random characters of base64; with MECH_NEEDS_LOOKUP only */
};

/* What goes to the helper of a mechanism that a worker carries out, and comes back. */
struct mech_exchange {
	struct span handle;    /* which exchange; the core's own */
	struct secret message; /* from the client; then, from the helper, for the client */
	bool authorize;	       /* may he who has proven himself be io->user? */
};

struct mech_io {
	struct arena *arena;
	const struct mech_context *context;

	/* in: the client's message, which lives as long as the arena; absent at the start when
	   there is no initial response */
	struct span in;
	/* in: answer to MECH_VERIFY, MECH_CREDENTIAL and MECH_STORE */
	enum verdict verdict;
	/*
	 * The value in io->scheme, decoded. Who has none is given one that no password fits,
	 * always the same, and a verdict that is not OK: go on to the end as with any other,
	 * and fail there. Absent with VERDICT_INTERNAL: fail at once, nobody knows.
	 */
	struct secret credential;
	struct fields told;  /* with a verdict: what a driver says to the mechanism alone */
	struct span binding; /* answer to MECH_BINDING; absent: the client's connection has none */

	/* out */
	struct span out;  /* MECH_CLIENT: the challenge; MECH_DONE, MECH_FAIL: last words, if any */
	struct span user; /* authentication identity */
	struct span authzid; /* authorisation identity when it differs: a master login */
	struct secret password;
	struct secret replacement;     /* MECH_STORE: the new value, as credential is */
	struct mech_exchange exchange; /* MECH_EXCHANGE, in and out */
	const char *scheme;	       /* MECH_CREDENTIAL, MECH_STORE */
	struct span
	    salt; /* MECH_CREDENTIAL, to make one of a plaintext: DIGEST-MD5's "name:realm" */
	const char *binding_type; /* MECH_BINDING: "tls-exporter" ... */
	const char *why; /* MECH_FAIL: for the log, "invalid input"; MECH_DONE: a note for it */
	struct fields *fields; /* fields that the mechanism itself sets (DOVECOT-TOKEN) */
};

struct mech {
	const char *name; /* upper case */
	unsigned flags;
	size_t state_size;   /* zeroed before the first step */
	const char *helper;  /* MECH_EXCHANGE: name of the driver that answers; else NULL */
	const void *variant; /* for families over one step function (SCRAM) */
	enum mech_next (*step)(const struct mech *m, void *state, struct mech_io *io);
};

extern const struct mech *const mech_table[]; /* NULL-terminated */

const struct mech *mech_find(struct span name); /* any case; NULL */
/* The names of all that have this flag (0: of all), NULL-terminated, for the configuration. */
const char *const *mech_names(unsigned flag, struct arena *a);

#endif
