/*
 * Who a process runs as. The parent looks users up and hands the numbers to
 * the child, so that a child needs no user database. Failing to give up root
 * is fatal for the child.
 */
#ifndef AUTHD_PRIVILEGES_H
#define AUTHD_PRIVILEGES_H

#include "base/err.h"

enum { IDENTITY_GROUPS_MAX = 64 };

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[IDENTITY_GROUPS_MAX]; /* with gid */
	unsigned group_count;
};

/* From the user database; group NULL or "": the user's own. EX_CONFIG and a hint when missing. */
bool identity_lookup(
    struct identity *id, const char *user, const char *group, struct err *err) MUST_CHECK;

/* uid or gid of a name or a number; "" leaves *out alone */
bool identity_uid(const char *user, uid_t *out, struct err *err) MUST_CHECK;
bool identity_gid(const char *group, gid_t *out, struct err *err) MUST_CHECK;

/* "uid,gid,group,group..." and back */
enum { IDENTITY_TEXT_MAX = IDENTITY_GROUPS_MAX * 11 + 32 };
void identity_print(const struct identity *id, char text[IDENTITY_TEXT_MAX]);
bool identity_parse(struct identity *id, const char *text) MUST_CHECK;

/* Becomes id for good, and makes sure that there is no way back. */
bool privileges_drop(const struct identity *id, struct err *err) MUST_CHECK;
/* What every child gives up, root or not: core dumps, being traced, outliving the parent. */
bool privileges_confine(pid_t parent, struct err *err) MUST_CHECK;
/* The soft limit of descriptors up to the hard one; as root the hard one up to want first. */
void privileges_raise_files(uint64_t want);

#endif
