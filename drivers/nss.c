/*
 * NSS lookups. Runs in: worker.
 */
#include "drivers/nss.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sysexits.h>

enum { ROOM_FIRST = 2048, ROOM_MAX = 1024 * 1024 };

/*
 * glibc tells "not found" by no error at all; ESRCH is what others say. All
 * the rest (ENOENT, too: a file or a service that is not there) is an outage.
 */
enum verdict nss_verdict(bool found, int error, const char *what, struct err *err)
{
	if (found)
		return VERDICT_OK;
	if (error == 0 || error == ESRCH)
		return VERDICT_UNKNOWN_USER;
	err_set(err, EX_TEMPFAIL, "%s failed: %s", what, strerror(error));
	return VERDICT_INTERNAL;
}

static bool is_name(struct span user)
{
	return user.len > 0 && span_find(user, '\0') < 0;
}

enum verdict nss_passwd(struct span user, struct arena *a, struct passwd *out, struct err *err)
{
	struct passwd *found = NULL;
	int e = ERANGE;
	if (!is_name(user))
		return VERDICT_UNKNOWN_USER;
	const char *name = arena_cstr(a, user);
	for (size_t size = ROOM_FIRST; e == ERANGE && size <= ROOM_MAX; size *= 2)
		e = getpwnam_r(name, out, arena_alloc(a, size), size, &found);
	return nss_verdict(found != NULL, e, "getpwnam()", err);
}

enum verdict nss_shadow(struct span user, struct arena *a, struct spwd *out, struct err *err)
{
	struct spwd *found = NULL;
	int e = ERANGE;
	if (!is_name(user))
		return VERDICT_UNKNOWN_USER;
	const char *name = arena_cstr(a, user);
	for (size_t size = ROOM_FIRST; e == ERANGE && size <= ROOM_MAX; size *= 2)
		e = getspnam_r(name, out, arena_alloc(a, size), size, &found);
	return nss_verdict(found != NULL, e, "getspnam()", err);
}

bool nss_password_is_usable(struct span hash)
{
	if (hash.len == 0 || span_eq_str(hash, "x"))
		return false;
	return hash.ptr[0] != '*' && hash.ptr[0] != '!';
}

/* The rules are those of pam_unix; -1 in a field means that it is empty. */
enum verdict nss_shadow_age(const struct spwd *sp, long today, struct err *err)
{
	if (sp->sp_expire >= 0 && today >= sp->sp_expire) {
		err_set(err, 0, "the account expired %ld days ago", today - sp->sp_expire);
		return VERDICT_DISABLED;
	}
	if (sp->sp_lstchg == 0) {
		err_set(err, 0, "the password must be changed before it is used");
		return VERDICT_EXPIRED;
	}
	if (sp->sp_lstchg > 0 && sp->sp_max >= 0 && today > sp->sp_lstchg &&
	    today - sp->sp_lstchg > sp->sp_max) {
		err_set(err, 0, "the password expired %ld days ago",
		    today - sp->sp_lstchg - sp->sp_max);
		return VERDICT_EXPIRED;
	}
	return VERDICT_OK;
}

/* ---- numbers of names ---- */

static int lookup_uid(const char *name, char *buf, size_t size, uint32_t *id)
{
	struct passwd pw, *found = NULL;
	int e = getpwnam_r(name, &pw, buf, size, &found);
	if (found != NULL)
		*id = found->pw_uid;
	return found != NULL ? 0 : e != 0 ? e : ENOENT;
}

static int lookup_gid(const char *name, char *buf, size_t size, uint32_t *id)
{
	struct group gr, *found = NULL;
	int e = getgrnam_r(name, &gr, buf, size, &found);
	if (found != NULL)
		*id = found->gr_gid;
	return found != NULL ? 0 : e != 0 ? e : ENOENT;
}

int nss_id(bool group, struct span name, struct arena *a, uint32_t *id)
{
	int e = ERANGE;
	if (!is_name(name))
		return ENOENT;
	const char *text = arena_cstr(a, name);
	/* a group with many members takes much room */
	for (size_t size = ROOM_FIRST; e == ERANGE && size <= ROOM_MAX; size *= 2) {
		char *room = arena_alloc(a, size);
		e = group ? lookup_gid(text, room, size, id) : lookup_uid(text, room, size, id);
	}
	return e;
}
