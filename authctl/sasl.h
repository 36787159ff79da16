/*
 * The client's part of mechanisms beyond PLAIN and LOGIN, for "auth test -A".
 */
#ifndef AUTHCTL_SASL_H
#define AUTHCTL_SASL_H

#include "base/arena.h"
#include "base/secret.h"

struct sasl_mech;

struct sasl {
	const struct sasl_mech *mech;
	struct span user, master; /* master: logs in as user; absent: he himself */
	struct secret password;
	struct arena *arena;
	struct span first, expected; /* what was said first; what the server has to prove */
	bool proven;
	const char *wrong; /* why it gave up */
};

/* NULL: no such mechanism here. */
const struct sasl_mech *sasl_find(const char *name);
bool sasl_takes_password(const struct sasl_mech *m);
bool sasl_takes_master(const struct sasl_mech *m);

/* SPAN_NULL: the server speaks first. */
struct span sasl_begin(struct sasl *s);
/* For authd_login.respond; context is the struct sasl. */
bool sasl_respond(void *context, const void *challenge, size_t length, const void **answer,
    size_t *answer_length);
/* Has the server proven that it knows the password, where the mechanism has that? */
bool sasl_is_complete(const struct sasl *s);

#endif
