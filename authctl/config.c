/*
 * authctl config and authctl config check.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <getopt.h>

const struct option authctl_dovecot_option[] = {
    {"dovecot", no_argument, NULL, 'd'},
    {0},
};

int authctl_config(int argc, char **argv)
{
	int option;
	bool changed_only = false;
	while ((option = getopt_long(argc, argv, "+nc:", authctl_dovecot_option, NULL)) != -1) {
		if (option == 'n')
			changed_only = true;
		else if (option == 'c')
			authctl_globals.config_path = optarg;
		else if (option == 'd')
			authctl_globals.dovecot = true;
		else
			return authctl_usage();
	}
	if (optind != argc)
		return authctl_usage();
	struct config *c = authctl_load(authctl_config_path(), authctl_globals.dovecot);
	if (c == NULL)
		return EX_CONFIG;
	struct buffer text = {0};
	config_print(c, changed_only, &text);
	fwrite(buffer_span(&text).ptr, 1, buffer_span(&text).len, stdout);
	buffer_free(&text);
	config_free(&c);
	return EX_OK;
}

int authctl_config_check(int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "+", authctl_dovecot_option, NULL)) != -1) {
		if (option != 'd')
			return authctl_usage();
		authctl_globals.dovecot = true;
	}
	if (argc - optind > 1)
		return authctl_usage();
	const char *path = optind < argc ? argv[optind] : authctl_config_path();
	struct config *c = authctl_load(path, authctl_globals.dovecot);
	if (c == NULL)
		return EX_CONFIG;
	if (c->passed_over_count > 0)
		puts("Passed over, as not about authentication:");
	for (size_t i = 0; i < c->passed_over_count; i++)
		printf("  %s\n", c->passed_over[i]);
	for (size_t i = 0; config_warning(c, i) != NULL; i++)
		printf("Warning: %s\n", config_warning(c, i));
	printf("%s: good\n", path);
	config_free(&c);
	return EX_OK;
}
