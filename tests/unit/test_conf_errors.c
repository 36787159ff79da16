/*
 * What is wrong with a configuration: all of it at once, in the order of the
 * file, each with its line and the nearest right name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf-kit.h"

#define LISTENER "service auth {\nunix_listener auth-client {\n}\n}\n"
#define PASSDB "passdb {\ndriver = passwd-file\nargs = /a\n}\n"

static struct kit_errors errors;

static void check_with(const char *text, const struct config_options *options, const char *expected)
{
	memset(&errors, 0, sizeof(errors));
	struct config *c = config_load_text("t", span_of(text), options, kit_collect, &errors);
	assert_string_equal(errors.text, expected);
	assert_true((c == NULL) == (expected[0] != '\0'));
	config_free(&c);
}

static void check(const char *text, const char *expected)
{
	check_with(text, &kit_options, expected);
}

/* The same complaint about text in the middle of an otherwise good file, from line 1. */
static void check_in(const char *text, const char *expected)
{
	char full[4096];
	snprintf(full, sizeof(full), "%s" PASSDB LISTENER, text);
	check(full, expected);
}

/* Somebody must be able to log in with each mechanism that is offered. */
static void mechanisms_have_what_they_need(void **state)
{
	(void)state;
	static const char pam[] = "passdb {\ndriver = pam\n}\n";
	static const char deny[] = "passdb {\ndriver = passwd-file\nargs = /a\ndeny = yes\n}\n";
	static const char filtered[] =
	    "passdb {\ndriver = passwd-file\nargs = /a\nmechanisms = plain\n}\n";
	char text[1024];
	snprintf(text, sizeof(text), "auth_mechanisms = plain cram-md5\n%s%s%s%s", pam, deny,
	    filtered, LISTENER);
	check(text,
	    "t:1: auth_mechanisms: mechanism CRAM-MD5 can't be supported with the given passdbs "
	    "(pam, passwd-file, passwd-file): none of them shows it credentials\n");
	snprintf(
	    text, sizeof(text), "auth_mechanisms = plain cram-md5\n%s%s%s", pam, PASSDB, LISTENER);
	check(text, "");
	snprintf(text, sizeof(text), "auth_mechanisms = plain\n%s%s", pam, LISTENER);
	check(text, "");
	check_in("auth_mechanisms = external\n",
	    "t:1: mechanism EXTERNAL needs auth_ssl_username_from_cert = yes: there is no other "
	    "way to know who a client is\n");
	check_in("auth_mechanisms = external\nauth_ssl_username_from_cert = yes\n", "");
	check_with("auth_mechanisms = external\n" PASSDB LISTENER, &kit_dovecot, "");
}

static void all_at_once(void **state)
{
	(void)state;
	check("auth_mechanisms = plain logn gssapi\n"
	      "auth_username_format = %{usr}\n"
	      "auth_mechansms = x\n"
	      "auth_cache_size = 5\n"
	      "passbd {\n"
	      "  drver = x\n"
	      "}\n"
	      "passdb {\n"
	      "  driver = passwd-fiel\n"
	      "  args = /etc/users\n"
	      "  result_sucess = continue\n"
	      "}\n"
	      "passdb foo bar {\n"
	      "  driver = static\n"
	      "  deny = maybe\n"
	      "}\n"
	      "service auth {\n"
	      "  unix_listener auth-client {\n"
	      "    mdoe = 0666\n"
	      "    mode = 666\n"
	      "  }\n"
	      "}\n"
	      "protocols = imap\n",
	    "t:1: auth_mechanisms: unknown mechanism \"logn\", did you mean \"LOGIN\"?\n"
	    "t:1: auth_mechanisms: mechanism \"gssapi\" is not built in\n"
	    "t:2: auth_username_format: unknown variable %{usr} (did you mean %{user}?) at offset "
	    "2\n"
	    "t:3: unknown setting \"auth_mechansms\", did you mean \"auth_mechanisms\"?\n"
	    "t:4: auth_cache_size: 5 bytes is too small for anything: write \"5 M\"\n"
	    "t:5: unknown section \"passbd\", did you mean \"passdb\"?\n"
	    "t:9: passdb: unknown driver \"passwd-fiel\", did you mean \"passwd-file\"?\n"
	    "t:11: unknown setting \"passdb { result_sucess\", did you mean \"result_success\"?\n"
	    "t:13: expected \"=\" or \"{\"\n"
	    "t:15: deny: \"maybe\" is neither yes nor no\n"
	    "t:19: unknown setting \"service auth { unix_listener auth-client { mdoe\", did you "
	    "mean \"mode\"?\n"
	    "t:20: mode: a mode is octal and begins with 0: write \"0666\"\n"
	    "t:23: protocols: this is the mail server's, not authd's; --dovecot passes over such "
	    "settings\n");
}

