/*
 * Goes through the pools of passdbs, one after the other. Runs in: front.
 */
#include "authd/upgrade-status.h"

#include <inttypes.h>

#include "authd/ask.h"
#include "authd/passdb.h"
#include "authd/pool.h"

static void tell(struct request *r, const char *what, const char *scheme, uint64_t count)
{
	struct conn *c = r->conn;
	if (count > 0)
		c->protocol->list_item(c, r,
		    arena_printf(&r->arena, "%u %s %s %s %" PRIu64, r->db->id, r->db->set->driver,
			what, scheme, count));
}

static void tell_counts(struct request *r)
{
	struct channel_tally t = pool_tally(&r->generation->pools[r->db->pool]);
	for (size_t i = 0; i < SCHEME_KINDS; i++)
		tell(r, "logins", scheme_kinds[i].name, t.logins[i]);
	tell(r, "upgraded", "-", t.upgraded);
	tell(r, "failed", "-", t.failed);
	tell(r, "outrun", "-", t.outrun);
}

/* Sections that share a pool are told once. */
static bool was_told(const struct chain *c, const struct config_db *db)
{
	for (size_t i = 0; i + 1 < c->next; i++) {
		if (c->dbs[i]->pool == db->pool)
			return true;
	}
	return db->pool < 0;
}

static void next(struct request *r)
{
	struct chain *c = &r->passdb_chain;
	while (c->next < c->count) {
		r->db = c->dbs[c->next++];
		if (was_told(c, r->db))
			continue;
		tell_counts(r);
		if (!r->census)
			continue;
		r->asking = ASKING_CENSUS;
		request_restart_deadline(r);
		ask_backend(r, r->db->pool, CHANNEL_CENSUS, 0, NULL);
		return;
	}
	r->verdict = r->list_incomplete ? VERDICT_INTERNAL : VERDICT_OK;
	request_finish(r);
}

void upgrade_status(struct request *r)
{
	const struct scope *s = r->scope;
	r->passdb_chain = chain_of(s->passdbs, s->passdb_count);
	next(r);
}

void upgrade_status_answered(struct request *r, const struct channel_answer *an)
{
	uint64_t count;
	r->asking = ASKING_NOTHING;
	request_set_state(r, REQUEST_MECH);
	for (size_t i = 0; i < an->fields.count; i++) {
		const struct field *f = &an->fields.items[i];
		if (span_to_u64(f->value, &count))
			tell(r, "stored", arena_cstr(&r->arena, f->key), count);
	}
	if (an->verdict == VERDICT_INTERNAL) {
		r->list_incomplete = true;
		auth_log_outage(r, r->db->set->driver, an->detail);
	}
	next(r);
}
