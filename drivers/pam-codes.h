/*
 * What each of PAM's result codes means for a login.
 */
#ifndef DRIVERS_PAM_CODES_H
#define DRIVERS_PAM_CODES_H

#include <stdbool.h>

#include "base/verdict.h"

enum pam_phase {
	PHASE_START,
	PHASE_AUTHENTICATE,
	PHASE_SETCRED,
	PHASE_ACCOUNT,
	PHASE_SESSION,
};

/* A code that the table does not have is VERDICT_INTERNAL. */
enum verdict pam_code_verdict(enum pam_phase phase, int code);

/* The code is about the system, or what is behind it, not about the user. */
bool pam_code_is_outage(int code);

/* "pam_authenticate()" ... */
const char *pam_phase_name(enum pam_phase phase);

#endif
