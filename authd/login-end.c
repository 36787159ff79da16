/*
 * How a login ends. What a failure looks like from outside is decided here and
 * nowhere else: an outage is never told as a wrong password, no delay goes past
 * the time that the client waits, and public reasons are an enumerated few.
 * Runs in: front.
 */
#include "authd/login-end.h"

#include <sodium.h>
#include <time.h>

#include "authd/extra-fields.h"
#include "authd/login.h"
#include "authd/passdb.h"

static void delay_then_finish(struct request *r, int64_t until_ms)
{
	request_forget_id(r);
	if (until_ms > r->deadline_ms)
		until_ms = r->deadline_ms;
	if (until_ms <= clock_ms()) {
		request_finish(r);
		return;
	}
	request_set_state(r, REQUEST_DELAY);
	front_timer_at(r->conn->front, &r->timer, until_ms);
}

/*
 * MTAs' clients take every FAIL as a wrong password; only a closed connection
 * makes them say "try again". The connection is closed when nothing else waits
 * on it, and at the latest when this client would have given up.
 */
void login_end_internal(struct request *r)
{
	struct conn *c = r->conn;
	r->verdict = VERDICT_INTERNAL;
	r->code = REPLY_TEMP_FAIL;
	if (!r->nologin) {
		/* spread, so that all clients of an outage do not come back at once */
		uint64_t delay = r->scope->auth->internal_failure_delay;
		if (delay / 2 < UINT32_MAX)
			delay += randombytes_uniform((uint32_t)(delay / 2) + 1);
		delay_then_finish(r, clock_ms() + (int64_t)delay);
		return;
	}
	r->close_instead = true;
	delay_then_finish(r, r->deadline_ms);
	request_close_when_idle(c);
}

/*
 * Counted from the client's last word: a refusal out of the cache takes as long as
 * one that cost a hash, unless the hash takes longer than the delay.
 */
static void delay_failure(struct request *r)
{
	int64_t asked_ms = r->deadline_ms - (int64_t)r->conn->client_deadline_ms;
	uint64_t delay = r->nodelay ? 0 : r->scope->auth->failure_delay;
	delay_then_finish(r, asked_ms + (int64_t)delay);
}

void login_end_failure(struct request *r, enum verdict v)
{
	if (v == VERDICT_INTERNAL) {
		login_end_internal(r);
		return;
	}
	r->verdict = v;
	if (v == VERDICT_DISABLED && r->may_hear_why) {
		r->code = REPLY_USER_DISABLED;
	} else if (v == VERDICT_EXPIRED && r->may_hear_why) {
		r->code = REPLY_PASS_EXPIRED;
		r->reason = SPAN_LIT("Password expired");
	} else if (r->master == MASTER_TARGET) {
		r->code = REPLY_AUTHZ_FAIL;
	}
	delay_failure(r);
}

/* What the passdbs told of a user who has not proven yet that he is this one is not for him. */
static void forget_what_was_shown(struct request *r)
{
	bool unproven = r->computes || r->mech->helper != NULL;
	if (unproven && r->wanted_scheme != NULL && !r->mech_is_done)
		passdb_roll_back(r, &r->before);
}

void login_refuse_now(struct request *r, enum reply_code code, const char *reason)
{
	r->verdict = VERDICT_MISMATCH;
	r->code = code;
	r->reason = span_of(reason);
	forget_what_was_shown(r);
	/* what a passdb presets is not for those whom it has not let in */
	r->fields = fields_in(&r->arena);
	request_forget_id(r);
	request_finish(r);
}

/* "scram-sha-256" */
const char *login_mech_source(struct request *r)
{
	char *source = arena_cstr(&r->arena, span_of(r->mech->name));
	for (char *p = source; *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	return source;
}

/* Under the name of the passdb that showed the credential, as if it had compared: fail2ban looks
 * for that. */
static const char *failure_source(struct request *r)
{
	bool shown = r->computes && !r->mech_failed_by_verdict && r->credential_db != NULL;
	return shown ? r->credential_db->set->driver : login_mech_source(r);
}

void login_end_refused(struct request *r, const char *why)
{
	const char *source = login_mech_source(r);
	forget_what_was_shown(r);
	auth_log_failure(r, failure_source(r), span_of(why));
	request_path_add(r, source, VERDICT_MISMATCH);
	login_end_failure(r, VERDICT_MISMATCH);
}

/* A yes that nobody's password stands behind is for those who route on it, not for an MTA. */
static bool is_routing_only(const struct request *r)
{
	bool routes = r->conn->type == LISTENER_LOGIN;
	return fields_has(&r->fields, "proxy") && !routes && !r->password_compared &&
	       (r->mech->flags & MECH_PLAINTEXT) != 0;
}

void login_end_success(struct request *r)
{
	passdb_fields_settle_proxy(r);
	if (is_routing_only(r)) {
		login_end_refused(r, "a proxy field without a password check is no login here");
		return;
	}
	r->verdict = VERDICT_OK;
	if (r->conn->type != LISTENER_LOGIN && r->conn->type != LISTENER_TOKEN_LOGIN)
		request_forget_id(r);
	int64_t wait_s = r->delay_until > 0 ? r->delay_until - (int64_t)time(NULL) : 0;
	if (wait_s <= 0) {
		request_finish(r);
		return;
	}
	int64_t until = clock_ms() + wait_s * 1000;
	if (until > r->deadline_ms) {
		auth_log_failure(r, "delay_until",
		    SPAN_LIT("the client does not wait that long; told to try again"));
		login_end_internal(r);
		return;
	}
	request_set_state(r, REQUEST_DELAY);
	front_timer_at(r->conn->front, &r->timer, until);
}

/*
 * The mechanism refuses. After a credential that was a fake this looks as after
 * a real one: nothing that a passdb said is told, and no code.
 */
void login_end_by_mechanism(struct request *r)
{
	bool by_verdict = r->mech_failed_by_verdict;
	if (by_verdict && r->io.verdict == VERDICT_INTERNAL) {
		login_end_internal(r);
		return;
	}
	forget_what_was_shown(r);
	if (!by_verdict) {
		login_end_refused(r, r->io.why != NULL ? r->io.why : "invalid input");
	} else if (r->computes) {
		r->verdict = r->io.verdict;
		delay_failure(r);
	} else {
		login_end_failure(r, r->io.verdict);
	}
}
