/*
 * What the two files of a pool need of each other: pool.c has the questions,
 * pool-link.c the channels to the workers. Runs in: front.
 */
#ifndef AUTHD_POOL_PARTS_H
#define AUTHD_POOL_PARTS_H

#include "authd/pool.h"

/* ---- pool.c ---- */

/* Sends waiting questions to links that have a free slot. */
void pool_pump(struct pool *p);
void pool_ticket_clear(struct pool_ticket *t);
/* What an answer said of the backend. True: the breaker has opened; see pool_fail(). */
bool pool_note(
    struct pool *p, struct breaker_pass pass, enum backend_state backend, struct span why);
void pool_note_up_or_down(struct pool *p);
/* Takes its questions back, to be asked again of another one, and frees it. */
void pool_link_dead(struct pool_link *l, const char *why);

/* ---- pool-link.c ---- */

void pool_link_mark_dirty(struct pool_link *l); /* something to write at the end of the turn */
void pool_link_unlink(struct pool_link *l);	/* out of all lists, and closed */

#endif
