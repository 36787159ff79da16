/* What the modules that use libcurl (imap, oauth2) set up in the same way. */
#ifndef DRIVERS_CURL_SETUP_H
#define DRIVERS_CURL_SETUP_H

#include <curl/curl.h>

#include "base/err.h"

struct curl_tls {
	bool verify;		      /* the certificate, and the host's name in it */
	const char *ca_file, *ca_dir; /* these and no others; both "": the system's */
};

/* Once a process; any thread. */
bool curl_setup_start(struct err *err) MUST_CHECK;
/* TLS 1.2 at least. false: libcurl cannot be made as safe as this. */
bool curl_setup_tls(CURL *c, const struct curl_tls *tls) MUST_CHECK;

#endif
