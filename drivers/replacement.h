/*
 * One password in the place of another: what a driver's store() is given.
 * Optional; a driver whose backend cannot do it has no store().
 *
 * It is a compare-and-swap: when what is stored is not .old any more, nothing
 * is changed and the verdict is MISMATCH. Whoever looks at the backend, at any
 * time and also after a crash, finds the old one or the new one, whole.
 */
#ifndef DRIVERS_REPLACEMENT_H
#define DRIVERS_REPLACEMENT_H

#include "base/secret.h"

struct replacement {
	struct secret old;	     /* as ask() showed it, byte for byte */
	struct secret password;	     /* the new one, "{SCHEME}hash" */
	struct secret scram_sha_256; /* made of the same password; unset: there is none */
};

#endif
