/*
 * How far the passdbs are with better hashes: what their workers have counted
 * and, when asked for, what is stored. Runs in: front.
 */
#ifndef AUTHD_UPGRADE_STATUS_H
#define AUTHD_UPGRADE_STATUS_H

#include "authd/request.h"

/* Tells lines "ID DRIVER WHAT SCHEME COUNT" as items of a list; r->census: with what is stored. */
void upgrade_status(struct request *r);
void upgrade_status_answered(struct request *r, const struct channel_answer *an);

#endif
