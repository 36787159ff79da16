/*
 * Files in the form of Dovecot 2.4: what each setting of each driver becomes,
 * that the rest of the configuration is what 2.3's form would make it, which
 * errors there are, and what is printed. No server is needed.
 */
#include "tests/unit/driver-kit.h"

#include "conf/config.h"
#include "conf/lexer.h"
#include "conf/template.h"
#include "drivers/drivers.h"

#define LISTENER "service auth {\n unix_listener auth-client {\n  mode = 0660\n }\n}\n"
#define VERSION "dovecot_config_version = 2.4.1\n"
#define STATIC "passdb static {\n password = x\n}\n"

static struct buffer errors;

static void keep_error(void *ctx, const char *message)
{
	(void)ctx;
	buffer_printf(&errors, "%s\n", message);
}

static struct config *load_as(const char *text, bool dovecot)
{
	static const char *const mechs[] = {"PLAIN", "LOGIN", NULL};
	const struct config_options o = {
	    .drivers = known_driver_specs, .mechanisms = mechs, .dovecot = dovecot};
	buffer_free(&errors);
	struct config *c = config_load_text("f", span_of(text), &o, keep_error, NULL);
	buffer_append_char(&errors, '\0');
	return c;
}

static struct config *load(const char *text)
{
	struct config *c = load_as(text, false);
	if (c == NULL)
		fail_msg("%s\n%s", text, errors.data);
	return c;
}

/* What the pool's driver would read: its args, or the file; ^ for the mark between words. */
static const char *pool_text(const struct config *c, size_t i)
{
	static char out[4000];
	static struct arena a;
	size_t n = 0;
	arena_free(&a);
	struct conf_lexer lx = conf_lexer_of(span_of(c->pools[i].file_text), &a);
	if (c->pools[i].file_text == NULL)
		n = (size_t)snprintf(out, sizeof(out), "%s",
		    arena_cstr(&a, template_to_24(&a, span_of(c->pools[i].args))));
	for (struct conf_line l; c->pools[i].file_text != NULL &&
				 (l = conf_lexer_next(&lx)).kind == CONF_LINE_SETTING;) {
		struct span v = template_to_24(&a, l.value);
		n += (size_t)snprintf(
		    out + n, sizeof(out) - n, "%.*s = %.*s\n", SPAN_ARG(l.key), SPAN_ARG(v));
	}
	for (char *p = out; *p != '\0'; p++)
		*p = *p == '\x1f' ? '^' : *p;
	return out;
}

static void check_pool(const char *sections, const char *want)
{
	char text[4000];
	snprintf(text, sizeof(text), VERSION "%s\n" LISTENER, sections);
	struct config *c = load(text);
	assert_int_equal(c->pool_count, 1);
	const char *got = pool_text(c, 0);
	if (strcmp(got, want) != 0)
		fail_msg("%s\ngives\n%s\nnot\n%s", sections, got, want);
	config_free(&c);
}

static void test_mysql(void **state)
{
	(void)state;
	check_pool(
	    "sql_driver = mysql\n"
	    "mysql db1 {\n port = 3307\n user = u\n password = \"p q'#\"\n dbname = d\n"
	    " connect_timeout = 3s\n read_timeout = 2 mins\n write_timeout = 500ms\n"
	    " connection_limit = 7\n option_file = /o\n option_group = g\n client_flags = 1\n}\n"
	    "mysql db2 {\n port = 3307\n user = u\n password = \"p q'#\"\n dbname = d\n"
	    " connect_timeout = 3s\n read_timeout = 2 mins\n write_timeout = 500ms\n"
	    " connection_limit = 7\n option_file = /o\n option_group = g\n client_flags = 1\n}\n"
	    "passdb sql {\n query = SELECT password FROM t WHERE u = '%{user | username}'\n"
	    " sql_multiple_passwords = yes\n}\n",
	    "driver = mysql\n"
	    "connect = ^host=db1^host=db2^port=3307^user=u^password=p q'#^dbname=d^"
	    "client_flags=1^connect_timeout=3^read_timeout=120^write_timeout=1^maxconns=7^"
	    "option_file=/o^option_group=g\n"
	    "password_query = SELECT password FROM t WHERE u = '%{user | username}'\n"
	    "default_pass_scheme = CRYPT\n"
	    "multiple_passwords = yes\n");
}

