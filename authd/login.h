/*
 * A login from AUTH to its end: steps the mechanism, asks the passdbs, decides
 * how a failure is told and when. Runs in: front.
 */
#ifndef AUTHD_LOGIN_H
#define AUTHD_LOGIN_H

#include "authd/request.h"

/* r->mech and the parameters are set. initial: NULL pointer when there is no initial response. */
void login_start(struct request *r, struct span initial);
/* The client's answer to a challenge, decoded. */
void login_continue(struct request *r, struct span data);
/* The channel binding that was asked for; SPAN_NULL: the client's connection has none. */
void login_binding(struct request *r, struct span binding);
/* From the passdb chain: a master passdb says that the master is who he says. */
void login_master_known(struct request *r, const struct db_settings *set);
/* From the passdb chain. */
void login_passdb_done(struct request *r, enum verdict v);
/* What the mechanism wanted stored is, or is not. */
void login_stored(struct request *r, enum verdict v);
/* From the worker that carries out the mechanism. */
void login_helper_answered(struct request *r, const struct channel_answer *an);

/* Ends a login at once, without a delay, as a protocol error does. */
void login_refuse_now(struct request *r, enum reply_code code, const char *reason);

/* In the request's arena. */
const struct mech_context *login_context(struct request *r);

/* The one line that ends each request. */
void login_log_end(struct request *r);

#endif
