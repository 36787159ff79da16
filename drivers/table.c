/*
 * All drivers: those that are part of the program, and the names that
 * configurations may use. A new driver is one line in each list.
 */
#include "drivers/drivers.h"

const struct driver *const builtin_drivers[] = {
    &driver_passwd,
    &driver_passwd_file,
    &driver_shadow,
    &driver_static,
    &driver_checkpassword,
    NULL,
};

struct driver_limits driver_limits;

/* A matter of the chain: what the passdb said with userdb_ fields is the user entry. */
static const struct driver_spec spec_prefetch = {
    .name = "prefetch",
    .use = DRIVER_USERDB | DRIVER_IN_FRONT,
    .args = ARGS_NONE,
};

#define NOT_BUILT_IN(driver) "driver " driver " is not built into this version of authd"

static const struct driver_spec spec_lua = {.name = "lua", .refusal = NOT_BUILT_IN("lua")};
static const struct driver_spec spec_dict = {.name = "dict", .refusal = NOT_BUILT_IN("dict")};
static const struct driver_spec spec_bsdauth = {
    .name = "bsdauth",
    .refusal = "driver bsdauth exists only where the system has BSD authentication; "
	       "use driver = pam, or passwd-file with hashes copied from the system",
};
static const struct driver_spec spec_vpopmail = {
    .name = "vpopmail",
    .refusal = "driver vpopmail was given up, by Dovecot too; use driver = sql on vpopmail's "
	       "database, or passwd-file on its vpasswd files (format user:hash:...)",
};
static const struct driver_spec spec_sia = {
    .name = "sia",
    .refusal = "driver sia was for Tru64 UNIX only; use driver = pam or passwd-file",
};

const struct driver_spec *const known_driver_specs[] = {
    &spec_passwd_file,
    &spec_static,
    &spec_prefetch,
    &spec_pam,
    &spec_shadow,
    &spec_passwd,
    &spec_sql,
    &spec_ldap,
    &spec_imap,
    &spec_gssapi,
    &spec_oauth2,
    &spec_lua,
    &spec_dict,
    &spec_checkpassword,
    &spec_bsdauth,
    &spec_vpopmail,
    &spec_sia,
    NULL,
};
