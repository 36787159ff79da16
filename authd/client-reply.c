/*
 * What the client protocol's server says to a request: CONT, OK, FAIL.
 * Runs in: front.
 */
#include "authd/extra-fields.h"
#include "authd/protocol-client.h"
#include "authd/trace.h"
#include "base/encode.h"

void client_challenge(struct conn *c, struct request *r, struct span data)
{
	struct buffer *out = conn_out(c);
	buffer_append_str(out, "CONT\t");
	buffer_append_u64_text(out, r->id);
	buffer_append_char(out, '\t');
	if (r->binding_wanted)
		buffer_printf(out, "#\tchannel_binding=%s", r->io.binding_type);
	else
		base64_encode(out, data);
	buffer_append_char(out, '\n');
}

static void put_span(struct buffer *out, struct span key, struct span value)
{
	buffer_append_char(out, '\t');
	buffer_append(out, key);
	buffer_append_char(out, '=');
	tab_escape(out, value);
}

static inline void put_field(struct buffer *out, const char *key, struct span value)
{
	put_span(out, span_of(key), value);
}

static void put_extra_fields(struct buffer *out, const struct request *r, bool ok)
{
	for (size_t i = 0; i < r->fields.count; i++) {
		const struct field *f = &r->fields.items[i];
		if (passdb_field_is_hidden(f->key))
			continue;
		if (!ok && (span_eq_str(f->key, "nologin") || span_eq_str(f->key, "reason")))
			continue;
		/* login processes compare these exactly, as bare words */
		bool bare = span_eq_str(f->key, "nologin") || span_eq_str(f->key, "proxy");
		extra_field_put(out, r, bare ? &(struct field){.key = f->key} : f);
	}
}

static void put_names(struct buffer *out, const struct request *r)
{
	const struct span *v = r->vars.v;
	if (v[VAR_ORIGINAL_USER].ptr != NULL && !span_eq(v[VAR_ORIGINAL_USER], v[VAR_USER]))
		put_field(out, "original_user", v[VAR_ORIGINAL_USER]);
	if (r->master != MASTER_NONE)
		put_field(out, "auth_user", v[VAR_AUTH_USER]);
}

/* A login process that proxies needs the password to go on with. */
static void put_proxy_login(struct buffer *out, const struct conn *c, const struct request *r)
{
	if (!client_is_login(c) || !fields_has(&r->fields, "proxy"))
		return;
	if (!fields_has(&r->fields, "pass") && secret_is_set(r->io.password))
		put_field(out, "pass", secret_reveal(r->io.password));
	if (r->vars.v[VAR_MASTER_USER].len > 0 && !fields_has(&r->fields, "master"))
		put_field(out, "master", r->vars.v[VAR_MASTER_USER]);
}

static void put_final_data(struct buffer *out, const struct request *r)
{
	if (!r->has_final_data || !r->final_resp_ok)
		return;
	buffer_append_str(out, "\tresp=");
	base64_encode(out, r->final_data);
}

static void reply_ok(struct conn *c, struct request *r)
{
	struct buffer *out = conn_out(c);
	buffer_append_str(out, "OK\t");
	buffer_append_u64_text(out, r->id);
	put_field(out, "user", r->vars.v[VAR_USER]);
	put_extra_fields(out, r, true);
	put_names(out, r);
	if ((r->mech->flags & MECH_ANONYMOUS) != 0 &&
	    span_eq_str(r->vars.v[VAR_USER], r->scope->auth->anonymous_username))
		buffer_append_str(out, "\tanonymous");
	put_proxy_login(out, c, r);
	put_final_data(out, r);
	buffer_append_char(out, '\n');
}

static const char *const codes[] = {
    [REPLY_NONE] = NULL,
    [REPLY_TEMP_FAIL] = "temp_fail",
    [REPLY_AUTHZ_FAIL] = "authz_fail",
    [REPLY_USER_DISABLED] = "user_disabled",
    [REPLY_PASS_EXPIRED] = "pass_expired",
    [REPLY_INVALID_BASE64] = "invalid_base64",
};

static void reply_fail(struct conn *c, struct request *r)
{
	struct buffer *out = conn_out(c);
	buffer_append_str(out, "FAIL\t");
	buffer_append_u64_text(out, r->id);
	if (r->vars.v[VAR_USER].len > 0)
		put_field(out, "user", r->vars.v[VAR_USER]);
	if (r->nodelay && !fields_has(&r->fields, "nodelay"))
		buffer_append_str(out, "\tnodelay");
	if (codes[r->code] != NULL)
		put_field(out, "code", span_of(codes[r->code]));
	if (r->reason.len > 0)
		put_field(out, "reason", r->reason);
	put_extra_fields(out, r, false);
	if (r->user_set || r->master != MASTER_NONE)
		put_names(out, r);
	else if (r->vars.v[VAR_ORIGINAL_USER].len > 0)
		put_field(out, "original_user", r->vars.v[VAR_ORIGINAL_USER]);
	put_final_data(out, r);
	buffer_append_char(out, '\n');
}

void client_reply(struct conn *c, struct request *r)
{
	size_t from = conn_out(c)->len;
	if (r->verdict == VERDICT_OK)
		reply_ok(c, r);
	else
		reply_fail(c, r);
	trace_out("client passdb out", &c->out, from);
}
