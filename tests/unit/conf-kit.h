/*
 * For tests of the configuration: drivers that exist on paper only, and a
 * collector of error messages.
 */
#ifndef TESTS_UNIT_CONF_KIT_H
#define TESTS_UNIT_CONF_KIT_H

#include <stdio.h>

#include "conf/config.h"

struct kit_file_settings {
	const char *scheme;
	struct template *username_format;
	struct template *path;
};
static const struct setting kit_file_rows[] = {
    {.name = "scheme",
	.type = SETTING_STRING,
	.offset = offsetof(struct kit_file_settings, scheme),
	.def = "",
	.help = "Default scheme."},
    {.name = "username_format",
	.type = SETTING_TEMPLATE,
	.offset = offsetof(struct kit_file_settings, username_format),
	.def = "%u",
	.help = "Name in the file."},
    {.name = "path",
	.type = SETTING_TEMPLATE,
	.offset = offsetof(struct kit_file_settings, path),
	.def = "",
	.help = "The file.",
	.flags = SETTING_REQUIRED},
};
static const struct setting_table kit_file_table = {
    "passwd-file", kit_file_rows, ARRAY_LEN(kit_file_rows), sizeof(struct kit_file_settings)};

struct kit_static_settings {
	struct template_fields *fields;
};
static const struct setting kit_static_rows[] = {
    {.name = "fields",
	.type = SETTING_FIELDS,
	.offset = offsetof(struct kit_static_settings, fields),
	.def = "",
	.help = "The fields."},
};
static const struct setting_table kit_static_table = {
    "static", kit_static_rows, ARRAY_LEN(kit_static_rows), sizeof(struct kit_static_settings)};

struct kit_pam_settings {
	bool session;
	unsigned max_requests;
	const char *service;
};
static const struct setting kit_pam_rows[] = {
    {.name = "session",
	.type = SETTING_BOOL,
	.offset = offsetof(struct kit_pam_settings, session),
	.def = "no",
	.help = "Open a session."},
    {.name = "max_requests",
	.type = SETTING_UINT,
	.offset = offsetof(struct kit_pam_settings, max_requests),
	.def = "100",
	.help = "Requests."},
    {.name = "service",
	.type = SETTING_STRING,
	.offset = offsetof(struct kit_pam_settings, service),
	.def = "dovecot",
	.help = "PAM service."},
};
static const struct setting_table kit_pam_table = {
    "pam", kit_pam_rows, ARRAY_LEN(kit_pam_rows), sizeof(struct kit_pam_settings)};

struct kit_sql_settings {
	const char *driver, *connect, *default_pass_scheme, *iterate_query;
	struct template *password_query, *user_query;
};
#define KIT_SQL(t, n, ...)                                                                         \
	{                                                                                          \
		.name = #n, .type = SETTING_##t, .offset = offsetof(struct kit_sql_settings, n),   \
		.def = "", .help = "", __VA_ARGS__                                                 \
	}
static const struct setting kit_sql_rows[] = {
    KIT_SQL(STRING, driver, .flags = SETTING_REQUIRED),
    KIT_SQL(STRING, connect, .flags = SETTING_SECRET),
    KIT_SQL(STRING, default_pass_scheme, .choices = NULL),
    KIT_SQL(STRING, iterate_query, .choices = NULL),
    KIT_SQL(TEMPLATE, password_query, .choices = NULL),
    KIT_SQL(TEMPLATE, user_query, .choices = NULL),
};
static const struct setting_table kit_sql_table = {
    "sql", kit_sql_rows, ARRAY_LEN(kit_sql_rows), sizeof(struct kit_sql_settings)};

static const struct driver_spec kit_file = {.name = "passwd-file",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_WORDS,
    .rest = "path",
    .settings = &kit_file_table};
static const struct driver_spec kit_static = {.name = "static",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_FIELDS,
    .rest = "fields",
    .settings = &kit_static_table};
static const struct driver_spec kit_prefetch = {
    .name = "prefetch", .use = DRIVER_USERDB | DRIVER_IN_FRONT, .args = ARGS_NONE};
static const struct driver_spec kit_pam = {.name = "pam",
    .use = DRIVER_PASSDB | DRIVER_ROOT | DRIVER_ONLY_VERIFIES,
    .args = ARGS_WORDS,
    .rest = "service",
    .settings = &kit_pam_table};
static const struct driver_spec kit_passwd = {
    .name = "passwd", .use = DRIVER_PASSDB | DRIVER_USERDB, .args = ARGS_NONE};
static const struct driver_spec kit_sql = {.name = "sql",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_FILE,
    .settings = &kit_sql_table};
static const struct driver_spec kit_vpopmail = {
    .name = "vpopmail", .refusal = "driver vpopmail was given up; use driver = sql"};

static const struct driver_spec *const kit_drivers[] = {
    &kit_file, &kit_static, &kit_prefetch, &kit_pam, &kit_passwd, &kit_sql, &kit_vpopmail, NULL};
static const char *const kit_mechanisms[] = {
    "PLAIN", "LOGIN", "ANONYMOUS", "EXTERNAL", "CRAM-MD5", NULL};
static const char *const kit_lookup_mechanisms[] = {"CRAM-MD5", NULL};

static const struct config_options kit_options = {.drivers = kit_drivers,
    .mechanisms = kit_mechanisms,
    .lookup_mechanisms = kit_lookup_mechanisms,
    .module_dir = "/nonexistent/drivers"};
static const struct config_options kit_dovecot = {.drivers = kit_drivers,
    .mechanisms = kit_mechanisms,
    .lookup_mechanisms = kit_lookup_mechanisms,
    .module_dir = "/nonexistent/drivers",
    .dovecot = true};

/* All messages, one a line. */
struct kit_errors {
	char text[16384];
	size_t len;
};

static inline void kit_collect(void *ctx, const char *message)
{
	struct kit_errors *e = ctx;
	int n = snprintf(e->text + e->len, sizeof(e->text) - e->len, "%s\n", message);
	if (n > 0 && (size_t)n < sizeof(e->text) - e->len)
		e->len += (size_t)n;
}

#endif