static void test_mysql_with_tls_and_around(void **state)
{
	(void)state;
	check_pool("passdb_default_password_scheme = PLAIN\nmysql_user = u\nmysql_ssl = yes\n"
		   "ssl_client_ca_file = /ca\nssl_client_cert_file = /c\nssl_client_key_file = /k\n"
		   "ssl_cipher_list = X\n"
		   "passdb one {\n driver = sql\n sql_driver = mysql\n mysql m {\n host = h\n }\n"
		   " sql_query = SELECT 1 AS password\n"
		   " sql_update_query = UPDATE t SET p = '%{new:password}'\n}\n",
	    "driver = mysql\n"
	    "connect = ^host=h^user=u^ssl_ca=/ca^ssl_cert=/c^ssl_key=/k^ssl_cipher=X^"
	    "ssl_verify_server_cert=yes\n"
	    "password_query = SELECT 1 AS password\n"
	    "update_query = UPDATE t SET p = '%{new:password}'\n"
	    "default_pass_scheme = PLAIN\n");
	check_pool("passdb sql {\n sql_driver = mysql\n mysql m {\n ssl = yes\n"
		   " ssl_client_require_valid_cert = no\n }\n query = SELECT 1 AS password\n}\n",
	    "driver = mysql\n"
	    "connect = ^host=m^ssl_ca_path=/etc/ssl/certs^ssl_verify_server_cert=no\n"
	    "password_query = SELECT 1 AS password\ndefault_pass_scheme = CRYPT\n");
}

static void test_pgsql_and_sqlite(void **state)
{
	(void)state;
	check_pool("sql_driver = pgsql\n"
		   "pgsql localhost {\n parameters {\n user = u\n password = it's \\\\ x\n"
		   " dbname = d\n }\n connection_limit = 3\n}\n"
		   "pgsql two {\n parameters {\n host = real\n user = u\n password = it's \\\\ x\n"
		   " dbname = d\n }\n connection_limit = 3\n}\n"
		   "passdb sql {\n passdb_sql_query = SELECT 1 AS password\n}\n",
	    "driver = pgsql\n"
	    "connect = host='localhost' host='real' user='u' password='it\\'s \\\\\\\\ x' "
	    "dbname='d' maxconns='3' \n"
	    "password_query = SELECT 1 AS password\ndefault_pass_scheme = CRYPT\n");
	check_pool("passdb sql {\n sql_driver = sqlite\n sqlite_path = /var/my db\n"
		   " sqlite_journal_mode = wal\n query = SELECT 1 AS password\n}\n",
	    "driver = sqlite\nconnect = ^/var/my db^journal_mode=wal\n"
	    "password_query = SELECT 1 AS password\ndefault_pass_scheme = CRYPT\n");
}

static void test_ldap(void **state)
{
	(void)state;
	check_pool(
	    "ldap_uris = ldap://one ldap://two\nldap_auth_dn = cn=x\n"
	    "ldap_auth_dn_password = se cret\nldap_base = dc=%{user | domain | ldap_dn}\n"
	    "ldap_scope = onelevel\nldap_deref = always\nldap_starttls = yes\n"
	    "ldap_version = 3\nldap_debug_level = 1\nldap_connection_group = g\n"
	    "ldap_auth_sasl_mechanisms = EXTERNAL\nldap_auth_sasl_realm = r\n"
	    "ldap_auth_sasl_authz_id = z\nssl_client_ca_file = /ca\nssl_client_ca_dir = /cd\n"
	    "ssl_client_cert_file = /c\nssl_client_key_file = /k\nssl_cipher_list = X\n"
	    "ssl_client_require_valid_cert = no\n"
	    "passdb ldap {\n bind = yes\n filter = (uid=%{user | username})\n"
	    " default_password_scheme = SSHA\n"
	    " fields {\n user = %{ldap:uid}\n userdb_x:default = a,%{ldap:b | default('c,d')}\n"
	    " dn = %{ldap:dn}\n all = %{ldap_multi:m | list}\n }\n}\n"
	    "userdb ldap {\n filter = (mail=%{user})\n iterate_filter = (x=*)\n"
	    " fields {\n home = %{ldap:homeDirectory}\n }\n"
	    " iterate_fields {\n user = %{ldap:mail}\n }\n}\n",
	    "uris = ldap://one ldap://two\ndn = cn=x\ndnpass = se cret\nauth_bind = yes\ntls = "
	    "yes\n"
	    "sasl_bind = yes\nsasl_mech = EXTERNAL\nsasl_realm = r\nsasl_authz_id = z\n"
	    "tls_ca_cert_file = /ca\ntls_ca_cert_dir = /cd\ntls_cert_file = /c\ntls_key_file = /k\n"
	    "tls_cipher_suite = X\ntls_require_cert = never\nderef = always\nscope = onelevel\n"
	    "base = dc=%{user | domain | ldap_dn}\nldap_version = 3\ndebug_level = 1\n"
	    "user_attrs = homeDirectory=home\nuser_filter = (mail=%{user})\n"
	    "pass_attrs = uid=user,=userdb_x:default=a%{','}%{ldap:b | default('c,d')},"
	    "=dn=%{ldap:dn},=all=%{ldap_multi:m | list}\n"
	    "pass_filter = (uid=%{user | username})\niterate_attrs = mail=user\n"
	    "iterate_filter = (x=*)\ndefault_pass_scheme = SSHA\n");
	check_pool("passdb ldap {\n ldap_uris = ldapi:///\n bind = yes\n"
		   " ldap_bind_userdn = uid=%{user | safe}\n}\n",
	    "uris = ldapi:///\nauth_bind = yes\nauth_bind_userdn = uid=%{user | safe}\n"
	    "pass_attrs = \n");
}

