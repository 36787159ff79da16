/*
 * What a mechanism that computes is given for a user who has nothing to
 * compute with: a credential that no password fits. It is the same at each
 * login and after a restart, and looks like those of the users who exist, so
 * nobody learns from a challenge who does.
 * Runs in: front. Pure but for what fake_note() learns.
 */
#ifndef AUTHD_FAKE_H
#define AUTHD_FAKE_H

#include "base/secret.h"

enum { FAKE_SALT_LEN = 16, FAKE_SALT_MAX = 32 };

/* What stored SCRAM credentials look like here, a row a hash. Zeroed: as authctl makes them. */
struct fakes {
	struct fake_shape {
		uint32_t rounds, salt_len;
		unsigned votes;
	} shapes[3];
};

/* The key that all of it hangs on, from a secret that survives a restart. */
struct secret fake_key(struct secret server_secret, struct arena *a);

/*
 * The salt for a credential that is made from a stored plaintext, and the
 * beginning of the fake one for the same name. SPAN_NULL: the scheme has none.
 */
struct span fake_salt(struct secret key, const char *scheme, struct span user, struct arena *a);

/* A real one was seen: the fakes follow what most users have. */
void fake_note(struct fakes *f, const char *scheme, struct secret credential);

/* Never unset. */
struct secret fake_credential(const struct fakes *f, struct secret key, const char *scheme,
    struct span user, struct arena *a);

#endif
