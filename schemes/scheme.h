/*
 * Password schemes: how a stored password is written and checked.
 * A scheme is one row; a family of them one file; all of them one table
 * (schemes/table.c). Runs in workers and in authctl, never in the front.
 * Pure functions; threads may share everything. Passwords may hold any bytes;
 * one longer than SCHEME_PASSWORD_MAX never matches and is not hashed.
 */
#ifndef SCHEMES_SCHEME_H
#define SCHEMES_SCHEME_H

#include "base/err.h"
#include "base/secret.h"
#include "base/verdict.h"

enum { SCHEME_PASSWORD_MAX = 4096, SCHEME_USEC_MAX = 300 * 1000 * 1000 };

enum scheme_encoding { ENCODING_NONE, ENCODING_HEX, ENCODING_BASE64 };

enum scheme_flags {
	SCHEME_WEAK = 1 << 0,  /* refused unless auth_allow_weak_schemes */
	SCHEME_PLAIN = 1 << 1, /* the plaintext itself: any other scheme can be made from it */
	SCHEME_CRYPT = 1 << 2, /* a crypt(3) string: whether it is weak depends on the value */
};

struct scheme_cost {
	bool expensive;	 /* more than some tens of microseconds: run in a lane */
	uint64_t memory; /* bytes needed beyond the ordinary; UINT64_MAX when absurd */
	uint64_t usec;	 /* a rough guess, for telling a slow hash from an absurd one */
};

/* A stored password taken apart; points into what it was parsed from and into the arena. */
struct scheme_hash {
	const struct scheme *scheme;
	enum scheme_encoding encoding; /* how it was written */
	struct secret raw;	       /* decoded */
	bool dummy;		       /* made by scheme_dummy(): costs time, never matches */
};

struct scheme_gen {
	struct span user; /* DIGEST-MD5 */
	unsigned rounds;  /* 0: the scheme's default */
	bool prepare;	  /* SCRAM from a stored plaintext: as RFC 8265 has clients do it */
	/* SCRAM: the salt; empty: a random one. DIGEST-MD5: "name:realm" as a client hashes them;
	   empty: they are taken out of user */
	struct span salt;
};

struct scheme {
	const char *name;
	const char
	    *family; /* schemes of one family are the same for a mechanism that asks for one */
	enum scheme_encoding encoding; /* when written without a suffix */
	size_t raw_len;		       /* of the decoded value; 0: it varies */
	unsigned flags;
	/*
	 * OK, MISMATCH, or INTERNAL and *err when the stored value is not valid.
	 * NULL: the value is a function of password and user, so generate and compare.
	 */
	enum verdict (*verify)(const struct scheme_hash *h, struct secret password,
	    struct span user, struct arena *a, struct err *err);
	/* raw value for a new password; unset secret and *err on failure */
	struct secret (*generate)(
	    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err);
	struct scheme_cost (*cost)(struct span raw); /* NULL: cheap */
};

extern const struct scheme *const scheme_table[]; /* NULL-terminated */

/* without braces, any case, may carry a suffix (SHA256.HEX); NULL */
const struct scheme *scheme_find(struct span name);

/*
 * "{SCHEME[.enc]}value", or a bare value in default_scheme (default_scheme may
 * carry a suffix too). With noscheme a leading brace is part of the value.
 * False and *err: unknown scheme, bad encoding, wrong length; the stored
 * value itself is never part of the message.
 */
bool scheme_parse(struct secret stored, const char *default_scheme, bool noscheme, struct arena *a,
    struct scheme_hash *out, struct err *err) MUST_CHECK;

struct scheme_cost scheme_cost(const struct scheme_hash *h);
/* By scheme or, for a crypt(3) string, by value: then *name (may be NULL) is what it counts as. */
bool scheme_is_weak(const struct scheme_hash *h, const char **name);
/* A crypt(3) string that nothing hashes to, as passwd files have it for a locked account. */
bool scheme_is_locked(const struct scheme_hash *h);
/* A hash priced above SCHEME_USEC_MAX is not tried: INTERNAL. */
enum verdict scheme_verify(const struct scheme_hash *h, struct secret password, struct span user,
    struct arena *a, struct err *err) MUST_CHECK;

/* "{NAME}encoded". name may carry a suffix (SHA256.HEX). */
struct secret scheme_generate(struct span name, const struct scheme_gen *g, struct secret password,
    struct arena *a, struct err *err) MUST_CHECK;

/*
 * What a mechanism needs: the stored value in the wanted scheme, made from a
 * plaintext if need be. OK, or NO_SCHEME and *err
 * ("Requested CRAM-MD5 scheme, but we have only SHA512-CRYPT").
 */
enum verdict scheme_convert(const struct scheme_hash *h, const char *wanted,
    const struct scheme_gen *g, struct arena *a, struct secret *out, struct err *err) MUST_CHECK;

/* ---- strength.c ---- */

enum { SCHEME_KINDS = 48 };

/* What a stored password is, whatever the name that it is stored under. */
struct scheme_kind {
	const char *name; /* NULL: the table's end */
	int rank;
	bool for_mechanism; /* CRAM-MD5 and the like: no other hash could serve that mechanism */
};
extern const struct scheme_kind scheme_kinds[SCHEME_KINDS];

/* its place in scheme_kinds */
size_t scheme_kind_of(const struct scheme_hash *h);
/* By kind, and within one by cost. Never one that a mechanism needs. */
bool scheme_is_weaker(const struct scheme_hash *h, const struct scheme_hash *than);
/* Does all of this password count, or would another one with the same beginning do as well? */
bool scheme_reads_all(const struct scheme_hash *h, struct secret password);

/*
 * A hash to spend time on when the user is unknown: same scheme and cost as
 * *like, without its digest; with NULL an ordinary SHA512-CRYPT. Verifying it
 * ends in MISMATCH always. Nothing is hashed here. Always true.
 */
bool scheme_dummy(const struct scheme_hash *like, struct arena *a, struct scheme_hash *out);

#endif