#define OAUTH2_TEXT                                                                                \
	"introspection_url = https://id/\nintrospection_mode = post\n"                             \
	"scope = mail imap\npass_attrs = a=x%{' '}%{oauth2:b | lower}%{' '}y c=%{oauth2:d}\n"

static void test_oauth2(void **state)
{
	(void)state;
	static const char *const same[] = {
	    "oauth2 {\n introspection_url = https://id/\n oauth2_introspection_mode = post\n"
	    " scope {\n mail = yes\n no = no\n imap = yes\n }\n http_client_x = y\n}\n"
	    "passdb oauth2 {\n fields {\n a = x %{oauth2:b | lower} y\n c = %{oauth2:d}\n }\n}\n",
	    "passdb any {\n driver = oauth2\n oauth2 {\n introspection_url = https://id/\n"
	    " introspection_mode = post\n }\n oauth2_scope {\n mail = yes\n imap = yes\n }\n"
	    " fields {\n a = x %{oauth2:b | lower} y\n c = %{oauth2:d}\n }\n}\n"};
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		char text[2000];
		snprintf(text, sizeof(text), VERSION "%s" LISTENER, same[i]);
		struct config *c = load_as(text, true); /* http_client_x is passed over */
		if (c == NULL)
			fail_msg("%s", errors.data);
		const char *got = pool_text(c, 0);
		if (strcmp(got, OAUTH2_TEXT) != 0)
			fail_msg("%s\ngives\n%s", text, got);
		config_free(&c);
	}
}

static void test_lists_in_databases(void **state)
{
	(void)state;
	struct config *c = load(
	    VERSION "passdb static {\n password = x\n mechanisms_filter {\n  plain = yes\n"
		    "  login = no\n }\n}\npassdb ldap {\n ldap_uris = ldapi:///\n filter = (a=b)\n"
		    "}\nldap_auth_sasl_mechanisms {\n external = yes\n}\n" LISTENER);
	assert_string_equal(c->scopes[0].passdbs[0].set->mechanisms, "plain");
	assert_non_null(strstr(c->pools[1].file_text, "sasl_mech = external"));
	config_free(&c);
}

