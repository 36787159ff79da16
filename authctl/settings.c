/*
 * The configuration, as far as the commands need it.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/parser.h"
#include "drivers/drivers.h"
#include "mechanisms/mech.h"

#define INSTALLED_CONFIG "/etc/authd/authd.conf"
#define INSTALLED_DOVECOT "/etc/dovecot/dovecot.conf"
#define DEFAULT_BASE_DIR (authctl_globals.dovecot ? "/run/dovecot" : "/run/authd")

const char *authctl_config_path(void)
{
	if (authctl_globals.config_path != NULL)
		return authctl_globals.config_path;
	return authctl_globals.dovecot ? INSTALLED_DOVECOT : INSTALLED_CONFIG;
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

static void ignore_report(
    void *ctx UNUSED, const char *file UNUSED, unsigned line UNUSED, const char *what UNUSED)
{
}

/* What a file with errors says nonetheless: the server that runs may be asked while it is edited.
 */
static char *base_dir_of_bad(const char *path)
{
	struct arena a = {0};
	struct conf_parser p = {.arena = &a, .report = ignore_report};
	const char *dir = DEFAULT_BASE_DIR;
	const struct conf_node *root = conf_parse_file(&p, path);
	for (const struct conf_node *n = root->first; n != NULL; n = n->next) {
		if (!n->section && strcmp(n->key, "base_dir") == 0 && n->value[0] == '/')
			dir = n->value;
	}
	char *copy = mem_strdup(dir);
	arena_free(&a);
	authctl_complain("%s has errors (see authctl config check): looking in %s", path, copy);
	return copy;
}

const char *authctl_base_dir(void)
{
	static char *base_dir;
	if (base_dir != NULL)
		return base_dir;
	const char *path = authctl_config_path();
	bool there = access(path, R_OK) == 0, dovecot = authctl_globals.dovecot;
	if (!there && authctl_globals.config_path != NULL) {
		(void)authctl_load(path, dovecot); /* says why */
		exit(EX_CONFIG);
	}
	struct config *c = there ? load(path, dovecot, ignore_error) : NULL;
	if (c != NULL)
		base_dir = mem_strdup(c->process->base_dir);
	else
		base_dir = there ? base_dir_of_bad(path) : mem_strdup(DEFAULT_BASE_DIR);
	config_free(&c);
	return base_dir;
}
