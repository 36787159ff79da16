/*
 * What to write instead of what other versions of Dovecot, or other programs
 * of its family, understand.
 */
#include "conf/load.h"

struct advice {
	const char *name;
	const char *text;
};

static const struct advice advices[] = {
    {"dovecot_config_version",
	"this must be the first setting of the file, which is then read in Dovecot 2.4's language"},
    {"dovecot_storage_version",
	"this is of Dovecot 2.4, whose files begin with dovecot_config_version"},
    {"auth_allow_cleartext",
	"this is enforced by the mail server's login processes; leave it out here"},
    {"disable_plaintext_auth",
	"this is enforced by the mail server's login processes; leave it out here"},
    {"ssl_require_client_cert", "write auth_ssl_require_client_cert"},
    {"ssl_username_from_cert", "write auth_ssl_username_from_cert"},
    {"auth_user", "write user = ... inside service auth {}"},
    {"auth_process_size", "it is not needed; leave it out"},
    {"auth_count", "it is not needed; leave it out"},
    {"auth_executable", "it is not needed; leave it out"},
    {"auth_verbose_password", "write auth_verbose_passwords"},
    {"auth_policy", "write auth_policy_server_url = ... and the other auth_policy_* settings"},
    {"auth_ntlm_use_winbind", "write auth_use_winbind"},
    {"passdb_driver", "write passdb { driver = ... }"},
    {"userdb_driver", "write userdb { driver = ... }"},
    {"log_timestamp", "log lines have the usual time stamp; leave it out"},
    {"info_log", "write info_log_path"},
};

/* What a whole dovecot.conf has and an authd.conf has not */
static bool is_of_mail_server(const struct conf_node *n)
{
	static const char *const names[] = {"protocols", "listen", "namespace", "plugin", "dict",
	    "mailbox", "local", "remote", "local_name", "ssl", "login", "mail", "imap", "pop3",
	    "lmtp", "lda", "doveadm", "submission", "director", "managesieve", "postmaster",
	    "quota"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len = strlen(names[i]);
		if (strncmp(n->key, names[i], len) == 0 &&
		    (n->key[len] == '\0' || (n->key[len] == '_' && !n->section)))
			return true;
	}
	return false;
}

const char *load_advice(const struct conf_node *n)
{
	for (size_t i = 0; i < ARRAY_LEN(advices); i++) {
		if (strcmp(n->key, advices[i].name) == 0)
			return advices[i].text;
	}
	return is_of_mail_server(n)
		   ? "this is the mail server's, not authd's; --dovecot passes over such settings"
		   : NULL;
}

/* ---- Dovecot 1.x's auth NAME {} ---- */

static const char *child_value(const struct conf_node *section, const char *key)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (!n->section && strcmp(n->key, key) == 0)
			return n->value;
	}
	return NULL;
}

static void old_database(struct load *l, const struct conf_node *n)
{
	const char *settings = ""; /* all of them: without deny = yes those users would get in */
	for (const struct conf_node *x = n->first; x != NULL; x = x->next) {
		if (!x->section)
			settings =
			    arena_printf(l->arena, "%s, %s = %s", settings, x->key, x->value).ptr;
	}
	load_error(l, load_place(n), "write, outside of auth {}: %s { driver = %s%s }%s", n->key,
	    n->name != NULL ? n->name : "...", settings,
	    settings[0] != '\0' ? " (one setting a line)" : "");
}

static void old_socket(struct load *l, const struct conf_node *socket)
{
	if (socket->name != NULL && strcmp(socket->name, "connect") == 0) {
		load_error(l, load_place(socket),
		    "asking another auth server (socket connect) is not possible");
		return;
	}
	for (const struct conf_node *n = socket->first; n != NULL; n = n->next) {
		const char *path = child_value(n, "path"), *mode = child_value(n, "mode");
		if (n->section)
			load_error(l, load_place(n),
			    "write, outside of auth {}: service auth { unix_listener %s { mode = "
			    "%s } } (one setting a line%s)",
			    path != NULL ? path : "PATH", mode != NULL ? mode : "0600",
			    strcmp(n->key, "master") == 0
				? "; the name must end in -master or -userdb, or have type = "
				  "master"
				: "");
	}
}

void load_old_auth(struct load *l, const struct conf_node *section)
{
	l->incomplete = true;
	load_error(l, load_place(section),
	    "\"auth %s {\" is the form of Dovecot 1.x: its settings stand at the top level today, "
	    "named auth_...",
	    section->name != NULL ? section->name : "default");
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		const char *name = arena_printf(l->arena, "auth_%s", n->key).ptr;
		const struct setting *row = settings_find(&auth_settings_table, span_of(name));
		if (n->section && (strcmp(n->key, "passdb") == 0 || strcmp(n->key, "userdb") == 0))
			old_database(l, n);
		else if (n->section && strcmp(n->key, "socket") == 0)
			old_socket(l, n);
		else if (!n->section && strcmp(n->key, "user") == 0)
			load_error(l, load_place(n),
			    "write, outside of auth {}: service auth { user = %s } (one setting a "
			    "line), or leave it out: authd gives root to those workers alone that "
			    "need it",
			    n->value);
		else if (row != NULL && !n->section)
			load_error(
			    l, load_place(n), "write, outside of auth {}: %s = %s", name, n->value);
		else if (!n->section && strncmp(n->key, "ssl_", 4) == 0)
			load_error(l, load_place(n), "write, outside of auth {}: auth_%s = %s",
			    n->key, n->value);
		else
			load_error(l, load_place(n), "\"%s\" is not needed any more; leave it out",
			    n->key);
	}
}
