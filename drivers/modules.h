/*
 * Where loadable drivers are.
 */
#ifndef DRIVERS_MODULES_H
#define DRIVERS_MODULES_H

/*
 * The directory of modules when driver_dir is not set: "drivers" beside the
 * program, in a tree that runs where it was built; else where "make install"
 * puts them. The text lives as long as the process.
 */
const char *driver_module_dir(void);

#endif
