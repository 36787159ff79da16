/*
 * The settings of the ldap driver and what the configuration must know of
 * it; everything that can be checked without a server is checked here.
 * Runs in: parent, authctl (to check), worker. Needs no LDAP library.
 */
#include "drivers/ldap-settings.h"

#include "drivers/drivers.h"

#define ROW(member, type, def, help)                                                               \
	{                                                                                          \
#member, SETTING_##type, offsetof(struct ldap_settings, member), def, help, NULL,  \
		    0, NULL                                                                        \
	}
#define POSIX_FILTER "(&(objectClass=posixAccount)(uid=%u))"

static const struct setting rows[] = {
    ROW(uris, WORDS, "",
	"The servers as URIs, ldap://, ldaps:// or ldapi://, the preferred one first."),
    ROW(hosts, WORDS, "", "The servers as HOST or HOST:PORT; an older way to write uris."),
    ROW(dn, STRING, "", "Who searches; empty: searches are anonymous."),
    {"dnpass", SETTING_STRING, offsetof(struct ldap_settings, dnpass), "", "The password of dn.",
	NULL, SETTING_SECRET, NULL},
    ROW(auth_bind, BOOL, "no",
	"Whether passwords are verified by binding to the server as the user; otherwise the hash "
	"is fetched and compared here."),
    ROW(auth_bind_userdn, TEMPLATE, "",
	"With auth_bind: the user's DN, or another name that the server binds (Active Directory: "
	"%u@domain), so that it need not be searched. No pass_attrs then."),
    ROW(tls, BOOL, "no", "Whether ldap:// connections are encrypted with StartTLS."),
    ROW(sasl_bind, BOOL, "no", "Whether dn is bound with SASL."),
    ROW(sasl_mech, STRING, "", "The SASL mechanism, EXTERNAL or DIGEST-MD5 for example."),
    ROW(sasl_realm, STRING, "", "The SASL realm."),
    ROW(sasl_authz_id, STRING, "", "The SASL authorization identity, dn:... or u:..."),
    ROW(tls_ca_cert_file, STRING, "",
	"Certificates of the authorities that are trusted; empty: those of /etc/ldap/ldap.conf."),
    ROW(tls_ca_cert_dir, STRING, "", "A directory of such certificates."),
    ROW(tls_cert_file, STRING, "", "The client certificate, for servers that want one."),
    ROW(tls_key_file, STRING, "", "The key of tls_cert_file."),
    ROW(tls_cipher_suite, STRING, "", "Ciphers, in the language of the TLS library of libldap."),
    {"tls_require_cert", SETTING_ENUM, offsetof(struct ldap_settings, tls_require_cert), "demand",
	"How a server's certificate is verified; demand and hard: completely, the host name "
	"included.",
	"never hard demand allow try", 0, NULL},
    {"deref", SETTING_ENUM, offsetof(struct ldap_settings, deref), "never",
	"When aliases are followed.", "never searching finding always", 0, NULL},
    {"scope", SETTING_ENUM, offsetof(struct ldap_settings, scope), "subtree",
	"How deep below base is searched.", "subtree onelevel base", 0, NULL},
    ROW(base, TEMPLATE, "", "Where searches begin. Variables are escaped as values of a DN."),
    {"ldap_version", SETTING_UINT, offsetof(struct ldap_settings, version), "3",
	"The version of the protocol, 3 or 2.", NULL, 0, NULL},
    ROW(debug_level, STRING, "0",
	"Accepted and not used: libldap's debug output would show passwords."),
    ROW(ldaprc_path, STRING, "", "A file in the manner of ldap.conf(5), read before the rest."),
    ROW(user_attrs, STRING, "homeDirectory=home,uidNumber=uid,gidNumber=gid",
	"The fields of a userdb and the attributes that they are made of."),
    ROW(user_filter, TEMPLATE, POSIX_FILTER, "Finds the entry of a user for the userdb."),
    ROW(pass_attrs, STRING, "uid=user,userPassword=password",
	"The fields of a passdb and the attributes that they are made of."),
    ROW(pass_filter, TEMPLATE, POSIX_FILTER, "Finds the entry of a user for the passdb."),
    ROW(iterate_attrs, STRING, "uid=user", "What the name of a listed user is made of."),
    ROW(iterate_filter, TEMPLATE, "(objectClass=posixAccount)", "Finds all users."),
    ROW(default_pass_scheme, STRING, "crypt", "The scheme of passwords without a {SCHEME}."),
    ROW(userdb_warning_disable, BOOL, "no", "Accepted for compatibility."),
    ROW(ask_together, BOOL, "yes",
	"Whether users who log in at the same time are searched for with one search."),
    ROW(blocking, BOOL, "no", "Accepted for compatibility; each lane has its own connection."),
};

static const struct setting_table table = {
    "ldap", rows, ARRAY_LEN(rows), sizeof(struct ldap_settings)};

/* ---- checks of the whole; each says what is wrong with one row ---- */

struct checking {
	struct ldap_settings *set;
	struct driver_check to;
};

