/*
 * Lookups: USER, PASS, LIST, and the master's REQUEST after a login.
 * Runs in: front.
 */
#ifndef AUTHD_LOOKUP_H
#define AUTHD_LOOKUP_H

#include "authd/request.h"

/* The parameters are set; name is the user as sent. */
void lookup_user(struct request *r, struct span name);
void lookup_pass(struct request *r, struct span name);
void lookup_list(struct request *r);
/* Answers a master's REQUEST: takes over what the lingering login knows, and ends that. */
void lookup_after_login(struct request *r, struct request *login);

void lookup_passdb_done(struct request *r, enum verdict v);
void lookup_userdb_done(struct request *r, enum verdict v);
void lookup_list_items(struct request *r, struct wire_reader *items);
void lookup_list_answered(struct request *r, const struct channel_answer *an);
/* The client has read on: ask for the names that were held back. */
void lookup_list_resume(struct request *r);

#endif
