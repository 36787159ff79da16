/*
 * The rows of the configuration's tables, except the auth_* ones
 * (settings-auth.c). Drivers own the tables of their args.
 */
#include "conf/config.h"

#define ROW(s, m, t, n, d, ...)                                                                    \
	{                                                                                          \
		.name = (n), .type = SETTING_##t, .offset = offsetof(struct s, m), .def = (d),     \
		.help = __VA_ARGS__                                                                \
	}
#define TABLE(rows_, struct_, name_)                                                               \
	{                                                                                          \
		.name = (name_), .rows = (rows_), .count = ARRAY_LEN(rows_),                       \
		.size = sizeof(struct struct_)                                                     \
	}

static const struct setting process_rows[] = {
    ROW(process_settings, base_dir, STRING, "base_dir", "/run/authd",
	"Directory of the sockets whose names are relative. With --dovecot: /run/dovecot.",
	.flags = SETTING_REQUIRED),
    ROW(process_settings, default_internal_user, STRING, "default_internal_user", "authd",
	"The user that the front and the unprivileged workers run as. With --dovecot: dovecot.",
	.flags = SETTING_REQUIRED),
    ROW(process_settings, default_internal_group, STRING, "default_internal_group", "authd",
	"The group of default_internal_user. With --dovecot: dovecot.", .flags = SETTING_REQUIRED),
    ROW(process_settings, driver_dir, STRING, "driver_dir", "",
	"Where loadable drivers (NAME.so) are. Empty: the directory \"drivers\" beside the "
	"program, or the installed one."),
    ROW(process_settings, log_path, STRING, "log_path", "",
	"Where the log goes: empty or /dev/stderr for standard error, syslog, or a file. With "
	"--dovecot: syslog."),
    ROW(process_settings, info_log_path, STRING, "info_log_path", "",
	"A file for informational lines. Empty: log_path."),
    ROW(process_settings, debug_log_path, STRING, "debug_log_path", "",
	"A file for debug lines. Empty: info_log_path."),
    ROW(process_settings, log_format, ENUM, "log_format", "text",
	"text: lines as Dovecot writes them. json: one JSON object a line.",
	.choices = "text json"),
    ROW(process_settings, syslog_facility, STRING, "syslog_facility", "mail",
	"The facility of the lines that go to syslog: mail, auth, authpriv, daemon, user, local0 "
	"to "
	"local7."),
    ROW(process_settings, hash_memory_limit, SIZE, "hash_memory_limit", "512 M",
	"Memory that password hashing may use at one time, all workers together. A login waits "
	"while there is none left."),
    ROW(process_settings, hash_time_limit, TIME, "hash_time_limit", "30 secs",
	"A stored hash whose parameters say that it would take longer, by a rough guess, is not "
	"tried: the login fails for the time being, and the log says why. 0: no limit."),
    ROW(process_settings, hash_lanes, UINT, "hash_lanes", "0",
	"Threads that hash passwords, in each worker. 0: as many as the machine has cores."),
    ROW(process_settings, verbose_proctitle, BOOL, "verbose_proctitle", "no",
	"Show in the process list what the processes are doing."),
    ROW(process_settings, auth_socket_path, STRING, "auth_socket_path", "auth-userdb",
	"The socket at which authctl looks users up."),
    ROW(process_settings, first_valid_uid, UINT, "first_valid_uid", "500",
	"Lists of the system's users (driver passwd) begin here. For logins it is left to the "
	"mail server to enforce."),
    ROW(process_settings, last_valid_uid, UINT, "last_valid_uid", "0",
	"Lists of the system's users (driver passwd) end here; 0: no end. For logins it is left "
	"to the mail server to enforce."),
    ROW(process_settings, first_valid_gid, UINT, "first_valid_gid", "1",
	"The mail server's limit; accepted, and left to the mail server to enforce."),
    ROW(process_settings, last_valid_gid, UINT, "last_valid_gid", "0",
	"The mail server's limit; accepted, and left to the mail server to enforce."),
};
const struct setting_table process_settings_table = TABLE(process_rows, process_settings, "global");

#define RESULTS "return return-ok return-fail continue continue-ok continue-fail"
#define DB_ROWS                                                                                    \
	ROW(db_settings, name, STRING, "name", "",                                                 \
	    "A label for the log. May be written as the section's name instead."),                 \
	    ROW(db_settings, driver, STRING, "driver", "", "Which driver answers.",                \
		.flags = SETTING_REQUIRED),                                                        \
	    ROW(db_settings, args, STRING, "args", "",                                             \
		"The driver's own settings, in the driver's own form."),                           \
	    ROW(db_settings, default_fields, FIELDS, "default_fields", "",                         \
		"Fields set before the lookup, which may replace them: key=value separated by "    \
		"spaces, with %variables."),                                                       \
	    ROW(db_settings, override_fields, FIELDS, "override_fields", "",                       \
		"Fields set after the lookup, whatever it returned."),                             \
	    ROW(db_settings, result_success, ENUM, "result_success", "return-ok",                  \
		"What a success of this database leads to.", .choices = RESULTS),                  \
	    ROW(db_settings, result_failure, ENUM, "result_failure", "continue",                   \
		"What a failure (user unknown, password wrong) leads to.", .choices = RESULTS),    \
	    ROW(db_settings, result_internalfail, ENUM, "result_internalfail", "continue",         \
		"What an outage leads to. The answer is a temporary failure unless a later "       \
		"database succeeds.",                                                              \
		.choices = RESULTS),                                                               \
	    ROW(db_settings, auth_verbose, ENUM, "auth_verbose", "default",                        \
		"Overrides the global auth_verbose for this database.",                            \
		.choices = "default yes no"),                                                      \
	    ROW(db_settings, worker_count, UINT, "worker_count", "0",                              \
		"Worker processes of this section. 0: the driver's default."),                     \
	    ROW(db_settings, worker_user, STRING, "worker_user", "",                               \
		"The user that the workers of this section run as. Empty: the driver decides "     \
		"(root for those that read system passwords, else default_internal_user).")

