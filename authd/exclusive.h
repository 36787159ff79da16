/*
 * Of some mechanisms a user may have one exchange at a time: who listens to
 * most of a one-time password and guesses the rest must not get in first
 * (RFC 2289 section 9). Names are held whether or not there is such a user.
 * Runs in: front. A name is held by its request, until that ends.
 */
#ifndef AUTHD_EXCLUSIVE_H
#define AUTHD_EXCLUSIVE_H

#include "base/macros.h"

struct request;

enum { EXCLUSIVE_BUCKETS = 256 };

/* False: another request holds the name of this one's user. */
bool exclusive_take(struct request *r) MUST_CHECK;
void exclusive_give(struct request *r);

#endif