static void add_server(struct checking *c, struct span written)
{
	struct ldap_settings *s = c->set;
	char *text = arena_cstr(c->to.arena, written);
	for (char *p = text; *p != '\0' && *p != ':'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p);
	struct span uri = span_of(text);
	bool tcp = span_starts(uri, "ldap://"), tls = span_starts(uri, "ldaps://");
	if (!tcp && !tls && !span_starts(uri, "ldapi://"))
		driver_check_says(&c->to, "uris",
		    "\"%.*s\" begins with none of ldap://, ldaps:// and ldapi://", SPAN_ARG(uri));
	else if (tls && s->tls)
		driver_check_says(&c->to, "tls",
		    "tls=yes is StartTLS, which cannot be used inside %.*s: choose one of them",
		    SPAN_ARG(uri));
	s->servers[s->server_count++] = text;
}

static void read_servers(struct checking *c)
{
	struct ldap_settings *s = c->set;
	bool as_hosts = s->uris[0] == '\0';
	struct span rest = span_of(as_hosts ? s->hosts : s->uris), word;
	s->servers = arena_alloc(c->to.arena, (rest.len / 2 + 1) * sizeof(*s->servers));
	while (span_word(&rest, " \t,", &word)) {
		if (as_hosts && span_find(word, '/') >= 0)
			driver_check_says(
			    &c->to, "hosts", "\"%.*s\" belongs into uris", SPAN_ARG(word));
		if (as_hosts)
			word = arena_join(c->to.arena, SPAN_LIT("ldap://"), word);
		add_server(c, word);
	}
	if (s->server_count == 0)
		driver_check_says(&c->to, NULL, "uris is missing: which server is to be asked?");
	else if (s->server_count > LDAP_SERVERS_MAX)
		driver_check_says(&c->to, "uris", "more than %d servers", LDAP_SERVERS_MAX);
}

static struct span stand_in(void *ctx UNUSED, struct arena *a UNUSED, struct span value UNUSED)
{
	return SPAN_LIT("x");
}

/* Only the parentheses that the administrator wrote; the rest is the library's to say. */
static void check_filter(struct checking *c, const char *row, const struct template *t)
{
	static const struct vars none;
	struct err err = {0};
	size_t depth = 0;
	struct span text = template_expand(t, &none, c->to.arena, stand_in, NULL, &err);
	if (text.ptr == NULL) /* depends on the variables */
		return;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '(') {
			depth++;
		} else if (text.ptr[i] == ')' && depth-- == 0) {
			driver_check_says(&c->to, row, "a ) without its (");
			return;
		}
	}
	if (depth > 0)
		driver_check_says(&c->to, row, "a ( without its )");
	else if (span_find(text, '=') < 0)
		driver_check_says(
		    &c->to, row, "\"%s\" is no filter, as (uid=%%u) is one", template_text(t));
}

static bool makes_dn(struct checking *c, const struct template *t)
{
	static const struct vars none;
	struct span text = template_expand(t, &none, c->to.arena, stand_in, NULL, NULL);
	return text.ptr == NULL || span_find(text, '=') >= 0;
}

static void read_attrs(struct checking *c, const char *row, const char *text, const char *skip,
    struct ldap_attrs **out)
{
	struct err err = {0};
	*out = ldap_attrs_parse(c->to.arena, span_of(text), skip, &err);
	if (*out == NULL)
		driver_check_says(&c->to, row, "%s", err.text);
}

static void check_binds(struct checking *c)
{
	const struct ldap_settings *s = c->set;
	if (s->version != 2 && s->version != 3)
		driver_check_says(&c->to, "ldap_version", "is 3, or 2");
	if (s->version == 2 && (s->tls || s->sasl_bind))
		driver_check_says(&c->to, "ldap_version", "tls and sasl_bind need version 3");
	if (!s->sasl_bind && s->dn[0] != '\0' && s->dnpass[0] == '\0')
		driver_check_says(&c->to, "dn",
		    "without dnpass servers take it for an anonymous bind; leave dn empty if that "
		    "is meant");
	if ((s->tls_cert_file[0] == '\0') != (s->tls_key_file[0] == '\0'))
		driver_check_says(&c->to, NULL, "tls_cert_file and tls_key_file need each other");
}

static void check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	struct ldap_settings *s = settings;
	struct checking c = {s, {a, complain, ctx}};
	read_servers(&c);
	check_binds(&c);
	driver_check_scheme(&c.to, "default_pass_scheme", s->default_pass_scheme);
	check_filter(&c, "user_filter", s->user_filter);
	check_filter(&c, "pass_filter", s->pass_filter);
	check_filter(&c, "iterate_filter", s->iterate_filter);
	s->userdn_is_dn = makes_dn(&c, s->auth_bind_userdn);
	read_attrs(&c, "user_attrs", s->user_attrs, NULL, &s->user);
	read_attrs(&c, "pass_attrs", s->pass_attrs, s->auth_bind ? "password" : NULL, &s->pass);
	read_attrs(&c, "iterate_attrs", s->iterate_attrs, NULL, &s->iterate);
	if (s->iterate != NULL && s->iterate->source_count > 1)
		driver_check_says(&c.to, "iterate_attrs", "sub-queries are not possible in a list");
}

static const struct driver_module *module_of(const void *settings UNUSED)
{
	static const struct driver_module module = {"ldap", "libldap-2.5-0", "libldap-dev"};
	return &module;
}

const struct driver_spec spec_ldap = {
    .name = "ldap",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_FILE,
    .settings = &table,
    .form_24 = &ldap_form_24,
    .check = check,
    .module = module_of,
};