static const struct setting passdb_rows[] = {
    DB_ROWS,
    ROW(db_settings, mechanisms, WORDS, "mechanisms", "",
	"Mechanisms that this passdb answers for; none: lookups without a mechanism. Empty: all."),
    ROW(db_settings, username_filter, WORDS, "username_filter", "",
	"Wildcards of the user names that this passdb answers for; ! before one excludes. Empty: "
	"all."),
    ROW(db_settings, skip, ENUM, "skip", "never",
	"Skip this passdb if an earlier one has authenticated the user, or has not.",
	.choices = "never authenticated unauthenticated"),
    ROW(db_settings, deny, BOOL, "deny", "no",
	"Whoever is found here is refused. Such a passdb authenticates nobody."),
    ROW(db_settings, master, BOOL, "master", "no",
	"The users in it may log in as other users (see auth_master_user_separator)."),
    ROW(db_settings, pass, BOOL, "pass", "no",
	"After a success here the next passdb must succeed too. Write result_success = continue "
	"instead."),
    ROW(db_settings, rehash, BOOL, "rehash", "no",
	"After a login with a plaintext password, put a hash by auth_rehash_scheme in the place of "
	"a "
	"stored one that is weaker. The driver must be able to (sql, passwd-file). What other "
	"mechanisms need (CRAM-MD5, SCRAM-SHA-256 ...) is left alone, but of a password kept in "
	"plain "
	"text they are deprived. Not after a login with a password that the old or the new hash "
	"cuts (DES-CRYPT after 8 bytes, BLF-CRYPT after 72)."),
};
const struct setting_table passdb_settings_table = TABLE(passdb_rows, db_settings, "passdb");

static const struct setting userdb_rows[] = {
    DB_ROWS,
    ROW(db_settings, skip, ENUM, "skip", "never",
	"Skip this userdb if an earlier one has found the user, or has not.",
	.choices = "never found notfound"),
};
const struct setting_table userdb_settings_table = TABLE(userdb_rows, db_settings, "userdb");

#define IGNORED(n)                                                                                 \
	ROW(service_settings, ignored, STRING, n, "", "Accepted for compatibility, without effect.")

static const struct setting service_rows[] = {
    ROW(service_settings, user, STRING, "user", "",
	"service auth: the user of the front; empty: default_internal_user. service auth-worker: "
	"the user of the workers that read system passwords; empty: root."),
    ROW(service_settings, group, STRING, "group", "",
	"Accepted for compatibility, without effect: the group is the user's own."),
    ROW(service_settings, client_limit, UINT, "client_limit", "0",
	"Connections that may be open at one time. 0: as many as the system allows."),
    IGNORED("chroot"),
    IGNORED("drop_priv_before_exec"),
    IGNORED("executable"),
    IGNORED("extra_groups"),
    IGNORED("idle_kill"),
    IGNORED("privileged_group"),
    IGNORED("process_limit"),
    IGNORED("process_min_avail"),
    IGNORED("protocol"),
    IGNORED("service_count"),
    IGNORED("type"),
    IGNORED("vsz_limit"),
};
const struct setting_table service_settings_table =
    TABLE(service_rows, service_settings, "service");

#define TYPES                                                                                      \
	"What is spoken there: auth, auth-legacy, login, master, userdb, token or token-login. "   \
	"Empty: decided by what follows the last \"-\" of the name. Written out, auth and login "  \
	"speak as Dovecot 2.4 does: they wait for the client's version before they offer "         \
	"mechanisms, those with channel binding among them. All others speak at once, as Exim "    \
	"needs it."
#define DEADLINE                                                                                   \
	"How long the client waits for an answer at most; no delay and no lookup takes longer. "   \
	"0: "                                                                                      \
	"what is usual for the type."

static const struct setting unix_listener_rows[] = {
    ROW(listener_settings, mode, MODE, "mode", "0600",
	"Permissions of the socket, octal. 0: no such listener."),
    ROW(listener_settings, user, STRING, "user", "", "Owner of the socket. Empty: root."),
    ROW(listener_settings, group, STRING, "group", "", "Group of the socket. Empty: root."),
    ROW(listener_settings, type, STRING, "type", "", TYPES),
    ROW(listener_settings, client_deadline, TIME, "client_deadline", "0", DEADLINE),
};
const struct setting_table unix_listener_settings_table =
    TABLE(unix_listener_rows, listener_settings, "service auth / unix_listener");

static const struct setting inet_listener_rows[] = {
    ROW(listener_settings, address, STRING, "address", "",
	"Addresses to listen at, separated by spaces. Empty: all."),
    ROW(listener_settings, port, UINT, "port", "0", "TCP port. 0: no such listener."),
    ROW(listener_settings, type, STRING, "type", "", TYPES),
    ROW(listener_settings, client_deadline, TIME, "client_deadline", "0", DEADLINE),
};
const struct setting_table inet_listener_settings_table =
    TABLE(inet_listener_rows, listener_settings, "service auth / inet_listener");

const struct setting_table *const config_tables[] = {
    &process_settings_table,
    &auth_settings_table,
    &passdb_settings_table,
    &userdb_settings_table,
    &service_settings_table,
    &unix_listener_settings_table,
    &inet_listener_settings_table,
    NULL,
};
