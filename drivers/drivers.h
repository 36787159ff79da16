/*
 * The table of drivers that are part of the program, and of those that the
 * configuration knows by name.
 */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "drivers/driver.h"

/* one file each; listed in table.c */
extern const struct driver driver_passwd_file, driver_static;
extern const struct driver_spec spec_passwd_file, spec_static;
extern const struct driver_spec spec_sql; /* sql-mysql.so, sql-pgsql.so, sql-sqlite.so */

/* pam.so, passwd, shadow, checkpassword, imap.so */
extern const struct driver driver_passwd, driver_shadow, driver_checkpassword;
extern const struct driver_spec spec_pam, spec_passwd, spec_shadow, spec_checkpassword, spec_imap;

/* Of the whole configuration; set before a driver is opened. */
struct driver_limits {
	unsigned first_valid_uid, last_valid_uid; /* whom a list of the system's users shows; 0: no
						     end */
	bool stores;	  /* store() will be called: some setting wants it */
	bool language_24; /* texts that a driver finds in its files are in the language of 2.4 */
};
extern struct driver_limits driver_limits;

extern const struct driver_spec spec_ldap;   /* ldap.so */
extern const struct driver_spec spec_gssapi; /* gssapi.so */
extern const struct driver_spec spec_oauth2; /* oauth2.so */

/* For a spec's check(): complains of a scheme that there is none of; "" is the driver's default. */
void driver_check_scheme(const struct driver_check *c, const char *row, const char *name);

extern const struct driver *const builtin_drivers[];	     /* NULL-terminated */
extern const struct driver_spec *const known_driver_specs[]; /* NULL-terminated */

/*
 * The directory of modules when driver_dir is not set: "drivers" beside the
 * program, in a tree that runs where it was built; else where "make install"
 * puts them. The text lives as long as the process.
 */
const char *driver_module_dir(void);

#endif