static void missing_things(void **state)
{
	(void)state;
	check("",
	    "t: there is no listener: write service auth { unix_listener auth-client { mode = "
	    "0660 } } (one setting a line)\n"
	    "t: there is no passdb: nobody could log in; write passdb { driver = ... args = ... "
	    "} (one setting a line)\n");
	check("# }\n}\n", "t:2: \"}\" without a section\n"); /* what may be missing was not read */
	check_in("passdb {\n}\n", "t:1: passdb has no driver\n");
	check_in("passdb sql {\n}\n", "t:1: passdb sql has no driver: write driver = sql inside\n");
	check_in("passdb {\ndriver =\n}\n", "t:2: driver: must not be empty\n");
	check_in("protocol {\n}\n", "t:1: a protocol section needs a name: protocol imap {\n");
	check_in("service {\n}\n", "t:1: a service needs a name: service auth {\n");
	check_in("service auth {\nunix_listener {\n}\n}\n",
	    "t:2: unix_listener needs the path of its socket: unix_listener PATH {\n");
}

static void drivers(void **state)
{
	(void)state;
	check_in("passdb {\n driver = ldap\n}\n",
	    "t:2: passdb: driver \"ldap\" is not built in and /nonexistent/drivers/ldap.so does "
	    "not exist\n");
	check_in("passdb {\n driver = zzz\n}\n",
	    "t:2: passdb: driver \"zzz\" is not built in and /nonexistent/drivers/zzz.so does not "
	    "exist\n");
	check_in("passdb {\n driver = statik\n}\n",
	    "t:2: passdb: unknown driver \"statik\", did you mean \"static\"?\n");
	check_in("passdb {\n driver = ../x\n}\n",
	    "t:2: passdb: \"../x\" cannot be the name of a driver\n");
	check_in("passdb {\n driver = vpopmail\n}\n",
	    "t:2: passdb: driver vpopmail was given up; use driver = sql\n");
	check_in("passdb {\n driver = prefetch\n}\n",
	    "t:2: driver \"prefetch\" cannot be used in a passdb\n");
	check_in(
	    "userdb {\n driver = pam\n}\n", "t:2: driver \"pam\" cannot be used in a userdb\n");
}

static void driver_args(void **state)
{
	(void)state;
	check_in("passdb {\n driver = passwd-file\n args = schme=X username_format=%{usr} /a\n}\n",
	    "t:3: passdb: args: unknown setting \"schme\", did you mean \"scheme\"?\n"
	    "t:3: passdb: args: username_format: unknown variable %{usr} (did you mean "
	    "%{user}?) at offset 2\n");
	check_in(
	    "passdb {\n driver = passwd-file\n}\n", "t:1: passdb: args: the path is missing\n");
	check_in("userdb {\n driver = prefetch\n args = x\n}\n",
	    "t:3: userdb: args: the driver takes none\n");
	check_in("passdb {\n driver = sql\n}\n",
	    "t:1: passdb: args must name the file of the driver's settings\n");
	check_in("passdb {\n driver = sql\n args = /nonexistent/x\n}\n",
	    "t:3: passdb: args: cannot read /nonexistent/x: No such file or directory\n");
}

