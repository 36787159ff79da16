/*
 * The whole configuration: scopes, pools, listeners, whole dovecot.conf
 * files. Errors are in test_conf_errors.c, printing and the children's parts
 * in test_conf_print.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf-kit.h"

#define LISTENER "service auth {\nunix_listener auth-client {\nmode = 0660\n}\n}\n"
#define PASSDB(args) "passdb {\ndriver = passwd-file\nargs = " args "\n}\n"
#define USERDB(args) "userdb {\ndriver = passwd-file\nargs = " args "\n}\n"
#define FIXTURES "tests/unit/fixtures/"

static struct kit_errors errors;

static struct config *load_with(const char *text, const struct config_options *options)
{
	memset(&errors, 0, sizeof(errors));
	return config_load_text("t", span_of(text), options, kit_collect, &errors);
}

static struct config *load(const char *text)
{
	struct config *c = load_with(text, &kit_options);
	assert_string_equal(errors.text, "");
	assert_non_null(c);
	return c;
}

static struct config *load_dovecot(const char *text)
{
	struct config *c = load_with(text, &kit_dovecot);
	assert_string_equal(errors.text, "");
	assert_non_null(c);
	return c;
}

/* The args of a scope's databases, in order. */
static const char *chain(const struct config *c, const char *service, bool passdbs)
{
	static char out[512];
	const struct config_scope *s = config_scope_for(c, span_of(service));
	const struct config_db *dbs = passdbs ? s->passdbs : s->userdbs;
	size_t count = passdbs ? s->passdb_count : s->userdb_count;
	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			strcat(out, " ");
		strcat(out, dbs[i].set->args);
	}
	return out;
}

/* A driver that carries out a mechanism gets a pool when the mechanism is offered, not before. */
static void mechanism_pools(void **state)
{
	static const struct driver_spec kerberos = {
	    .name = "kerberos", .mechanisms = "GSSAPI GSS-SPNEGO", .args = ARGS_NONE};
	static const struct driver_spec *const drivers[] = {&kit_file, &kerberos, NULL};
	static const char *const mechanisms[] = {"PLAIN", "GSSAPI", "GSS-SPNEGO", NULL};
	struct config_options options = {.drivers = drivers, .mechanisms = mechanisms};
	static const struct {
		const char *text;
		size_t pools;
	} cases[] = {
	    {"auth_mechanisms = plain\n" PASSDB("/p") LISTENER, 1},
	    {"auth_mechanisms = plain gssapi\n" PASSDB("/p") LISTENER, 2},
	    {"auth_mechanisms = gss-spnego gssapi\n" PASSDB("/p") LISTENER, 2},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config *c = load_with(cases[i].text, &options);
		assert_string_equal(errors.text, "");
		assert_int_equal(c->pool_count, cases[i].pools);
		if (cases[i].pools == 2) {
			assert_string_equal(c->pools[1].driver, "kerberos");
			assert_int_equal(c->pools[1].worker_count, 1);
		}
		config_free(&c);
	}
}

static void global_values(void **state)
{
	(void)state;
	struct config *c = load("auth_mechanisms = plain login\nauth_default_domain = example.com\n"
				"auth_failure_delay = 500 ms\nhash_memory_limit = 1G\n"
				"auth_debug_passwords = yes\nlog_format = json\n"
				"service auth {\nuser = mail\nclient_limit = 50\n}\n"
				"service auth-worker {\nuser = vmail\n}\n" PASSDB("/a") LISTENER);
	const struct auth_settings *a = c->scopes[0].auth;
	assert_string_equal(a->mechanisms, "plain login");
	assert_string_equal(a->default_realm, "example.com");
	assert_int_equal(a->failure_delay, 500);
	assert_true(a->debug);
	assert_true(a->verbose);
	assert_int_equal(c->process->hash_memory_limit, 1 << 30);
	assert_int_equal(c->process->log_format, 1);
	assert_string_equal(c->process->base_dir, "/run/authd");
	assert_string_equal(c->process->default_internal_user, "authd");
	assert_string_equal(c->service_user, "mail");
	assert_string_equal(c->service_worker_user, "vmail");
	assert_int_equal(c->client_limit, 50);
	assert_false(a->allow_weak_schemes);
	config_free(&c);
	assert_null(c);
}

