/*
 * The settings of the ldap driver: dovecot-ldap.conf.ext, read without libldap.
 */
#ifndef DRIVERS_LDAP_SETTINGS_H
#define DRIVERS_LDAP_SETTINGS_H

#include "conf/driver-spec.h"
#include "drivers/ldap-attrs.h"

enum ldap_require_cert { CERT_NEVER, CERT_HARD, CERT_DEMAND, CERT_ALLOW, CERT_TRY };
enum ldap_deref { DEREF_NEVER, DEREF_SEARCHING, DEREF_FINDING, DEREF_ALWAYS };
enum ldap_scope_setting { SCOPE_SUBTREE, SCOPE_ONELEVEL, SCOPE_BASE };

enum { LDAP_SERVERS_MAX = 16 };

struct ldap_settings {
	const char *uris, *hosts; /* WORDS */
	const char *dn, *dnpass;
	bool auth_bind;
	struct template *auth_bind_userdn;
	bool tls; /* StartTLS */
	bool sasl_bind;
	const char *sasl_mech, *sasl_realm, *sasl_authz_id;
	const char *tls_ca_cert_file, *tls_ca_cert_dir;
	const char *tls_cert_file, *tls_key_file;
	const char *tls_cipher_suite;
	int tls_require_cert; /* enum ldap_require_cert */
	int deref, scope;
	struct template *base;
	unsigned version;
	const char *debug_level, *ldaprc_path;
	const char *user_attrs, *pass_attrs, *iterate_attrs;
	struct template *user_filter, *pass_filter, *iterate_filter;
	const char *default_pass_scheme;
	bool userdb_warning_disable, blocking, ask_together;

	/* made of the above when all is read */
	const char **servers; /* URIs */
	size_t server_count;
	struct ldap_attrs *user, *pass, *iterate;
	/* auth_bind_userdn makes DNs; else what Active Directory takes, user@domain or DOMAIN\user
	 */
	bool userdn_is_dn;
};

/* ldap-24.c */
extern const struct driver_form_24 ldap_form_24;

#endif
