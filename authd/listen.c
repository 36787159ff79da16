/*
 * Binding sockets. Runs in: parent, usually as root, in directories that
 * other users may own: nothing here follows a link that could be put in the
 * place of a socket.
 */
#include "authd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"

enum { LISTEN_BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn */

static int code_of(int error)
{
	return error == EACCES || error == EPERM ? EX_NOPERM : EX_CANTCREAT;
}

static bool failed(struct err *err, const char *what, const char *path)
{
	int saved = errno;
	return err_set(err, code_of(saved), "%s: %s: %s", path, what, strerror(saved));
}

static bool fill_address(struct sockaddr_un *to, const char *path, struct err *err)
{
	*to = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(to->sun_path))
		return err_set(err, EX_CONFIG, "%s: a socket's path may have %zu bytes at most",
		    path, sizeof(to->sun_path) - 1);
	memcpy(to->sun_path, path, strlen(path));
	return true;
}

/* Does anybody answer there? A full backlog is an answer too. */
static bool somebody_listens(const struct sockaddr_un *to)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	bool taken = connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 || errno == EAGAIN;
	close(fd);
	return taken;
}

static bool remove_stale(const struct sockaddr_un *to, struct err *err)
{
	const char *path = to->sun_path;
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT || failed(err, "cannot look at it", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EX_CANTCREAT,
		    "%s: there is something that is no socket; not removed", path);
	if (somebody_listens(to))
		return err_set(
		    err, EX_CANTCREAT, "%s: another authd (or dovecot) is listening on it", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return failed(err, "cannot remove the stale socket", path);
	return true;
}

/* file: an O_PATH descriptor, so that it is this file and no other that changes hands. */
static bool give_access(int file, const char *path, const struct listen_access *access,
    bool *chown_refused, struct err *err)
{
	char self[48];
	if (access->uid != (uid_t)-1 || access->gid != (gid_t)-1) {
		if (fchownat(file, "", access->uid, access->gid, AT_EMPTY_PATH) != 0) {
			if (errno != EPERM || geteuid() == 0)
				return failed(err, "cannot give it to its owner", path);
			*chown_refused = true;
		}
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	if (chmod(self, access->mode & 0777) != 0)
		return failed(err, "cannot set its mode", path);
	return true;
}

static int open_file(const struct listen_socket *s, struct stat *st)
{
	int file = open(s->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file >= 0 && (fstat(file, st) != 0 || !S_ISSOCK(st->st_mode))) {
		close(file);
		errno = ENOTSOCK;
		return -1;
	}
	return file;
}

static bool bind_hidden(int fd, const struct sockaddr_un *to)
{
	mode_t old = umask(0777);
	bool ok = bind(fd, (const struct sockaddr *)to, sizeof(*to)) == 0;
	int saved = errno;
	umask(old);
	errno = saved;
	return ok;
}

/* The file that bind() has just made: nobody else's has no mode bits and our uid. */
static bool adopt_file(struct listen_socket *s, const struct listen_access *access,
    bool *chown_refused, struct err *err)
{
	struct stat st;
	int file = open_file(s, &st);
	if (file < 0)
		return failed(err, "cannot open what was just made", s->name);
	bool ok = (st.st_mode & 0777) == 0 && st.st_uid == geteuid();
	if (!ok)
		err_set(err, EX_CANTCREAT, "%s: somebody else put a socket there", s->name);
	s->unix_file = ok;
	s->device = st.st_dev;
	s->inode = st.st_ino;
	ok = ok && give_access(file, s->name, access, chown_refused, err);
	close(file);
	return ok;
}

bool listen_unix(struct listen_socket *s, const char *path, const struct listen_access *access,
    bool *chown_refused, struct err *err)
{
	struct sockaddr_un to;
	*s = (struct listen_socket){.fd = -1};
	if (!fill_address(&to, path, err) || !remove_stale(&to, err))
		return false;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return failed(err, "socket", path);
	s->name = mem_strdup(path);
	bool ok = bind_hidden(s->fd, &to) || failed(err, "cannot bind", path);
	ok = ok && adopt_file(s, access, chown_refused, err);
	if (ok && listen(s->fd, LISTEN_BACKLOG) != 0)
		ok = failed(err, "listen", path);
	if (!ok)
		listen_close(s);
	return ok;
}

char *listen_inet_name(const char *address, unsigned port)
{
	return mem_printf("%s port %u", address[0] != '\0' ? address : "all addresses", port);
}

static bool resolve(const char *address, unsigned port, struct addrinfo **found, struct err *err)
{
	struct addrinfo want = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	char service[16];
	const char *node = address;
	if (address[0] == '\0') {
		want.ai_family = AF_INET6;
		node = NULL;
	} else if (strcmp(address, "*") == 0) {
		want.ai_family = AF_INET;
		node = NULL;
	}
	snprintf(service, sizeof(service), "%u", port);
	int rc = getaddrinfo(node, service, &want, found);
	if (rc != 0)
		return err_set(err, EX_CONFIG, "address \"%s\": %s", address, gai_strerror(rc));
	return true;
}

static bool bind_inet(int fd, const struct addrinfo *ai, bool both)
{
	const int yes = 1, v6only = !both;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0)
		return false;
	if (ai->ai_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) != 0)
		return false;
	return bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
}

