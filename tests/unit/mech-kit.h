/*
 * Drives a mechanism's step by hand, as the front would: one call a message
 * or verdict. For the unit tests of mechanisms.
 */
#ifndef TESTS_MECH_KIT_H
#define TESTS_MECH_KIT_H

#include "mechanisms/mech.h"
#include "schemes/scheme.h"

struct mech_run {
	const struct mech *mech;
	void *state;
	struct arena arena;
	struct mech_context context;
	struct fields fields;
	struct mech_io io;
};

static inline void mech_begin(struct mech_run *r, const char *name)
{
	*r = (struct mech_run){.mech = mech_find(span_of(name))};
	r->state = arena_alloc(&r->arena, r->mech->state_size);
	r->fields = fields_in(&r->arena);
	r->io = (struct mech_io){.arena = &r->arena, .context = &r->context, .fields = &r->fields};
}

/* SPAN_NULL: there is no initial response */
static inline enum mech_next mech_message(struct mech_run *r, struct span in)
{
	r->io.in = in;
	r->io.out = SPAN_NULL;
	return r->mech->step(r->mech, r->state, &r->io);
}

static inline enum mech_next mech_verdict(struct mech_run *r, enum verdict v)
{
	r->io.verdict = v;
	r->io.out = SPAN_NULL;
	return r->mech->step(r->mech, r->state, &r->io);
}

/* What a passdb, or (with another verdict than ok) the front's fake, gives. */
static inline enum mech_next mech_credential(struct mech_run *r, enum verdict v, struct secret c)
{
	r->io.credential = c;
	return mech_verdict(r, v);
}

/* The credential in this scheme of somebody whose password is stored as plaintext. */
static inline struct secret mech_credential_of(
    struct mech_run *r, const char *scheme, const struct scheme_gen *g, const char *password)
{
	struct err err = {0};
	return scheme_find(span_of(scheme))
	    ->generate(g, secret_of(span_of(password)), &r->arena, &err);
}

static inline bool mech_said(const struct mech_run *r, const char *text)
{
	return span_eq_str(r->io.out, text);
}

static inline void mech_end(struct mech_run *r)
{
	arena_free(&r->arena);
}

#endif
