/*
 * Listening sockets: made by the parent, handed to the front. A socket file
 * has its final mode and owner before anybody can connect; one that somebody
 * still listens on, or that is no socket, is never removed.
 * Owner of a struct listen_socket: the parent; listen_close() ends it.
 */
#ifndef AUTHD_LISTEN_H
#define AUTHD_LISTEN_H

#include <sys/stat.h>

#include "base/err.h"

struct listen_access { /* of a socket file */
	unsigned mode;
	uid_t uid; /* (uid_t)-1: leave */
	gid_t gid;
};

struct listen_socket {
	int fd;
	char *name; /* the path, or "address port": what it is told apart by */
	bool unix_file;
	dev_t device; /* of the socket file */
	ino_t inode;
};

/*
 * chown_missing: what the user may not do without root (giving the file away)
 * is passed over and *chown_refused set.
 */
bool listen_unix(struct listen_socket *s, const char *path, const struct listen_access *access,
    bool *chown_refused, struct err *err) MUST_CHECK;
/* address "": all, IPv4 and IPv6 on one socket; "*": all IPv4; "::": all IPv6; else as written */
bool listen_inet(
    struct listen_socket *s, const char *address, unsigned port, struct err *err) MUST_CHECK;
/* what listen_inet() would call it; allocated */
char *listen_inet_name(const char *address, unsigned port);

/* Gives the file another mode and owner. */
bool listen_adjust(struct listen_socket *s, const struct listen_access *access, bool *chown_refused,
    struct err *err) MUST_CHECK;
/* Is the file there, and still the one that was made? Always true of inet sockets. */
bool listen_in_place(const struct listen_socket *s);
/* Closes; removes the file if it is still ours. */
void listen_close(struct listen_socket *s);

/* The directory, and what is missing on the way to it, but nothing at or above base's parent. */
bool listen_make_directories(const char *base, const char *path, struct err *err) MUST_CHECK;

#endif
