/*
 * gssapi: the server's side of the SASL mechanisms GSSAPI (RFC 4752, with
 * Kerberos V5 only) and GSS-SPNEGO (RFC 4178). One question is one message of
 * a client; the exchange waits in a table (gssapi-table.c) for the next. Runs
 * in: worker; a lane may wait for the library's files and resolver.
 * Owner: an exchange's GSS objects live until it ends or nobody comes back.
 */
#include "drivers/gssapi.h"

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <errno.h>
#include <krb5.h>
#include <sodium.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/exchange.h"

struct gssapi_state {
	const struct gssapi_settings *set;
};

enum stage {
	STAGE_CONTEXT,	/* the security context is being made */
	STAGE_OFFER,	/* it is there; the client has the last token */
	STAGE_CHOICE,	/* security layers are offered */
	STAGE_FINISHED, /* the client is who he says; the name is still to be authorised */
};

static gss_OID_desc spnego_oid = {6, (void *)"\x2b\x06\x01\x05\x05\x02"};

static struct span span_of_gss(const gss_buffer_desc *b)
{
	return span_make(b->value, b->length);
}

static gss_buffer_desc gss_of_span(struct span s)
{
	return (gss_buffer_desc){.length = s.len, .value = (void *)s.ptr};
}

/* ---- errors ---- */

static void add_status(struct buffer *text, OM_uint32 status, int kind, gss_OID mech)
{
	OM_uint32 minor, more = 0;
	gss_buffer_desc one = GSS_C_EMPTY_BUFFER;
	do {
		if (gss_display_status(&minor, status, kind, mech, &more, &one) != GSS_S_COMPLETE)
			return;
		if (text->len > 0)
			buffer_append(text, SPAN_LIT(": "));
		buffer_append(text, span_of_gss(&one));
		gss_release_buffer(&minor, &one);
	} while (more != 0);
}

static void explain(struct err *err, const char *what, OM_uint32 major, OM_uint32 minor)
{
	struct buffer text = {0};
	add_status(&text, major, GSS_C_GSS_CODE, GSS_C_NO_OID);
	if (minor != 0)
		add_status(&text, minor, GSS_C_MECH_CODE, (gss_OID)gss_mech_krb5);
	err_set(err, EX_UNAVAILABLE, "%s: %.*s", what, SPAN_ARG(buffer_span(&text)));
	buffer_free(&text);
}

/* Ours to mend, not the client's doing: keys that are missing, files that cannot be read. */
static bool is_our_fault(OM_uint32 major, OM_uint32 minor)
{
	switch ((krb5_error_code)minor) {
	case KRB5_KT_NOTFOUND:
	case KRB5_KT_IOERR:
	case KRB5_KT_KVNONOTFOUND:
	case KRB5KRB_AP_ERR_NOKEY:
	case KRB5_RC_IO:
	case KRB5_RC_IO_PERM:
	case KRB5_RC_IO_SPACE:
	case KRB5_RC_MALLOC:
	case KRB5_CONFIG_BADFORMAT:
	case KRB5_CONFIG_CANTOPEN:
	case EACCES:
	case ENOENT:
	case ENOSPC:
	case EROFS:
		return GSS_ROUTINE_ERROR(major) == GSS_S_FAILURE;
	default:
		return false;
	}
}

static enum verdict refuse(struct question *q, const char *what, OM_uint32 major, OM_uint32 minor)
{
	explain(&q->err, what, major, minor);
	return is_our_fault(major, minor) ? VERDICT_INTERNAL : VERDICT_MISMATCH;
}

static enum verdict refuse_text(struct question *q, const char *why)
{
	err_set(&q->err, 0, "%s", why);
	return VERDICT_MISMATCH;
}

/* ---- opening ---- */

/* The keys must be there when authd starts, not when the first client comes. */
static bool check_keytab(const char *name, struct err *err)
{
	krb5_context k = NULL;
	krb5_keytab keys = NULL;
	krb5_error_code code = krb5_init_context(&k);
	char full[1024] = "";
	if (code != 0)
		return err_set(err, EX_CONFIG,
		    "Kerberos does not start: error %ld; is krb5.conf right?", (long)code);
	code = name[0] != '\0' ? krb5_kt_resolve(k, name, &keys) : krb5_kt_default(k, &keys);
	if (code == 0)
		code = krb5_kt_get_name(k, keys, full, sizeof(full));
	if (code == 0)
		code = krb5_kt_have_content(k, keys);
	if (code != 0) {
		const char *text = krb5_get_error_message(k, code);
		err_set(err, EX_CONFIG,
		    "auth_krb5_keytab %s: %s (the user whom this worker runs as must be able to "
		    "read it)",
		    full[0] != '\0' ? full : name, text);
		krb5_free_error_message(k, text);
	}
	if (keys != NULL)
		krb5_kt_close(k, keys);
	krb5_free_context(k);
	return code == 0;
}

