/*
 * The login: where mechanism, chain and client meet. How it ends is in
 * login-end.c. Runs in: front.
 */
#include "authd/login.h"

#include "authd/exclusive.h"
#include "authd/extra-fields.h"
#include "authd/login-end.h"
#include "authd/passdb.h"
#include "authd/username.h"
#include "base/log.h"
#include "base/precis.h"

static void step(struct request *r);
static void become_target(struct request *r, const struct db_settings *set);

/* ---- the mechanism's wishes ---- */

static bool take_user(struct request *r)
{
	struct err err;
	if ((r->mech->flags & MECH_ANONYMOUS) != 0)
		username_set_anonymous(r);
	if (r->user_set)
		return true;
	err_clear(&err);
	if (username_set_login(r, r->io.user, r->io.authzid, &err)) {
		r->io.user = r->vars.v[VAR_USER];
		return true;
	}
	login_end_refused(r, arena_cstr(&r->arena, span_of(err.text)));
	return false;
}

/* Control characters never were part of a password here; some backends' protocols could not carry
 * them. */
static bool password_is_legal(struct secret password)
{
	struct span p = secret_reveal(password);
	if (!span_has_control(p))
		return true;
	for (size_t i = 0; i < p.len; i++) {
		if (p.ptr[i] == '\x01' || p.ptr[i] == '\t' || p.ptr[i] == '\r' || p.ptr[i] == '\n')
			return false;
	}
	return true;
}

/* auth_password_precis; a token is no password and is ASCII anyway */
static bool prepare_password(struct request *r)
{
	struct err err = {0};
	if (!r->scope->auth->password_precis || secret_reveal(r->io.password).len == 0)
		return true;
	struct span p =
	    precis_enforce(PRECIS_OPAQUE_STRING, secret_reveal(r->io.password), &r->arena, &err);
	r->io.password = secret_of(p);
	if (p.ptr == NULL)
		login_end_refused(r, arena_printf(&r->arena, "the password: %s", err.text).ptr);
	return p.ptr != NULL;
}

static void ask_passdbs(struct request *r, const char *scheme)
{
	if (!take_user(r) || (scheme == NULL && !prepare_password(r)))
		return;
	if (scheme == NULL && !password_is_legal(r->io.password)) {
		login_end_refused(r, "Attempted login with password having illegal chars");
		return;
	}
	if ((r->mech->flags & MECH_ONE_AT_A_TIME) != 0 && !exclusive_take(r)) {
		auth_log_outage(r, "exclusive",
		    SPAN_LIT("another such login of this user is under way; told to try again"));
		login_end_internal(r);
		return;
	}
	if (scheme != NULL) {
		r->computes = scheme[0] != '\0';
		r->before = passdb_keep(r);
		r->salt = r->io.salt;
		if (r->salt.ptr == NULL)
			r->salt = fake_salt(
			    r->generation->fake_key, scheme, r->vars.v[VAR_USER], &r->arena);
	}
	if (r->master != MASTER_WANTED) {
		passdb_start(r, false, scheme);
		return;
	}
	if (r->scope->masterdb_count == 0) {
		login_end_refused(r, "Attempted master login with no master passdbs");
		return;
	}
	r->master = MASTER_CHECKING;
	passdb_start(r, true, scheme);
}

/* The worker that carries out the mechanism; the configuration made it a pool. */
static void ask_helper(struct request *r)
{
	struct pool *p = generation_helper(r->generation, r->mech->helper);
	if (p == NULL) {
		auth_log_outage(r, r->mech->helper, SPAN_LIT("there is no such worker"));
		login_end_internal(r);
		return;
	}
	r->asking = ASKING_HELPER;
	request_share_time(r, false);
	pool_set_question(
	    p, r, CHANNEL_EXCHANGE, r->io.exchange.authorize ? ASK_AUTHORIZE : 0, r->mech->name);
	pool_ask(r);
}

static void challenge(struct request *r)
{
	request_set_state(r, REQUEST_CLIENT);
	front_timer_at(r->conn->front, &r->timer, clock_ms() + REQUEST_CLIENT_MS);
	r->conn->protocol->challenge(r->conn, r, r->io.out);
}

static void ask_binding(struct request *r)
{
	r->binding_wanted = true;
	challenge(r);
}

static void keep_last_words(struct request *r)
{
	if (r->io.out.ptr == NULL)
		return;
	r->has_final_data = true;
	r->final_data = arena_dup(&r->arena, r->io.out);
}

static void end_after_last_words(struct request *r)
{
	if (r->mech_refused)
		login_end_by_mechanism(r);
	else
		login_end_success(r);
}

