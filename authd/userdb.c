/*
 * The userdb chain at work. Runs in: front.
 */
#include "authd/userdb.h"

#include "authd/ask.h"
#include "authd/extra-fields.h"
#include "authd/lookup.h"
#include "authd/passdb.h"
#include "base/log.h"

static void ask_next(struct request *r);

static void ask_pool(struct request *r)
{
	r->asking = ASKING_USERDB;
	request_share_time(r, r->userdb_chain.next < r->userdb_chain.count);
	ask_backend(r, r->db->pool, CHANNEL_USERDB, 0, NULL);
}

/* The verdict on one userdb, after its fields; goes on with the chain. */
static void verdict_known(struct request *r, enum verdict v, struct span detail)
{
	struct chain *c = &r->userdb_chain;
	r->asking = ASKING_NOTHING;
	request_path_add(r, r->db->set->driver, v);
	if (v == VERDICT_INTERNAL && detail.len > 0)
		auth_log_outage(r, r->db->set->driver, detail);
	if (v != VERDICT_OK)
		r->userdb = r->kept_userdb;
	if (chain_userdb_verdict(c, v))
		ask_next(r);
	else
		lookup_userdb_done(r, chain_userdb_end(c));
}

static void succeed(struct request *r)
{
	bool good = userdb_fields_expand(r, r->db->set->override_fields) && userdb_fields_check(r);
	verdict_known(r, good ? VERDICT_OK : VERDICT_INTERNAL, SPAN_NULL);
}

/* prefetch has no backend: it is whether the passdb said anything for the userdb */
static void answer_prefetch(struct request *r)
{
	if (r->prefetched)
		succeed(r);
	else if (r->userdb_chain.count == 1)
		verdict_known(r, VERDICT_INTERNAL,
		    SPAN_LIT("passdb didn't return userdb entries, and there is no other userdb"));
	else
		verdict_known(r, VERDICT_UNKNOWN_USER, SPAN_NULL);
}

/* The passdbs tell whether there is such a user; then comes db, or the end if it is NULL. */
static void check_existence(struct request *r, const struct config_db *db)
{
	r->checking_existence = true;
	r->existence_db = db;
	passdb_start(r, false, "");
}

static void ask_next(struct request *r)
{
	struct chain *c = &r->userdb_chain;
	r->db = chain_next_userdb(c);
	if (r->db == NULL) {
		lookup_userdb_done(r, chain_userdb_end(c));
		return;
	}
	r->vars.v[VAR_ID] = db_id_text(r);
	r->kept_userdb = fields_snapshot(&r->userdb);
	r->asking = ASKING_USERDB;
	if (!userdb_fields_expand(r, r->db->set->default_fields)) {
		verdict_known(r, VERDICT_INTERNAL, SPAN_NULL);
	} else if (r->db->pool < 0) {
		answer_prefetch(r);
	} else if (r->db->assumes_user && !r->after_login) {
		check_existence(r, r->db);
	} else {
		ask_pool(r);
	}
}

void userdb_existence_known(struct request *r, enum verdict v)
{
	r->checking_existence = false;
	r->db = r->existence_db;
	struct span why = SPAN_LIT("the passdb could not tell whether the user exists");
	switch (v) {
	case VERDICT_OK:
		break;
	case VERDICT_NO_SCHEME:
		why = SPAN_LIT("passdb doesn't support lookups, can't verify user's existence");
		v = VERDICT_INTERNAL;
		break;
	case VERDICT_INTERNAL:
		break;
	default:
		v = VERDICT_UNKNOWN_USER;
	}
	if (r->db == NULL)
		lookup_userdb_done(r, v);
	else if (v == VERDICT_OK)
		ask_pool(r);
	else
		verdict_known(r, v, v == VERDICT_INTERNAL ? why : SPAN_NULL);
}

void userdb_start(struct request *r)
{
	const struct scope *s = r->scope;
	r->userdb_chain = chain_of(s->userdbs, s->userdb_count);
	/* without a userdb, whom a passdb knows is a user: one without fields */
	if (s->userdb_count > 0)
		ask_next(r);
	else if (r->after_login)
		lookup_userdb_done(r, VERDICT_OK);
	else
		check_existence(r, NULL);
}

void userdb_answered(struct request *r, const struct channel_answer *an)
{
	request_set_state(r, REQUEST_MECH);
	if (an->verdict != VERDICT_OK) {
		verdict_known(r, an->verdict, an->detail);
		return;
	}
	for (size_t i = 0; i < an->fields.count; i++)
		userdb_field_set(r, an->fields.items[i].key, an->fields.items[i].value);
	succeed(r);
}
