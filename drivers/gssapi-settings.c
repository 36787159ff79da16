/*
 * gssapi: carries out the mechanisms GSSAPI and GSS-SPNEGO for the front. It
 * is no passdb: the configuration adds it when auth_mechanisms names one of
 * them, with auth_krb5_keytab and auth_gssapi_hostname.
 * Runs in: parent, authctl, worker.
 */
#include "drivers/gssapi.h"

static const struct setting rows[] = {
    {"keytab", SETTING_STRING, offsetof(struct gssapi_settings, keytab), "",
	"The file of the services' keys, as Kerberos names it. Empty: Kerberos' own default.", NULL,
	0, NULL},
    {"hostname", SETTING_STRING, offsetof(struct gssapi_settings, hostname), "",
	"The host in the services' names. Empty: this machine's; $ALL: whatever the keytab has.",
	NULL, 0, NULL},
};

static const struct setting_table table = {
    "gssapi", rows, ARRAY_LEN(rows), sizeof(struct gssapi_settings)};

static const struct driver_module *module(const void *settings UNUSED)
{
	static const struct driver_module gssapi = {"gssapi", "libgssapi-krb5-2", "libkrb5-dev"};
	return &gssapi;
}

const struct driver_spec spec_gssapi = {
    .name = "gssapi",
    .mechanisms = "GSSAPI GSS-SPNEGO",
    .args = ARGS_WORDS,
    .settings = &table,
    .module = module,
};