static void later_settings_override(void **state)
{
	(void)state;
	struct config *c =
	    load("auth_verbose = yes\nauth_realms = a\nauth_realms = $auth_realms b\n"
		 "auth_verbose = no\n" PASSDB("/a\nargs = /b") LISTENER);
	assert_false(c->scopes[0].auth->verbose);
	assert_string_equal(c->scopes[0].auth->realms, "a b");
	assert_string_equal(chain(c, "imap", true), "/b");
	config_free(&c);
}

/* As doveconf -f protocol=X shows them: the protocol's own first. */
static void protocol_scopes(void **state)
{
	(void)state;
	struct config *c = load(PASSDB("/g1") USERDB("/ug") "protocol imap {\n" PASSDB(
	    "/imap") "auth_verbose = yes\n}\n"
		     "protocol !imap {\n" USERDB(
			 "/not-imap") "auth_debug = yes\n}\n"
				      "protocol imap {\nauth_realms = r\n}\n" PASSDB("/g2")
					  LISTENER);
	assert_string_equal(chain(c, "imap", true), "/imap /g1 /g2");
	assert_string_equal(chain(c, "IMAP", true), "/imap /g1 /g2");
	assert_string_equal(chain(c, "imap", false), "/ug");
	assert_string_equal(chain(c, "pop3", true), "/g1 /g2");
	assert_string_equal(chain(c, "pop3", false), "/not-imap /ug");
	assert_string_equal(chain(c, "", false), "/not-imap /ug");
	const struct config_scope *imap = config_scope_for(c, SPAN_LIT("imap"));
	assert_true(imap->auth->verbose);
	assert_false(imap->auth->debug);
	assert_string_equal(imap->auth->realms, "r");
	assert_true(config_scope_for(c, SPAN_LIT("pop3"))->auth->debug);
	assert_null(c->scopes[0].protocol);
	assert_false(c->scopes[0].auth->debug);
	assert_int_equal(c->scope_count, 3);
	/* ids stay with the section, by place in the file */
	assert_int_equal(imap->passdbs[0].id, 2);
	assert_int_equal(imap->passdbs[1].id, 1);
	assert_int_equal(imap->passdbs[2].id, 3);
	config_free(&c);
}

/* Of two blocks that match, the first one's settings win, and its databases come first. */
static void overlapping_scopes(void **state)
{
	(void)state;
	struct config *c = load("protocol imap {\nauth_verbose = yes\n" PASSDB(
	    "/i") "}\n"
		  "protocol !pop3 {\nauth_verbose = no\nauth_realms = np\n" PASSDB(
		      "/np") "}\n"
			     "protocol !lmtp {\nauth_default_realm = nl\n" PASSDB(
				 "/nl") "}\n" PASSDB("/g") LISTENER);
	assert_string_equal(chain(c, "imap", true), "/i /np /nl /g");
	assert_true(config_scope_for(c, SPAN_LIT("imap"))->auth->verbose);
	assert_string_equal(config_scope_for(c, SPAN_LIT("imap"))->auth->realms, "np");
	assert_string_equal(chain(c, "pop3", true), "/nl /g");
	assert_string_equal(config_scope_for(c, SPAN_LIT("pop3"))->auth->realms, "");
	assert_string_equal(chain(c, "lmtp", true), "/np /g");
	assert_string_equal(chain(c, "smtp", true), "/np /nl /g");
	config_free(&c);
}

