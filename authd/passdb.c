/*
 * The passdb chain at work. Runs in: front.
 */
#include "authd/passdb.h"

#include <stdio.h>

#include "authd/ask.h"
#include "authd/extra-fields.h"
#include "authd/login.h"
#include "authd/lookup.h"
#include "authd/userdb.h"
#include "base/log.h"
#include "drivers/driver.h"

static void path_put(struct request *r, struct span text)
{
	size_t len = text.len, room = sizeof(r->path) - r->path_len;
	if (len > room)
		len = room;
	memcpy(r->path + r->path_len, text.ptr, len);
	r->path_len += (unsigned)len;
}

void request_path_add(struct request *r, const char *source, enum verdict v)
{
	if (r->path_len > 0)
		path_put(r, SPAN_LIT(","));
	path_put(r, span_of(source));
	path_put(r, SPAN_LIT(":"));
	path_put(r, verdict_word(v));
	if (r->from_cache)
		path_put(r, SPAN_LIT("(cache)"));
	r->from_cache = false;
}

enum { LOG_TEXT_MAX = 64 };

/* Cut, so that a hostile name cannot fill the log; what would forge the next field is replaced. */
static struct span text_for_log(struct span text, char buf[LOG_TEXT_MAX])
{
	size_t n = 0;
	for (; n < text.len && n < LOG_TEXT_MAX; n++) {
		char c = text.ptr[n];
		bool odd = (unsigned char)c < 0x20 || c == 0x7f || c == ',' || c == '(' || c == ')';
		buf[n] = odd ? '?' : c;
	}
	return span_make(buf, n);
}

void auth_log(struct request *r, enum log_level level, const char *source, struct span what)
{
	char name[LOG_TEXT_MAX], session_text[LOG_TEXT_MAX];
	const struct span *v = r->vars.v;
	struct span user = v[VAR_USER].len > 0 ? text_for_log(v[VAR_USER], name) : SPAN_LIT("?");
	struct span session = text_for_log(v[VAR_SESSION], session_text);
	bool has_session = session.len > 0, has_rip = v[VAR_RIP].len > 0;
	const struct log_value values[] = {
	    {.name = "user", .text = user},
	    {.name = "rip", .text = v[VAR_RIP]},
	    {.name = "session", .text = v[VAR_SESSION]},
	    {.name = "source", .text = span_of(source)},
	    {0},
	};
	log_event(level, values, "%s(%.*s%s%.*s%s%s%.*s%s): %.*s", source, SPAN_ARG(user),
	    has_rip ? "," : "", SPAN_ARG(v[VAR_RIP]), r->master == MASTER_CHECKING ? ",master" : "",
	    has_session ? ",<" : "", SPAN_ARG(session), has_session ? ">" : "", SPAN_ARG(what));
}

void auth_log_failure(struct request *r, const char *source, struct span what)
{
	r->failure_logged = true;
	auth_log(r, LOG_LEVEL_INFO, source, what);
}

void auth_log_outage(struct request *r, const char *source, struct span what)
{
	r->failure_logged = true;
	auth_log(r, LOG_LEVEL_ERROR, source, what);
}

static const char *default_text(enum verdict v)
{
	switch (v) {
	case VERDICT_MISMATCH:
		return "Password mismatch";
	case VERDICT_UNKNOWN_USER:
		return "unknown user";
	case VERDICT_DISABLED:
		return "user is disabled";
	case VERDICT_EXPIRED:
		return "password expired";
	case VERDICT_NO_SCHEME:
		return "no credentials in the scheme that is needed";
	default:
		return "internal failure";
	}
}

static bool is_refusal(enum verdict v)
{
	return v == VERDICT_MISMATCH || v == VERDICT_UNKNOWN_USER || v == VERDICT_NO_SCHEME;
}

static bool is_verbose(const struct request *r)
{
	const struct auth_settings *auth = r->scope->auth;
	bool verbose = auth->verbose || auth->debug || auth->debug_passwords;
	int own = r->db->set->auth_verbose;
	return own == DB_VERBOSE_YES || (own == DB_VERBOSE_DEFAULT && verbose);
}

/*
 * A refusal by one passdb is no failure yet: the next one may know the user,
 * and fail2ban must not count against him. Without auth_verbose it is kept
 * until the chain has ended.
 */
static void log_verdict(struct request *r, enum verdict v, struct span detail)
{
	const char *driver = r->db->set->driver;
	if (v == VERDICT_OK || v == VERDICT_NEXT || r->checking_existence)
		return;
	if (detail.len == 0)
		detail = span_of(default_text(v));
	if (v == VERDICT_INTERNAL)
		auth_log_outage(r, driver, detail);
	else if (!is_refusal(v) || is_verbose(r))
		auth_log_failure(r, driver, detail);
	else if (r->held.source == NULL || v == VERDICT_MISMATCH)
		r->held = (struct request_held){driver, arena_dup(&r->arena, detail)};
}

