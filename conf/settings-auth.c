/*
 * The rows of the auth_* settings, which stand at the top level or inside
 * protocol X {}.
 */
#include "conf/config.h"

#define ROW(m, t, n, d, ...)                                                                       \
	{                                                                                          \
		.name = (n), .type = SETTING_##t, .offset = offsetof(struct auth_settings, m),     \
		.def = (d), .help = __VA_ARGS__                                                    \
	}
#define LATER " Accepted and kept; the feature is not there yet."

static const struct setting auth_rows[] = {
    ROW(mechanisms, WORDS, "auth_mechanisms", "plain",
	"SASL mechanisms offered to clients, in this order. Only the top level's counts. See "
	"MECHANISMS in authd.conf(5)."),
    ROW(realms, WORDS, "auth_realms", "",
	"Realms that DIGEST-MD5 offers. What a client chooses becomes user@realm, if its user name "
	"has no @."),
    ROW(default_realm, STRING, "auth_default_realm", "",
	"Appended as @realm to user names without one.", .old_name = "auth_default_domain"),
    ROW(username_chars, STRING, "auth_username_chars",
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@",
	"Bytes that user names may be made of. Empty: all."),
    ROW(username_translation, STRING, "auth_username_translation", "",
	"Pairs of bytes: the first of each becomes the second in user names."),
    ROW(username_format, TEMPLATE, "auth_username_format", "%Lu",
	"What user names become before any database sees them. Empty: as they are."),
    ROW(username_precis, ENUM, "auth_username_precis", "no",
	"Prepare user names beyond ASCII as RFC 8265 says, before anything else is done with them: "
	"one form of each letter, none that cannot be told apart; case-mapped makes them lower "
	"case "
	"in every alphabet. Each part of user@domain is prepared on its own. auth_username_chars "
	"must "
	"allow such names.",
	.choices = "no case-mapped case-preserved"),
    ROW(password_precis, BOOL, "auth_password_precis", "no",
	"Prepare passwords beyond ASCII as RFC 8265 says (OpaqueString), so that it does not "
	"matter "
	"how a keyboard composes an accent. Passwords must have been stored so (authctl pw -P)."),
    ROW(master_user_separator, STRING, "auth_master_user_separator", "",
	"One character that lets master users log in as user<separator>master. Empty: not so."),
    ROW(anonymous_username, STRING, "auth_anonymous_username", "anonymous",
	"The user name of anonymous logins."),
    ROW(failure_delay, TIME, "auth_failure_delay", "2 secs",
	"How long the answer to a refused login is held back."),
    ROW(internal_failure_delay, TIME, "auth_internal_failure_delay", "2 secs",
	"How long the answer is held back when nobody could decide. Up to half as much again is "
	"added at random."),
    ROW(verbose, BOOL, "auth_verbose", "no",
	"Log what each passdb refuses, as it happens. Without it, a login is logged as "
	"failed when no passdb has let it in."),
    ROW(debug, BOOL, "auth_debug", "no", "Log what happens in detail."),
    ROW(debug_passwords, BOOL, "auth_debug_passwords", "no",
	"Implies auth_debug. Passwords are never logged; which scheme was compared is."),
    ROW(verbose_passwords, STRING, "auth_verbose_passwords", "no",
	"no, plain, sha1 or yes, with :N to truncate. Accepted for compatibility; passwords are "
	"never logged."),
    ROW(ssl_require_client_cert, BOOL, "auth_ssl_require_client_cert", "no",
	"Refuse clients that did not show a valid TLS certificate."),
    ROW(ssl_username_from_cert, BOOL, "auth_ssl_username_from_cert", "no",
	"Take the user name from the client's TLS certificate, whatever the client says; "
	"EXTERNAL needs it."),
    ROW(proxy_self, WORDS, "auth_proxy_self", "",
	"Further addresses of this machine, for proxy_maybe."),
    ROW(allow_weak_schemes, BOOL, "auth_allow_weak_schemes", "no",
	"Accept passwords kept in schemes that are easily broken (MD5, DES). With --dovecot: yes, "
	"as Dovecot 2.3 does."),
    ROW(rehash_scheme, ENUM, "auth_rehash_scheme", "ARGON2ID",
	"What passdbs with rehash = yes bring weaker stored passwords to.",
	.choices = "ARGON2ID ARGON2I BLF-CRYPT SHA512-CRYPT SHA256-CRYPT"),
    ROW(rehash_rounds, UINT, "auth_rehash_rounds", "0",
	"The cost of such a hash, as authctl pw -r; what was made with less is made anew. 0: the "
	"scheme's default."),
    ROW(cache_size, SIZE, "auth_cache_size", "0",
	"Memory for cached answers of passdbs and userdbs, with all that belongs to them. 0: no "
	"cache, "
	"and each of several equal logins asks for itself. At least 1k. Passwords are not in it."),
    ROW(cache_ttl, TIME, "auth_cache_ttl", "1 hours",
	"How long an answer is cached, and at most how long a password that was changed elsewhere "
	"goes on to work; it ends sooner when the new one is used, the user is flushed (authctl "
	"auth "
	"cache flush) or the passwd-file changes. 0: no cache."),
    ROW(cache_expired_limit, TIME, "auth_cache_expired_limit", "0",
	"How long after its time a cached yes may still be given when the backend cannot answer. "
	"Each "
	"time is logged. 0: never."),
    ROW(cache_negative_ttl, TIME, "auth_cache_negative_ttl", "1 hours",
	"How long it is cached that a user is unknown: a new user may have to wait this long, or "
	"be "
	"flushed. 0: not at all."),
    ROW(cache_verify_password_with_worker, BOOL, "auth_cache_verify_password_with_worker", "no",
	"Accepted for compatibility, without effect: a cached answer costs a digest, no password "
	"hash."),
    ROW(worker_max_count, UINT, "auth_worker_max_count", "30",
	"Most workers that a section with one question a process may have."),
    ROW(krb5_keytab, STRING, "auth_krb5_keytab", "",
	"Kerberos' keytab for GSSAPI and GSS-SPNEGO. Empty: its own default, mostly "
	"/etc/krb5.keytab. "
	"default_internal_user must be able to read it."),
    ROW(gssapi_hostname, STRING, "auth_gssapi_hostname", "",
	"Host name in the GSSAPI principal; $ALL: any in the keytab. Empty: this host's."),
    ROW(winbind_helper_path, STRING, "auth_winbind_helper_path", "/usr/bin/ntlm_auth",
	"Samba's helper for NTLM." LATER),
    ROW(use_winbind, BOOL, "auth_use_winbind", "no",
	"Do NTLM and GSS-SPNEGO with Samba's helper." LATER),
    ROW(stats, BOOL, "auth_stats", "no", "Accepted for compatibility, without effect."),
    ROW(policy_server_url, STRING, "auth_policy_server_url", "",
	"URL of a policy server that is asked about each login. Empty: none." LATER),
    ROW(policy_server_api_header, STRING, "auth_policy_server_api_header", "",
	"HTTP header, \"Name: value\", that shows the policy server who asks." LATER,
	.flags = SETTING_SECRET),
    ROW(policy_server_timeout_msecs, UINT, "auth_policy_server_timeout_msecs", "2000",
	"How long to wait for the policy server, in milliseconds." LATER),
    ROW(policy_hash_mech, STRING, "auth_policy_hash_mech", "sha256",
	"Hash that hides the password from the policy server." LATER),
    ROW(policy_hash_nonce, STRING, "auth_policy_hash_nonce", "",
	"Secret that is hashed along with the password." LATER, .flags = SETTING_SECRET),
    ROW(policy_hash_truncate, UINT, "auth_policy_hash_truncate", "12",
	"Bits of that hash that are sent. 0: all." LATER),
    ROW(policy_request_attributes, STRING, "auth_policy_request_attributes",
	"login=%{requested_username} pwhash=%{hashed_password} remote=%{rip} "
	"device_id=%{client_id} protocol=%s session_id=%{session}",
	"What the policy server is told." LATER),
    ROW(policy_reject_on_fail, BOOL, "auth_policy_reject_on_fail", "no",
	"Refuse logins while the policy server does not answer." LATER),
    ROW(policy_check_before_auth, BOOL, "auth_policy_check_before_auth", "yes",
	"Ask the policy server before the databases." LATER),
    ROW(policy_check_after_auth, BOOL, "auth_policy_check_after_auth", "yes",
	"Ask the policy server after a success, too." LATER),
    ROW(policy_report_after_auth, BOOL, "auth_policy_report_after_auth", "yes",
	"Tell the policy server how the login went." LATER),
    ROW(policy_log_only, BOOL, "auth_policy_log_only", "no",
	"Log what the policy server says, and do nothing about it." LATER),
};

const char *const rehash_schemes[] = {
    "ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", NULL};

const struct setting_table auth_settings_table = {
    .name = "auth",
    .rows = auth_rows,
    .count = ARRAY_LEN(auth_rows),
    .size = sizeof(struct auth_settings),
};
