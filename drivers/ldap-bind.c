/*
 * Binds: as the service (simple or SASL), and as a user to try his password.
 * The table of result codes says what each means for a login; whatever is
 * not surely about the password or the account is VERDICT_INTERNAL.
 * Runs in: worker, in a lane.
 */
#include <sasl/sasl.h>
#include <sysexits.h>

#include "base/verdict.h"
#include "base/wheel.h"
#include "drivers/ldap-conn.h"

/* ---- as the service ---- */

static const char *sasl_answer(const struct ldap_settings *s, unsigned long id)
{
	switch (id) {
	case SASL_CB_AUTHNAME:
		return s->dn;
	case SASL_CB_USER:
		return s->sasl_authz_id;
	case SASL_CB_PASS:
		return s->dnpass;
	case SASL_CB_GETREALM:
		return s->sasl_realm;
	default:
		return "";
	}
}

static int answer_sasl(LDAP *ld UNUSED, unsigned flags UNUSED, void *set, void *interact)
{
	for (sasl_interact_t *i = interact; i->id != SASL_CB_LIST_END; i++) {
		const char *text = sasl_answer(set, i->id);
		if (text[0] == '\0' && i->defresult != NULL)
			text = i->defresult;
		i->result = text;
		i->len = (unsigned)strlen(text);
	}
	return LDAP_SUCCESS;
}

/* The messages of the mechanism's exchange; *res is the server's last. */
static enum ldap_call bind_sasl(
    struct ldap_conn *c, int64_t deadline_ms, LDAPMessage **res, int *code, struct err *err)
{
	const char *mech = c->set->sasl_mech[0] != '\0' ? c->set->sasl_mech : NULL, *used = NULL;
	int msgid = 0;
	for (;;) {
		*code = ldap_sasl_interactive_bind(c->ld, NULL, mech, NULL, NULL, LDAP_SASL_QUIET,
		    answer_sasl, (void *)c->set, *res, &used, &msgid);
		ldap_msgfree(*res);
		*res = NULL;
		if (*code != LDAP_SASL_BIND_IN_PROGRESS)
			return CALL_DONE;
		if (ldap_conn_wait(c, msgid, true, deadline_ms, res, err) != CALL_DONE)
			return CALL_LOST;
	}
}

static enum ldap_call send_simple(struct ldap_conn *c, const char *dn, struct span password,
    LDAPControl **controls, int *msgid, struct err *err)
{
	struct berval cred = {.bv_val = (char *)password.ptr, .bv_len = password.len};
	int rc = ldap_sasl_bind(c->ld, dn, LDAP_SASL_SIMPLE, &cred, controls, NULL, msgid);
	if (rc != LDAP_SUCCESS)
		return ldap_conn_lost(c, false, err, "bind: %s", ldap_err2string(rc));
	return CALL_DONE;
}

static enum ldap_call bind_simple(
    struct ldap_conn *c, int64_t deadline_ms, LDAPMessage **res, struct err *err)
{
	int msgid;
	enum ldap_call call =
	    send_simple(c, c->set->dn, span_of(c->set->dnpass), NULL, &msgid, err);
	return call == CALL_DONE ? ldap_conn_wait(c, msgid, true, deadline_ms, res, err) : call;
}

enum ldap_call ldap_bind_service(struct ldap_conn *c, int64_t deadline_ms, struct err *err)
{
	const struct ldap_settings *s = c->set;
	LDAPMessage *res = NULL;
	struct arena a = {0};
	const char *text = "";
	int code = LDAP_SUCCESS;
	enum ldap_call call = s->sasl_bind ? bind_sasl(c, deadline_ms, &res, &code, err)
					   : bind_simple(c, deadline_ms, &res, err);
	if (call == CALL_DONE && !s->sasl_bind)
		code = ldap_conn_code(c, res, &a, &text, NULL);
	if (call == CALL_DONE && code != LDAP_SUCCESS)
		call = ldap_conn_lost(c, true, err, "binding as %s: %s%s%s",
		    s->dn[0] != '\0' ? s->dn
		    : s->sasl_bind   ? "the SASL user"
				     : "anonymous",
		    ldap_err2string(code), text[0] != '\0' ? ": " : "", text);
	ldap_msgfree(res);
	arena_free(&a);
	return call;
}

/* ---- as a user ---- */

