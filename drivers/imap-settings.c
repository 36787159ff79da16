/*
 * imap: its settings, as "args" has them. Part of the program, so that a
 * configuration can be checked where the module is not installed.
 * Runs in: parent, authctl, worker.
 */
#include "drivers/imap.h"

static const struct setting rows[] = {
    {"host", SETTING_TEMPLATE, offsetof(struct imap_settings, host), "",
	"The IMAP server's name or address.", NULL, SETTING_REQUIRED, NULL},
    {"port", SETTING_UINT, offsetof(struct imap_settings, port), "0",
	"Its port. 0: 993 with ssl=imaps, else 143.", NULL, 0, NULL},
    {"username", SETTING_TEMPLATE, offsetof(struct imap_settings, username), "%u",
	"The name to log in with.", NULL, 0, NULL},
    {"ssl", SETTING_ENUM, offsetof(struct imap_settings, ssl), "no",
	"TLS from the start (imaps), by STARTTLS, which must then be possible, or none.",
	"no imaps starttls", 0, NULL},
    {"ssl_ca_dir", SETTING_STRING, offsetof(struct imap_settings, ca_dir), "",
	"A directory of certificates of authorities that are trusted. With neither it nor "
	"ssl_ca_file: the system's.",
	NULL, 0, NULL},
    {"ssl_ca_file", SETTING_STRING, offsetof(struct imap_settings, ca_file), "", "A file of them.",
	NULL, 0, NULL},
    {"allow_invalid_cert", SETTING_BOOL, offsetof(struct imap_settings, allow_invalid_cert), "no",
	"Talk to a server whose certificate cannot be verified: anybody in between then reads the "
	"passwords.",
	NULL, 0, NULL},
    {"rawlog_dir", SETTING_STRING, offsetof(struct imap_settings, rawlog_dir), "",
	"Ignored: such logs would hold passwords.", NULL, 0, NULL},
};

static const struct setting_table table = {
    "imap", rows, ARRAY_LEN(rows), sizeof(struct imap_settings)};

static void check(void *settings, struct arena *a UNUSED, driver_complain *complain, void *ctx)
{
	struct imap_settings *set = settings;
	if (set->port > 65535)
		complain(ctx, "port", "there is no such port");
	if (set->port == 0)
		set->port = set->ssl == IMAP_SSL_IMAPS ? 993 : 143;
	if (set->allow_invalid_cert && set->ssl == IMAP_SSL_NO)
		complain(ctx, "allow_invalid_cert", "without ssl there is no certificate");
}

static const struct driver_module *module(const void *settings UNUSED)
{
	static const struct driver_module imap = {"imap", "libcurl4", "libcurl4-openssl-dev"};
	return &imap;
}

static const struct driver_name_24 names_24[] = {
    {.name = "imapc_host", .row = "host"},
    {.name = "imapc_port", .row = "port"},
    {.name = "imapc_user", .row = "username"},
    {.name = "imapc_ssl", .row = "ssl"},
    {.name = "imapc_rawlog_dir", .row = "rawlog_dir"},
    {.name = "ssl_client_ca_dir", .row = "ssl_ca_dir"},
    {.name = "ssl_client_ca_file", .row = "ssl_ca_file"},
    {.name = "ssl_client_require_valid_cert", .row = "allow_invalid_cert", .negated = true},
    {.name = NULL},
};

static const struct driver_form_24 form_24 = {.names = names_24};

const struct driver_spec spec_imap = {
    .name = "imap",
    .use = DRIVER_PASSDB | DRIVER_ONLY_VERIFIES,
    .args = ARGS_WORDS,
    .settings = &table,
    .form_24 = &form_24,
    .check = check,
    .module = module,
};
