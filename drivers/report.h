/*
 * What a driver says of its backend when "authctl driver test" asks: step by
 * step, each timed from the end of the one before. No text may hold a secret.
 * Runs in: authd --test-driver, a process of its own with a worker's rights.
 */
#ifndef DRIVERS_REPORT_H
#define DRIVERS_REPORT_H

#include "base/err.h"

enum step {
	STEP_GOOD,
	STEP_NOTE,   /* worth knowing, nothing is broken */
	STEP_BROKEN, /* a person must mend it: the configuration */
	STEP_DOWN,   /* the backend cannot be reached, or is not well */
};

/* What to do about words that a library or server said. */
struct driver_advice {
	const char *words;
	enum step kind;
	const char *what; /* "%s" is the file */
};

/* How TLS begins on a connection. */
enum driver_tls { TLS_AT_ONCE, TLS_MYSQL, TLS_PGSQL, TLS_LDAP, TLS_IMAP };

struct driver_report {
	void (*step)(struct driver_report *r, enum step kind, const char *what, const char *text);
	/*
	 * Resolves and connects to the first address that takes it, and says so. A
	 * descriptor that certificate() can use and the caller closes; -1: none.
	 */
	int (*reach)(
	    struct driver_report *r, const char *host, const char *port, const char *server);
	/* Says what the certificate is. The authorities: "" for the system's. */
	void (*certificate)(struct driver_report *r, int fd, enum driver_tls how, const char *host,
	    const char *ca_file, const char *ca_dir);
	const char *file;	/* where the driver's settings stand */
	const char *module_dir; /* "": the usual one */
	bool userdb;		/* the section is one; else a passdb */
	bool unverified;	/* set by test(): the driver takes any certificate */
	bool any_name;		/* the same: it takes a trusted one for any name */
	/* set by the driver's test(), for its own failures and those of what is asked after it */
	const struct driver_advice *advice;
	size_t advice_count;
};

void driver_step(struct driver_report *r, enum step kind, const char *what, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* A step that failed: the words, and what to do; otherwise: what it is without advice. */
void driver_failed(
    struct driver_report *r, const char *what, const char *words, enum step otherwise);

#endif
