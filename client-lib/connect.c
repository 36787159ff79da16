/*
 * Opens the socket of the blocking layer: a path or host:port, by a deadline.
 * Runs in: programs that use libauthd-client.
 */
#include "client-lib/link.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_MS = 20 };

int64_t libauthd_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool libauthd_wait(int fd, short events, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - libauthd_now();
		if (left <= 0)
			return false;
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (n > 0 || (n < 0 && errno != EINTR))
			return true; /* an error shows in the call that follows */
	}
}

enum authd_status libauthd_link_fail(
    struct authd_error *e, enum authd_status status, int errnum, const char *fmt, ...)
{
	e->status = status;
	e->errnum = errnum;
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	if (errnum != 0 && n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerrordesc_np(errnum));
	return status;
}

/* 0 or an errno. */
static int connect_by(int fd, const struct sockaddr *address, socklen_t length, int64_t deadline)
{
	for (;;) {
		if (connect(fd, address, length) == 0)
			return 0;
		if (errno == EINPROGRESS || errno == EINTR)
			break;
		if (errno != EAGAIN) /* a unix socket's queue is full */
			return errno;
		if (libauthd_now() + RETRY_MS >= deadline)
			return ETIMEDOUT;
		poll(NULL, 0, RETRY_MS);
	}
	if (!libauthd_wait(fd, POLLOUT, deadline))
		return ETIMEDOUT;
	int errnum = 0;
	socklen_t size = sizeof(errnum);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) != 0)
		return errno;
	return errnum;
}

/* The socket, or -1 and *errnum. */
static int open_to(const struct sockaddr *address, socklen_t length, int64_t deadline, int *errnum)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		*errnum = errno;
		return -1;
	}
	*errnum = connect_by(fd, address, length, deadline);
	if (*errnum == 0)
		return fd;
	close(fd);
	return -1;
}

static int open_unix(const char *path, int64_t deadline, struct authd_error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	if (length >= sizeof(address.sun_path)) {
		libauthd_link_fail(
		    e, AUTHD_USAGE, ENAMETOOLONG, "cannot connect to %.80s...", path);
		return -1;
	}
	memcpy(address.sun_path, path, length + 1);
	int errnum;
	int fd = open_to((const struct sockaddr *)&address, sizeof(address), deadline, &errnum);
	if (fd < 0)
		libauthd_link_fail(e, AUTHD_TEMPORARY, errnum, "cannot connect to %s", path);
	return fd;
}

/* "host:port", "[ip]:port" -> host and port. */
static bool split_host(const char *address, char *host, size_t host_size, const char **port)
{
	const char *colon = strrchr(address, ':');
	if (colon == NULL || colon[1] == '\0')
		return false;
	size_t length = (size_t)(colon - address);
	if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
		address++;
		length -= 2;
	}
	if (length == 0 || length >= host_size)
		return false;
	memcpy(host, address, length);
	host[length] = '\0';
	*port = colon + 1;
	return true;
}

static int open_host(const char *address, int64_t deadline, struct authd_error *e)
{
	char host[256];
	const char *port;
	if (strncmp(address, "inet:", 5) == 0)
		address += 5;
	if (!split_host(address, host, sizeof(host), &port)) {
		libauthd_link_fail(e, AUTHD_USAGE, 0,
		    "%.100s is neither a path (with a slash) nor host:port", address);
		return -1;
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0) {
		libauthd_link_fail(
		    e, AUTHD_TEMPORARY, 0, "cannot look up %.100s: %s", address, gai_strerror(rc));
		return -1;
	}
	int fd = -1, errnum = 0;
	for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = open_to(a->ai_addr, a->ai_addrlen, deadline, &errnum);
	freeaddrinfo(list);
	if (fd < 0)
		libauthd_link_fail(e, AUTHD_TEMPORARY, errnum, "cannot connect to %.100s", address);
	return fd;
}

int libauthd_connect(const char *address, int64_t deadline, struct authd_error *error)
{
	return strchr(address, '/') != NULL ? open_unix(address, deadline, error)
					    : open_host(address, deadline, error);
}