static void log_held(struct request *r, enum verdict v)
{
	/* to a mechanism with a helper the passdbs only tell more about the user */
	if (r->mech != NULL && r->mech->helper != NULL)
		return;
	if (v != VERDICT_OK && r->held.source != NULL && !r->failure_logged)
		auth_log_failure(r, r->held.source, r->held.what);
}

/* ---- one passdb ---- */

static void chain_done(struct request *r)
{
	struct chain *c = &r->passdb_chain;
	enum verdict v = chain_passdb_end(c);
	if (!c->asked_any)
		auth_log_outage(r, "passdb", SPAN_LIT("All password databases were skipped"));
	else if (v == VERDICT_INTERNAL && c->ended_in_next)
		auth_log_outage(r, "passdb",
		    SPAN_LIT("Last passdb had noauthenticate field, cannot authenticate user"));
	log_held(r, v);
	if (r->checking_existence)
		userdb_existence_known(r, v);
	else if (r->kind == REQUEST_LOGIN)
		login_passdb_done(r, v);
	else
		lookup_passdb_done(r, v);
}

/* The number of a passdb or userdb as text; it is one digit but for the largest of sites. */
struct span db_id_text(struct request *r)
{
	static const char digits[] = "0123456789";
	if (r->db->id < 10)
		return span_make(&digits[r->db->id], 1);
	return arena_printf(&r->arena, "%u", r->db->id);
}

struct request_kept passdb_keep(struct request *r)
{
	return (struct request_kept){
	    .fields = fields_snapshot(&r->fields),
	    .userdb = fields_snapshot(&r->userdb),
	    .user = r->vars.v[VAR_USER],
	    .login_user = r->vars.v[VAR_LOGIN_USER],
	    .prefetched = r->prefetched,
	};
}

void passdb_roll_back(struct request *r, const struct request_kept *to)
{
	r->fields = to->fields;
	r->userdb = to->userdb;
	r->vars.v[VAR_USER] = to->user;
	r->vars.v[VAR_LOGIN_USER] = to->login_user;
	r->prefetched = to->prefetched;
}

static void ask(struct request *r)
{
	const struct db_settings *set = r->db->set;
	const char *scheme = r->wanted_scheme;
	unsigned flags = r->passdb_chain.verified ? ASK_SKIP_PASSWORD : 0;
	if (fields_has(&r->fields, "nopassword"))
		flags |= ASK_NOPASSWORD;
	const char *mech = r->mech != NULL ? r->mech->name : NULL;
	if (!chain_wants_dummy(&r->passdb_chain, mech, r->vars.v[VAR_USER]))
		flags |= ASK_NO_DUMMY;
	if (set->rehash && scheme == NULL)
		flags |= ASK_REHASH;
	if (r->kind == REQUEST_PASS || r->conn->type == LISTENER_LOGIN)
		flags |= ASK_RESOLVE_HOST;
	/* of a deny passdb only who is in it matters, and no password needs to be hashed */
	if (set->deny && (r->generation->pools[r->db->pool].can & CAN_SHOW) != 0)
		scheme = "";
	request_share_time(r, r->passdb_chain.next < r->passdb_chain.count);
	ask_backend(
	    r, r->db->pool, scheme == NULL ? CHANNEL_VERIFY : CHANNEL_CREDENTIAL, flags, scheme);
}

static void ask_next(struct request *r)
{
	const char *mech = r->mech != NULL ? r->mech->name : NULL;
	struct chain *c = &r->passdb_chain;
	r->db = chain_next_passdb(c, mech, r->vars.v[VAR_USER]);
	if (r->db == NULL) {
		chain_done(r);
		return;
	}
	r->asking = ASKING_PASSDB;
	r->field_failure = NULL;
	r->vars.v[VAR_ID] = db_id_text(r);
	r->kept = passdb_keep(r);
	if (!passdb_fields_expand(r, r->db->set->default_fields)) {
		struct channel_answer an = {.verdict = VERDICT_INTERNAL};
		an.fields = fields_in(&r->arena);
		passdb_answered(r, &an);
		return;
	}
	ask(r);
}

void passdb_start(struct request *r, bool master_list, const char *scheme)
{
	const struct scope *s = r->scope;
	bool verified = r->master == MASTER_TARGET;
	r->passdb_chain = master_list ? chain_of(s->masterdbs, s->masterdb_count)
				      : chain_of(s->passdbs, s->passdb_count);
	r->passdb_chain.verified = verified;
	r->passdb_chain.success = verified && r->master_rule == RULE_CONTINUE_OK;
	r->wanted_scheme = scheme;
	ask_next(r);
}

