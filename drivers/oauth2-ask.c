/*
 * One question's way: keys here, then the provider's tokeninfo and
 * introspection, or a password for a token; what each answer of HTTP means.
 * Runs in: worker, a lane. A provider that cannot be asked is an outage: a
 * client that hears "invalid_token" throws its token away.
 */
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "drivers/oauth2-parts.h"

/* the answer is given a moment before nobody waits for it */
enum { BODY_MAX = 64 * 1024, ANSWER_MS = 50 };

struct asking {
	const struct oauth2_settings *set;
	struct oauth2_http *http;
	struct oauth2_keys *keys;
	struct question *q;
	struct oauth2_token token;
};

static int64_t until(const struct question *q)
{
	return q->deadline_ms > 0 ? q->deadline_ms - ANSWER_MS : 0;
}

/* ---- HTTP's answers ---- */

/* Is there nobody who is let in without the provider? Then it is an outage for all. */
static enum backend_state provider_is_away(const struct asking *as)
{
	const struct oauth2_settings *set = as->set;
	bool online = set->tokeninfo_url[0] != '\0' || set->introspection_url[0] != '\0';
	return set->local || (set->use_grant_password && online) ? BACKEND_AWAY : BACKEND_DOWN;
}

static enum verdict outage(struct asking *as, const char *who, const struct oauth2_reply *reply)
{
	const char *name = reply->error;
	/* a gateway says that the provider is down; all else may come from this one token */
	bool down = reply->status >= 502 && reply->status <= 504;
	as->q->backend = down ? provider_is_away(as) : BACKEND_AWAY;
	err_set(&as->q->err, EX_TEMPFAIL, "%s: status %ld%s%s%s", who, reply->status,
	    name[0] != '\0' ? ", " : "", name,
	    reply->status == 200 && reply->body == NULL ? ", and no JSON object" : "");
	return VERDICT_INTERNAL;
}

static bool is_named(const struct oauth2_reply *reply, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (strcmp(reply->error, *names) == 0)
			return true;
	}
	return false;
}

/*
 * A bearer token was shown (RFC 6750 section 3.1). Some say 400 to a token that
 * they do not know; but what is about the request is not about the token.
 */
static enum verdict judge_bearer(
    struct asking *as, const char *who, const struct oauth2_reply *reply)
{
	static const char *const scope[] = {"insufficient_scope", NULL};
	static const char *const ours[] = {"invalid_request", "invalid_client",
	    "unauthorized_client", "server_error", "temporarily_unavailable", NULL};
	if (is_named(reply, scope)) {
		oauth2_refuse(&as->token, "%s: the token's scope does not suffice", who);
		as->token.status = "insufficient_scope";
		return VERDICT_DISABLED;
	}
	if ((reply->status == 400 || reply->status == 401) && !is_named(reply, ours))
		return oauth2_refuse(&as->token, "%s: the token is not valid", who);
	return outage(as, who, reply);
}

/* authd asked as a client (RFC 7662 section 2.3): what is refused is its own request. */
static enum verdict judge_client(
    struct asking *as, const char *who, const struct oauth2_reply *reply)
{
	static const char *const token[] = {"invalid_token", NULL};
	if (reply->status == 400 && is_named(reply, token))
		return oauth2_refuse(&as->token, "%s: the token is not valid", who);
	return outage(as, who, reply);
}

static enum verdict take_reply(struct asking *as, const char *who, const struct oauth2_request *rq,
    enum verdict (*judge)(struct asking *, const char *, const struct oauth2_reply *))
{
	struct oauth2_reply reply;
	enum verdict v;
	if (!oauth2_http_ask(as->http, rq, as->q->arena, &reply, &as->q->err)) {
		err_prefix(&as->q->err, "%s", who);
		as->q->backend = provider_is_away(as);
		return VERDICT_INTERNAL;
	}
	as->q->backend = BACKEND_ANSWERS;
	if (reply.status / 100 != 2)
		v = judge(as, who, &reply);
	else if (reply.body == NULL)
		v = outage(as, who, &reply);
	else
		v = oauth2_claims_take(&as->token, reply.body, false);
	json_decref(reply.body);
	return v;
}

/* ---- the ways to ask about a token ---- */

static struct oauth2_request request_to(const struct asking *as, const char *url)
{
	return (struct oauth2_request){
	    .url = url,
	    .about = as->set->send_auth_headers ? as->q->vars : NULL,
	    .deadline_ms = until(as->q),
	    .body_max = BODY_MAX,
	};
}

