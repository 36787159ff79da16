/*
 * The interface of a socket protocol: bytes on a connection, to and from
 * requests. No policy: chains decide who gets in, the listener's type decides
 * what is allowed, the connection (authd/conn.c) does the I/O.
 * A protocol is one const struct in one file, authd/protocol-<name>.c.
 * Runs in: front. Nothing here blocks; nothing that a peer sends is fatal.
 */
#ifndef AUTHD_PROTOCOL_H
#define AUTHD_PROTOCOL_H

#include "base/fields.h"
#include "base/span.h"
#include "base/verdict.h"

struct conn;
struct request;

enum { PROTOCOL_CLOSE = -1 };

struct protocol {
	const char *name;
	size_t state_size; /* zeroed, per connection: conn_state() */

	/* What one message may be at most; a longer one closes the connection. */
	size_t message_max;

	/* The connection was just accepted; may write. */
	void (*greet)(struct conn *c);

	/*
	 * Takes whole messages off the front of in. Returns the bytes eaten (0: more
	 * are needed) or PROTOCOL_CLOSE. Called again with what is left over.
	 */
	ssize_t (*input)(struct conn *c, struct span in);

	/* The mechanism wants the client: send the challenge. */
	void (*challenge)(struct conn *c, struct request *r, struct span data);

	/* The request has ended (request.h says how); write the answer. It is freed after this. */
	void (*reply)(struct conn *c, struct request *r);

	/* One name of a list, whose end is its reply; NULL: the protocol lists nothing. */
	void (*list_item)(struct conn *c, struct request *r, struct span user);

	/* The connection is going away; its requests are freed after this. May be NULL. */
	void (*closed)(struct conn *c);
};

extern const struct protocol protocol_client; /* Dovecot auth-client, login and token sockets */
extern const struct protocol protocol_master; /* Dovecot auth-master and auth-userdb */

#endif
