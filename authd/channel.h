/*
 * The channel between the front and a worker: framed messages (base/wire.h)
 * on a stream socket pair, written and read in batches. Encoding and decoding
 * only; the sockets are the pool's (front) and the worker's.
 * A message that does not decode means that the peer is broken: close.
 */
#ifndef AUTHD_CHANNEL_H
#define AUTHD_CHANNEL_H

#include "base/verdict.h"
#include "base/wire.h"
#include "conf/vars.h"
#include "schemes/scheme.h"

enum channel_type {
	CHANNEL_HELLO = 1, /* worker -> front: first message, and again when needs change */
	CHANNEL_ASK,	   /* front -> worker */
	CHANNEL_ANSWER,	   /* worker -> front: exactly one for each ASK, cancelled or not: its slot
			      is free again */
	CHANNEL_CANCEL,	   /* front -> worker: nobody waits for this serial any more */
	CHANNEL_ITEMS,	   /* worker -> front: some names of a list */
	CHANNEL_MORE,	   /* front -> worker: send this many names more */
};

/* What the front asks of a pool; a superset of the driver's questions. */
enum channel_ask {
	CHANNEL_VERIFY = 1, /* is this password right? OK carries passdb fields */
	CHANNEL_CREDENTIAL, /* the credential in .scheme; scheme "" = any: only whether the user is
			       there */
	CHANNEL_USERDB,	    /* the user entry */
	CHANNEL_LIST,	    /* all user names */
	CHANNEL_STORE,	  /* .replacement in the place of .password, both in .scheme; asked once */
	CHANNEL_CENSUS,	  /* how many stored passwords are of which kind: .fields of the answer */
	CHANNEL_EXCHANGE, /* a client's message (.password) of the mechanism .scheme, whose
			     exchange .handle names; the answer is .credential and .tell */
};

enum channel_ask_flags {
	ASK_SKIP_PASSWORD =
	    1 << 0, /* VERIFY: an earlier passdb verified it; only the fields are wanted */
	ASK_NOPASSWORD = 1 << 1,   /* VERIFY: default_fields said nopassword */
	ASK_RESOLVE_HOST = 1 << 3, /* a proxy's host is wanted as an address too (hostip) */
	ASK_REHASH = 1 << 5,	   /* VERIFY: a weak stored hash may be replaced after the answer */
	ASK_NO_DUMMY = 1 << 2,	   /* VERIFY: an unknown user need not cost a hash here */
	ASK_AUTHORIZE = 1 << 4,	   /* EXCHANGE: may he who has proven himself be VAR_USER? */
};

/* What a worker has counted since it began. */
struct channel_tally {
	uint64_t logins[SCHEME_KINDS]; /* good ones, by what was stored */
	uint64_t upgraded, failed,
	    outrun; /* by rehash; outrun: another login or change was there */
};

struct channel_hello {
	uint32_t pid;
	uint32_t slots; /* questions that may be outstanding here at once */
	uint32_t can;	/* enum driver_can of the driver, made whole by the worker */
	uint64_t needs; /* VAR_BIT()s to send with each question */
	uint64_t epoch; /* changes when the backend's data did: what was cached of it is old */
	struct channel_tally tally;
};

struct channel_question {
	uint64_t serial;
	enum channel_ask ask;
	unsigned flags;
	int64_t deadline_ms;
	struct span scheme;
	struct span salt;	/* CREDENTIAL: struct scheme_gen, for one made from a plaintext */
	struct secret password; /* VERIFY, EXCHANGE; STORE: what is stored now */
	struct secret replacement;   /* STORE */
	struct span handle;	     /* EXCHANGE; empty: a new one */
	struct fields passdb_fields; /* with VAR_PASSDB in needs; decoded into the arena */
	struct fields userdb_fields; /* with VAR_USERDB */
	struct vars
	    vars; /* only the needed ones are set; last, because the front fills no others */
};

struct channel_answer {
	uint64_t serial;
	enum verdict verdict;
	enum backend_state backend;
	struct span detail;	  /* why, for the log; may be empty */
	struct secret credential; /* CREDENTIAL: raw value in the asked scheme */
	/* VERIFY: a password was compared (not nopassword, not skipped); DISABLED and EXPIRED: and
	   it was right */
	bool has_password;
	struct fields fields;
	int64_t keep_ms;    /* cached for no longer than this; 0: no limit, < 0: not at all */
	struct fields tell; /* for the mechanism alone */
};

void channel_put_hello(struct buffer *b, const struct channel_hello *h);
bool channel_get_hello(struct span payload, struct channel_hello *h) MUST_CHECK;

/*
 * All that a driver is given to answer from, but the password: what is asked,
 * the scheme, the variables and fields that it needs. The one encoder of a
 * question's inputs, for the channel and for the cache's key.
 */
void channel_put_inputs(struct buffer *b, const struct channel_question *q, uint64_t needs);

/* needs: which variables go along */
void channel_put_ask(struct buffer *b, const struct channel_question *q, uint64_t needs);
bool channel_get_ask(struct span payload, struct arena *a, struct channel_question *q) MUST_CHECK;

void channel_put_answer(struct buffer *b, const struct channel_answer *an);
bool channel_get_answer(struct span payload, struct arena *a, struct channel_answer *an) MUST_CHECK;
/* Only serial, verdict and backend of *an: all that is needed of an answer nobody waits for. */
bool channel_peek_answer(struct span payload, struct channel_answer *an) MUST_CHECK;

void channel_put_cancel(struct buffer *b, uint64_t serial);
bool channel_get_cancel(struct span payload, uint64_t *serial) MUST_CHECK;

void channel_put_more(struct buffer *b, uint64_t serial, uint32_t count);
bool channel_get_more(struct span payload, uint64_t *serial, uint32_t *count) MUST_CHECK;

/* items: u64 serial, then spans up to the end; begin/add/end write one frame */
size_t channel_items_begin(struct buffer *b, uint64_t serial);
void channel_items_add(struct buffer *b, struct span user);
void channel_items_end(struct buffer *b, size_t place);
/* the reader then yields spans until its end */
bool channel_get_items(struct span payload, uint64_t *serial, struct wire_reader *r) MUST_CHECK;

#endif