static void test_drivers_with_words(void **state)
{
	(void)state;
	check_pool(
	    "passdb passwd-file {\n passwd_file_path = /etc/a b/%{user | domain}\n"
	    " default_password_scheme = PLAIN\n auth_username_format = %{user | username}\n}\n",
	    "scheme=PLAIN username_format=%{user | username} /etc/a%{' '}b/%{user | domain}");
	check_pool("passdb passwd-file {\n passwd_file_path = /etc/a\n default_password_scheme = "
		   "PLAIN\n}\n"
		   "userdb passwd-file {\n passwd_file_path = /etc/a\n}\n",
	    "scheme=PLAIN /etc/a");
	check_pool("passdb pam {\n session = yes\n setcred = yes\n failure_show_msg = yes\n"
		   " max_requests = 5\n service_name = *\n}\n",
	    "session=yes setcred=yes failure_show_msg=yes max_requests=5 *");
	check_pool("passdb pam {\n service_name = mail-%{protocol | lower}\n}\n",
	    "mail-%{protocol | lower}");
	check_pool("passdb imap {\n imapc_host = h\n imapc_port = 1143\n imapc_user = %{user}\n"
		   " imapc_ssl = starttls\n ssl_client_ca_dir = /d\n ssl_client_ca_file = /f\n"
		   " ssl_client_require_valid_cert = no\n imapc_rawlog_dir = /r\n}\n",
	    "host=h port=1143 username=%{user} ssl=starttls ssl_ca_dir=/d ssl_ca_file=/f "
	    "allow_invalid_cert=yes rawlog_dir=/r");
	check_pool(
	    "passdb static {\n password = a b\n fields {\n proxy = y\n host = %{user | domain}\n"
	    " }\n}\n",
	    "proxy=y host=%{user | domain} password=\"a b\"");
	check_pool("passdb static {\n static_password = x\n default_password_scheme = SHA1\n}\n",
	    "password={SHA1}x");
	check_pool("passdb checkpassword {\n args = /bin/cp\n}\n", "/bin/cp");
}

static void test_fields_of_the_section(void **state)
{
	(void)state;
	struct config *c = load(VERSION
	    "passdb passwd {\n fields {\n a = %{user | upper} \"x\"\n b:default = %{passwd:home}\n"
	    " }\n mechanisms_filter = plain\n username_filter = *@x\n result_success = "
	    "continue-ok\n"
	    " result_failure = return-fail\n result_internalfail = return\n skip = authenticated\n"
	    " auth_verbose = yes\n worker_count = 2\n use_cache = yes\n use_worker = yes\n"
	    " fields_import_all = yes\n master = yes\n}\n"
	    "passdb two {\n driver = static\n passdb_static_password = y\n deny = yes\n}\n" STATIC
	    "userdb static {\n allow_all_users = yes\n fields {\n uid = vmail\n }\n skip = "
	    "found\n}\n" LISTENER);
	const struct db_settings *s = c->scopes[0].passdbs[0].set;
	struct span fields = template_to_24(&c->arena, span_of(s->override_fields->text));
	assert_string_equal(arena_cstr(&c->arena, fields),
	    "a=\"%{user | upper} \\\"x\\\"\" b:default=%{passdb:home}");
	assert_string_equal(s->name, "passwd");
	assert_string_equal(s->mechanisms, "plain");
	assert_string_equal(s->username_filter, "*@x");
	assert_int_equal(s->result_success, RULE_CONTINUE_OK);
	assert_int_equal(s->result_failure, RULE_RETURN_FAIL);
	assert_int_equal(s->result_internalfail, RULE_RETURN);
	assert_int_equal(s->skip, SKIP_AUTHENTICATED);
	assert_int_equal(s->auth_verbose, DB_VERBOSE_YES);
	assert_int_equal(s->worker_count, 2);
	assert_true(s->master);
	assert_string_equal(c->scopes[0].passdbs[1].set->name, "two");
	assert_true(c->scopes[0].passdbs[1].set->deny);
	assert_string_equal(
	    c->pools[c->scopes[0].userdbs[0].pool].args, "uid=vmail allow_all_users=yes");
	assert_int_equal(c->scopes[0].userdbs[0].set->skip, SKIP_AUTHENTICATED);
	config_free(&c);
}

/* A passdb and a userdb that say the same of what both need are one pool. */
static void test_sharing(void **state)
{
	(void)state;
	static const char around[] = "sql_driver = sqlite\nsqlite_path = /db\n";
	static const char passdb[] = "passdb sql {\n query = SELECT 1 AS password\n}\n";
	char text[2000];
	snprintf(text, sizeof(text), VERSION "%s%suserdb sql {\n query = SELECT 1 AS uid\n}\n%s",
	    around, passdb, LISTENER);
	struct config *c = load(text);
	assert_int_equal(c->pool_count, 1);
	assert_non_null(strstr(c->pools[0].file_text, "user_query"));
	assert_non_null(strstr(c->pools[0].file_text, "password_query"));
	config_free(&c);
	snprintf(text, sizeof(text),
	    VERSION "%s%suserdb sql {\n query = SELECT 1 AS uid\n sqlite_path = /other\n}\n"
		    "passdb b {\n driver = sql\n query = SELECT 2 AS password\n}\n%s",
	    around, passdb, LISTENER);
	c = load(text);
	assert_int_equal(c->pool_count, 3);
	config_free(&c);
}