static void *gssapi_open(const void *settings, struct err *err)
{
	const struct gssapi_settings *set = settings;
	if (!check_keytab(set->keytab, err))
		return NULL;
	struct gssapi_state *s = mem_alloc(sizeof(*s));
	s->set = set;
	return s;
}

/* ---- exchanges ---- */

static void exchange_free(struct gssapi_exchange *e)
{
	OM_uint32 minor;
	gss_ctx_id_t context = e->context;
	gss_name_t initiator = e->initiator;
	if (context != GSS_C_NO_CONTEXT)
		gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	if (initiator != GSS_C_NO_NAME)
		gss_release_name(&minor, &initiator);
	mem_free(&e);
}

static struct gssapi_exchange *exchange_new(struct span mechanism)
{
	struct gssapi_exchange *e = mem_alloc(sizeof(*e));
	randombytes_buf(e->handle, sizeof(e->handle));
	e->started_ms = clock_ms();
	e->spnego = span_eq_str(mechanism, "GSS-SPNEGO");
	return e;
}

/* ---- credentials ---- */

/* The names under which clients know what Dovecot calls its protocols. */
static const char *service_name(struct question *q)
{
	struct span s = q->vars->v[VAR_SERVICE];
	if (span_eq_str(s, "pop3"))
		return "pop";
	if (span_eq_str(s, "submission") || span_eq_str(s, "lmtp"))
		return "smtp";
	return arena_cstr(q->arena, s);
}

static OM_uint32 import_service(
    const struct gssapi_settings *set, struct question *q, gss_name_t *name, OM_uint32 *minor)
{
	const char *service = service_name(q);
	struct span text = set->hostname[0] != '\0'
			       ? arena_printf(q->arena, "%s@%s", service, set->hostname)
			       : span_of(service);
	gss_buffer_desc in = gss_of_span(text);
	return gss_import_name(minor, &in, GSS_C_NT_HOSTBASED_SERVICE, name);
}

/* Read anew for each exchange, so that a changed keytab is used at once. */
static OM_uint32 acquire(const struct gssapi_settings *set, struct question *q, bool spnego,
    gss_cred_id_t *cred, OM_uint32 *minor)
{
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 major = GSS_S_COMPLETE, ignored;
	if (strcmp(set->hostname, "$ALL") != 0)
		major = import_service(set, q, &name, minor);
	if (GSS_ERROR(major))
		return major;
	gss_OID_set_desc krb5 = {1, (gss_OID)gss_mech_krb5}, negotiated = {1, &spnego_oid};
	gss_key_value_element_desc element = {"keytab", set->keytab};
	gss_key_value_set_desc store = {set->keytab[0] != '\0' ? 1 : 0, &element};
	major = gss_acquire_cred_from(minor, name, GSS_C_INDEFINITE, spnego ? &negotiated : &krb5,
	    GSS_C_ACCEPT, &store, cred, NULL, NULL);
	if (!GSS_ERROR(major) && spnego)
		major = gss_set_neg_mechs(minor, *cred, &krb5);
	if (name != GSS_C_NO_NAME)
		gss_release_name(&ignored, &name);
	return major;
}

/* ---- the steps ---- */

static enum verdict send(struct question *q, struct exchange *ex, struct span message)
{
	ex->output = secret_of(arena_dup(q->arena, message));
	return VERDICT_NEXT;
}

/* RFC 4752, 3.1: one octet of layers (1: none), three of the largest message (0: none). */
static enum verdict offer_layers(struct gssapi_exchange *e, struct question *q, struct exchange *ex)
{
	OM_uint32 major, minor;
	gss_buffer_desc in = gss_of_span(span_make("\x01\0\0\0", 4)), out = GSS_C_EMPTY_BUFFER;
	major = gss_wrap(&minor, e->context, 0, GSS_C_QOP_DEFAULT, &in, NULL, &out);
	if (GSS_ERROR(major))
		return refuse(q, "gss_wrap", major, minor);
	enum verdict v = send(q, ex, span_of_gss(&out));
	gss_release_buffer(&minor, &out);
	e->stage = STAGE_CHOICE;
	return v;
}

