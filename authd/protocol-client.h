/*
 * The client protocol's parts: reading (protocol-client.c) and answering
 * (client-reply.c); and what the master protocol needs of it.
 */
#ifndef AUTHD_PROTOCOL_CLIENT_H
#define AUTHD_PROTOCOL_CLIENT_H

#include "authd/request.h"

/* The lingering login of the login process with this CPID and cookie; NULL if there is none. */
struct request *client_find_login(struct front *f, uint32_t pid, uint32_t id, struct span cookie);

/* Dovecot's login processes: a success waits for the master's REQUEST. */
static inline bool client_is_login(const struct conn *c)
{
	return c->type == LISTENER_LOGIN || c->type == LISTENER_TOKEN_LOGIN;
}

/* client-reply.c, for struct protocol */
void client_challenge(struct conn *c, struct request *r, struct span data);
void client_reply(struct conn *c, struct request *r);

#endif
