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
	"The PAM service, a file in /etc/pam.d. It may have %variables: %s or \"*\" is the name of "
	"the protocol (imap, smtp ...), mail-%s one service for each of them.",
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

/*
 * A name of which a client chooses every character is a way to services that let
 * root in without a password, as su does.
 */
static bool is_client_choice(const struct template *t)
{
	static const struct vars none;
	const uint64_t ours = VAR_BIT(VAR_SERVICE) | VAR_BIT(VAR_PASSDB) | VAR_BIT(VAR_USERDB);
	struct arena a = {0};
	struct err err = {0};
	bool choice = (template_needs(t) & ~ours) != 0 &&
		      template_expand(t, &none, &a, NULL, NULL, &err).len == 0;
	arena_free(&a);
	return choice;
}

/* NULL: it is good, and kept; a name without variables is kept as such. */
static const char *take_service(struct pam_settings *set, struct span word, struct arena *a)
{
	static const struct vars none;
	struct err err = {0};
	if (span_eq_str(word, "*"))
		word = SPAN_LIT("%s");
	struct template *t = template_parse(a, word, &err);
	if (t == NULL)
		return arena_printf(a, "%s", err.text).ptr;
	if (!template_is_constant(t)) {
		set->template = t;
		return is_client_choice(t)
			   ? "the client would choose the PAM service; put a text of your own to "
			     "the variable, such as mail-%d"
			   : NULL;
	}
	struct span name = template_expand(t, &none, a, NULL, NULL, &err);
	if (pam_service_name(name, set->name))
		return NULL;
	return arena_printf(a, "\"%.*s\" cannot be the name of a PAM service", SPAN_ARG(name)).ptr;
}

static void check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	struct pam_settings *set = settings;
	struct span rest = span_of(set->service), word;
	bool given = false;
	while (span_word(&rest, " ", &word)) {
		const char *wrong = NULL;
		if (span_eq_str(word, "-session")) {
			set->session = true;
		} else if (given) {
			wrong =
			    arena_printf(a, "unexpected \"%.*s\" after the service", SPAN_ARG(word))
				.ptr;
		} else {
			wrong = take_service(set, word, a);
			given = true;
		}
		if (wrong != NULL)
			complain(ctx, NULL, wrong);
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
    {.name = "passdb_pam_service_name", .row = "service", .variables = true},
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