static void driver_files(void **state)
{
	(void)state;
	char path[] = "/tmp/authd-test-conf-XXXXXX", text[256], expected[512];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	static const char content[] = "driver = mysql\nconect = x\npassword_query = %{usr}\n";
	assert_int_equal(write(fd, content, sizeof(content) - 1), sizeof(content) - 1);
	close(fd);
	snprintf(text, sizeof(text), "passdb {\ndriver = sql\nargs = %s\n}\n", path);
	snprintf(expected, sizeof(expected),
	    "%s:2: unknown setting \"conect\", did you mean \"connect\"?\n"
	    "%s:3: password_query: unknown variable %%{usr} (did you mean %%{user}?) at offset 2\n",
	    path, path);
	check_in(text, expected);
	unlink(path);
}

static void chains(void **state)
{
	(void)state;
	check(PASSDB "passdb {\ndriver = static\npass = yes\n}\n" LISTENER,
	    "t:5: the last passdb cannot have pass = yes: there is nothing to pass on to\n");
	check("passdb {\ndriver = static\npass = yes\n}\n" PASSDB LISTENER, "");
	check("passdb {\ndriver = static\nresult_success = continue\n}\n" LISTENER,
	    "t:1: no login can succeed: no passdb up to this last one has a result of return-ok or "
	    "continue-ok\n");
	check(PASSDB "passdb {\ndriver = static\nresult_success = continue\n}\n" LISTENER, "");
	check("passdb {\ndriver = static\nresult_success = continue-ok\n}\n" LISTENER, "");
	check("passdb {\ndriver = static\ndeny = yes\n}\n" LISTENER,
	    "t:1: no login can succeed: deny passdbs only refuse, and there is no other after "
	    "them\n");
	check_in("passdb {\ndriver = static\ndeny = yes\nmaster = yes\n}\n",
	    "t:1: a passdb cannot be both deny and master\n");
	check("passdb {\ndriver = static\nmaster = yes\n}\n" LISTENER,
	    "t: there is no passdb: nobody could log in; write passdb { driver = ... args = ... } "
	    "(one setting a line)\n");
	/* one complaint, though the passdb ends the chain of every protocol */
	check("protocol imap {\nauth_verbose = yes\n}\nprotocol pop3 {\n}\n"
	      "passdb {\ndriver = static\nresult_success = return-fail\n}\n" LISTENER,
	    "t:6: no login can succeed: no passdb up to this last one has a result of return-ok or "
	    "continue-ok\n");
	check_in("passdb {\ndriver = static\nskip = found\nresult_failure = contineu\n}\n",
	    "t:3: skip: \"found\" is not one of: never authenticated unauthenticated\n"
	    "t:4: result_failure: \"contineu\" is not one of: return return-ok return-fail "
	    "continue "
	    "continue-ok continue-fail; did you mean \"continue\"?\n");
}

static void auth_values(void **state)
{
	(void)state;
	check_in("auth_master_user_separator = **\n",
	    "t:1: auth_master_user_separator: \"**\" is more than one character\n");
	check_in("auth_username_translation = abc\n",
	    "t:1: auth_username_translation: \"abc\" is not made of pairs of characters\n");
	check_in("auth_worker_max_count = 0\n", "t:1: auth_worker_max_count must be at least 1\n");
	check_in("auth_verbose_passwords = sha1:6\n", "");
	check_in("auth_verbose_passwords = md5\n",
	    "t:1: auth_verbose_passwords: \"md5\" is not one of: no plain sha1 yes (with :N)\n");
	check_in("auth_policy_server_url = http://x/\n",
	    "t:1: auth_policy_server_url needs auth_policy_hash_nonce\n");
	check_in("auth_mechanisms =\n", "t:1: auth_mechanisms is empty: no client could log in\n");
	check_in("auth_mechanisms = anonymous\nauth_anonymous_username =\n",
	    "t:1: mechanism ANONYMOUS needs auth_anonymous_username\n");
	check_in(
	    "auth_mechanisms = foobar\n", "t:1: auth_mechanisms: unknown mechanism \"foobar\"\n");
	check_in("passdb {\ndriver = static\nmechanisms = plain cram-md5 none logni\n}\n",
	    "t:1: mechanisms: unknown mechanism \"logni\", did you mean \"LOGIN\"?\n");
	check_in(
	    "auth_realms = $nothing\n", "t:1: auth_realms: there is no setting for $nothing\n");
	check_in("auth_realms = $auth_failure_delay\nauth_gssapi_hostname = $base_dir\n", "");
	check_in("syslog_facility = locla3\n",
	    "t:1: syslog_facility: \"locla3\" is no syslog facility, did you mean \"local3\"?\n");
	check_in("base_dir = run\n", "t:1: base_dir: \"run\" does not begin with /\n");
	check_in(
	    "auth_realms = </etc/passwd\n", "t:1: auth_realms: \"<file\" is not possible here\n");
	check_in("auth_failure_delay = 90\n",
	    "t:1: auth_failure_delay: the time \"90\" has no unit: write \"90 secs\", or msecs, "
	    "mins, hours, days\n");
}