/* Whom the client's own ticket makes him, when he names nobody: his local name, or all of it. */
static enum verdict own_name(struct gssapi_exchange *e, struct question *q, struct exchange *ex)
{
	OM_uint32 major, minor;
	gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
	major = gss_localname(&minor, e->initiator, (gss_OID)gss_mech_krb5, &out);
	if (GSS_ERROR(major))
		major = gss_display_name(&minor, e->initiator, &out, NULL);
	if (GSS_ERROR(major))
		return refuse(q, "gss_display_name", major, minor);
	ex->user = arena_dup(q->arena, span_of_gss(&out));
	gss_release_buffer(&minor, &out);
	e->stage = STAGE_FINISHED;
	return VERDICT_OK;
}

/* RFC 4752, 3.1: the layer that the client chose, then whom he wants to be. */
static enum verdict take_choice(struct gssapi_exchange *e, struct question *q, struct exchange *ex)
{
	OM_uint32 major, minor;
	gss_buffer_desc in = gss_of_span(secret_reveal(ex->input)), out = GSS_C_EMPTY_BUFFER;
	major = gss_unwrap(&minor, e->context, &in, &out, NULL, NULL);
	if (GSS_ERROR(major))
		return refuse(q, "gss_unwrap", major, minor);
	struct span text = arena_dup(q->arena, span_of_gss(&out));
	gss_release_buffer(&minor, &out);
	if (text.len < 4)
		return refuse_text(q, "the client's choice of a security layer is too short");
	if (text.ptr[0] != 1)
		return refuse_text(q, "the client chose a security layer that was not offered");
	struct span authzid = span_skip(text, 4);
	if (span_find(authzid, '\0') >= 0)
		return refuse_text(q, "a NUL in the authorisation identity");
	if (authzid.len == 0)
		return own_name(e, q, ex);
	ex->user = authzid;
	e->stage = STAGE_FINISHED;
	return VERDICT_OK;
}

/* The context is complete, with Kerberos and nothing else. */
static enum verdict context_done(struct gssapi_exchange *e, struct question *q, struct exchange *ex,
    gss_OID mech, struct span token)
{
	OM_uint32 minor;
	gss_OID inner = GSS_C_NO_OID;
	if (e->spnego && !GSS_ERROR(gss_inquire_context(
			     &minor, e->context, NULL, NULL, NULL, &inner, NULL, NULL, NULL)))
		mech = inner;
	if (mech == GSS_C_NO_OID || !gss_oid_equal(mech, gss_mech_krb5))
		return refuse_text(q, "the client did not use Kerberos V5");
	if (e->spnego) {
		/* its last token, if there is one, goes with the success */
		if (token.len > 0)
			ex->output = secret_of(arena_dup(q->arena, token));
		return own_name(e, q, ex);
	}
	if (token.len == 0)
		return offer_layers(e, q, ex);
	e->stage = STAGE_OFFER;
	return send(q, ex, token);
}

static enum verdict make_context(const struct gssapi_settings *set, struct gssapi_exchange *e,
    struct question *q, struct exchange *ex)
{
	OM_uint32 major, minor, flags, ignored;
	gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
	gss_ctx_id_t context = e->context;
	gss_name_t initiator = GSS_C_NO_NAME;
	gss_OID mech = GSS_C_NO_OID;
	gss_buffer_desc in = gss_of_span(secret_reveal(ex->input)), out = GSS_C_EMPTY_BUFFER;
	enum verdict v;
	major = acquire(set, q, e->spnego, &cred, &minor);
	if (GSS_ERROR(major)) {
		refuse(q, "no key for this service", major, minor);
		return VERDICT_INTERNAL;
	}
	major = gss_accept_sec_context(&minor, &context, cred, &in, GSS_C_NO_CHANNEL_BINDINGS,
	    &initiator, &mech, &out, &flags, NULL, NULL);
	e->context = context;
	e->initiator = initiator;
	if (GSS_ERROR(major))
		v = refuse(q, "the client's token is refused", major, minor);
	else if (major & GSS_S_CONTINUE_NEEDED)
		v = send(q, ex, span_of_gss(&out));
	else
		v = context_done(e, q, ex, mech, span_of_gss(&out));
	gss_release_buffer(&ignored, &out);
	gss_release_cred(&ignored, &cred);
	return v;
}

/* ---- may he be that user? ---- */

