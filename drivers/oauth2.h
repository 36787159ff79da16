/*
 * What the two halves of the driver oauth2 share: its settings, checked by the
 * program (oauth2-settings.c), used by the module.
 */
#ifndef DRIVERS_OAUTH2_H
#define DRIVERS_OAUTH2_H

#include "drivers/drivers.h"

enum oauth2_mode { OAUTH2_AUTH, OAUTH2_GET, OAUTH2_POST, OAUTH2_LOCAL };

/* One word of pass_attrs: a field and what it is made of. */
struct oauth2_attr {
	struct template *field;
	struct template *value; /* NULL: a flag */
};

struct oauth2_settings {
	const char *tokeninfo_url, *grant_url, *introspection_url, *openid_configuration_url;
	int introspection_mode; /* enum oauth2_mode */
	bool force_introspection, use_grant_password, send_auth_headers;
	const char *client_id, *client_secret;
	const char *scope, *issuers, *audience;
	struct template *username_format;
	const char *username_attribute, *active_attribute, *active_value;
	const char *pass_attrs;
	const char *key_dict, *jwks, *algorithms;
	uint64_t jwks_refresh_min, jwks_refresh_max; /* ms */
	const char *tls_ca_cert_file, *tls_ca_cert_dir, *tls_cert_file, *tls_key_file;
	const char *tls_cipher_suite;
	bool tls_allow_invalid_cert;
	unsigned timeout_msecs, max_idle_time_msecs;
	unsigned max_parallel_connections, max_pipelined_requests;
	const char *rawlog_dir;
	bool debug;
	/* completed by the check */
	bool local;		    /* tokens that are JWTs are verified here */
	const char *key_dir;	    /* of key_dict; NULL: none */
	bool jwks_is_url;	    /* else a file */
	const char *issuers_wanted; /* words; "": any */
	struct oauth2_attr *attrs;
	size_t attr_count;
	const char **wanted; /* fields of a token that they are made of */
	size_t wanted_count;
	uint64_t needs; /* VAR_BIT()s of attrs */
};

/* Does s stand among words, separated by white space? */
bool oauth2_has_word(const char *words, struct span s);

#endif