static void scopes(void **state)
{
	(void)state;
	check_in("protocol imap {\nprotocol pop3 {\n}\nservice auth {\n}\nbase_dir = /x\n}\n",
	    "t:2: protocol sections cannot be nested\n"
	    "t:4: \"service\" cannot be set for one protocol\n"
	    "t:6: \"base_dir\" cannot be set for one protocol\n");
	check_in("service imap {\n}\nservice auth-wroker {\n}\n",
	    "t:1: service \"imap\" is not authd's: it has auth and auth-worker\n"
	    "t:3: unknown service \"auth-wroker\", did you mean \"auth-worker\"?\n");
	check_in("service auth {\nunix_lisener x {\n}\nfifo_listener y {\n}\nclient_limt = 3\n"
		 "unix_listener z {\ntype = mster\n}\ninet_listener {\nport = 70000\n}\n}\n",
	    "t:2: unknown section \"service auth { unix_lisener x\", did you mean "
	    "\"unix_listener\"?\n"
	    "t:4: unknown section \"service auth { fifo_listener y\", did you mean "
	    "\"unix_listener\"?\n"
	    "t:6: unknown setting \"service auth { client_limt\", did you mean \"client_limit\"?\n"
	    "t:7: type: \"mster\" is not one of: auth auth-legacy login master userdb token "
	    "token-login; did you mean \"master\"?\n"
	    "t:10: port: 70000 is no TCP port\n");
	check_in("auth_verbose = no\ndovecot_config_version = 2.4.0\n",
	    "t:2: dovecot_config_version: this must be the first setting of the file, which is "
	    "then read in Dovecot 2.4's language\n");
}

/* Foreign settings are passed over, slips in ours are not. */
static void dovecot_mode(void **state)
{
	(void)state;
	check_with(
	    "mail_location = x\nauth_mechansms = x\nauht_verbose = yes\nauth_foo_bar_baz = 1\n"
	    "dovecot_config_version = 2.4.0\n"
	    "passbd {\n}\nsevice auth {\n}\nservice auht {\n}\n"
	    "passdb {\ndrver = x\n}\n"
	    "service auth {\nunix_listener a {\nmdoe = 0600\n}\n}\n"
	    "local 10.0.0.1 {\nssl = no\nauth_verbose = yes\n}\n",
	    &kit_dovecot,
	    "t:2: unknown setting \"auth_mechansms\", did you mean \"auth_mechanisms\"?\n"
	    "t:3: unknown setting \"auht_verbose\", did you mean \"auth_verbose\"?\n"
	    "t:4: unknown setting \"auth_foo_bar_baz\"\n"
	    "t:5: dovecot_config_version: this must be the first setting of the file, which is "
	    "then read in Dovecot 2.4's language\n"
	    "t:6: unknown section \"passbd\", did you mean \"passdb\"?\n"
	    "t:8: unknown section \"sevice auth\", did you mean \"service\"?\n"
	    "t:10: unknown service \"auht\", did you mean \"auth\"?\n"
	    "t:13: unknown setting \"passdb { drver\", did you mean \"driver\"?\n"
	    "t:17: unknown setting \"service auth { unix_listener a { mdoe\", did you mean "
	    "\"mode\"?\n"
	    "t:22: \"auth_verbose\" cannot be set in a local section\n");
}