static void pools(void **state)
{
	(void)state;
	struct config *c = load(PASSDB("/a") USERDB("/a")
		PASSDB("/b") "passdb {\ndriver = passwd-file\nargs = /a\nworker_count = 3\n}\n"
			     "passdb {\ndriver = passwd-file\nargs = /a\nworker_user = vmail\n}\n"
			     "passdb {\ndriver = pam\n}\n"
			     "userdb {\ndriver = prefetch\n}\n"
			     "protocol imap {\n" PASSDB("/b") "}\n" LISTENER);
	const struct config_scope *s = &c->scopes[0];
	assert_int_equal(c->pool_count, 5);
	assert_int_equal(s->passdbs[0].pool, 0);
	assert_int_equal(s->userdbs[0].pool, 0);
	assert_int_equal(s->passdbs[1].pool, 1);
	assert_int_equal(s->passdbs[2].pool, 2);
	assert_int_equal(s->passdbs[3].pool, 3);
	assert_int_equal(s->passdbs[4].pool, 4);
	assert_int_equal(s->userdbs[1].pool, -1);
	assert_int_equal(config_scope_for(c, SPAN_LIT("imap"))->passdbs[0].pool, 1);
	assert_int_equal(c->pools[2].worker_count, 3);
	assert_string_equal(c->pools[3].worker_user, "vmail");
	assert_false(c->pools[0].root);
	assert_true(c->pools[4].root);
	assert_ptr_equal(c->pools[4].spec, &kit_pam);
	config_free(&c);
	c = load("service auth-worker {\nuser = vmail\n}\npassdb {\ndriver = pam\n}\n" LISTENER);
	assert_false(c->pools[0].root);
	assert_string_equal(c->pools[0].worker_user, "vmail");
	config_free(&c);
}

static const struct config_listener *listener(const struct config *c, const char *path)
{
	for (size_t i = 0; i < c->listener_count; i++) {
		if (strcmp(c->listeners[i].set->path, path) == 0)
			return &c->listeners[i];
	}
	return NULL;
}

static void listeners_merge(void **state)
{
	(void)state;
	struct config *c = load(PASSDB("/a") LISTENER
	    "service auth {\nunix_listener /run/authd/auth-client {\nuser = postfix\n}\n"
	    "unix_listener off {\nmode = 0\n}\ninet_listener none {\nport = 0\n}\n"
	    "inet_listener tcp-master {\nport = 12345\naddress = 127.0.0.1\n}\n"
	    "unix_listener x-userdb {\ntype = auth\nclient_deadline = 5 s\n}\n}\n");
	assert_int_equal(c->listener_count, 3);
	const struct config_listener *l = listener(c, "auth-client");
	assert_int_equal(l->set->mode, 0660);
	assert_string_equal(l->set->user, "postfix");
	assert_false(l->inet);
	l = listener(c, "tcp-master");
	assert_true(l->inet);
	assert_int_equal(l->set->port, 12345);
	assert_string_equal(l->set->address, "127.0.0.1");
	assert_int_equal(l->type, LISTENER_MASTER);
	l = listener(c, "x-userdb");
	assert_int_equal(l->type, LISTENER_AUTH);
	assert_int_equal(l->set->client_deadline, 5000);
	config_free(&c);
}

static void listener_types(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum listener_type type;
	} cases[] = {{"login/login", LISTENER_LOGIN}, {"auth-login", LISTENER_LOGIN},
	    {"auth-client", LISTENER_AUTH}, {"auth", LISTENER_AUTH},
	    {"auth-master", LISTENER_MASTER}, {"/a-master/x", LISTENER_AUTH},
	    {"/x/auth-userdb", LISTENER_USERDB}, {"userdb", LISTENER_USERDB},
	    {"token-login/tokenlogin", LISTENER_TOKEN_LOGIN}, {"auth-token", LISTENER_TOKEN},
	    {"a-b-master", LISTENER_MASTER}, {"auth-exim", LISTENER_AUTH}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[512];
		snprintf(text, sizeof(text),
		    PASSDB("/a") "service auth {\nunix_listener %s {\n}\n}\n", cases[i].name);
		struct config *c = load(text);
		assert_int_equal(c->listeners[0].type, cases[i].type);
		config_free(&c);
	}
}