/* Takes over what a passdb that said ok (or passed) told; its verdict after its own conditions. */
static enum verdict take_fields(struct request *r, const struct channel_answer *an)
{
	enum verdict v = an->verdict;
	for (size_t i = 0; i < an->fields.count; i++)
		passdb_field_set(r, an->fields.items[i].key, an->fields.items[i].value);
	if (!passdb_fields_expand(r, r->db->set->override_fields))
		return VERDICT_INTERNAL;
	if (fields_has(&r->fields, "noauthenticate")) {
		fields_remove(&r->fields, "noauthenticate");
		v = VERDICT_NEXT;
	}
	if (passdb_fields_check(r))
		return v;
	auth_log_failure(r, r->db->set->driver, span_of(r->field_failure));
	return VERDICT_UNKNOWN_USER;
}

static void go_on(struct request *r, enum verdict v)
{
	if (chain_passdb_verdict(&r->passdb_chain, v))
		ask_next(r);
	else
		chain_done(r);
}

/* A deny passdb tells nothing but whether the user is in it. */
static void answered_deny(struct request *r, const struct channel_answer *an)
{
	enum verdict v = an->verdict;
	if (v == VERDICT_INTERNAL)
		log_verdict(r, v, an->detail);
	else if (v != VERDICT_UNKNOWN_USER && !r->checking_existence)
		auth_log_failure(r, r->db->set->driver, SPAN_LIT("User found from deny passdb"));
	r->may_hear_why = true;
	request_path_add(r, r->db->set->driver, v);
	passdb_roll_back(r, &r->kept);
	go_on(r, v);
}

void passdb_answered(struct request *r, const struct channel_answer *an)
{
	enum verdict v = an->verdict;
	r->asking = ASKING_NOTHING;
	request_set_state(r, REQUEST_MECH);
	if (r->db->set->deny) {
		answered_deny(r, an);
		return;
	}
	log_verdict(r, v, an->detail);
	r->may_hear_why = an->has_password || r->passdb_chain.verified;
	if (an->tell.count > 0) {
		r->io.told = fields_in(&r->arena);
		fields_merge(&r->io.told, &an->tell);
	}
	if (fields_has(&an->fields, "nodelay"))
		r->nodelay = true;
	if (v == VERDICT_OK || v == VERDICT_NEXT)
		v = take_fields(r, an);
	request_path_add(r, r->db->set->driver, v);
	if (v == VERDICT_OK) {
		r->password_compared = r->password_compared || an->has_password;
		if (secret_is_set(an->credential)) {
			r->credential = secret_dup(&r->arena, an->credential);
			r->credential_db = r->db;
			r->credential_user = r->kept.user;
		}
	} else if (v != VERDICT_NEXT) {
		passdb_roll_back(r, &r->kept);
	}
	fields_remove(&r->fields, "nopassword"); /* holds for this passdb only */
	if (v == VERDICT_OK && r->master == MASTER_CHECKING)
		login_master_known(r, r->db->set);
	else
		go_on(r, v);
}

/* ---- a new credential of the user ---- */

void passdb_store(struct request *r)
{
	struct channel_answer an = {.verdict = VERDICT_INTERNAL};
	r->asking = ASKING_STORE;
	if (r->credential_db == NULL) {
		an.detail = SPAN_LIT("there is nothing in whose place it could be stored");
		passdb_stored(r, &an);
		return;
	}
	r->db = r->credential_db;
	request_share_time(r, false);
	ask_backend(r, r->db->pool, CHANNEL_STORE, 0, r->io.scheme);
}

static void forget_cached(struct request *r)
{
	if (r->generation->cache != NULL)
		(void)cache_flush(r->generation->cache, r->credential_user);
}

void passdb_stored(struct request *r, const struct channel_answer *an)
{
	r->asking = ASKING_NOTHING;
	request_set_state(r, REQUEST_MECH);
	const char *driver = r->db != NULL ? r->db->set->driver : "passdb";
	if (an->verdict != VERDICT_INTERNAL)
		forget_cached(r);
	if (an->verdict == VERDICT_MISMATCH)
		auth_log_failure(
		    r, driver, SPAN_LIT("the stored credential was changed meanwhile"));
	else if (an->verdict == VERDICT_INTERNAL)
		auth_log_outage(r, driver, an->detail);
	request_path_add(r, "store", an->verdict);
	login_stored(r, an->verdict);
}
