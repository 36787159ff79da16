/*
 * Chains: the ordered passdbs or userdbs of a scope, and what each verdict
 * leads to. Policy is data (the tables in chain.c); this is pure, it asks
 * nobody. Rules: dovecot.org's "passdb" and "userdb" settings result_*, skip.
 */
#ifndef AUTHD_CHAIN_H
#define AUTHD_CHAIN_H

#include "base/verdict.h"
#include "conf/config.h"

struct chain {
	const struct config_db *const *dbs;
	size_t count;
	size_t next; /* index of the db to try next */
	bool success;
	bool verified; /* a passdb checked the password; later ones only give fields */
	bool asked_any;
	bool internal_seen, unknown_seen, no_scheme_seen, mismatch_seen;
	bool ended_in_next;
	enum verdict stopped; /* DISABLED or EXPIRED stop at once */
	bool is_stopped;
};

static inline struct chain chain_of(const struct config_db *const *dbs, size_t count)
{
	return (struct chain){.dbs = dbs, .count = count};
}

/* What the next db must match to be asked. mech: NULL for lookups without a mechanism. */
const struct config_db *chain_next_passdb(struct chain *c, const char *mech, struct span user);
const struct config_db *chain_next_userdb(struct chain *c);

/*
 * Should a user who is unknown to the db that chain_next_passdb() returned last
 * cost a hash there? Each login costs one: where a password was compared, or
 * else in the last passdb.
 */
bool chain_wants_dummy(const struct chain *c, const char *mech, struct span user);

/* Takes the verdict of the db that chain_next_*() returned last. True: ask the next one. */
bool chain_passdb_verdict(struct chain *c, enum verdict v);
bool chain_userdb_verdict(struct chain *c, enum verdict v);

/* The chain's own verdict, when there is nothing left to ask. */
enum verdict chain_passdb_end(const struct chain *c);
enum verdict chain_userdb_end(const struct chain *c);

/* passdb { username_filter }: words of wildcards, "!" excludes */
bool chain_user_matches(struct span filter, struct span user);

#endif
