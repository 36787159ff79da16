/*
 * The whole configuration as one value: loaded and checked by the parent,
 * handed in parts to the children.
 * Owner: the arena inside; config_free() ends it. Immutable once loaded.
 */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include "conf/driver-spec.h"

/* ---- settings structs; the rows are in conf/settings.c ---- */

enum precis_names { PRECIS_NAMES_NO, PRECIS_NAMES_CASE_MAPPED, PRECIS_NAMES_CASE_PRESERVED };
enum log_passwords { LOG_PASSWORDS_NO };

struct process_settings {		   /* top level, about the daemon */
	const char *base_dir;		   /* /run/dovecot in --dovecot mode, else /run/authd */
	const char *default_internal_user; /* front and unprivileged workers */
	const char *default_internal_group;
	const char
	    *driver_dir;      /* loadable modules; "" = beside the binary, or the installed place */
	const char *log_path; /* "" or /dev/stderr: standard error; "syslog"; or a file */
	int log_format;	      /* enum log_format */
	const char *syslog_facility;
	uint64_t hash_memory_limit; /* bytes that password hashing may use at once, all workers
				       together */
	uint64_t
	    hash_time_limit; /* ms: a stored hash that would take longer is refused; 0: no limit */
	unsigned hash_lanes; /* 0: as many as cores */
	bool verbose_proctitle;
	const char *info_log_path, *debug_log_path; /* "": log_path */
	const char *auth_socket_path;		    /* where authctl looks users up */
	unsigned first_valid_uid, last_valid_uid;   /* of lists; mail processes enforce them */
	unsigned first_valid_gid, last_valid_gid;
};

struct auth_settings {		/* top level or inside protocol X {} */
	const char *mechanisms; /* WORDS */
	const char *realms;	/* WORDS */
	const char *default_realm;
	const char *username_chars;
	const char *username_translation;
	struct template *username_format;
	int username_precis;  /* enum precis_names */
	bool password_precis; /* RFC 8265's OpaqueString */
	const char *master_user_separator;
	const char *anonymous_username;
	uint64_t failure_delay;		 /* ms */
	uint64_t internal_failure_delay; /* ms */
	bool verbose, debug, debug_passwords;
	const char *verbose_passwords; /* accepted for compatibility; passwords are never logged */
	bool ssl_require_client_cert;
	bool ssl_username_from_cert;
	const char *proxy_self; /* WORDS */
	bool allow_weak_schemes;
	int rehash_scheme; /* index into rehash_schemes */
	unsigned rehash_rounds;
	uint64_t cache_size, cache_ttl, cache_negative_ttl, cache_expired_limit;
	unsigned worker_max_count;
	bool cache_verify_password_with_worker;
	/* accepted and kept for features to come */
	const char *krb5_keytab, *gssapi_hostname;
	const char *winbind_helper_path;
	bool use_winbind, stats;
	const char *policy_server_url, *policy_server_api_header;
	unsigned policy_server_timeout_msecs;
	const char *policy_hash_mech, *policy_hash_nonce;
	unsigned policy_hash_truncate;
	const char *policy_request_attributes;
	bool policy_reject_on_fail, policy_check_before_auth, policy_check_after_auth;
	bool policy_report_after_auth, policy_log_only;
};

enum result_rule { /* choices of result_* in this order */
	RULE_RETURN,
	RULE_RETURN_OK,
	RULE_RETURN_FAIL,
	RULE_CONTINUE,
	RULE_CONTINUE_OK,
	RULE_CONTINUE_FAIL,
};
enum skip_rule { /* passdb: never authenticated unauthenticated; userdb: never found notfound */
	SKIP_NEVER,
	SKIP_AUTHENTICATED,   /* = found */
	SKIP_UNAUTHENTICATED, /* = notfound */
};
enum db_verbose { DB_VERBOSE_DEFAULT, DB_VERBOSE_YES, DB_VERBOSE_NO };

