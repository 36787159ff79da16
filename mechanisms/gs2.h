/*
 * The header that GS2 mechanisms begin with (RFC 5801 section 4): whether the
 * client binds to its channel, and whom it wants to be.
 */
#ifndef MECHANISMS_GS2_H
#define MECHANISMS_GS2_H

#include "base/arena.h"

struct gs2_header {
	char flag;		  /* n: no binding; y: would, but saw none offered; p: binds */
	struct span binding_type; /* with p */
	struct span authzid;	  /* decoded; absent: none */
	struct span text;	  /* all of it, with the comma at its end */
};

/* Takes the header off the front of *in. What it points to lives in *in and the arena. */
bool gs2_take_header(struct arena *a, struct span *in, struct gs2_header *h) MUST_CHECK;

/* saslname: "=2C" and "=3D" stand for "," and "=". False when empty or broken. */
bool gs2_decode_name(struct arena *a, struct span text, struct span *name) MUST_CHECK;

#endif
