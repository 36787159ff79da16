/* What the two halves of the driver imap share: its settings. */
#ifndef DRIVERS_IMAP_H
#define DRIVERS_IMAP_H

#include "drivers/drivers.h"

enum { IMAP_SSL_NO, IMAP_SSL_IMAPS, IMAP_SSL_STARTTLS };

struct imap_settings {
	struct template *host, *username;
	unsigned port; /* never 0 once checked */
	int ssl;
	const char *ca_dir, *ca_file, *rawlog_dir;
	bool allow_invalid_cert;
};

#endif
