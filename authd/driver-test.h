/*
 * authd --test-driver: tries one section of the configuration as its worker
 * would use it, with the worker's rights, and tells each step on standard
 * output. authctl driver test runs it.
 */
#ifndef AUTHD_DRIVER_TEST_H
#define AUTHD_DRIVER_TEST_H

#include "drivers/report.h"

struct driver_test_options {
	const char *config_path;
	bool dovecot;
	const char *section;	/* "passdb 2", "userdb sql", "ldap" */
	const char *user;	/* NULL: nobody in particular */
	bool password_on_stdin; /* is it right for this user? */
};

/* EX_OK, EX_NOUSER, EX_TEMPFAIL: the backend is down, EX_CONFIG, EX_NOPERM: the password is wrong
 */
int driver_test_main(const struct driver_test_options *options);

/* driver-test-reach.c, driver-test-tls.c: members of struct driver_report */
int driver_test_reach(
    struct driver_report *r, const char *host, const char *port, const char *server);
void driver_test_certificate(struct driver_report *r, int fd, enum driver_tls how, const char *host,
    const char *ca_file, const char *ca_dir);

#endif