struct db_settings { /* passdb and userdb alike; a table each, the struct is shared */
	const char *name;
	const char *driver;
	const char *args;
	struct template_fields *default_fields;
	struct template_fields *override_fields;
	const char *mechanisms;					 /* WORDS; passdb only */
	const char *username_filter;				 /* WORDS; passdb only */
	int skip;						 /* enum skip_rule */
	int result_success, result_failure, result_internalfail; /* enum result_rule */
	bool deny, master, pass, rehash;			 /* passdb only */
	int auth_verbose;					 /* enum db_verbose */
	unsigned worker_count;	 /* authd's own: processes; 0 = the driver's default */
	const char *worker_user; /* authd's own: "" = by driver */
};

struct listener_settings {
	const char *path; /* from the section's name; inet: its name */
	unsigned mode;
	const char *user, *group;
	const char *type;	  /* "" = by the name's suffix */
	uint64_t client_deadline; /* ms; 0 = the type's default: what the client waits at most */
	const char *address;	  /* inet only */
	unsigned port;		  /* inet only; 0: a unix listener */
};

struct service_settings { /* service auth {} and service auth-worker {} */
	const char *user, *group;
	unsigned client_limit;
	/* Dovecot's, accepted without effect */
	const char *ignored;
};

/* ---- the whole ---- */

struct config_place { /* where it stands, for messages */
	const char *file;
	unsigned line;
};

struct conf_node;

struct config_db {
	struct db_settings *set;
	struct config_place place;
	unsigned id;			 /* passdbs and userdbs are numbered on their own, from 1 */
	int pool;			 /* index into pools; -1: handled in the front */
	const struct driver_spec *spec;	 /* NULL: a third-party module, known only to its worker */
	const char *file_text;		 /* 2.4: instead of the file that args names; else NULL */
	const struct conf_node *written; /* 2.4: the section; else NULL */
	bool assumes_user; /* userdb that says yes to any name (static without allow_all_users):
			      the passdbs are asked first whether the user exists */
};

/* One block as it was written: blocks[0] is the top level, the others protocol X {}. */
struct config_block {
	const char *protocol; /* NULL: the top level */
	bool negated;
	struct auth_settings *auth;
	struct config_place *auth_places; /* by row of the auth table; file NULL: not set */
	struct config_db *passdbs;
	size_t passdb_count;
	struct config_db *userdbs;
	size_t userdb_count;
	struct config_place place;
	const struct conf_node *written; /* protocol X {} of 2.4; for printing */
};

/*
 * What holds for one protocol: the top level with all blocks that match, the
 * first of them strongest, their databases before the global ones.
 */
struct config_scope {
	const char *protocol; /* NULL: the global scope, always scopes[0] */
	bool negated;	      /* protocol !X {} */
	struct auth_settings *auth;
	struct config_db *passdbs; /* master ones too, told by set->master */
	size_t passdb_count;
	struct config_db *userdbs;
	size_t userdb_count;
};

/* Sections with the same driver, args and worker settings share one pool: one copy of the users. */
struct config_pool {
	const char *driver;
	const char *args;
	const char *file_text; /* ARGS_FILE: the file's content, read by the parent; else NULL */
	unsigned worker_count; /* 0 = the driver's default */
	const char *worker_user;
	bool root;
	bool stores; /* some passdb here may want a stored password replaced */
	bool rehash; /* some passdb here has rehash = yes */
	const struct driver_spec *spec;
	struct config_place place;
};

enum listener_type { /* authd/listener.c turns names into these */
	LISTENER_AUTH,
	LISTENER_LOGIN,
	LISTENER_MASTER,
	LISTENER_USERDB,
	LISTENER_TOKEN,
	LISTENER_TOKEN_LOGIN,
};

struct config_listener {
	struct listener_settings *set;
	enum listener_type type;
	bool newer; /* "type" says auth or login: Dovecot 2.4's handshake, see protocol-client.c */
	bool inet;
	struct config_place place;
};

