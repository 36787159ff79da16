/*
 * One question on its way. ldap.c answers it by itself; ldap-many.c takes
 * several of them some steps together first.
 * Runs in: worker, module ldap.so, in a lane.
 */
#ifndef DRIVERS_LDAP_ASK_H
#define DRIVERS_LDAP_ASK_H

#include "drivers/driver.h"
#include "drivers/ldap-together.h"

struct ldap_state {
	const struct ldap_settings *set;
	struct ldap_servers *servers;
	struct ldap_conn service;		 /* searches */
	struct ldap_conn users[VERIFY_MANY_MAX]; /* try passwords, one at a time each */
	struct arena arena;			 /* of the patterns */
	struct ldap_pattern pass, user;
	unsigned apart; /* how often more nothing is searched together */
};

struct ldap_asking {
	struct ldap_state *s;
	struct question *q;
	const struct ldap_attrs *attrs;
	int64_t deadline_ms;
	bool unwritable;	    /* a variable that no entry can have */
	struct ldap_entry *entries; /* one for each source of attrs */
	struct ldap_query query;    /* for the first of them */
	size_t found;
	bool ahead; /* the first entry is there, or found says that there is none */
};

struct ldap_asking ldap_asking_begin(struct ldap_state *s, struct question *q);
/* Sets .query; false: there is none, *v says what that means. */
bool ldap_asking_query(struct ldap_asking *k, enum verdict *v) MUST_CHECK;
/* As whom to bind, or why that cannot be said. */
enum verdict ldap_asking_dn(struct ldap_asking *k, const char **dn) MUST_CHECK;
/* Of the connections for binds, which a rush of logins opened, those that were not used so long. */
enum { SPARE_MS = 5000 };
void ldap_close_spare(struct ldap_state *s, int64_t unused_ms);
/* All that is still to be done for it. */
enum verdict ldap_asking_answer(struct ldap_asking *k);

/* ---- ldap-many.c ---- */

void ldap_ask_many(void *state, struct question *const *questions, enum verdict *verdicts,
    size_t count, driver_early *early, void *ctx);

#endif
