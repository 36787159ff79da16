/*
 * For drivers that carry out a SASL mechanism's exchanges for the front
 * (driver.exchange): a library that blocks or breaks (Kerberos) does it in a
 * worker. The driver keeps the exchanges between their messages.
 */
#ifndef DRIVERS_EXCHANGE_H
#define DRIVERS_EXCHANGE_H

#include "base/secret.h"

/*
 * NEXT: .output is for the client, who then goes on. OK: he is .user; .output
 * is his last message, if set. After that .authorize asks whether he may be
 * v[VAR_USER]: OK or MISMATCH. INTERNAL as ever.
 */
struct exchange {
	struct span mechanism; /* in: one of spec->mechanisms */
	struct span handle;    /* in and out: which exchange; empty: a new one */
	bool authorize;	       /* in */
	struct secret input;   /* in: the client's message */
	struct secret output;  /* out; in question.arena, like .user and .handle */
	struct span user;      /* out */
};

#endif