static void dovecot_listeners(void **state)
{
	(void)state;
	struct config *c = load_dovecot(
	    PASSDB("/a") "service auth {\nunix_listener auth-userdb {\nuser = vmail\n}\n"
			 "unix_listener login/login {\nmode = 0\n}\n"
			 "unix_listener /var/spool/postfix/private/auth {\nmode = 0660\n}\n}\n");
	assert_int_equal(c->listener_count, 6);
	assert_null(listener(c, "login/login"));
	assert_int_equal(listener(c, "auth-userdb")->set->mode, 0666);
	assert_string_equal(listener(c, "auth-userdb")->set->user, "vmail");
	assert_string_equal(listener(c, "auth-login")->set->user, "dovecot");
	assert_int_equal(listener(c, "auth-login")->set->mode, 0600);
	assert_string_equal(listener(c, "auth-master")->set->user, "");
	assert_int_equal(listener(c, "token-login/tokenlogin")->set->mode, 0666);
	assert_string_equal(c->process->base_dir, "/run/dovecot");
	assert_true(c->scopes[0].auth->allow_weak_schemes);
	config_free(&c);
	/* a file from when /run was /var/run */
	static const char *const bases[] = {"", "base_dir = /var/run/dovecot/\n"};
	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		char text[512];
		snprintf(text, sizeof(text),
		    "%s" PASSDB("/a") "service auth {\nunix_listener /var/run/dovecot/auth-client "
				      "{\nmode = 0660\n}\nunix_listener /run/dovecot/auth-master "
				      "{\nmode = 0600\n}\n}\n",
		    bases[i]);
		c = load_dovecot(text);
		assert_int_equal(c->listener_count, 6);
		assert_null(listener(c, "auth-client"));
		assert_null(listener(c, "auth-master"));
		config_free(&c);
	}
}

static void passing_over(void **state)
{
	(void)state;
	struct config *c = load_dovecot(
	    "protocols = imap\nssl_key = </nonexistent/key\nmail_plugins = $mail_plugins quota\n"
	    "protocol imap {\nmail_plugins = x\nauth_verbose = yes\n}\n"
	    "service imap-login {\ninet_listener imap {\nport = 0\n}\n}\n"
	    "service auth-worker {\nunix_listener auth-worker {\nmode = 0600\n}\n}\n"
	    "namespace inbox {\ninbox = yes\n}\nplugin {\nany = thing\n}\n"
	    "remote 10.0.0.1 {\nssl = no\n}\ndisable_plaintext_auth = no\n" PASSDB("/a"));
	static const char *const expected[] = {"t:1: protocols", "t:2: ssl_key",
	    "t:3: mail_plugins", "t:5: protocol imap { mail_plugins", "t:8: service imap-login",
	    "t:14: service auth-worker { unix_listener auth-worker", "t:18: namespace inbox",
	    "t:21: plugin", "t:24: remote 10.0.0.1", "t:27: disable_plaintext_auth"};
	assert_int_equal(c->passed_over_count, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(c->passed_over[i], expected[i]);
	config_free(&c);
}

/* ---- files of administrators ---- */

static struct config *load_file(const char *path, const struct config_options *options)
{
	memset(&errors, 0, sizeof(errors));
	return config_load(path, options, kit_collect, &errors);
}

static void rhel_basic(void **state)
{
	(void)state;
	struct config *c = load_file(FIXTURES "rhel-basic/dovecot.conf", &kit_dovecot);
	assert_string_equal(errors.text, "");
	assert_non_null(c);
	assert_string_equal(c->scopes[0].passdbs[0].set->driver, "pam");
	assert_string_equal(c->scopes[0].userdbs[0].set->driver, "passwd");
	assert_true(c->pools[0].root);
	assert_int_equal(c->listener_count, 6);
	assert_int_equal(c->passed_over_count, 4);
	config_free(&c);
}

/* The original names a file below /etc; the copy names the one beside it. */
static void mysql_stack(void **state)
{
	(void)state;
	char dir[] = "/tmp/authd-test-conf-XXXXXX", command[1024], path[128];
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
	    "cp " FIXTURES "mysql-stack/* %s && sed -i 's|/etc/dovecot/|%s/|' %s/auth-sql.conf.ext",
	    dir, dir, dir);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/dovecot.conf", dir);
	struct config *c = load_file(path, &kit_dovecot);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	assert_string_equal(errors.text, "");
	assert_non_null(c);
	assert_string_equal(c->scopes[0].auth->mechanisms, "plain login");
	assert_int_equal(c->pool_count, 1);
	assert_non_null(strstr(c->pools[0].file_text, "default_pass_scheme = SHA512-CRYPT"));
	assert_string_equal(c->process->log_path, "/var/log/dovecot.log");
	struct buffer b = {0};
	struct err err = {0};
	config_export_front(c, &b);
	assert_null(memmem(b.data, b.len, "mailpassword", 12));
	buffer_free(&b);
	config_export_worker(c, 0, &b);
	struct worker_config *wc = config_import_worker(buffer_span(&b), &err);
	assert_non_null(strstr(wc->file_text, "mailpassword"));
	worker_config_free(&wc);
	buffer_free(&b);
	config_free(&c);
}