static void test_values(void **state)
{
	(void)state;
	struct config *c = load(VERSION
	    "dovecot_storage_version = 2.4.1\nauth_allow_cleartext = yes\n"
	    "group @mysql default {\n host = h\n mysql_user = u\n}\n"
	    "group @all x {\n @mysql = default\n sql_driver = mysql\n}\n"
	    "auth_mechanisms {\n plain = yes\n login = yes\n}\n"
	    "auth_realms = a b\nauth_default_domain = example.com\n"
	    "auth_username_format = %{user | username | lower}\n"
	    "auth_internal_failure_delay = 5s\n"
	    "auth_policy {\n hash_nonce = n\n request_attributes {\n login = %{user}\n }\n}\n"
	    "default_internal_group = $SET:default_internal_user\ndefault_internal_user = mail\n"
	    "passdb sql {\n @all = x\n query = SELECT 1 AS password\n}\n"
	    "passdb sql {\n result_failure = return-fail\n}\n"
	    "protocol imap {\n auth_verbose = yes\n passdb static {\n password = z\n }\n}\n"
	    "service auth {\n service_client_limit = unlimited\n unix_listener a {\n"
	    "  unix_listener_mode = 0666\n  user = $SET:default_internal_user\n  type = token\n }\n"
	    " inet_listener i {\n listen = 127.0.0.1\n port = 9\n }\n}\n"
	    "service auth-worker {\n process_limit = 9\n}\n");
	const struct auth_settings *a = c->scopes[0].auth;
	assert_string_equal(a->mechanisms, "plain login");
	assert_string_equal(a->default_realm, "example.com");
	assert_int_equal(a->internal_failure_delay, 5000);
	assert_string_equal(a->policy_hash_nonce, "n");
	assert_string_equal(a->policy_request_attributes, "login=%{user}");
	assert_int_equal(a->worker_max_count, 9);
	assert_false(a->allow_weak_schemes);
	struct err err = {0};
	struct vars v = {.v[VAR_USER] = SPAN_LIT("Tim@X")};
	struct span name = template_expand(a->username_format, &v, &c->arena, NULL, NULL, &err);
	assert_true(span_eq_str(name, "tim"));
	assert_string_equal(c->process->default_internal_group, "mail");
	assert_int_equal(c->scopes[0].passdb_count, 1);
	assert_int_equal(c->scopes[0].passdbs[0].set->result_failure, RULE_RETURN_FAIL);
	assert_non_null(strstr(pool_text(c, 0), "^host=h^user=u"));
	const struct config_scope *imap = config_scope_for(c, SPAN_LIT("imap"));
	assert_int_equal(imap->passdb_count, 2);
	assert_true(imap->auth->verbose);
	assert_int_equal(c->listener_count, 2);
	assert_int_equal(c->listeners[0].set->mode, 0666);
	assert_string_equal(c->listeners[0].set->user, "mail");
	assert_int_equal(c->listeners[0].type, LISTENER_TOKEN);
	assert_string_equal(c->listeners[1].set->address, "127.0.0.1");
	config_free(&c);
}

static void check_error(const char *text, const char *want)
{
	struct config *c = load_as(text, false);
	if (c != NULL)
		fail_msg("%s\nwas taken", text);
	if (strstr(errors.data, want) == NULL)
		fail_msg("%s\nsaid\n%s\nnot\n%s", text, errors.data, want);
}

