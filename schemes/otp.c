/*
 * OTP: "sha1 1024 seed 16hex", the last used one-time password of RFC 2289.
 * A password matches when its chain arrives there. Runs in workers, authctl.
 */
#include "base/otp.h"

#include <sodium.h>

#include "base/encode.h"
#include "schemes/families.h"

enum { SEQUENCE = 1024, SEED_LEN = 8 };

/* Follows the password's chain to the number that is stored. */
static void follow(struct otp *o, struct secret password)
{
	otp_first(o, password, o->last);
	for (uint32_t i = 0; i < o->sequence; i++)
		otp_next(o, o->last);
}

static enum verdict otp_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	(void)a;
	struct otp stored, made;
	if (!otp_parse(secret_reveal(h->raw), &stored))
		return scheme_invalid(err, "not valid OTP data");
	made = stored;
	follow(&made, password);
	return sodium_memcmp(made.last, stored.last, OTP_LEN) == 0 ? VERDICT_OK : VERDICT_MISMATCH;
}

static struct secret otp_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	char random[SEED_LEN];
	randombytes_buf(random, sizeof(random));
	struct otp o = {.hash = otp_hash_find(SPAN_LIT("sha1")),
	    .sequence = SEQUENCE,
	    .seed = hex_encode_arena(a, span_make(random, sizeof(random)))};
	follow(&o, password);
	return secret_of(otp_format(&o, a));
}

static struct scheme_cost otp_cost(struct span raw)
{
	struct otp stored;
	if (!otp_take_parameters(&raw, &stored))
		return (struct scheme_cost){0};
	return (struct scheme_cost){.expensive = true, .usec = stored.sequence};
}

const struct scheme scheme_otp = {.name = "OTP",
    .family = "OTP",
    .verify = otp_verify,
    .generate = otp_generate,
    .cost = otp_cost};
