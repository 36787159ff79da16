/*
 * How a driver's test reaches a server: resolving its name and connecting,
 * each a step. Runs in: authd --test-driver. Nothing is fatal.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/driver-test.h"

enum { CONNECT_MS = 5000 };

static int connect_to(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;
	socklen_t size = sizeof(error);
	if (fd < 0)
		return -1;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		error = errno;
		if (error == EINPROGRESS && poll(&p, 1, CONNECT_MS) == 0)
			error = ETIMEDOUT;
		else if (error == EINPROGRESS)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

static void say_refused(struct driver_report *r, const char *where, const char *server, int error)
{
	if (error == ECONNREFUSED)
		driver_step(r, STEP_DOWN, "connect", "%s: %s\nis %s running there?", where,
		    strerror(error), server);
	else
		driver_step(r, STEP_DOWN, "connect",
		    "%s: %s\nis there a route to it, and no firewall in between?", where,
		    strerror(error));
}

int driver_test_reach(
    struct driver_report *r, const char *host, const char *port, const char *server)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char address[NI_MAXHOST] = "?", where[NI_MAXHOST + 40];
	int fd = -1, rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0) {
		driver_step(r, STEP_DOWN, "resolve",
		    "%s: %s\nis the name right, and does DNS work here?", host, gai_strerror(rc));
		return -1;
	}
	for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next) {
		getnameinfo(
		    ai->ai_addr, ai->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
		driver_step(r, STEP_GOOD, "resolve", "%s is %s", host, address);
		snprintf(where, sizeof(where), "%s port %s", address, port);
		fd = connect_to(ai);
		if (fd < 0)
			say_refused(r, where, server, errno);
		else
			driver_step(r, STEP_GOOD, "connect", "%s", where);
	}
	freeaddrinfo(list);
	return fd;
}
