/*
 * pam: its settings, as "args" has them. Part of the program, so that a
 * configuration can be checked where the module is not installed.
 * Runs in: parent, authctl, worker.
 */
#include "drivers/pam.h"

#include <string.h>

static const struct setting rows[] = {
    {"session", SETTING_BOOL, offsetof(struct pam_settings, session), "no",
	"Open and close a PAM session after each login, for modules that do their work there. "
	"\"-session\" is the old way of writing it.",
	NULL, 0, NULL},
    {"setcred", SETTING_BOOL, offsetof(struct pam_settings, setcred), "no",
	"Establish credentials (and give them up again) after each login; some modules of "
	"Kerberos and AFS want it.",
	NULL, 0, NULL},
    {"failure_show_msg", SETTING_BOOL, offsetof(struct pam_settings, failure_show_msg), "no",
	"What the modules say when a login fails is written to the log. It is never shown to "
	"the client.",
	NULL, 0, NULL},
    {"max_requests", SETTING_UINT, offsetof(struct pam_settings, max_requests), "100",
	"After so many logins a worker process ends and a new one takes its place: modules leak. "
	"0: never.",
	NULL, 0, NULL},
    {"blocking", SETTING_BOOL, offsetof(struct pam_settings, blocking), "yes",
	"Accepted without effect: PAM always runs in processes of its own.", NULL, 0, NULL},
    {"cache_key", SETTING_TEMPLATE, offsetof(struct pam_settings, cache_key), "",
	"Variables on which PAM's answer depends beyond %u, as the cache must know (%s for a "
	"service for each protocol).",
	NULL, 0, NULL},
    {"service", SETTING_WORDS, offsetof(struct pam_settings, service), "dovecot",
	"The PAM service, a file in /etc/pam.d. \"*\", \"%s\" or \"%Ls\": the name of the protocol "
	"(imap, smtp ...).",
	NULL, 0, NULL},
};

static const struct setting_table table = {
    "pam", rows, ARRAY_LEN(rows), sizeof(struct pam_settings)};

bool pam_service_name(struct span word, char out[PAM_SERVICE_MAX])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	if (word.len == 0 || word.len >= PAM_SERVICE_MAX || word.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < word.len; i++) {
		char c = word.ptr[i];
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		if (out[i] == '\0' || strchr(good, out[i]) == NULL)
			return false;
	}
	out[word.len] = '\0';
	return true;
}

/* "*" and the ways in which others write it as a variable */
static bool is_protocol(struct span word)
{
	static const char *const names[] = {
	    "*", "%s", "%Ls", "%{service}", "%L{service}", "%{protocol}"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_str(word, names[i]))
			return true;
	}
	return false;
}

static void check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	struct pam_settings *set = settings;
	struct span rest = span_of(set->service), word;
	bool given = false;
	while (span_word(&rest, " ", &word)) {
		if (span_eq_str(word, "-session"))
			set->session = true;
		else if (given)
			complain(ctx, NULL,
			    arena_printf(a, "unexpected \"%.*s\" after the service", SPAN_ARG(word))
				.ptr);
		else if (!is_protocol(word) && !pam_service_name(word, set->name))
			complain(ctx, NULL,
			    arena_printf(
				a, "\"%.*s\" cannot be the name of a PAM service", SPAN_ARG(word))
				.ptr);
		else
			given = true;
	}
	if (!given)
		strcpy(set->name, "dovecot");
}

static const struct driver_module *module(const void *settings UNUSED)
{
	static const struct driver_module pam = {"pam", "libpam0g", "libpam0g-dev"};
	return &pam;
}

static const struct driver_name_24 names_24[] = {
    {.name = "passdb_pam_session", .row = "session"},
    {.name = "passdb_pam_setcred", .row = "setcred"},
    {.name = "passdb_pam_failure_show_msg", .row = "failure_show_msg"},
    {.name = "passdb_pam_max_requests", .row = "max_requests"},
    {.name = "passdb_pam_service_name", .row = "service"},
    {.name = NULL},
};

static const struct driver_form_24 form_24 = {.names = names_24};

const struct driver_spec spec_pam = {
    .name = "pam",
    .use = DRIVER_PASSDB | DRIVER_ROOT | DRIVER_PROCESS | DRIVER_EXEC | DRIVER_ONLY_VERIFIES,
    .args = ARGS_WORDS,
    .rest = "service",
    .settings = &table,
    .form_24 = &form_24,
    .check = check,
    .module = module,
};
