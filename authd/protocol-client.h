/*
 * What the master protocol needs of the client protocol.
 */
#ifndef AUTHD_PROTOCOL_CLIENT_H
#define AUTHD_PROTOCOL_CLIENT_H

#include "authd/request.h"

/* The lingering login of the login process with this CPID and cookie; NULL if there is none. */
struct request *client_find_login(struct front *f, uint32_t pid, uint32_t id, struct span cookie);

#endif