static bool same_name(struct gssapi_exchange *e, struct span user)
{
	OM_uint32 minor;
	int equal = 0;
	gss_name_t name = GSS_C_NO_NAME;
	gss_buffer_desc in = gss_of_span(user);
	if (GSS_ERROR(gss_import_name(&minor, &in, GSS_C_NT_USER_NAME, &name)))
		return false;
	if (GSS_ERROR(gss_compare_name(&minor, e->initiator, name, &equal)))
		equal = 0;
	gss_release_name(&minor, &name);
	return equal != 0;
}

/* passdb field k5principals: who may log in as this user, besides himself */
static bool is_listed(struct gssapi_exchange *e, struct span list)
{
	OM_uint32 minor;
	gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
	struct span one;
	bool found = false;
	if (list.len == 0 || GSS_ERROR(gss_display_name(&minor, e->initiator, &shown, NULL)))
		return false;
	while (!found && span_word(&list, ", \t", &one))
		found = span_eq(one, span_of_gss(&shown));
	gss_release_buffer(&minor, &shown);
	return found;
}

/* Kerberos' own rules: auth_to_local, ~/.k5login */
static bool kerberos_allows(struct gssapi_exchange *e, struct question *q, struct span user)
{
	return span_find(user, '\0') < 0 &&
	       gss_userok(e->initiator, arena_cstr(q->arena, user)) == 1;
}

static enum verdict authorize(struct gssapi_exchange *e, struct question *q)
{
	struct span user = q->vars->v[VAR_USER];
	struct span listed =
	    q->vars->passdb != NULL ? fields_get(q->vars->passdb, "k5principals") : SPAN_NULL;
	if (e->stage != STAGE_FINISHED)
		return refuse_text(q, "the exchange is not finished");
	if (same_name(e, user) || is_listed(e, listed) || kerberos_allows(e, q, user))
		return VERDICT_OK;
	OM_uint32 minor;
	gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
	gss_display_name(&minor, e->initiator, &shown, NULL);
	err_set(&q->err, 0, "principal %.*s may not log in as %.*s", SPAN_ARG(span_of_gss(&shown)),
	    SPAN_ARG(user));
	gss_release_buffer(&minor, &shown);
	return VERDICT_MISMATCH;
}

static enum verdict step(const struct gssapi_settings *set, struct gssapi_exchange *e,
    struct question *q, struct exchange *ex)
{
	switch ((enum stage)e->stage) {
	case STAGE_CONTEXT:
		return make_context(set, e, q, ex);
	case STAGE_OFFER:
		/* RFC 4752: the client's answer to the last token is empty */
		return secret_reveal(ex->input).len == 0
			   ? offer_layers(e, q, ex)
			   : refuse_text(q, "the client goes on when it should wait");
	case STAGE_CHOICE:
		return take_choice(e, q, ex);
	case STAGE_FINISHED:
		break;
	}
	return refuse_text(q, "the exchange is over");
}

static enum verdict gssapi_exchange(void *state, struct question *q, struct exchange *ex)
{
	struct gssapi_state *s = state;
	struct gssapi_exchange *e;
	if (ex->handle.len == 0)
		e = exchange_new(ex->mechanism);
	else
		e = gssapi_table_take(ex->handle);
	if (e == NULL) {
		err_set(
		    &q->err, 0, "the exchange is not known (any more): its worker was replaced");
		return VERDICT_INTERNAL;
	}
	bool last = ex->authorize;
	enum verdict v = last ? authorize(e, q) : step(s->set, e, q, ex);
	if (!last && (v == VERDICT_OK || v == VERDICT_NEXT)) {
		ex->handle = arena_dup(q->arena, span_make(e->handle, sizeof(e->handle)));
		e = gssapi_table_put(e);
	}
	if (e != NULL)
		exchange_free(e);
	return v;
}

/* k5principals is among what the passdbs told */
static uint64_t gssapi_needs(void *state UNUSED)
{
	return VAR_BIT(VAR_SERVICE) | VAR_BIT(VAR_PASSDB);
}

static void gssapi_close(void *state)
{
	struct gssapi_state *s = state;
	mem_free(&s);
}

extern const struct driver authd_driver;
const struct driver authd_driver = {
    .abi = DRIVER_ABI,
    .spec = &spec_gssapi,
    .lanes = LANES_OWN,
    .open = gssapi_open,
    .exchange = gssapi_exchange,
    .needs = gssapi_needs,
    .close = gssapi_close,
};
