/*
 * The interface of a driver: it opens a backend, answers questions about
 * users, and closes it. Straight-line blocking code; it runs in a worker
 * process and never sees a client. docs/WRITING-A-DRIVER.md walks through a
 * whole one. A driver is one const struct in one file, named
 * "driver_<name>"; a loadable one exports it as "authd_driver".
 */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "base/err.h"
#include "base/verdict.h"
#include "conf/driver-spec.h"
#include "conf/vars.h"
#include "drivers/entry.h"

enum { DRIVER_ABI = 8 }; /* must be equal; there is no negotiation */
enum { ASK_MANY = 16, ASK_MANY_MAX = 32, VERIFY_MANY_MAX = 8 /* where it CAN_VERIFY */ };

enum driver_can {
	CAN_VERIFY = 1 << 0,  /* judges a password itself (PAM, LDAP bind) */
	CAN_SHOW = 1 << 1,    /* shows the entry; the worker compares the password */
	CAN_LIST = 1 << 2,    /* lists its users */
	CAN_STORE = 1 << 3,   /* puts another password in the place of a stored one */
	HASHES_HERE = 1 << 4, /* verifies with a library that calls crypt_r() in ask()'s thread */
};

/* How many questions run at once, and on how many states. */
enum driver_lanes {
	LANES_SHARED,  /* one state, any number of threads; ask() must not block (memory only) */
	LANES_OWN,     /* each lane has a state of its own: one connection each */
	LANES_PROCESS, /* one question at a time in each process: libraries with global state */
};

enum question_kind {
	ASK_VERIFY, /* is .password right? Asked only of drivers that CAN_VERIFY */
	ASK_PASSDB, /* the password entry of the user: fill .entry->password and fields */
	ASK_USERDB, /* the user entry: uid, gid, home and what else there is */
};

struct question {
	enum question_kind kind;
	const struct vars *vars; /* v[VAR_USER] is the name to look for */
	struct secret password;	 /* with ASK_VERIFY; else unset */
	struct span scheme;	 /* with ASK_PASSDB, of a mechanism that computes; else unset */
	int64_t deadline_ms;	 /* CLOCK_MONOTONIC: after this nobody waits for the answer */
	struct arena *arena;	 /* for whatever the answer needs */
	struct entry entry;	 /* out */
	struct err err;		 /* out: why, for the log (never with a secret in it) */
	bool retire;	    /* out, LANES_PROCESS: after this answer a new process takes over */
	int64_t keep_ms;    /* out: cached for no longer than this; 0: no limit, < 0: not at all */
	struct fields tell; /* out: for the mechanism alone (OAUTHBEARER), never extra fields */
	enum backend_state backend; /* out: an outage? Comes as ANSWERS: only this question */
};

struct replacement; /* drivers/replacement.h */
struct exchange;    /* drivers/exchange.h */
struct driver_report;

/* Takes the next listed name; false: stop, nobody listens any more. May block. */
typedef bool driver_emit(void *ctx, struct span user);

/* An answer before those to the others; the question is not the driver's any more then. */
typedef void driver_early(void *ctx, size_t number, enum verdict v);

struct driver {
	unsigned abi; /* DRIVER_ABI */
	const struct driver_spec *spec;
	unsigned can; /* enum driver_can */
	/* Where it depends on the settings; NULL: it is .can in any case. */
	unsigned (*can_with)(const void *settings);
	enum driver_lanes lanes;

	/*
	 * One state, from a struct of spec->settings (which outlives it). NULL and *err only for
	 * what a person must mend; ask() finds a backend down. LANES_OWN: once a lane, in that.
	 */
	void *(*open)(const void *settings, struct err *err);

	/*
	 * Answers one question: VERDICT_OK (entry found, or password right),
	 * UNKNOWN_USER, MISMATCH, DISABLED, EXPIRED, NEXT, NO_SCHEME (to ASK_PASSDB:
	 * it can verify only), or INTERNAL with q->err when the backend does not answer.
	 */
	enum verdict (*ask)(void *state, struct question *q);

	/* NULL, or ask() of several, where that is cheaper; each ends in early() or verdicts[]. */
	void (*ask_many)(void *state, struct question *const *questions, enum verdict *verdicts,
	    size_t count, driver_early *early, void *ctx);
	unsigned many; /* how many at most; 0: ASK_MANY */

	/* Calls emit for each user name. false and *err when the list is not complete. */
	bool (*list)(
	    void *state, const struct vars *vars, driver_emit *emit, void *ctx, struct err *err);

	/* With CAN_STORE; may block. OK, MISMATCH (r->old is old), UNKNOWN_USER, INTERNAL. */
	enum verdict (*store)(void *state, struct question *q, const struct replacement *r);

	/* One message of a SASL exchange that it carries out; NULL: it carries out none. */
	enum verdict (*exchange)(void *state, struct question *q, struct exchange *ex);

	/* NULL, or VAR_BIT()s that ask() reads beyond VAR_USER and templates; once a second. */
	uint64_t (*needs)(void *state);

	/*
	 * A number that changes when the data did: what was cached is forgotten. Cheap: asked
	 * after each batch. NULL: nobody tells; answers live as long as auth_cache_ttl says.
	 */
	uint64_t (*version)(void *state);

	/* NULL, or: nobody asked for some seconds; gives back what only a rush needs. */
	void (*idle)(void *state);
	void (*close)(void *state);

	/* NULL, or for "authctl driver test", see report.h; false: nothing there to ask */
	bool (*test)(const void *settings, struct driver_report *report);
};

#endif
