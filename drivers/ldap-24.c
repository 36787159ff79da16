/*
 * The ldap driver's settings in the form of Dovecot 2.4.
 * Runs in: parent, authctl; pure.
 */
#include "conf/form-24.h"
#include "conf/template.h"
#include "drivers/ldap-settings.h"

/* The first of the SASL mechanisms: one that the administrator trusts most. */
static void compose_sasl(struct form_24 *f)
{
	const char *mechanisms = form_24_get(f, "ldap_auth_sasl_mechanisms");
	struct span rest = span_of(mechanisms != NULL ? mechanisms : ""), first;
	if (!span_word(&rest, " ,", &first))
		return;
	form_24_set(f, "sasl_bind", SPAN_LIT("yes"));
	form_24_set(f, "sasl_mech", first);
}

static void compose(struct form_24 *f, bool passdb)
{
	compose_sasl(f);
	if (!form_24_yes(f, "ssl_client_require_valid_cert", true))
		form_24_set(f, "tls_require_cert", SPAN_LIT("never"));
	if (passdb && !form_24_has(f, "pass_filter") && !form_24_has(f, "auth_bind_userdn"))
		form_24_complain(f, NULL, "passdb_ldap_filter is missing");
	if (!passdb && !form_24_has(f, "user_filter"))
		form_24_complain(f, NULL, "userdb_ldap_filter is missing");
}

static const struct driver_name_24 names[] = {
    {.name = "ldap_uris", .row = "uris"},
    {.name = "ldap_auth_dn", .row = "dn"},
    {.name = "ldap_auth_dn_password", .row = "dnpass"},
    {.name = "ldap_auth_sasl_mechanisms"},
    {.name = "ldap_auth_sasl_realm", .row = "sasl_realm"},
    {.name = "ldap_auth_sasl_authz_id", .row = "sasl_authz_id"},
    {.name = "ldap_starttls", .row = "tls"},
    {.name = "ldap_deref", .row = "deref"},
    {.name = "ldap_scope", .row = "scope"},
    {.name = "ldap_base", .row = "base"},
    {.name = "ldap_version", .row = "ldap_version"},
    {.name = "ldap_debug_level", .row = "debug_level"},
    {.name = "ldap_connection_group"}, /* each lane has a connection of its own */
    {.name = "ssl_client_ca_file", .row = "tls_ca_cert_file"},
    {.name = "ssl_client_ca_dir", .row = "tls_ca_cert_dir"},
    {.name = "ssl_client_cert_file", .row = "tls_cert_file"},
    {.name = "ssl_client_key_file", .row = "tls_key_file"},
    {.name = "ssl_cipher_list", .row = "tls_cipher_suite"},
    {.name = "ssl_client_require_valid_cert"},
    {.name = "ldap_ask_together", .row = "ask_together"},
    {.name = "passdb_ldap_bind", .row = "auth_bind"},
    {.name = "passdb_ldap_bind_userdn", .row = "auth_bind_userdn"},
    {.name = "passdb_ldap_filter", .row = "pass_filter"},
    {.name = "userdb_ldap_filter", .row = "user_filter"},
    {.name = "userdb_ldap_iterate_filter", .row = "iterate_filter"},
    {.name = "passdb_default_password_scheme", .row = "default_pass_scheme"},
    {.name = NULL},
};

static const char *const sources[] = {"ldap", "ldap_dn", TEMPLATE_LDAP_MULTI, NULL};

const struct driver_form_24 ldap_form_24 = {
    .names = names,
    .passdb_fields = "pass_attrs",
    .userdb_fields = "user_attrs",
    .iterate_fields = "iterate_attrs",
    .attributes = true,
    .sources = sources,
    .compose = compose,
};