/* A child's environment is empty: what a template reads of it is settled before. */
static void environment(void **state)
{
	(void)state;
	struct err err = {0};
	struct buffer b = {0};
	struct arena a = {0};
	setenv("AUTHD_TEST_DOMAIN", "example.com%u", 1);
	struct config *c = load("auth_username_format = %n@%{env:AUTHD_TEST_DOMAIN}\n"
				"passdb {\n  driver = passwd-file\n"
				"  args = /x/%{env:AUTHD_TEST_DOMAIN}\n}\n"
				"service auth {\n  unix_listener a {\n  }\n}\n");
	assert_string_equal(errors.text, "");
	config_export_front(c, &b);
	struct config *front = config_import_front(buffer_span(&b), &err);
	buffer_free(&b);
	config_export_worker(c, 0, &b);
	unsetenv("AUTHD_TEST_DOMAIN");
	struct worker_config *wc = config_import_worker(buffer_span(&b), &err);
	buffer_free(&b);
	struct vars vars = {.v[VAR_USER] = SPAN_LIT("tim")};
	struct span name =
	    template_expand(front->scopes[0].auth->username_format, &vars, &a, NULL, NULL, &err);
	assert_true(span_eq_str(name, "tim@example.com%u"));
	struct template *path = template_parse(&a, span_of(wc->args), &err);
	assert_non_null(path);
	name = template_expand(path, &vars, &a, NULL, NULL, &err);
	assert_true(span_eq_str(name, "/x/example.com%u"));
	arena_free(&a);
	worker_config_free(&wc);
	config_free(&front);
	config_free(&c);
}

static void examples(void **state)
{
	(void)state;
	static const char *const names[] = {"conf/examples/minimal.conf",
	    "conf/examples/postfix.conf", "conf/examples/dovecot.conf", "conf/examples/exim.conf"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct config *c = load_file(names[i], &kit_options);
		assert_string_equal(errors.text, "");
		assert_non_null(c);
		config_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mechanism_pools),
	    cmocka_unit_test(global_values),
	    cmocka_unit_test(later_settings_override),
	    cmocka_unit_test(protocol_scopes),
	    cmocka_unit_test(overlapping_scopes),
	    cmocka_unit_test(pools),
	    cmocka_unit_test(listeners_merge),
	    cmocka_unit_test(listener_types),
	    cmocka_unit_test(dovecot_listeners),
	    cmocka_unit_test(passing_over),
	    cmocka_unit_test(rhel_basic),
	    cmocka_unit_test(mysql_stack),
	    cmocka_unit_test(environment),
	    cmocka_unit_test(examples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