/* Of the server's words when a bind is refused: Active Directory's codes, 389's sentences. */
static const struct refusal {
	const char *words;
	enum verdict verdict;
	const char *meaning;
} refusals[] = {
    {"data 525,", VERDICT_UNKNOWN_USER, "unknown user"},
    {"data 530,", VERDICT_DISABLED, "the account is not allowed to log in at this time"},
    {"data 531,", VERDICT_DISABLED, "the account is not allowed to log in from here"},
    {"data 532,", VERDICT_EXPIRED, "Password expired"},
    {"data 533,", VERDICT_DISABLED, "User is disabled"},
    {"data 701,", VERDICT_EXPIRED, "the account expired"},
    {"data 773,", VERDICT_EXPIRED, "the password must be changed"},
    {"data 775,", VERDICT_DISABLED, "the account is locked"},
    {"Account inactivated", VERDICT_DISABLED, "User is disabled"},
    {"retry limit", VERDICT_DISABLED, "the account is locked"},
    {"password expired", VERDICT_EXPIRED, "Password expired"},
};

static enum verdict by_words(const char *text, enum verdict otherwise, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (strcasestr(text, refusals[i].words) == NULL)
			continue;
		err_set(err, 0, "%s", refusals[i].meaning);
		return refusals[i].verdict;
	}
	return otherwise;
}

/* What the password policy control of the answer says; -1: nothing */
static int policy_error(struct ldap_conn *c, LDAPControl **controls)
{
	LDAPPasswordPolicyError error = PP_noError;
	ber_int_t expire, grace;
	LDAPControl *one = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL);
	if (one == NULL ||
	    ldap_parse_passwordpolicy_control(c->ld, one, &expire, &grace, &error) != LDAP_SUCCESS)
		return -1;
	return error == PP_noError ? -1 : (int)error;
}

/* own: the name is of auth_bind_userdn, so that the server may not take any such name */
static enum verdict judge(int code, int policy, const char *text, bool own, struct err *err)
{
	if (code == LDAP_SUCCESS)
		return VERDICT_OK;
	if (code == LDAP_INVALID_CREDENTIALS && policy == PP_passwordExpired) {
		err_set(err, 0, "Password expired");
		return VERDICT_EXPIRED;
	}
	if (code == LDAP_INVALID_CREDENTIALS && policy == PP_accountLocked) {
		err_set(err, 0, "the account is locked");
		return VERDICT_DISABLED;
	}
	if (code == LDAP_INVALID_CREDENTIALS)
		return by_words(text, VERDICT_MISMATCH, err);
	if (code == LDAP_NO_SUCH_OBJECT || (code == LDAP_INVALID_DN_SYNTAX && !own))
		return VERDICT_UNKNOWN_USER;
	if (code == LDAP_CONSTRAINT_VIOLATION || code == LDAP_UNWILLING_TO_PERFORM)
		return by_words(text, VERDICT_INTERNAL, err);
	return VERDICT_INTERNAL;
}

enum ldap_call ldap_bind_send(
    struct ldap_conn *c, const char *dn, struct span password, int *msgid, struct err *err)
{
	LDAPControl *policy = NULL;
	if (ldap_create_passwordpolicy_control(c->ld, &policy) != LDAP_SUCCESS)
		policy = NULL;
	LDAPControl *ask[] = {policy, NULL};
	bool v3 = c->set->version == 3;
	enum ldap_call call = send_simple(c, dn, password, v3 ? ask : NULL, msgid, err);
	if (policy != NULL)
		ldap_control_free(policy);
	return call;
}

enum ldap_call ldap_bind_judge(struct ldap_conn *c, const char *dn, LDAPMessage *res,
    struct arena *a, enum verdict *verdict, struct err *err)
{
	LDAPControl **controls = NULL;
	const char *text = "";
	int code = ldap_conn_code(c, res, a, &text, &controls);
	ldap_msgfree(res);
	if (ldap_code_is_outage(code)) {
		ldap_controls_free(controls);
		return ldap_conn_lost(
		    c, true, err, "bind as a user: %s: %s", ldap_err2string(code), text);
	}
	bool own = template_text(c->set->auth_bind_userdn)[0] != '\0' && !c->set->userdn_is_dn;
	*verdict = judge(code, policy_error(c, controls), text, own, err);
	ldap_controls_free(controls);
	if (*verdict == VERDICT_INTERNAL)
		err_set(err, EX_TEMPFAIL, "%s: bind as %s: %s%s%s", ldap_conn_uri(c), dn,
		    ldap_err2string(code), text[0] != '\0' ? ": " : "", text);
	return CALL_DONE;
}

enum ldap_call ldap_bind_take(struct ldap_conn *c, const char *dn, int msgid, int64_t deadline_ms,
    struct arena *a, enum verdict *verdict, struct err *err)
{
	LDAPMessage *res = NULL;
	enum ldap_call call = ldap_conn_wait(c, msgid, true, deadline_ms, &res, err);
	return call == CALL_DONE ? ldap_bind_judge(c, dn, res, a, verdict, err) : call;
}