static void test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} pairs[] = {
	    {"dovecot_config_version = 2.5.0\n", "f:1: dovecot_config_version: \"2.5.0\" is not"},
	    {"auth_debug = no\ndovecot_config_version = 2.4.1\n",
		"f:2: dovecot_config_version: this must be the first"},
	    {VERSION "passdb {\n}\n", "f:2: passdb needs a name"},
	    {VERSION "passdb sql {\n qury = x\n}\n",
		"f:3: unknown setting \"passdb sql { qury\", did you mean \"query\"?"},
	    {VERSION "passdb sql {\n args = /x\n}\n", "f:3: args is of Dovecot 2.3's form"},
	    {VERSION "passdb sql {\n ldap_base = x\n}\n",
		"f:3: \"passdb sql { ldap_base\" is of driver ldap"},
	    {VERSION "passdb sql {\n sql_driver = mysqll\n}\n",
		"f:3: sql_driver: \"mysqll\" is not one of"},
	    {VERSION "passdb sql {\n sql_driver = mysql\n}\n", "f:2: there is no block mysql HOST"},
	    {VERSION "passdb sql {\n sql_driver = mysql\n}\n", "f:2: passdb_sql_query is missing"},
	    {VERSION "passdb sql {\n}\n", "sql_driver is missing"},
	    {VERSION
		"passdb sql {\n sql_driver = mysql\n mysql a {\n user = a\n }\n mysql b {\n }\n}\n",
		"must say the same"},
	    {VERSION "passdb sql {\n sql_driver = mysql\n mysql a {\n usr = a\n }\n}\n",
		"f:5: unknown setting"},
	    {VERSION
		"passdb sql {\n sql_driver = sqlite\n sqlite_path = /x\n query = SELECT %{user} x\n"
		" passdb_sql_query = SELECT password FROM %{user}\n}\n",
		"f:6: passdb_sql_query: %{user} cannot be a value"},
	    {VERSION "passdb sql {\n query = SELECT '%{user | lowr}'\n}\n",
		"f:3: query: unknown filter \"lowr\", did you mean \"lower\"?"},
	    {VERSION "passdb ldap {\n fields {\n a = %{ldp:x}\n }\n}\n",
		"f:4: a: unknown provider \"ldp\", did you mean \"ldap\"?"},
	    {VERSION "passdb ldap {\n fields {\n a = %{ldp:x}\n b = %{sql:y}\n }\n}\n",
		"f:5: b: %{sql:...} is only known"},
	    {VERSION "passdb ldap {\n fields_import_all = yes\n}\n",
		"f:3: passdb_fields_import_all cannot be yes"},
	    {VERSION "passdb ldap {\n ldap_uris = http://x\n filter = (a=b)\n}\n",
		"f:3: ldap_uris: \"http://x\" begins"},
	    {VERSION "passdb ldap {\n ldap_uris = ldap://x\n filter = (a=b\n}\n",
		"f:4: filter: a ( without its )"},
	    {VERSION "passdb static {\n use_cache = no\n}\n", "f:3: passdb_use_cache cannot be no"},
	    {VERSION "passdb static {\n deny = $SET:nothing\n}\n",
		"f:3: deny: there is no setting for $SET:nothing"},
	    {VERSION "passdb static {\n pass = yes\n}\n",
		"f:3: unknown setting \"passdb static { pass\""},
	    {VERSION "passdb static {\n fields {\n a = %{usr}\n }\n}\n",
		"f:4: a: unknown variable \"usr\", did you mean \"user\"?"},
	    {VERSION "passdb static {\n password = x\n default_password_scheme = SHAA\n}\n",
		"f:4: passdb_default_password_scheme \"SHAA\" is no password scheme, did you mean"},
	    {VERSION "passdb passwd-file {\n passwd_file_path = /x\n"
		     " default_password_scheme = sha512-cript\n}\n",
		"f:4: default_password_scheme: \"sha512-cript\" is no password scheme, did you "
		"mean "
		"\"SHA512-CRYPT\"?"},
	    {VERSION "passdb passwd-file {\n passwd_file_path = x/y\n}\n",
		"f:3: passwd_file_path: \"x/y\" is no absolute path"},
	    {VERSION "passdb_default_password_scheme = nosuch\npassdb ldap {\n"
		     " ldap_uris = ldap://x\n filter = (a=b)\n}\n",
		"f:2: passdb_default_password_scheme: \"nosuch\" is no password scheme"},
	    {"passdb {\n driver = passwd-file\n args = scheme=CRIPT /etc/users\n}\n",
		"f:3: passdb: args: scheme: \"CRIPT\" is no password scheme, did you mean "
		"\"CRYPT\"?"},
	    {"passdb {\n driver = passwd-file\n args = etc/users\n}\n",
		"f:3: passdb: args: path: \"etc/users\" is no absolute path"},
	    {VERSION "passdb oauth2 {\n anything = x\n}\n", "f:2: passdb"},
	    {VERSION STATIC "oauth2 {\n scope {\n a = maybe\n }\n}\n",
		"f:5: oauth2 {} by itself judges no token here"},
	    {VERSION STATIC "oauth2 {\n scope {\n a = maybe\n }\n}\n",
		"f:7: oauth2_scope: a is neither yes nor no"},
	    {VERSION "oauth2 {\n ssl_client_ca_file = /x\n fields {\n a = b\n }\n}\n",
		"f:3: ssl_client_ca_file: write it in passdb oauth2 {}"},
	    {VERSION "oauth2 {\n ssl_client_ca_file = /x\n fields {\n a = b\n }\n}\n",
		"f:4: write these fields in passdb oauth2 {"},
	    {VERSION "oauth2 {\n introspektion_url = /x\n}\n",
		"f:3: unknown setting \"oauth2_introspektion_url\", did you mean"},
	    {VERSION "passdb oauth2 {\n fields {\n a = %{oauth:b}\n }\n}\n",
		"f:4: a: unknown provider \"oauth\""},
	    {VERSION "auth_usrname_format = x\n", "f:2: unknown setting \"auth_usrname_format\", "
						  "did you mean \"auth_username_format\"?"},
	    {VERSION "sql_drver = x\n",
		"f:2: unknown setting \"sql_drver\", did you mean \"sql_driver\"?"},
	    {VERSION "auth_username_format = %{user | lowr}\n",
		"f:2: auth_username_format: unknown filter"},
	    {VERSION "auth_mechanisms {\n plain = perhaps\n}\n",
		"f:3: auth_mechanisms: plain is neither"},
	    {VERSION "@x = y\n", "f:2: there is no group @x y"},
	    {VERSION "group x {\n}\n", "f:2: a group is written"},
	    {VERSION "group @a b {\n @a = b\n}\n@a = b\n", "nested too deeply"},
	    {VERSION "base_dir = $SET:nothing\n",
		"f:2: base_dir: there is no setting for $SET:nothing"},
	    {VERSION "base_dir = $SET:log_path\nlog_path = $SET:base_dir\n",
		"there is no setting for"},
	    {VERSION "mail_driver = maildir\n", "f:2: mail_driver: this is the mail server's"},
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		check_error(pairs[i].text, pairs[i].want);
}