static struct span keep(struct asking *as, struct buffer *b)
{
	struct span s = arena_dup(as->q->arena, buffer_span(b));
	buffer_free(b);
	return s;
}

static const char *with_token(struct asking *as, const char *url, bool as_client)
{
	struct buffer b = {0};
	buffer_append_str(&b, url);
	oauth2_escape(&b, secret_reveal(as->token.text));
	if (as_client && as->set->client_id[0] != '\0') {
		oauth2_form_add(&b, "client_id", span_of(as->set->client_id));
		oauth2_form_add(&b, "client_secret", span_of(as->set->client_secret));
	}
	return keep(as, &b).ptr;
}

static enum verdict ask_tokeninfo(struct asking *as)
{
	const char *url = as->set->tokeninfo_url;
	/* RFC 6750 section 2: in one place only */
	bool append = strchr("=?/", url[strlen(url) - 1]) != NULL;
	struct oauth2_request rq = request_to(as, append ? with_token(as, url, false) : url);
	if (!append)
		rq.bearer = as->token.text;
	return take_reply(as, "tokeninfo", &rq, judge_bearer);
}

static enum verdict ask_introspection(struct asking *as)
{
	const char *url = as->set->introspection_url, *who = "introspection";
	struct oauth2_request rq = request_to(as, url);
	struct buffer form = {0};
	switch (as->set->introspection_mode) {
	case OAUTH2_GET:
		rq.url = with_token(as, url, true);
		return take_reply(as, who, &rq, judge_bearer);
	case OAUTH2_POST:
		oauth2_form_add(&form, "token", secret_reveal(as->token.text));
		rq.form = secret_of(keep(as, &form));
		rq.as_client = true;
		return take_reply(as, who, &rq, judge_client);
	default:
		rq.bearer = as->token.text;
		return take_reply(as, who, &rq, judge_bearer);
	}
}

static bool wants_introspection(const struct asking *as)
{
	return as->set->introspection_url[0] != '\0' &&
	       (as->set->force_introspection || !oauth2_claims_suffice(&as->token));
}

/* What is not known yet is asked of the provider; all of it when nothing is. */
static enum verdict ask_provider(struct asking *as, bool known)
{
	enum verdict v = VERDICT_OK;
	bool lacks = !known || !oauth2_claims_suffice(&as->token);
	if (lacks && as->set->tokeninfo_url[0] != '\0') {
		v = ask_tokeninfo(as);
		known = true;
	}
	if (v == VERDICT_OK && (!known || wants_introspection(as)))
		v = ask_introspection(as);
	return v;
}

/* VERDICT_NEXT: it is no JSON Web Token. */
static enum verdict verify_here(struct asking *as)
{
	struct question *q = as->q;
	struct oauth2_jwt jwt;
	struct err err = {0};
	enum verdict v = VERDICT_NEXT;
	enum oauth2_jwt_is is =
	    oauth2_jwt_parse(&jwt, as->token.text, as->set->algorithms, q->arena, &err);
	if (is == JWT_GOOD)
		v = oauth2_keys_verify(as->keys, as->http, &jwt, until(q), q->arena, &err);
	if (v == VERDICT_OK) {
		v = oauth2_claims_take(&as->token, jwt.claims, true);
	} else if (v == VERDICT_INTERNAL) {
		q->err = err;
		q->backend = BACKEND_AWAY; /* another one's key may be there */
	} else if (is == JWT_BAD || v == VERDICT_MISMATCH) {
		v = oauth2_refuse(&as->token, "%.400s", err.text);
	}
	oauth2_jwt_free(&jwt);
	return v;
}

static bool is_visible(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] <= 0x20 || s.ptr[i] == 0x7f)
			return false;
	}
	return s.len > 0;
}

static enum verdict ask_about_token(struct asking *as)
{
	bool online = as->set->tokeninfo_url[0] != '\0' || as->set->introspection_url[0] != '\0';
	enum verdict v = VERDICT_NEXT;
	if (!is_visible(secret_reveal(as->token.text)))
		return oauth2_refuse(&as->token, "this is no token");
	if (as->set->local)
		v = verify_here(as);
	if (v == VERDICT_OK)
		return online ? ask_provider(as, true) : VERDICT_OK;
	if (v != VERDICT_NEXT)
		return v;
	return online ? ask_provider(as, false)
		      : oauth2_refuse(&as->token, "this is no JSON Web Token");
}

/* ---- a password for a token ---- */

