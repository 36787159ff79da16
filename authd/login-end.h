/*
 * The ends of a login, for login.c: each decides what the client is told, and
 * when; the request is not to be touched after it. Runs in: front.
 */
#ifndef AUTHD_LOGIN_END_H
#define AUTHD_LOGIN_END_H

#include "authd/request.h"

void login_end_success(struct request *r);
void login_end_failure(struct request *r, enum verdict v);
void login_end_internal(struct request *r); /* nobody decided */
/* The mechanism, or what it was told, is not acceptable; why is for the log. */
void login_end_refused(struct request *r, const char *why);
/* The mechanism said MECH_FAIL. */
void login_end_by_mechanism(struct request *r);

/* "scram-sha-256", for the log */
const char *login_mech_source(struct request *r);

#endif