/* All errors of the file come at once, each once, in its order. */
static void test_all_errors_at_once(void **state)
{
	(void)state;
	check_error(VERSION
	    "passdb sql {\n sql_driver = sqlite\n sqlite_path = /x\n qury = y\n"
	    " query = SELECT %{user | nosuch}\n}\n"
	    "userdb sql {\n sql_driver = sqlite\n sqlite_path = /x\n query = SELECT %{usr}\n}\n"
	    "passdb nosuch {\n}\n",
	    "f:5: unknown setting \"passdb sql { qury\", did you mean \"query\"?\n"
	    "f:6: query: unknown filter \"nosuch\" at offset 17\n"
	    "f:11: query: unknown variable \"usr\", did you mean \"user\"? at offset 10\n"
	    "f:13: passdb: driver \"nosuch\" is not built in\n");
}

/* A whole dovecot.conf of 2.4: what is not about authentication is passed over. */
static void test_whole_dovecot_conf(void **state)
{
	(void)state;
	static const char text[] = VERSION
	    "dovecot_storage_version = 2.4.1\nprotocols {\n imap = yes\n lmtp = yes\n}\n"
	    "mail_driver = maildir\nmail_path = ~/Maildir\nmail_home = /var/mail/%{user | lower}\n"
	    "ssl_server {\n cert_file = /c\n key_file = /k\n}\n@mailbox_defaults = english\n"
	    "namespace inbox {\n inbox = yes\n mailbox Trash {\n  auto = create\n }\n}\n"
	    "mail_plugins {\n quota = yes\n}\nquota \"User quota\" {\n storage_size = 1G\n}\n"
	    "auth_mechanisms = plain login\nlocal_name x {\n ssl_server_cert_file = /d\n}\n"
	    "passdb passwd-file {\n passwd_file_path = /etc/dovecot/users\n mail_driver = x\n}\n"
	    "userdb static {\n fields {\n uid = vmail\n }\n}\n"
	    "service lmtp {\n unix_listener lmtp {\n  mode = 0666\n }\n}\n"
	    "protocol lda {\n mail_plugins {\n  sieve = yes\n }\n}\n";
	struct config *c = load_as(text, true);
	if (c == NULL)
		fail_msg("%s", errors.data);
	assert_int_equal(c->scopes[0].passdb_count, 1);
	assert_int_equal(c->listener_count, 6);
	assert_false(c->scopes[0].auth->allow_weak_schemes); /* 2.3's default is yes */
	assert_true(c->passed_over_count > 10);
	config_free(&c);
	c = load_as(VERSION "auth_mechanism = plain\n" STATIC, true);
	assert_null(c);
	assert_non_null(strstr(errors.data, "did you mean \"auth_mechanisms\"?"));
}

