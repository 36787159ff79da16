/*
 * Running the userdb chain of a request. Runs in: front.
 */
#ifndef AUTHD_USERDB_H
#define AUTHD_USERDB_H

#include "authd/request.h"

/* r->vars and, after a login, r->userdb (prefetched fields) are set. Ends in lookup_userdb_done().
 */
void userdb_start(struct request *r);
void userdb_answered(struct request *r, const struct channel_answer *an);
/* From the passdb chain, for userdbs that cannot tell by themselves whether a user exists. */
void userdb_existence_known(struct request *r, enum verdict v);

#endif
