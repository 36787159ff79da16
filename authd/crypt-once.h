/*
 * While a driver judges a password with somebody else's code, a hash that this
 * code computes twice in a row is computed once. Debian 12's pam_unix does so
 * with each password, by a macro that evaluates its argument twice.
 */
#ifndef AUTHD_CRYPT_ONCE_H
#define AUTHD_CRYPT_ONCE_H

#include <crypt.h>
#include <stdbool.h>
#include <stddef.h>

/* One question's. What it holds is secret, and gone after crypt_once_end(). */
struct crypt_once {
	char phrase[CRYPT_MAX_PASSPHRASE_SIZE], hash[CRYPT_OUTPUT_SIZE];
	size_t phrase_len, hash_len, setting_len;
	bool holds; /* phrase and hash are those of the last call, which nobody has repeated yet */
	/* of the last call that was computed, and stays until the end; "": none, or too long */
	char setting[CRYPT_OUTPUT_SIZE];
	unsigned computed, repeated; /* calls */
};

/* From now on this thread's calls of crypt_r() are looked at; not to be nested. */
void crypt_once_begin(struct crypt_once *once);
/* Wipes it. */
void crypt_once_end(struct crypt_once *once);

#endif
