/*
 * The certificate that a server shows: what each protocol wants to hear before
 * TLS begins, and what is said of what was seen. The TLS itself is in
 * tls-probe.so. Runs in: authd --test-driver.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <fcntl.h>
#include <unistd.h>

#include "authd/driver-test.h"
#include "authd/tls-probe.h"
#include "drivers/drivers.h"

enum { PATIENCE_S = 5, GREETING_MAX = 2048 };

static bool say(int fd, const void *bytes, size_t len)
{
	return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* ---- before TLS ---- */

/* The server's greeting says whether it can; the answer is half of a login. */
static bool begin_mysql(int fd)
{
	static const unsigned char request[36] = {32, 0, 0, 1, 0x00, 0x8a, 0, 0, 0, 0, 0, 1, 45};
	unsigned char in[GREETING_MAX];
	ssize_t got = recv(fd, in, sizeof(in), 0);
	if (got < 6 || in[4] != 10)
		return false;
	const unsigned char *nul = memchr(in + 5, 0, (size_t)got - 5);
	if (nul == NULL || nul + 16 > in + got || (nul[15] & 0x08) == 0)
		return false;
	return say(fd, request, sizeof(request));
}

static bool begin_pgsql(int fd)
{
	static const unsigned char request[] = {0, 0, 0, 8, 4, 210, 22, 47};
	char answer = 0;
	return say(fd, request, sizeof(request)) && recv(fd, &answer, 1, 0) == 1 && answer == 'S';
}

/* The extended operation of RFC 4511 section 4.14, and a response with resultCode 0. */
static bool begin_ldap(int fd)
{
	static const char request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
				      "1.3.6.1.4.1.1466.20037";
	char in[GREETING_MAX];
	if (!say(fd, request, sizeof(request) - 1))
		return false;
	ssize_t got = recv(fd, in, sizeof(in), 0);
	return got > 0 && memmem(in, (size_t)got, "\x0a\x01\x00", 3) != NULL;
}

/* Up to a line feed, byte by byte: what follows belongs to TLS. */
static bool read_line(int fd, char line[GREETING_MAX])
{
	size_t len = 0;
	while (len < GREETING_MAX - 1 && recv(fd, line + len, 1, 0) == 1) {
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	return len > 0;
}

static bool begin_imap(int fd)
{
	char line[GREETING_MAX];
	if (!read_line(fd, line) || !say(fd, "a STARTTLS\r\n", 12))
		return false;
	while (read_line(fd, line) && strncmp(line, "a ", 2) != 0)
		continue;
	return strncasecmp(line, "a OK", 4) == 0;
}

static bool begin(int fd, enum driver_tls how)
{
	switch (how) {
	case TLS_AT_ONCE:
		return true;
	case TLS_MYSQL:
		return begin_mysql(fd);
	case TLS_PGSQL:
		return begin_pgsql(fd);
	case TLS_LDAP:
		return begin_ldap(fd);
	case TLS_IMAP:
		return begin_imap(fd);
	}
	return false;
}

/* ---- what was seen ---- */

static tls_look *load_probe(const struct driver_report *r)
{
	union {
		void *symbol;
		tls_look *look;
	} found = {NULL};
	char path[4096];
	bool given = r->module_dir != NULL && r->module_dir[0] != '\0';
	snprintf(
	    path, sizeof(path), "%s/tls-probe.so", given ? r->module_dir : driver_module_dir());
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (module != NULL)
		found.symbol = dlsym(module, "tls_probe_look");
	return found.look;
}

static void tell(
    struct driver_report *r, const char *host, const char *ca, const struct tls_seen *t)
{
	enum step bad = r->unverified ? STEP_NOTE : STEP_BROKEN;
	if (t->expired)
		driver_step(r, bad, "certificate",
		    "it expired on %s\nthe server needs a new one (it is for %s, from %s)",
		    t->until, t->names, t->issuer);
	else if (t->wrong_name && !r->any_name)
		driver_step(r, bad, "certificate",
		    "it is for %s, not for %s\nname the server in %s as its certificate does",
		    t->names, host, r->file);
	else if (t->problem[0] != '\0')
		driver_step(r, bad, "certificate",
		    "it is not trusted: %s (issued by %s)\nis its authority in %s?", t->problem,
		    t->issuer, ca[0] != '\0' ? ca : "the system's list");
	else if (t->wrong_name)
		driver_step(r, STEP_NOTE, "certificate",
		    "it is for %s, not for %s, and %s wants it trusted for any name", t->names,
		    host, r->file);
	else
		driver_step(r, STEP_GOOD, "certificate", "for %s, from %s, until %s (%s)", t->names,
		    t->issuer, t->until, t->protocol);
}

void driver_test_certificate(struct driver_report *r, int fd, enum driver_tls how, const char *host,
    const char *ca_file, const char *ca_dir)
{
	const struct timeval patience = {PATIENCE_S, 0};
	struct tls_seen seen = {0};
	tls_look *look = load_probe(r);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!begin(fd, how))
		driver_step(r, STEP_BROKEN, "TLS",
		    "the server does not offer it\nturn it on there, or off in %s", r->file);
	else if (look == NULL)
		driver_step(
		    r, STEP_NOTE, "certificate", "not looked at: tls-probe.so is not installed");
	else if (!look(fd, host, ca_file, ca_dir, &seen))
		driver_step(r, STEP_BROKEN, "TLS", "%s", seen.problem);
	else
		tell(r, host, ca_file[0] != '\0' ? ca_file : ca_dir, &seen);
}
