/*
 * Connecting, and what to tell an administrator when it does not work.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- -x ---- */

void authctl_fields_init(struct authctl_fields *f)
{
	f->count = 0;
	f->items[f->count++] = (struct authd_field){.name = "service", .value = "doveadm"};
}

bool authctl_fields_add(struct authctl_fields *f, char *argument)
{
	char *equals = strchr(argument, '=');
	struct authd_field field = {.name = argument, .value = equals ? equals + 1 : NULL};
	if (equals != NULL)
		*equals = '\0';
	if (*argument == '\0') {
		authctl_complain("-x needs name=value");
		return false;
	}
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->items[i].name, argument) == 0) {
			f->items[i] = field;
			return true;
		}
	if (f->count == AUTHCTL_FIELDS_MAX) {
		authctl_complain("too many -x");
		return false;
	}
	f->items[f->count++] = field;
	return true;
}

/* ---- advice ---- */

enum { NAME_SIZE = 64 };

static const char *user_name(uid_t uid, char name[NAME_SIZE])
{
	const struct passwd *pw = getpwuid(uid);
	if (pw != NULL)
		snprintf(name, NAME_SIZE, "%s", pw->pw_name);
	else
		snprintf(name, NAME_SIZE, "%u", (unsigned)uid);
	return name;
}

static const char *group_name(gid_t gid, char name[NAME_SIZE])
{
	const struct group *gr = getgrgid(gid);
	if (gr != NULL)
		snprintf(name, NAME_SIZE, "%s", gr->gr_name);
	else
		snprintf(name, NAME_SIZE, "%u", (unsigned)gid);
	return name;
}

static void advise_permission(const char *path)
{
	char owner[NAME_SIZE], group[NAME_SIZE], me[NAME_SIZE];
	struct stat st;
	if (stat(path, &st) != 0) {
		authctl_complain("%s: permission denied: user %s may not enter its directory. Run "
				 "this as root, or name another socket with -a",
		    path, user_name(geteuid(), me));
		return;
	}
	authctl_complain("%s: permission denied: its mode is %04o, its owner %s, its group %s, and "
			 "you are %s. Run this as root, or change user, group or mode in its "
			 "unix_listener section",
	    path, (unsigned)st.st_mode & 07777, user_name(st.st_uid, owner),
	    group_name(st.st_gid, group), user_name(geteuid(), me));
}

static void advise_refused(const char *path, bool is_path)
{
	struct stat st;
	if (is_path && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		authctl_complain("%s: this is not a socket", path);
	else
		authctl_complain("%s: nobody listens there: the server %s. Start authd, or name "
				 "another socket with -a",
		    path, is_path ? "died and left its socket behind" : "is not running");
}

static void advise(const char *address, bool by_name, const struct authd_error *e)
{
	bool is_path = strchr(address, '/') != NULL;
	if (e->errnum == ENOENT)
		authctl_complain("%s: there is no such socket. Is authd running%s?", address,
		    by_name ? ", with this base_dir (authctl -c CONFIG, or -a SOCKET) and a "
			      "unix_listener of this name"
			    : ", and is there a listener of this name");
	else if (e->errnum == EACCES || e->errnum == EPERM)
		advise_permission(address);
	else if (e->errnum == ECONNREFUSED)
		advise_refused(address, is_path);
	else if (e->status == AUTHD_WRONG_SOCKET)
		authctl_complain("%s", e->text); /* it names the address */
	else if (e->status == AUTHD_PROTOCOL || e->errnum == ETIMEDOUT)
		authctl_complain(
		    "%s (does an authentication server listen on %s?)", e->text, address);
	else
		authctl_complain("%s%s%s", strstr(e->text, address) == NULL ? address : "",
		    strstr(e->text, address) == NULL ? ": " : "", e->text);
}

struct authd_link *authctl_connect(enum authd_kind kind, const char *address, const char *name)
{
	bool by_name = address == NULL;
	/* a word alone is a file here, not a host */
	bool here = !by_name && strpbrk(address, "/:") == NULL;
	char *path = by_name ? mem_printf("%s/%s", authctl_base_dir(), name)
			     : mem_printf("%s%s", here ? "./" : "", address);
	struct authd_error error;
	struct authd_link *link = authd_connect(kind, path, AUTHCTL_CONNECT_MS, &error);
	if (link == NULL)
		advise(path, by_name, &error);
	mem_free(&path);
	return link;
}

int authctl_failed(const struct authd_link *link, enum authd_status status)
{
	authctl_complain("%s", authd_link_error(link)->text);
	return status == AUTHD_USAGE	   ? EX_USAGE
	       : status == AUTHD_NO_MEMORY ? EX_OSERR
					   : EX_TEMPFAIL;
}
