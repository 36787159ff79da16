/*
 * Looking up users in the system's databases (NSS), with the difference
 * between "there is no such user" and "nobody could tell". Runs in: worker;
 * may block. Results live in the arena.
 */
#ifndef DRIVERS_NSS_H
#define DRIVERS_NSS_H

#include <pwd.h>
#include <shadow.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/verdict.h"

/* OK, UNKNOWN_USER, or INTERNAL with *err. */
enum verdict nss_passwd(
    struct span user, struct arena *a, struct passwd *out, struct err *err) MUST_CHECK;
enum verdict nss_shadow(
    struct span user, struct arena *a, struct spwd *out, struct err *err) MUST_CHECK;

/*
 * The number of a user's or group's name. 0, or an errno(3): ENOENT when there
 * is no such name.
 */
int nss_id(bool group, struct span name, struct arena *a, uint32_t *id) MUST_CHECK;

enum { NSS_DAY_S = 24 * 60 * 60 };

/*
 * What shadow(5) says of account and password on that day (since 1970): OK,
 * DISABLED (the account is over), EXPIRED (the password must be changed first,
 * which nobody can do over a mail protocol), with *err.
 */
enum verdict nss_shadow_age(const struct spwd *sp, long today, struct err *err) MUST_CHECK;

/* What a lookup's result and error number mean. */
enum verdict nss_verdict(bool found, int error, const char *what, struct err *err) MUST_CHECK;

/* False for "x", "*", "!", "!!" and hashes that were locked with "!" in front. */
bool nss_password_is_usable(struct span hash);

#endif