static void test_printed(void **state)
{
	(void)state;
	struct config *c = load(VERSION
	    "sql_driver = mysql\nmysql h {\n user = u\n password = geheim1\n}\n"
	    "auth_default_domain = x\nauth_username_format = %{user | upper | substr(0, 3)}\n"
	    "passdb sql {\n default_password_scheme = PLAIN\n"
	    " query = SELECT password FROM t WHERE u = '%{user | default('a b')}'\n}\n"
	    "passdb static {\n password = geheim2\n fields {\n pass = %{password}\n pass2 = x\n "
	    "}\n}\n"
	    "passdb ldap {\n ldap_uris = ldapi:///\n ldap_auth_dn_password = geheim3\n"
	    " ldap_auth_dn = x\n filter = (a=b)\n}\n"
	    "protocol imap {\n auth_verbose = yes\n}\n" LISTENER);
	struct buffer out = {0};
	config_print(c, true, &out);
	buffer_append_char(&out, '\0');
	static const char *const wanted[] = {"dovecot_config_version = 2.4.1\n",
	    "auth_default_domain = x\n", "auth_username_format = %{user | upper | substr(0, 3)}\n",
	    "mysql h {\n  user = u\n  password = \"<hidden>\"\n}\n",
	    "passdb sql {\n  default_password_scheme = PLAIN\n  query = \"SELECT password FROM t "
	    "WHERE "
	    "u = '%{user | default('a b')}'\"\n}\n",
	    "pass = %{password}\n", "ldap_auth_dn_password = \"<hidden>\"\n",
	    "protocol imap {\n  auth_verbose = yes\n}\n"};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		if (strstr(out.data, wanted[i]) == NULL)
			fail_msg("there is no\n%s\nin\n%s", wanted[i], out.data);
	}
	assert_null(strstr(out.data, "geheim"));
	/* what comes out can be read again */
	struct config *again = load(out.data);
	struct buffer second = {0};
	config_print(again, true, &second);
	buffer_append_char(&second, '\0');
	assert_string_equal(second.data, out.data);
	config_free(&again);
	config_free(&c);
	buffer_free(&out);
	buffer_free(&second);
}

/* Every name is of a row, so that a typo in a table shows here. */
static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; known_driver_specs[i] != NULL; i++) {
		const struct driver_spec *spec = known_driver_specs[i];
		const struct driver_name_24 *n =
		    spec->form_24 != NULL ? spec->form_24->names : NULL;
		for (; n != NULL && n->name != NULL; n++) {
			if (n->row != NULL &&
			    settings_find(spec->settings, span_of(n->row)) == NULL)
				fail_msg("%s: %s", spec->name, n->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mysql),
	    cmocka_unit_test(test_mysql_with_tls_and_around),
	    cmocka_unit_test(test_pgsql_and_sqlite),
	    cmocka_unit_test(test_ldap),
	    cmocka_unit_test(test_oauth2),
	    cmocka_unit_test(test_lists_in_databases),
	    cmocka_unit_test(test_drivers_with_words),
	    cmocka_unit_test(test_fields_of_the_section),
	    cmocka_unit_test(test_sharing),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_all_errors_at_once),
	    cmocka_unit_test(test_whole_dovecot_conf),
	    cmocka_unit_test(test_printed),
	    cmocka_unit_test(test_tables),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	buffer_free(&errors);
	return rc;
}
