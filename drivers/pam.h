/* What the two halves of the driver pam share: its settings. */
#ifndef DRIVERS_PAM_H
#define DRIVERS_PAM_H

#include "drivers/drivers.h"

enum { PAM_SERVICE_MAX = 64 };

struct pam_settings {
	bool session, setcred, failure_show_msg, blocking;
	unsigned max_requests; /* 0: no end */
	struct template *cache_key;
	const char *service;	    /* as written: "*", a name, perhaps with -session before it */
	char name[PAM_SERVICE_MAX]; /* of the service, taken from it; "": as the template says */
	struct template *template;  /* of the name, when it has variables */
};

/* In lower case; false: it cannot be the name of a file in /etc/pam.d. */
bool pam_service_name(struct span word, char out[PAM_SERVICE_MAX]);

#endif