/* RFC 6749 section 5.2: invalid_grant is about the user, all else about authd. */
static enum verdict judge_grant(
    struct asking *as, const char *who, const struct oauth2_reply *reply)
{
	static const char *const grant[] = {"invalid_grant", NULL};
	if (!is_named(reply, grant))
		return outage(as, who, reply);
	as->token.status = "invalid_token";
	return VERDICT_MISMATCH;
}

static enum verdict ask_grant(struct asking *as)
{
	const struct oauth2_settings *set = as->set;
	struct span user = as->q->vars->v[VAR_USER];
	struct oauth2_request rq = request_to(as, set->grant_url);
	struct buffer form = {0};
	oauth2_form_add(&form, "grant_type", SPAN_LIT("password"));
	oauth2_form_add(&form, "username", user);
	oauth2_form_add(&form, "password", secret_reveal(as->q->password));
	if (set->client_id[0] != '\0')
		oauth2_form_add(&form, "client_id", span_of(set->client_id));
	if (set->client_secret[0] != '\0')
		oauth2_form_add(&form, "client_secret", span_of(set->client_secret));
	if (set->scope[0] != '\0')
		oauth2_form_add(&form, "scope", span_of(set->scope));
	rq.form = secret_of(keep(as, &form));
	enum verdict v = take_reply(as, "grant", &rq, judge_grant);
	if (v != VERDICT_OK)
		return v;
	as->token.text = secret_of(fields_get(&as->token.fields, "access_token"));
	if (secret_reveal(as->token.text).len == 0) {
		err_set(&as->q->err, EX_TEMPFAIL, "grant: no access_token was given");
		return VERDICT_INTERNAL;
	}
	fields_remove(&as->token.fields, "access_token");
	if (oauth2_claims_suffice(&as->token) && !set->force_introspection)
		return VERDICT_OK;
	bool askable =
	    set->local || set->tokeninfo_url[0] != '\0' || set->introspection_url[0] != '\0';
	if (askable)
		return ask_about_token(as);
	/* the provider took the password of this very user, and (section 5.1) all scopes */
	if (set->scope[0] != '\0' && !fields_has(&as->token.fields, "scope"))
		fields_set_str(&as->token.fields, "scope", set->scope);
	if (!fields_has(&as->token.fields, set->username_attribute))
		fields_set(&as->token.fields, span_of(set->username_attribute), user);
	return VERDICT_OK;
}

/* ---- the question ---- */

static void tell(struct asking *as)
{
	struct fields *to = &as->q->tell;
	fields_set_str(to, "status", as->token.status != NULL ? as->token.status : "invalid_token");
	if (as->set->scope[0] != '\0')
		fields_set_str(to, "scope", as->set->scope);
	if (as->set->openid_configuration_url[0] != '\0')
		fields_set_str(to, "openid_configuration", as->set->openid_configuration_url);
}

static bool is_token_mechanism(struct span mech)
{
	return span_eq_str(mech, "OAUTHBEARER") || span_eq_str(mech, "XOAUTH2");
}

enum verdict oauth2_ask(struct oauth2_http *http, struct oauth2_keys *keys, struct question *q)
{
	struct asking as = {
	    .set = http->set,
	    .http = http,
	    .keys = keys,
	    .q = q,
	    .token = {.set = http->set, .q = q, .text = q->password, .fields = fields_in(q->arena)},
	};
	bool is_token = is_token_mechanism(q->vars->v[VAR_MECH]);
	bool by_grant = !is_token && http->set->use_grant_password;
	if (is_token && !http->set->local && http->set->tokeninfo_url[0] == '\0' &&
	    http->set->introspection_url[0] == '\0') {
		err_set(&q->err, EX_CONFIG, "tokens cannot be judged, only passwords (grant_url)");
		return VERDICT_INTERNAL;
	}
	q->backend = BACKEND_UNSAID; /* until the provider is asked */
	enum verdict v = by_grant ? ask_grant(&as) : ask_about_token(&as);
	if (v == VERDICT_OK)
		v = oauth2_claims_judge(&as.token);
	if (v != VERDICT_OK && v != VERDICT_INTERNAL)
		tell(&as);
	/* a password is good for longer than the token that was given for it */
	if (v == VERDICT_OK && !by_grant && as.token.expires > 0) {
		int64_t left = as.token.expires - (int64_t)time(NULL);
		q->keep_ms = left > 0 ? left * 1000 : -1;
	}
	return v;
}