struct config {
	struct arena arena;
	struct process_settings *process;
	const char *service_user;	 /* service auth { user }, "" = default_internal_user */
	const char *service_worker_user; /* service auth-worker { user }, "" = root */
	unsigned client_limit;		 /* service auth { client_limit } */
	struct config_block *blocks;	 /* for printing; the parent's and authctl's only */
	size_t block_count;
	struct config_scope *scopes;
	size_t scope_count;
	struct config_pool *pools;
	size_t pool_count;
	struct config_listener *listeners;
	size_t listener_count;
	bool dovecot; /* loaded with options->dovecot */
	/* The form of Dovecot 2.4; the parent's and authctl's only, for printing. */
	const char *version_24; /* its version (the front: some version), NULL: the form of 2.3 */
	const struct conf_node *written; /* the tree of the file, groups and $SET:name put in */
	const struct driver_spec *const *drivers; /* options->drivers */
	const char **passed_over; /* --dovecot: "file:line: name" of what is not ours */
	size_t passed_over_count;
};

struct config_options {
	const struct driver_spec *const *drivers; /* NULL-terminated */
	const char *const *mechanisms;		  /* NULL-terminated, names in upper case */
	/* those of them that need a passdb which shows credentials; NULL: none */
	const char *const *lookup_mechanisms;
	bool dovecot;		/* a whole dovecot.conf: skip what is not about authentication */
	const char *module_dir; /* where third-party modules are looked for; may be NULL */
};

/* What auth_rehash_scheme chooses from, in the order of its rows; NULL ends. */
extern const char *const rehash_schemes[];

/* Receives each error, "file:line: what", in order. */
typedef void config_error(void *ctx, const char *message);

/* NULL when there was any error; all errors are reported, not just the first. */
struct config *config_load(const char *path, const struct config_options *options,
    config_error *error, void *ctx) MUST_CHECK;
/* the same from memory, with a name for messages (the embedded default, tests, fuzzing) */
struct config *config_load_text(const char *name, struct span text,
    const struct config_options *options, config_error *error, void *ctx) MUST_CHECK;
void config_free(struct config **config);

/* The scope of a request: the protocol's own, else a !other one, else the global one. */
const struct config_scope *config_scope_for(const struct config *c, struct span service);

/* What is good, but should be known: the text of that number, NULL when there are no more. */
const char *config_warning(const struct config *c, size_t number);

/* In the configuration language, secrets hidden. changed_only as in doveconf -n. */
void config_print(const struct config *c, bool changed_only, struct buffer *out);

/* The front's part: no args, no file texts. pools[] keep only their driver's name. */
void config_export_front(const struct config *c, struct buffer *out);
struct config *config_import_front(struct span blob, struct err *err) MUST_CHECK;

/* A worker's part: its own section and the few process settings that it needs. */
struct worker_config {
	struct arena arena;
	const char *driver, *args, *file_text;
	unsigned pool;
	struct process_settings *process;
	bool allow_weak_schemes, password_precis, debug;
	bool stores, rehash; /* passwords may be replaced */
	bool scram;	     /* SCRAM-SHA-256 is offered */
	const char *rehash_scheme;
	unsigned rehash_rounds;
	bool is_24; /* the configuration is written for Dovecot 2.4 */
};
void config_export_worker(const struct config *c, size_t pool, struct buffer *out);
struct worker_config *config_import_worker(struct span blob, struct err *err) MUST_CHECK;
void worker_config_free(struct worker_config **wc);

/* every table, for documentation; NULL-terminated */
extern const struct setting_table *const config_tables[];
extern const struct setting_table process_settings_table, auth_settings_table;
extern const struct setting_table passdb_settings_table, userdb_settings_table;
extern const struct setting_table service_settings_table;
extern const struct setting_table unix_listener_settings_table, inet_listener_settings_table;

#endif
