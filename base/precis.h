/*
 * PRECIS (RFC 8264): preparing user names and passwords that are not plain
 * ASCII, so that what was typed on one keyboard is what was typed on another.
 * Profiles of RFC 8265. Pure functions; results are in the arena.
 */
#ifndef BASE_PRECIS_H
#define BASE_PRECIS_H

#include "base/arena.h"
#include "base/err.h"

enum precis_profile {
	PRECIS_USERNAME_CASE_MAPPED,	/* RFC 8265, 3.3 */
	PRECIS_USERNAME_CASE_PRESERVED, /* 3.4 */
	PRECIS_OPAQUE_STRING,		/* 4.2: passwords */
};

/*
 * The prepared text; of plain ASCII it is s itself where the profile changes
 * nothing. SPAN_NULL and *err where the profile does not allow it: empty, no
 * valid UTF-8, a forbidden character. *err never shows a password's bytes.
 */
struct span precis_enforce(
    enum precis_profile profile, struct span s, struct arena *a, struct err *err) MUST_CHECK;

/* ---- precis-class.c: RFC 8264's classes, for precis.c ---- */

/*
 * Is text[at] allowed in the class there, its context regarded? Asked of each character, the first
 * one first: what one rule says of all of the text is said for the first that it is for.
 */
bool precis_identifier_allows(const uint32_t *text, size_t len, size_t at);
bool precis_freeform_allows(const uint32_t *text, size_t len, size_t at);
/* The Bidi rule (RFC 5893, section 2); true also for what has no right-to-left character. */
bool precis_bidi_allows(const uint32_t *text, size_t len);

#endif
