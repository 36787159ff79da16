/*
 * The chains' policy: tables, and the few functions that read them.
 * Runs in: front. Owns nothing.
 */
#include "authd/chain.h"

enum flag_effect { KEEP, SET, CLEAR };

/* What each result_* word does (enum result_rule is the index). */
static const struct effect {
	enum flag_effect success;
	bool go_on;
} effects[] = {
    [RULE_RETURN] = {KEEP, false},
    [RULE_RETURN_OK] = {SET, false},
    [RULE_RETURN_FAIL] = {CLEAR, false},
    [RULE_CONTINUE] = {KEEP, true},
    [RULE_CONTINUE_OK] = {SET, true},
    [RULE_CONTINUE_FAIL] = {CLEAR, true},
};

/* Which of the three rules of a section a verdict falls under, or what it does by itself. */
enum rule_class { BY_SUCCESS, BY_FAILURE, BY_INTERNAL, STOPS, GOES_ON };

static const enum rule_class classes[VERDICT_COUNT] = {
    [VERDICT_INTERNAL] = BY_INTERNAL,
    [VERDICT_OK] = BY_SUCCESS,
    [VERDICT_MISMATCH] = BY_FAILURE,
    [VERDICT_UNKNOWN_USER] = BY_FAILURE,
    [VERDICT_DISABLED] = STOPS,
    [VERDICT_EXPIRED] = STOPS,
    [VERDICT_NO_SCHEME] = BY_FAILURE,
    [VERDICT_NEXT] = GOES_ON,
};

bool chain_user_matches(struct span filter, struct span user)
{
	struct span word;
	bool any_positive = false, positive_hit = false;
	while (span_word(&filter, " ,\t", &word)) {
		bool negated = word.ptr[0] == '!';
		if (negated)
			word = span_skip(word, 1);
		bool hit = span_matches(user, word, true);
		if (negated && hit)
			return false;
		if (!negated) {
			any_positive = true;
			positive_hit = positive_hit || hit;
		}
	}
	return !any_positive || positive_hit;
}

static bool mech_matches(struct span filter, const char *mech)
{
	struct span word;
	if (span_trim(filter).len == 0)
		return true;
	while (span_word(&filter, " ,\t", &word)) {
		if (mech != NULL && span_eq_ci(word, span_of(mech)))
			return true;
		if (mech == NULL &&
		    (span_eq_ci(word, SPAN_LIT("none")) || span_eq_ci(word, SPAN_LIT("lookup"))))
			return true;
	}
	return false;
}

static bool passdb_is_skipped(
    const struct chain *c, const struct db_settings *set, const char *mech, struct span user)
{
	if (set->skip == SKIP_AUTHENTICATED && c->verified)
		return true;
	if (set->skip == SKIP_UNAUTHENTICATED && !c->verified)
		return true;
	/* without filters, as nearly always, there is nothing to look at */
	return (set->mechanisms[0] != '\0' && !mech_matches(span_of(set->mechanisms), mech)) ||
	       (set->username_filter[0] != '\0' &&
		   !chain_user_matches(span_of(set->username_filter), user));
}

const struct config_db *chain_next_passdb(struct chain *c, const char *mech, struct span user)
{
	while (c->next < c->count) {
		const struct config_db *db = c->dbs[c->next++];
		if (!passdb_is_skipped(c, db->set, mech, user)) {
			c->asked_any = true;
			return db;
		}
	}
	return NULL;
}

const struct config_db *chain_next_userdb(struct chain *c)
{
	while (c->next < c->count) {
		const struct config_db *db = c->dbs[c->next++];
		bool skip = (db->set->skip == SKIP_AUTHENTICATED && c->success) ||
			    (db->set->skip == SKIP_UNAUTHENTICATED && !c->success);
		if (!skip) {
			c->asked_any = true;
			return db;
		}
	}
	return NULL;
}

static void note(struct chain *c, enum verdict v)
{
	c->ended_in_next = v == VERDICT_NEXT;
	switch (v) {
	case VERDICT_INTERNAL:
		c->internal_seen = true;
		break;
	case VERDICT_UNKNOWN_USER:
		c->unknown_seen = true;
		break;
	case VERDICT_NO_SCHEME:
		c->no_scheme_seen = true;
		break;
	case VERDICT_MISMATCH:
		c->mismatch_seen = true;
		break;
	default:
		break;
	}
}

static bool stop(struct chain *c, enum verdict v)
{
	c->stopped = v;
	c->is_stopped = true;
	return false;
}

static int rule_of(const struct db_settings *set, enum rule_class class)
{
	if (class == BY_SUCCESS)
		return set->pass ? RULE_CONTINUE : set->result_success;
	if (class == BY_INTERNAL)
		return set->result_internalfail;
	return set->result_failure;
}

static bool apply(struct chain *c, const struct db_settings *set, enum rule_class class)
{
	const struct effect *e = &effects[rule_of(set, class)];
	if (e->success == SET)
		c->success = true;
	else if (e->success == CLEAR)
		c->success = false;
	/* a password that was right once is not asked for again further on */
	if (class == BY_SUCCESS || (e->go_on && e->success == SET))
		c->verified = true;
	return e->go_on && c->next < c->count;
}

bool chain_passdb_verdict(struct chain *c, enum verdict v)
{
	const struct db_settings *set = c->dbs[c->next - 1]->set;
	if (set->deny) {
		/* being found here at all is what refuses; not being found says nothing */
		if (v == VERDICT_INTERNAL)
			return stop(c, VERDICT_INTERNAL);
		if (v != VERDICT_UNKNOWN_USER)
			return stop(c, VERDICT_DISABLED);
		c->ended_in_next = false;
		return c->next < c->count;
	}
	note(c, v);
	enum rule_class class = classes[v];
	if (class == STOPS)
		return stop(c, v);
	if (class == GOES_ON)
		return c->next < c->count;
	return apply(c, set, class);
}

bool chain_wants_dummy(const struct chain *c, const char *mech, struct span user)
{
	struct chain then = *c;
	if (c->mismatch_seen)
		return false;
	return !chain_passdb_verdict(&then, VERDICT_UNKNOWN_USER) ||
	       chain_next_passdb(&then, mech, user) == NULL;
}

bool chain_userdb_verdict(struct chain *c, enum verdict v)
{
	note(c, v);
	return apply(c, c->dbs[c->next - 1]->set, v == VERDICT_NEXT ? BY_FAILURE : classes[v]);
}

enum verdict chain_passdb_end(const struct chain *c)
{
	if (c->is_stopped)
		return c->stopped;
	if (c->success)
		return VERDICT_OK;
	if (c->internal_seen || c->ended_in_next || !c->asked_any)
		return VERDICT_INTERNAL;
	if (c->mismatch_seen)
		return VERDICT_MISMATCH;
	if (c->no_scheme_seen && !c->unknown_seen)
		return VERDICT_NO_SCHEME;
	return VERDICT_UNKNOWN_USER;
}

enum verdict chain_userdb_end(const struct chain *c)
{
	if (c->success)
		return VERDICT_OK;
	return c->internal_seen ? VERDICT_INTERNAL : VERDICT_UNKNOWN_USER;
}
