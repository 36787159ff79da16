/*
 * Users, groups and giving up root. Runs in: parent (looking up), front and
 * worker (dropping). Fatal for a child: not getting rid of root.
 */
#include "authd/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/span.h"

bool identity_uid(const char *user, uid_t *out, struct err *err)
{
	uint32_t number;
	if (user[0] == '\0')
		return true;
	const struct passwd *pw = getpwnam(user);
	if (pw != NULL)
		*out = pw->pw_uid;
	else if (span_to_u32(span_of(user), &number))
		*out = number;
	else
		return err_set(err, EX_CONFIG, "there is no user \"%s\"", user);
	return true;
}

bool identity_gid(const char *group, gid_t *out, struct err *err)
{
	uint32_t number;
	if (group[0] == '\0')
		return true;
	const struct group *gr = getgrnam(group);
	if (gr != NULL)
		*out = gr->gr_gid;
	else if (span_to_u32(span_of(group), &number))
		*out = number;
	else
		return err_set(err, EX_CONFIG, "there is no group \"%s\"", group);
	return true;
}

bool identity_lookup(struct identity *id, const char *user, const char *group, struct err *err)
{
	const struct passwd *pw = getpwnam(user);
	if (pw == NULL)
		return err_set(err, EX_CONFIG,
		    "there is no user \"%s\"; make one with: adduser --system --group "
		    "--no-create-home %s",
		    user, user);
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	if (group != NULL && !identity_gid(group, &id->gid, err))
		return false;
	int count = IDENTITY_GROUPS_MAX;
	if (getgrouplist(user, id->gid, id->groups, &count) < 0)
		return err_set(err, EX_CONFIG, "user \"%s\" is in more than %d groups", user,
		    IDENTITY_GROUPS_MAX);
	id->group_count = (unsigned)count;
	return true;
}

void identity_print(const struct identity *id, char text[IDENTITY_TEXT_MAX])
{
	int n = snprintf(text, IDENTITY_TEXT_MAX, "%u,%u", (unsigned)id->uid, (unsigned)id->gid);
	for (unsigned i = 0; i < id->group_count; i++)
		n += snprintf(
		    text + n, (size_t)(IDENTITY_TEXT_MAX - n), ",%u", (unsigned)id->groups[i]);
}

bool identity_parse(struct identity *id, const char *text)
{
	struct span rest = span_of(text), part;
	*id = (struct identity){0};
	for (unsigned i = 0; span_split(&rest, ',', &part); i++) {
		uint32_t number;
		if (!span_to_u32(part, &number) || i >= IDENTITY_GROUPS_MAX + 2)
			return false;
		if (i == 0)
			id->uid = number;
		else if (i == 1)
			id->gid = number;
		else
			id->groups[id->group_count++] = number;
	}
	return id->group_count > 0;
}

/* setuid() may leave a saved id behind; believe only what the kernel says. */
static bool really_became(const struct identity *id)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	if (getresuid(&r, &e, &s) != 0 || getresgid(&rg, &eg, &sg) != 0)
		return false;
	if (r != id->uid || e != id->uid || s != id->uid)
		return false;
	if (rg != id->gid || eg != id->gid || sg != id->gid)
		return false;
	if (id->uid == 0)
		return true;
	return setuid(0) != 0 && seteuid(0) != 0 && setresuid(-1, 0, -1) != 0;
}

bool privileges_drop(const struct identity *id, struct err *err)
{
	if (setgroups(id->group_count, id->groups) != 0)
		return err_set(err, EX_OSERR, "setgroups: %s", strerror(errno));
	if (setresgid(id->gid, id->gid, id->gid) != 0)
		return err_set(err, EX_OSERR, "setresgid(%u): %s", id->gid, strerror(errno));
	if (setresuid(id->uid, id->uid, id->uid) != 0)
		return err_set(err, EX_OSERR, "setresuid(%u): %s", id->uid, strerror(errno));
	if (!really_became(id))
		return err_set(err, EX_OSERR, "root could not be given up for uid %u", id->uid);
	return true;
}

bool privileges_confine(pid_t parent, struct err *err)
{
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return err_set(err, EX_OSERR, "setrlimit(RLIMIT_CORE): %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		return err_set(err, EX_OSERR, "prctl(PR_SET_DUMPABLE): %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set(err, EX_OSERR, "prctl(PR_SET_NO_NEW_PRIVS): %s", strerror(errno));
	/* changing the user cleared it, so it comes last; the parent may be gone already */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return err_set(err, EX_OSERR, "prctl(PR_SET_PDEATHSIG): %s", strerror(errno));
	if (getppid() != parent)
		return err_set(err, EX_OSERR, "the parent is gone");
	return true;
}

void privileges_raise_files(uint64_t want)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_max < want) {
		const struct rlimit more = {want, want};
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