bool listen_inet(struct listen_socket *s, const char *address, unsigned port, struct err *err)
{
	struct addrinfo *ai = NULL;
	*s = (struct listen_socket){.fd = -1};
	if (!resolve(address, port, &ai, err))
		return false;
	s->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 && errno == EAFNOSUPPORT && address[0] == '\0') {
		freeaddrinfo(ai);
		return listen_inet(s, "*", port, err); /* a machine without IPv6 */
	}
	s->name = listen_inet_name(address, port);
	bool ok = s->fd >= 0 && bind_inet(s->fd, ai, address[0] == '\0');
	if (!ok) {
		failed(err, "cannot listen", s->name);
		listen_close(s);
	}
	freeaddrinfo(ai);
	return ok;
}

bool listen_adjust(struct listen_socket *s, const struct listen_access *access, bool *chown_refused,
    struct err *err)
{
	struct stat st;
	if (!s->unix_file)
		return true;
	int file = open_file(s, &st);
	if (file < 0)
		return failed(err, "cannot open the socket", s->name);
	bool ok = st.st_dev == s->device && st.st_ino == s->inode;
	if (!ok)
		err_set(err, EX_CANTCREAT, "%s: somebody else put a socket there", s->name);
	ok = ok && give_access(file, s->name, access, chown_refused, err);
	close(file);
	return ok;
}

bool listen_in_place(const struct listen_socket *s)
{
	struct stat st;
	if (!s->unix_file)
		return s->fd >= 0;
	return lstat(s->name, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode;
}

void listen_close(struct listen_socket *s)
{
	/* the inode cannot be another's by now: our descriptor holds it */
	if (s->unix_file && listen_in_place(s))
		unlink(s->name);
	if (s->fd >= 0)
		close(s->fd);
	mem_free(&s->name);
	*s = (struct listen_socket){.fd = -1};
}

/* login/ and token-login/ are for login processes only; whoever runs those gives them a group. */
static mode_t directory_mode(const char *name)
{
	return strcmp(name, "login") == 0 || strcmp(name, "token-login") == 0 ? 0750 : 0755;
}

static bool make_one(const char *path, mode_t mode, struct err *err)
{
	struct stat st;
	if (mkdir(path, mode) == 0)
		return chmod(path, mode) == 0 || failed(err, "cannot set its mode", path);
	if (errno != EEXIST)
		return failed(err, "cannot make the directory", path);
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(err, EX_CANTCREAT, "%s: is no directory", path);
	return true;
}

bool listen_make_directories(const char *base, const char *path, struct err *err)
{
	size_t base_len = strlen(base);
	if (!make_one(base, 0755, err))
		return false;
	if (strncmp(path, base, base_len) != 0 || path[base_len] != '/')
		return true; /* elsewhere: that directory is its owner's to make */
	char *copy = mem_strdup(path), *part = copy + base_len + 1;
	bool ok = true;
	for (char *slash; ok && (slash = strchr(part, '/')) != NULL; part = slash + 1) {
		*slash = '\0';
		ok = make_one(copy, directory_mode(part), err);
		*slash = '/';
	}
	mem_free(&copy);
	return ok;
}