/* Last words go with the OK or FAIL, or before it, as a challenge, where the client is older. */
static void say_last_words(struct request *r)
{
	if (!r->has_final_data || r->final_resp_ok) {
		end_after_last_words(r);
		return;
	}
	r->io.out = r->final_data;
	challenge(r);
}

static void mech_done(struct request *r)
{
	if (r->computes && r->mech_failed_by_verdict) {
		login_end_by_mechanism(r); /* no fake may ever let anybody in */
		return;
	}
	if (!take_user(r))
		return;
	if (r->master == MASTER_WANTED || (r->master == MASTER_CHECKING && r->master_db == NULL)) {
		login_end_refused(
		    r, "a mechanism without a password cannot log in as somebody else");
		return;
	}
	for (size_t i = 0; i < r->mech_fields.count; i++)
		passdb_field_set(r, r->mech_fields.items[i].key, r->mech_fields.items[i].value);
	if (r->io.why != NULL)
		auth_log(r, LOG_LEVEL_INFO, login_mech_source(r), span_of(r->io.why));
	keep_last_words(r);
	r->mech_is_done = true;
	if (r->master == MASTER_CHECKING)
		become_target(r, r->master_db);
	else
		say_last_words(r);
}

static void step(struct request *r)
{
	for (;;) {
		struct mech_io *io = &r->io;
		io->out = SPAN_NULL;
		switch (r->mech->step(r->mech, r->mech_state, io)) {
		case MECH_CLIENT:
			challenge(r);
			return;
		case MECH_USER:
			if (!take_user(r))
				return;
			continue;
		case MECH_VERIFY:
			ask_passdbs(r, NULL);
			return;
		case MECH_CREDENTIAL:
			ask_passdbs(r, io->scheme);
			return;
		case MECH_STORE:
			if (r->mech_failed_by_verdict)
				login_end_by_mechanism(r); /* a fake is stored nowhere */
			else
				passdb_store(r);
			return;
		case MECH_BINDING:
			io->binding = SPAN_NULL;
			if (!r->plus_offered)
				continue; /* such a client could not answer */
			ask_binding(r);
			return;
		case MECH_EXCHANGE:
			ask_helper(r);
			return;
		case MECH_DONE:
			mech_done(r);
			return;
		case MECH_FAIL:
			r->mech_refused = true;
			keep_last_words(r);
			say_last_words(r);
			return;
		}
	}
}

static bool message_is_legal(struct request *r, struct span data)
{
	if ((r->mech->flags & MECH_ALLOW_NUL) != 0 || span_find(data, '\0') < 0)
		return true;
	login_end_refused(r, "Unexpected NUL in the client's message");
	return false;
}

static bool cert_is_satisfied(struct request *r, const char **why)
{
	const struct auth_settings *set = r->scope->auth;
	if (set->ssl_require_client_cert && !r->valid_cert)
		*why = "Client didn't present valid SSL certificate";
	else if (set->ssl_require_client_cert && set->ssl_username_from_cert &&
		 r->cert_username.len == 0)
		*why = "SSL certificate didn't contain username";
	else
		return true;
	auth_log_failure(r, "ssl", span_of(*why));
	return false;
}

void login_start(struct request *r, struct span initial)
{
	r->mech_state = arena_alloc(&r->arena, r->mech->state_size);
	r->io = (struct mech_io){.arena = &r->arena, .fields = &r->mech_fields};
	r->vars.v[VAR_MECH] = span_of(r->mech->name);
	if (r->valid_cert)
		r->vars.v[VAR_CERT] = SPAN_LIT("valid");
	r->io.context = login_context(r);
	const char *why;
	if (!cert_is_satisfied(r, &why)) {
		login_refuse_now(r, REPLY_NONE, why);
		return;
	}
	if (initial.ptr != NULL && !message_is_legal(r, initial))
		return;
	r->io.in = initial;
	if (initial.ptr == NULL && (r->mech->flags & MECH_SERVER_FIRST) == 0) {
		r->io.out = SPAN_LIT("");
		challenge(r);
		return;
	}
	step(r);
}

static void client_spoke(struct request *r)
{
	front_timer_stop(r->conn->front, &r->timer);
	request_restart_deadline(r);
	request_set_state(r, REQUEST_MECH);
}

void login_continue(struct request *r, struct span data)
{
	client_spoke(r);
	if (r->has_final_data) {
		/* the client has seen the last words; what it says to them does not matter */
		r->has_final_data = false;
		end_after_last_words(r);
		return;
	}
	if (!message_is_legal(r, data))
		return;
	r->io.in = data;
	step(r);
}

