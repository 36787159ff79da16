/*
 * Several users found by one search. Runs in: worker, module ldap.so.
 */
#ifndef DRIVERS_LDAP_TOGETHER_H
#define DRIVERS_LDAP_TOGETHER_H

#include "drivers/ldap-conn.h"
#include "drivers/ldap-pattern.h"

/* One of the users. */
struct ldap_sought {
	const struct ldap_query *query; /* as it would be sent for this one alone */
	struct arena *arena;		/* of entry */
	struct ldap_entry *entry;	/* out, when found */
	bool found;			/* out; false: nothing is known, ask for this one alone */
	struct span value;
	bool unsure, claims, hinted;
};

/* false: the answer could not be told apart, and it is not worth trying soon again. */
bool ldap_search_together(struct ldap_conn *c, struct ldap_pattern *p, struct ldap_sought *sought,
    size_t count, int64_t deadline_ms);

#endif
