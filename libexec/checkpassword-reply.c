/*
 * The program that a checkpassword program runs when it is satisfied: it
 * writes what the program found (in its environment) to descriptor 4, for
 * authd's driver checkpassword. Runs in: a child of a worker, with whatever
 * user id the program took. Exit: 0, or 2 where AUTHORIZED=2 says that a lookup
 * succeeded; 111 when something is wrong here, never 1: the password was right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPLY_FD = 4, REPLY_MAX = 8192, OK = 0, AUTHORIZED = 2, TEMPORARY = 111 };

static char reply[REPLY_MAX];
static size_t used;

static int complain(int code, const char *what)
{
	fprintf(stderr, "checkpassword-reply: %s\n", what);
	return code;
}

static int put(const char *s)
{
	size_t n = strlen(s);
	if (n > sizeof(reply) - used)
		return 0;
	memcpy(reply + used, s, n);
	used += n;
	return 1;
}

/* The value of one field, with what separates fields escaped. */
static int put_escaped(const char *s)
{
	static const char special[] = "\001\t\r\n", codes[] = "1trn";
	for (; *s != '\0'; s++) {
		const char *at = strchr(special, *s);
		char out[] = {*s, '\0', '\0'};
		if (at != NULL) {
			out[0] = '\001';
			out[1] = codes[at - special];
		}
		if (!put(out))
			return 0;
	}
	return 1;
}

static int put_field(const char *key, const char *value)
{
	return put(key) && put("=") && put_escaped(value) && put("\t");
}

static int put_id(const char *key, unsigned long id)
{
	char text[24];
	snprintf(text, sizeof(text), "%lu", id);
	return put_field(key, text);
}

/* The variables whose names are in EXTRA, separated by spaces. */
static int put_extra(int *uid, int *gid)
{
	const char *list = getenv("EXTRA");
	char *copy = list != NULL ? strdup(list) : NULL, *rest = copy, *name;
	int ok = list == NULL || copy != NULL;
	while (ok && (name = strsep(&rest, " ")) != NULL) {
		const char *value = *name != '\0' ? getenv(name) : NULL;
		if (value == NULL)
			continue;
		*uid = *uid || strcmp(name, "userdb_uid") == 0;
		*gid = *gid || strcmp(name, "userdb_gid") == 0;
		ok = put_field(name, value);
	}
	free(copy);
	return ok;
}

static int fill(void)
{
	const char *user = getenv("USER"), *home = getenv("HOME"), *shell = getenv("SHELL");
	int uid = 0, gid = 0;
	if (user != NULL && !put_field("user", user))
		return 0;
	if (home != NULL && !put_field("userdb_home", home))
		return 0;
	if (shell != NULL && !put_field("userdb_shell", shell))
		return 0;
	if (!put_extra(&uid, &gid))
		return 0;
	return (uid || put_id("userdb_uid", getuid())) && (gid || put_id("userdb_gid", getgid()));
}

/*
 * Where the program has become the user, other processes of that user could
 * trace it and write whatever reply they like; not one with a set-ID bit.
 */
static int is_safe(const char *orig_uid)
{
	return strtoul(orig_uid, NULL, 10) == getuid() || getenv("INSECURE_SETUID") != NULL ||
	       getuid() != geteuid() || getgid() != getegid();
}

int main(void)
{
	const char *authorized = getenv("AUTHORIZED"), *orig_uid = getenv("ORIG_UID");
	if (orig_uid == NULL)
		return complain(TEMPORARY, "ORIG_UID is not set: this is for authd to run");
	if (!is_safe(orig_uid))
		return complain(TEMPORARY,
		    "the program has become another user, whose processes could change the reply: "
		    "it is to set userdb_uid and userdb_gid instead, or INSECURE_SETUID");
	if (authorized != NULL && strcmp(authorized, "2") != 0)
		return complain(TEMPORARY, "the program does not support lookups (AUTHORIZED)");
	if (!fill())
		return complain(TEMPORARY, "the user's variables are too long");
	for (size_t done = 0; done < used;) {
		ssize_t n = write(REPLY_FD, reply + done, used - done);
		if (n <= 0)
			return complain(TEMPORARY, "descriptor 4 cannot be written to");
		done += (size_t)n;
	}
	return authorized != NULL ? AUTHORIZED : OK;
}