void login_binding(struct request *r, struct span binding)
{
	client_spoke(r);
	r->binding_wanted = false;
	r->io.binding = binding;
	step(r);
}

/* ---- the helper's answer ---- */

void login_helper_answered(struct request *r, const struct channel_answer *an)
{
	struct mech_io *io = &r->io;
	const char *helper = r->mech->helper;
	r->asking = ASKING_NOTHING;
	request_set_state(r, REQUEST_MECH);
	r->mech_failed_by_verdict = an->verdict != VERDICT_OK && an->verdict != VERDICT_NEXT;
	if (an->verdict == VERDICT_INTERNAL)
		auth_log_outage(r, helper, an->detail);
	else if (r->mech_failed_by_verdict)
		auth_log_failure(r, helper, an->detail);
	if (an->verdict != VERDICT_NEXT)
		request_path_add(r, helper, an->verdict);
	io->verdict = an->verdict;
	io->exchange.message = secret_dup(&r->arena, an->credential);
	io->exchange.handle = arena_dup(&r->arena, fields_get(&an->tell, "handle"));
	if (an->verdict == VERDICT_OK && !io->exchange.authorize)
		io->user = arena_dup(&r->arena, fields_get(&an->tell, "user"));
	step(r);
}

/* ---- the passdbs' answer ---- */

/* What the mechanism is to compute with; *v: what the passdbs said. */
static struct secret credential_for(struct request *r, enum verdict *v)
{
	const char *scheme = r->io.scheme;
	if (!r->computes || *v == VERDICT_INTERNAL)
		return SECRET_NULL;
	if (*v == VERDICT_OK && secret_is_set(r->credential)) {
		fake_note(&r->conn->front->fakes, scheme, r->credential);
		return r->credential;
	}
	if (*v == VERDICT_OK)
		*v = VERDICT_NO_SCHEME; /* a yes by a rule alone */
	return fake_credential(
	    &r->conn->front->fakes, r->generation->fake_key, scheme, r->before.user, &r->arena);
}

static void answer_mechanism(struct request *r, enum verdict v)
{
	r->io.credential = credential_for(r, &v);
	r->io.user = r->vars.v[VAR_USER];
	r->io.verdict = v;
	r->mech_failed_by_verdict = v != VERDICT_OK;
	step(r);
}

/* Now it is about the user whom the master wants to be. */
static void become_target(struct request *r, const struct db_settings *set)
{
	struct vars *v = &r->vars;
	auth_log(r, LOG_LEVEL_INFO, set->driver,
	    arena_printf(
		&r->arena, "Master user logging in as %.*s", SPAN_ARG(v->v[VAR_LOGIN_USER])));
	v->v[VAR_MASTER_USER] = v->v[VAR_USER];
	v->v[VAR_USER] = v->v[VAR_LOGIN_USER];
	v->v[VAR_LOGIN_USER] = SPAN_NULL;
	r->master = MASTER_TARGET;
	r->master_rule = set->pass ? RULE_CONTINUE : set->result_success;
	switch (r->master_rule) {
	case RULE_CONTINUE:
	case RULE_CONTINUE_OK:
	case RULE_CONTINUE_FAIL:
		passdb_start(r, false, r->wanted_scheme == NULL ? NULL : "");
		break;
	case RULE_RETURN_OK:
		login_passdb_done(r, VERDICT_OK);
		break;
	default:
		login_passdb_done(r, VERDICT_UNKNOWN_USER);
	}
}

void login_master_known(struct request *r, const struct db_settings *set)
{
	r->master_db = set;
	/* a credential is no proof yet: the master becomes somebody else when the mechanism says so
	 */
	if (r->wanted_scheme == NULL)
		become_target(r, set);
	else
		answer_mechanism(r, VERDICT_OK);
}

void login_passdb_done(struct request *r, enum verdict v)
{
	/* success by a rule is not a master's password */
	if (r->master == MASTER_CHECKING && v == VERDICT_OK)
		v = VERDICT_UNKNOWN_USER;
	if (!r->mech_is_done)
		answer_mechanism(r, v);
	else if (v == VERDICT_OK)
		say_last_words(r);
	else
		login_end_failure(r, v);
}

void login_stored(struct request *r, enum verdict v)
{
	/* what is in the place of the old one by now is not what this client has shown */
	if (v != VERDICT_OK && v != VERDICT_INTERNAL)
		v = VERDICT_MISMATCH;
	r->io.verdict = v;
	r->mech_failed_by_verdict = v != VERDICT_OK;
	step(r);
}