static void a_file_of_dovecot_1(void **state)
{
	(void)state;
	char expected[4096];
	static const char path[] = "tests/unit/fixtures/legacy-1.x/dovecot.conf";
	memset(&errors, 0, sizeof(errors));
	assert_null(config_load(path, &kit_dovecot, kit_collect, &errors));
	snprintf(expected, sizeof(expected),
	    "%s:4: \"auth default {\" is the form of Dovecot 1.x: its settings stand at the top "
	    "level today, named auth_...\n"
	    "%s:5: write, outside of auth {}: auth_mechanisms = plain\n"
	    "%s:6: write, outside of auth {}: passdb { driver = pam }\n"
	    "%s:8: write, outside of auth {}: userdb { driver = passwd }\n"
	    "%s:10: write, outside of auth {}: service auth { user = root } (one setting a line), "
	    "or leave it out: authd gives root to those workers alone that need it\n"
	    "%s:12: write, outside of auth {}: service auth { unix_listener "
	    "/var/run/dovecot/auth-master { mode = 0600 } } (one setting a line; the name must end "
	    "in -master or -userdb, or have type = master)\n"
	    "%s:16: write, outside of auth {}: service auth { unix_listener "
	    "/var/run/dovecot/auth-client { mode = 0660 } } (one setting a line)\n",
	    path, path, path, path, path, path, path);
	assert_string_equal(errors.text, expected);
}

static void what_a_database_of_dovecot_1_had(void **state)
{
	(void)state;
	check("auth default {\n"
	      "  passdb passwd-file {\n"
	      "    args = /etc/banned\n"
	      "    deny = yes\n"
	      "  }\n"
	      "}\n",
	    "t:1: \"auth default {\" is the form of Dovecot 1.x: its settings stand at the top "
	    "level today, named auth_...\n"
	    "t:2: write, outside of auth {}: passdb { driver = passwd-file, args = /etc/banned, "
	    "deny = yes } (one setting a line)\n");
}

/* What other versions of Dovecot took, and a mode that takes what is needed. */
static void of_other_times(void **state)
{
	(void)state;
	check_in("auth_mechanisms = rpa\n",
	    "t:1: auth_mechanisms: mechanism \"rpa\" was given up, by Dovecot too: leave it out\n");
	check_with("ssl_require_client_cert = yes\nssl_username_from_cert = yes\n" PASSDB LISTENER,
	    &kit_dovecot,
	    "t:1: ssl_require_client_cert: write auth_ssl_require_client_cert\n"
	    "t:2: ssl_username_from_cert: write auth_ssl_username_from_cert\n");
	check(PASSDB "service auth {\nunix_listener a {\nmode = 0\n}\n}\n",
	    "t: there is no listener, mode = 0 or port = 0 takes all of them away: write service "
	    "auth { unix_listener auth-client { mode = 0660 } } (one setting a line)\n");
}

static void files(void **state)
{
	(void)state;
	memset(&errors, 0, sizeof(errors));
	assert_null(config_load("/nonexistent/authd.conf", &kit_options, kit_collect, &errors));
	assert_string_equal(
	    errors.text, "cannot read /nonexistent/authd.conf: No such file or directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mechanisms_have_what_they_need),
	    cmocka_unit_test(all_at_once),
	    cmocka_unit_test(missing_things),
	    cmocka_unit_test(drivers),
	    cmocka_unit_test(driver_args),
	    cmocka_unit_test(driver_files),
	    cmocka_unit_test(chains),
	    cmocka_unit_test(auth_values),
	    cmocka_unit_test(scopes),
	    cmocka_unit_test(dovecot_mode),
	    cmocka_unit_test(a_file_of_dovecot_1),
	    cmocka_unit_test(what_a_database_of_dovecot_1_had),
	    cmocka_unit_test(of_other_times),
	    cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
