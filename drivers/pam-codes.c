/*
 * The table of PAM's result codes. Runs in: worker.
 * The rule: what says something about the user or the password is told so;
 * what says something about PAM, its modules or what is behind them is
 * "internal", so that an outage never looks like a wrong password.
 */
#include "drivers/pam-codes.h"

#include <security/pam_appl.h>

#include "base/macros.h"

#define INTERNAL VERDICT_INTERNAL

static const struct {
	int code;
	/* authenticating; checking the account; credentials and session, for a right password */
	enum verdict authenticate, account, rest;
} codes[] = {
    {PAM_SUCCESS, VERDICT_OK, VERDICT_OK, VERDICT_OK},
    /* the user or the password */
    {PAM_AUTH_ERR, VERDICT_MISMATCH, VERDICT_MISMATCH, INTERNAL},
    {PAM_PERM_DENIED, VERDICT_MISMATCH, VERDICT_MISMATCH, VERDICT_MISMATCH},
    {PAM_MAXTRIES, VERDICT_MISMATCH, VERDICT_MISMATCH, INTERNAL},
    {PAM_USER_UNKNOWN, VERDICT_UNKNOWN_USER, VERDICT_UNKNOWN_USER, VERDICT_UNKNOWN_USER},
    {PAM_ACCT_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED},
    {PAM_NEW_AUTHTOK_REQD, VERDICT_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED},
    {PAM_AUTHTOK_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED},
    {PAM_CRED_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED, VERDICT_EXPIRED},
    /* a module that does not work, or is not there */
    {PAM_OPEN_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_SYMBOL_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_SERVICE_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_SYSTEM_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_BUF_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_ABORT, INTERNAL, INTERNAL, INTERNAL},
    {PAM_IGNORE, INTERNAL, INTERNAL, INTERNAL},
    {PAM_MODULE_UNKNOWN, INTERNAL, INTERNAL, INTERNAL},
    {PAM_NO_MODULE_DATA, INTERNAL, INTERNAL, INTERNAL},
    {PAM_BAD_ITEM, INTERNAL, INTERNAL, INTERNAL},
    /* what is behind the module cannot be reached */
    {PAM_AUTHINFO_UNAVAIL, INTERNAL, INTERNAL, INTERNAL},
    {PAM_CRED_INSUFFICIENT, INTERNAL, INTERNAL, INTERNAL},
    {PAM_CRED_UNAVAIL, INTERNAL, INTERNAL, INTERNAL},
    {PAM_CRED_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_SESSION_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_TRY_AGAIN, INTERNAL, INTERNAL, INTERNAL},
    /* a conversation that mail protocols cannot have */
    {PAM_CONV_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_CONV_AGAIN, INTERNAL, INTERNAL, INTERNAL},
    {PAM_INCOMPLETE, INTERNAL, INTERNAL, INTERNAL},
    /* changing a password, which nobody asked for */
    {PAM_AUTHTOK_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_AUTHTOK_RECOVERY_ERR, INTERNAL, INTERNAL, INTERNAL},
    {PAM_AUTHTOK_LOCK_BUSY, INTERNAL, INTERNAL, INTERNAL},
    {PAM_AUTHTOK_DISABLE_AGING, INTERNAL, INTERNAL, INTERNAL},
};

enum verdict pam_code_verdict(enum pam_phase phase, int code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].code != code)
			continue;
		switch (phase) {
		case PHASE_AUTHENTICATE:
			return codes[i].authenticate;
		case PHASE_ACCOUNT:
			return codes[i].account;
		case PHASE_SETCRED:
		case PHASE_SESSION:
			return codes[i].rest;
		case PHASE_START:
			return code == PAM_SUCCESS ? VERDICT_OK : INTERNAL;
		}
	}
	return INTERNAL;
}

bool pam_code_is_outage(int code)
{
	static const int outages[] = {PAM_OPEN_ERR, PAM_SYMBOL_ERR, PAM_SERVICE_ERR, PAM_SYSTEM_ERR,
	    PAM_MODULE_UNKNOWN, PAM_AUTHINFO_UNAVAIL, PAM_CRED_UNAVAIL, PAM_TRY_AGAIN};
	for (size_t i = 0; i < ARRAY_LEN(outages); i++) {
		if (outages[i] == code)
			return true;
	}
	return false;
}

const char *pam_phase_name(enum pam_phase phase)
{
	static const char *const names[] = {
	    [PHASE_START] = "pam_start()",
	    [PHASE_AUTHENTICATE] = "pam_authenticate()",
	    [PHASE_SETCRED] = "pam_setcred()",
	    [PHASE_ACCOUNT] = "pam_acct_mgmt()",
	    [PHASE_SESSION] = "pam_open_session()",
	};
	return names[phase];
}
