/*
 * Finds a driver: one that is built in, or a loadable module NAME.so that
 * exports "const struct driver authd_driver". Runs in: worker.
 * A module is code that runs with the worker's rights, so its name is never
 * more than a plain word below the module directory.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/worker-job.h"
#include "base/mem.h"
#include "drivers/drivers.h"

static const struct driver *find_builtin(const char *name)
{
	for (size_t i = 0; builtin_drivers[i] != NULL; i++) {
		if (strcmp(builtin_drivers[i]->spec->name, name) == 0)
			return builtin_drivers[i];
	}
	return NULL;
}

static bool name_is_plain(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	return name[0] != '\0' && name[strspn(name, good)] == '\0';
}

static char *module_path(const char *name, const char *dir)
{
	bool given = dir != NULL && dir[0] != '\0';
	return mem_printf("%s/%s.so", given ? dir : driver_module_dir(), name);
}

static const struct driver *check(
    const struct driver *d, const char *path, const char *name, struct err *err)
{
	if (d == NULL) {
		err_set(err, EX_CONFIG, "%s is no driver: it has no symbol authd_driver", path);
		return NULL;
	}
	if (d->abi != DRIVER_ABI) {
		err_set(err, EX_CONFIG,
		    "%s was built for driver ABI %u, but this authd has driver ABI %u: rebuild it "
		    "against this version's drivers/driver.h",
		    path, d->abi, (unsigned)DRIVER_ABI);
		return NULL;
	}
	if (d->spec == NULL || d->spec->name == NULL || d->open == NULL ||
	    (d->ask == NULL && d->exchange == NULL) || d->close == NULL) {
		err_set(err, EX_CONFIG, "%s lacks a spec, open, ask or close", path);
		return NULL;
	}
	if (strcmp(d->spec->name, name) != 0) {
		err_set(err, EX_CONFIG, "%s holds the driver \"%s\", not \"%s\"", path,
		    d->spec->name, name);
		return NULL;
	}
	return d;
}

const struct driver_spec *worker_known_spec(const char *name)
{
	for (size_t i = 0; known_driver_specs[i] != NULL; i++) {
		if (strcmp(known_driver_specs[i]->name, name) == 0)
			return known_driver_specs[i];
	}
	return NULL;
}

const struct driver *worker_find_driver(
    const char *name, const struct driver_module *m, const char *dir, struct err *err)
{
	const struct driver *d = find_builtin(name);
	if (d != NULL)
		return d;
	if (!name_is_plain(name)) {
		err_set(err, EX_CONFIG, "\"%s\" cannot be a driver's name", name);
		return NULL;
	}
	char *path = module_path(m != NULL ? m->name : name, dir);
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (module == NULL && m != NULL)
		err_set(err, EX_CONFIG,
		    "driver %s: its module cannot be loaded: %s; its library is in Debian's "
		    "package %s",
		    name, dlerror(), m->package);
	else if (module == NULL)
		err_set(err, EX_CONFIG, "driver %s is neither built in nor a module: %s", name,
		    dlerror());
	else
		d = check(dlsym(module, "authd_driver"), path, name, err);
	mem_free(&path);
	return d;
}
