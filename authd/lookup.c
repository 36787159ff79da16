/*
 * Lookups. Runs in: front.
 */
#include "authd/lookup.h"

#include "authd/ask.h"
#include "authd/extra-fields.h"
#include "authd/login.h"
#include "authd/passdb.h"
#include "authd/userdb.h"
#include "authd/username.h"
#include "base/log.h"
#include "drivers/driver.h"

static void end(struct request *r, enum verdict v)
{
	r->verdict = v;
	if (v == VERDICT_INTERNAL)
		r->code = REPLY_TEMP_FAIL;
	request_finish(r);
}

static bool take_name(struct request *r, struct span name)
{
	struct err err;
	err_clear(&err);
	if (username_set_lookup(r, name, &err))
		return true;
	auth_log_failure(r, "lookup", span_of(err.text));
	end(r, VERDICT_UNKNOWN_USER);
	return false;
}

void lookup_user(struct request *r, struct span name)
{
	if (take_name(r, name))
		userdb_start(r);
}

void lookup_pass(struct request *r, struct span name)
{
	if (take_name(r, name))
		passdb_start(r, false, "");
}

void lookup_passdb_done(struct request *r, enum verdict v)
{
	passdb_fields_settle_proxy(r);
	end(r, v);
}

static bool peer_may_see(struct request *r)
{
	struct conn *c = r->conn;
	uint64_t uid;
	if (!c->restricted)
		return true;
	struct span text = fields_get(&r->userdb, "uid");
	if (span_to_u64(text, &uid) && uid == c->peer.uid)
		return true;
	log_error("userdb lookup of %.*s refused: the client runs as uid %u, the user has uid %.*s",
	    SPAN_ARG(r->vars.v[VAR_USER]), (unsigned)c->peer.uid, SPAN_ARG(text));
	return false;
}

void lookup_userdb_done(struct request *r, enum verdict v)
{
	if (v == VERDICT_OK && fields_has(&r->userdb, "tempfail")) {
		r->reason = fields_get(&r->userdb, "reason");
		v = VERDICT_INTERNAL;
	}
	if (v == VERDICT_OK && !peer_may_see(r))
		v = VERDICT_INTERNAL;
	if (v != VERDICT_OK && r->after_login && v == VERDICT_UNKNOWN_USER)
		log_error("user %.*s logged in, but no userdb knows the user",
		    SPAN_ARG(r->vars.v[VAR_USER]));
	end(r, v);
}

/* ---- REQUEST ---- */

static void copy_vars(struct request *r, const struct vars *from)
{
	for (int i = 0; i < VAR_COUNT; i++)
		r->vars.v[i] = arena_dup(&r->arena, from->v[i]);
}

void lookup_after_login(struct request *r, struct request *login)
{
	copy_vars(r, &login->vars);
	if (r->session_pid != 0)
		r->vars.v[VAR_SESSION_PID] = arena_printf(&r->arena, "%u", r->session_pid);
	request_set_scope(r);
	fields_merge(&r->fields, &login->fields);
	fields_merge(&r->userdb, &login->userdb);
	r->prefetched = login->prefetched;
	r->mech = login->mech;
	r->after_login = true;
	r->user_set = true;
	request_free(login);
	userdb_start(r);
}

/* ---- LIST ---- */

static bool can_list(const struct request *r, const struct config_db *db)
{
	if (db->pool < 0)
		return false;
	uint32_t can = r->generation->pools[db->pool].can;
	return can == 0 || (can & CAN_LIST) != 0;
}

static void list_next(struct request *r)
{
	struct chain *c = &r->userdb_chain;
	while (c->next < c->count) {
		r->db = c->dbs[c->next++];
		if (!can_list(r, r->db))
			continue;
		r->list_any = true;
		r->asking = ASKING_LIST;
		ask_backend(r, r->db->pool, CHANNEL_LIST, 0, NULL);
		return;
	}
	if (!r->list_any)
		log_error("users cannot be listed: no userdb has a driver that can do that");
	end(r, r->list_any && !r->list_incomplete ? VERDICT_OK : VERDICT_INTERNAL);
}

void lookup_list(struct request *r)
{
	r->userdb_chain = chain_of(r->scope->userdbs, r->scope->userdb_count);
	r->conn->listing = r;
	list_next(r);
}

void lookup_list_resume(struct request *r)
{
	uint32_t owed = r->list_owed;
	if (owed == 0)
		return;
	r->list_owed = 0;
	/* names keep coming: the list's deadline is about silence, not about its length */
	request_restart_deadline(r);
	pool_more(r, owed);
}

void lookup_list_items(struct request *r, struct wire_reader *items)
{
	struct conn *c = r->conn;
	uint32_t count = 0;
	while (items->at < items->end && !items->failed) {
		struct span user = wire_get_span(items);
		if (items->failed)
			break;
		count++;
		if (r->mask.len == 0 || span_matches(user, r->mask, true))
			c->protocol->list_item(c, r, user);
	}
	r->list_owed += count;
	if (c->out.len < CONN_OUT_HIGH)
		lookup_list_resume(r);
	else
		request_wait_for_reader(r);
}

void lookup_list_answered(struct request *r, const struct channel_answer *an)
{
	request_set_state(r, REQUEST_MECH);
	r->asking = ASKING_NOTHING;
	r->list_owed = 0; /* the next userdb has its own credit */
	request_restart_deadline(r);
	request_path_add(r, r->db->set->driver, an->verdict);
	if (an->verdict != VERDICT_OK) {
		r->list_incomplete = true;
		auth_log_outage(r, r->db->set->driver, an->detail);
	}
	list_next(r);
}
