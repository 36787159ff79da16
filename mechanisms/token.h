/*
 * The auth token that a post-login process may hand on, so that a helper
 * (imap-urlauth) can log in as the same user without a password.
 */
#ifndef MECHANISMS_TOKEN_H
#define MECHANISMS_TOKEN_H

#include "base/arena.h"
#include "base/secret.h"

struct token_source {
	struct span user, session_pid, session, service; /* session may be absent */
};

/* 40 lower-case hex digits: HMAC-SHA1 with the user as key over the rest and the server's secret.
 */
struct secret token_make(
    const struct token_source *s, struct secret server_secret, struct arena *a);

#endif
