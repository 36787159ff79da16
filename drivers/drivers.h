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

extern const struct driver *const builtin_drivers[];	     /* NULL-terminated */
extern const struct driver_spec *const known_driver_specs[]; /* NULL-terminated */

#endif
