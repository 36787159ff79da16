/*
 * tls-probe.so, which only authd --test-driver loads: what a server's
 * certificate says. All texts are printable.
 */
#ifndef AUTHD_TLS_PROBE_H
#define AUTHD_TLS_PROBE_H

#include <stdbool.h>

struct tls_seen {
	char names[256], issuer[200], until[40], protocol[40];
	char problem[256]; /* ""; else why it would not be trusted */
	bool expired, wrong_name;
};

/* false: there was no TLS; out->problem says why */
typedef bool tls_look(
    int fd, const char *host, const char *ca_file, const char *ca_dir, struct tls_seen *out);

extern tls_look tls_probe_look;

#endif
