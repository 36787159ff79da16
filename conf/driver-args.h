/*
 * Reading a driver's args with every error reported, for the configuration;
 * driver_args_parse() (driver-spec.h) is the same with the first error only.
 */
#ifndef CONF_DRIVER_ARGS_H
#define CONF_DRIVER_ARGS_H

#include "conf/driver-spec.h"

/* line: of the file of ARGS_FILE, else 0 */
typedef void driver_args_report(void *ctx, unsigned line, const char *text);

/* The struct of spec->settings (with ARGS_NONE an empty one); NULL: there were errors. */
void *driver_args_read(const struct driver_spec *spec, struct span args, struct span file_text,
    struct arena *a, driver_args_report *report, void *ctx) MUST_CHECK;

#endif
