/*
 * What the parts of the driver gssapi share: its settings, and the table of
 * the exchanges that are under way.
 */
#ifndef DRIVERS_GSSAPI_H
#define DRIVERS_GSSAPI_H

#include "drivers/drivers.h"

struct gssapi_settings {
	const char *keytab;   /* "": Kerberos' own default */
	const char *hostname; /* "": this machine's; "$ALL": any service that the keytab has */
};

enum { GSSAPI_HANDLE_SIZE = 16 };

/* One exchange between two messages of its client. The members behind it are gssapi.c's. */
struct gssapi_exchange {
	uint8_t handle[GSSAPI_HANDLE_SIZE];
	int64_t started_ms;
	struct gssapi_exchange *hash_next;
	struct gssapi_exchange *newer, *older;
	int stage;
	bool spnego;
	void *context;	 /* gss_ctx_id_t */
	void *initiator; /* gss_name_t */
};

/*
 * The table is one for the process, since a message may come to any lane. An
 * exchange is in it only while nobody works on it. NULL when the handle is
 * nobody's (any more).
 */
struct gssapi_exchange *gssapi_table_take(struct span handle);
/*
 * Puts it (back). Returns one that nobody came back for, or the oldest when
 * there are too many, for the caller to free; NULL: none.
 */
struct gssapi_exchange *gssapi_table_put(struct gssapi_exchange *e) MUST_CHECK;

#endif
