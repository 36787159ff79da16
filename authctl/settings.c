/*
 * The configuration, as far as the commands need it.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "drivers/drivers.h"
#include "mechanisms/mech.h"

#define INSTALLED_CONFIG "/etc/authd/authd.conf"
#define DEFAULT_BASE_DIR "/run/authd"

const char *authctl_config_path(void)
{
	return authctl_globals.config_path != NULL ? authctl_globals.config_path : INSTALLED_CONFIG;
}

static void print_error(void *ctx UNUSED, const char *message)
{
	fflush(stdout);
	output_text(stderr, message);
	putc('\n', stderr);
}

static struct config *load(const char *path, bool dovecot, config_error *error)
{
	struct arena names = {0};
	const struct config_options options = {
	    .drivers = known_driver_specs,
	    .mechanisms = mech_names(0, &names),
	    .lookup_mechanisms = mech_names(MECH_NEEDS_LOOKUP, &names),
	    .dovecot = dovecot,
	    .module_dir = driver_module_dir(),
	};
	struct config *c = config_load(path, &options, error, NULL);
	arena_free(&names);
	return c;
}

struct config *authctl_load(const char *path, bool dovecot)
{
	return load(path, dovecot, print_error);
}

static void ignore_error(void *ctx UNUSED, const char *message UNUSED)
{
}

const char *authctl_base_dir(void)
{
	static char *base_dir;
	if (base_dir != NULL)
		return base_dir;
	bool named = authctl_globals.config_path != NULL;
	const char *path = authctl_config_path();
	struct config *c = NULL;
	if (named)
		c = authctl_load(path, authctl_globals.dovecot);
	else if (access(path, R_OK) == 0)
		c = load(path, false, ignore_error);
	if (c == NULL && named)
		exit(EX_CONFIG);
	if (c == NULL && access(path, R_OK) == 0)
		authctl_complain("%s has errors (see authctl config check): looking in %s", path,
		    DEFAULT_BASE_DIR);
	base_dir = mem_strdup(c != NULL ? c->process->base_dir : DEFAULT_BASE_DIR);
	config_free(&c);
	return base_dir;
}
