/*
 * The settings of the oauth2 driver, Dovecot's dovecot-oauth2.conf.ext and a
 * few of authd's own; everything that can be checked without asking a provider
 * is checked here. Runs in: parent, authctl (to check), worker. Needs no
 * library.
 */
#include "drivers/oauth2.h"

#define AT(member) offsetof(struct oauth2_settings, member)
#define ROW(member, type, def, help)                                                               \
	{                                                                                          \
#member, SETTING_##type, AT(member), def, help, NULL, 0, NULL                      \
	}
#define SECRET(member, help)                                                                       \
	{                                                                                          \
#member, SETTING_STRING, AT(member), "", help, NULL, SETTING_SECRET, NULL          \
	}
#define ALGORITHMS "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256 HS384 HS512"

static const struct setting rows[] = {
    /* URLs may hold a password, user:password@host */
    SECRET(tokeninfo_url,
	"Where a token is shown and its user is told. The token is appended when the URL ends with "
	"= ? or /; otherwise it goes in an Authorization header, as a userinfo endpoint wants it."),
    SECRET(introspection_url,
	"Where the provider tells what a token is good for (RFC 7662), in the way of "
	"introspection_mode. Asked when tokeninfo does not tell all that is needed, or alone."),
    {"introspection_mode", SETTING_ENUM, AT(introspection_mode), "auth",
	"How: auth sends the token in an Authorization header, get appends it to the URL, post "
	"sends a form as RFC 7662 has it; local verifies a JSON Web Token here.",
	"auth get post local", 0, NULL},
    ROW(force_introspection, BOOL, "no",
	"Whether introspection is asked even where nothing is missing, so that a token that was "
	"revoked is refused at once."),
    SECRET(grant_url,
	"Where a user name and a password are exchanged for a token (RFC 6749 section 4.3)."),
    ROW(use_grant_password, BOOL, "no",
	"Whether the passwords of mechanisms other than OAUTHBEARER and XOAUTH2 are passwords, for "
	"grant_url; otherwise they are taken for tokens."),
    ROW(client_id, STRING, "",
	"authd's name at the provider; sent to introspection_url and grant_url with "
	"client_secret. A JSON Web Token must be meant for it, unless audience says otherwise."),
    SECRET(client_secret, "The secret that belongs to client_id."),
    ROW(scope, WORDS, "",
	"Scopes of which a token must have one, in scope or aud; clients hear of them when they "
	"are refused."),
    ROW(username_attribute, STRING, "email", "Which field of the token names its user."),
    ROW(username_format, TEMPLATE, "%Lu",
	"Both the token's user and the one who logs in are brought into this form; then they must "
	"be the same."),
    ROW(active_attribute, STRING, "",
	"A field that a token must have, with the value active_value if that is set; for users "
	"whom the provider has locked out. A token that is not \"active\" (RFC 7662) is always "
	"refused."),
    ROW(active_value, STRING, "", "The value of active_attribute that lets in."),
    ROW(pass_attrs, STRING, "",
	"Extra fields, key=value separated by spaces; %{oauth2:NAME} is a field of the token, %$ "
	"the one with the key's name, %{oauth2:access_token} the token itself."),
    ROW(issuers, WORDS, "",
	"Who may have issued a token (iss). Default: the one that openid_configuration_url belongs "
	"to."),
    ROW(audience, WORDS, "",
	"Whom a token must be meant for (aud), one of them. Without it a JSON Web Token must be "
	"meant for client_id, if that is set."),
    ROW(openid_configuration_url, STRING, "",
	"Where clients learn how to get a token; they hear of it when theirs is refused."),
    {"local_validation_key_dict", SETTING_STRING, AT(key_dict), "",
	"Keys in files, fs:posix:prefix=DIR/: a token signed with ALG is verified with the key in "
	"DIR/AZP/ALG/KID, where AZP and KID are \"default\" for a token without them. Public keys "
	"are PEM, keys of HS256 and the like base64.",
	NULL, 0, NULL},
    {"local_validation_jwks", SETTING_STRING, AT(jwks), "",
	"The provider's keys as a JSON Web Key Set: a file, or an https URL.", NULL, 0, NULL},
    {"local_validation_jwks_refresh_min", SETTING_TIME, AT(jwks_refresh_min), "10 secs",
	"A token with a key that is not known has the keys fetched again, at most so often.", NULL,
	0, NULL},
    {"local_validation_jwks_refresh_max", SETTING_TIME, AT(jwks_refresh_max), "1 hour",
	"Keys are fetched again after this time in any case. While that fails the old ones stay.",
	NULL, 0, NULL},
    {"local_validation_algorithms", SETTING_WORDS, AT(algorithms), ALGORITHMS,
	"Signatures that count. A key is used with its own algorithms only.", NULL, 0, NULL},
    ROW(send_auth_headers, BOOL, "no",
	"Whether the provider is told of service and addresses, in X-Dovecot-Auth-Service, "
	"X-Dovecot-Auth-Local and X-Dovecot-Auth-Remote."),
    ROW(timeout_msecs, UINT, "0",
	"How long one request may take. 0: as long as the client waits; never longer than that."),
    ROW(max_idle_time_msecs, UINT, "60000", "How long a connection is kept for the next request."),
    ROW(max_parallel_connections, UINT, "1",
	"Accepted for compatibility; each lane has its own connection."),
    ROW(max_pipelined_requests, UINT, "1", "Accepted for compatibility."),
    ROW(tls_ca_cert_file, STRING, "",
	"Certificates of the authorities that are trusted; with neither it nor tls_ca_cert_dir: "
	"the system's."),
    ROW(tls_ca_cert_dir, STRING, "", "A directory of such certificates."),
    ROW(tls_cert_file, STRING, "", "The client certificate, for a provider that wants one."),
    ROW(tls_key_file, STRING, "", "The key of tls_cert_file."),
    ROW(tls_cipher_suite, STRING, "", "Ciphers up to TLS 1.2, as OpenSSL writes them."),
    ROW(tls_allow_invalid_cert, BOOL, "no",
	"Talk to a provider whose certificate cannot be verified: anybody in between then reads "
	"the tokens, and says who may log in."),
    ROW(rawlog_dir, STRING, "", "Ignored: such logs would hold tokens."),
    ROW(debug, BOOL, "no", "Accepted for compatibility."),
};

static const struct setting_table table = {
    "oauth2", rows, ARRAY_LEN(rows), sizeof(struct oauth2_settings)};

/* ---- checks of the whole; each says what is wrong with one row ---- */

struct checking {
	struct oauth2_settings *set;
	struct driver_check to;
};

bool oauth2_has_word(const char *words, struct span s)
{
	struct span rest = span_of(words), word;
	while (span_word(&rest, " \t", &word)) {
		if (span_eq(word, s))
			return true;
	}
	return false;
}

static void check_url(struct checking *c, const char *row, const char *url)
{
	if (url[0] != '\0' && strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		driver_check_says(&c->to, row, "is no URL, https://... for example");
}

static void check_urls(struct checking *c)
{
	const struct oauth2_settings *s = c->set;
	check_url(c, "tokeninfo_url", s->tokeninfo_url);
	check_url(c, "introspection_url", s->introspection_url);
	check_url(c, "grant_url", s->grant_url);
	check_url(c, "openid_configuration_url", s->openid_configuration_url);
	if (s->use_grant_password && s->grant_url[0] == '\0')
		driver_check_says(&c->to, "use_grant_password", "needs grant_url");
	if (s->force_introspection && s->introspection_url[0] == '\0')
		driver_check_says(&c->to, "force_introspection", "needs introspection_url");
	bool online = s->tokeninfo_url[0] != '\0' || s->introspection_url[0] != '\0';
	if (!s->local && !online && !s->use_grant_password)
		driver_check_says(&c->to, NULL,
		    "who is to judge a token? One of tokeninfo_url, introspection_url, "
		    "local_validation_jwks and local_validation_key_dict is needed, or grant_url "
		    "with use_grant_password");
}

/* "fs:posix:prefix=DIR/[:mode=...]", the one kind of dict that is a directory */
static void read_key_dict(struct checking *c)
{
	struct oauth2_settings *s = c->set;
	struct span rest = span_of(s->key_dict), word, dir = SPAN_NULL;
	if (rest.len == 0)
		return;
	if (!span_starts(rest, "fs:posix:")) {
		driver_check_says(&c->to, "local_validation_key_dict",
		    "only fs:posix:prefix=DIR/ is possible, or local_validation_jwks instead");
		return;
	}
	rest = span_skip(rest, strlen("fs:posix:"));
	while (span_word(&rest, ":", &word)) {
		if (span_starts(word, "prefix="))
			dir = span_skip(word, strlen("prefix="));
	}
	if (dir.len == 0 || dir.ptr[0] != '/')
		driver_check_says(&c->to, "local_validation_key_dict",
		    "prefix=DIR/ is missing, an absolute path");
	else
		s->key_dir = arena_cstr(c->to.arena, dir);
}

static void check_local(struct checking *c)
{
	struct oauth2_settings *s = c->set;
	struct span rest = span_of(s->algorithms), word;
	read_key_dict(c);
	while (span_word(&rest, " \t", &word)) {
		if (!oauth2_has_word(ALGORITHMS, word))
			driver_check_says(&c->to, "local_validation_algorithms",
			    "\"%.*s\" is not one of: %s", SPAN_ARG(word), ALGORITHMS);
	}
	s->jwks_is_url =
	    strncmp(s->jwks, "https://", 8) == 0 || strncmp(s->jwks, "http://", 7) == 0;
	if (s->jwks[0] != '\0' && s->jwks[0] != '/' && !s->jwks_is_url)
		driver_check_says(
		    &c->to, "local_validation_jwks", "is neither an absolute path nor a URL");
	s->local = s->jwks[0] != '\0' || s->key_dict[0] != '\0';
	if (s->introspection_mode == OAUTH2_LOCAL && !s->local)
		driver_check_says(&c->to, "introspection_mode",
		    "local needs local_validation_jwks or local_validation_key_dict");
}

/* OpenID Connect Discovery 1.0 section 4: the issuer, with or without "/", stands before this. */
static void read_issuers(struct checking *c)
{
	static const char tail[] = "/.well-known/openid-configuration";
	struct oauth2_settings *s = c->set;
	struct span url = span_of(s->openid_configuration_url);
	s->issuers_wanted = s->issuers;
	size_t n = sizeof(tail) - 1;
	if (s->issuers[0] == '\0' && url.len > n && span_eq_str(span_skip(url, url.len - n), tail))
		s->issuers_wanted = arena_printf(c->to.arena, "%.*s %.*s/",
		    SPAN_ARG(span_first(url, url.len - n)), SPAN_ARG(span_first(url, url.len - n)))
					.ptr;
	/* a set of keys is often that of all applications of an organisation, or of many */
	if (s->jwks[0] == '\0')
		return;
	if (s->issuers_wanted[0] == '\0')
		driver_check_says(
		    &c->to, "local_validation_jwks", "issuers is missing: whose tokens count?");
	if (s->audience[0] == '\0' && s->client_id[0] == '\0' && s->scope[0] == '\0')
		driver_check_says(&c->to, "local_validation_jwks",
		    "audience is missing (or client_id, or scope): any token of the issuer would "
		    "let "
		    "in, also one for something else");
}

/* ---- pass_attrs ---- */

static const char *const source_names[] = {"oauth2", "$", NULL};

static bool note_wanted(void *ctx, struct span name, struct span argument, struct err *err UNUSED)
{
	struct checking *c = ctx;
	struct oauth2_settings *s = c->set;
	if (span_eq_str(name, "oauth2") && !span_eq_str(argument, "access_token"))
		s->wanted[s->wanted_count++] = arena_cstr(c->to.arena, argument);
	return true;
}

static struct template *read_template(struct checking *c, struct span text)
{
	const struct template_sources sources = {source_names, note_wanted, c};
	struct err err = {0};
	struct template *t = template_parse_with(c->to.arena, text, &sources, &err);
	if (t == NULL)
		driver_check_says(&c->to, "pass_attrs", "%s", err.text);
	else
		c->set->needs |= template_needs(t);
	return t;
}

/* Up to a space that is not inside the braces of a variable. */
static bool next_attr(struct span *rest, struct span *word)
{
	size_t depth = 0, n = 0;
	*rest = span_trim(*rest);
	for (; n < rest->len; n++) {
		char c = rest->ptr[n];
		if (depth == 0 && (c == ' ' || c == '\t'))
			break;
		if (c == '{')
			depth++;
		else if (c == '}' && depth > 0)
			depth--;
	}
	*word = span_first(*rest, n);
	*rest = span_skip(*rest, n);
	return n > 0;
}

static void read_attrs(struct checking *c)
{
	struct oauth2_settings *s = c->set;
	struct span rest = span_of(s->pass_attrs), word, key;
	s->attrs = arena_alloc(c->to.arena, (rest.len / 2 + 1) * sizeof(*s->attrs));
	/* at least "%{oauth2:}" each */
	s->wanted = arena_alloc(c->to.arena, (rest.len / 8 + 1) * sizeof(*s->wanted));
	while (next_attr(&rest, &word)) {
		struct oauth2_attr *at = &s->attrs[s->attr_count++];
		if (!span_split(&word, '=', &key) || key.len == 0) {
			driver_check_says(&c->to, "pass_attrs", "a value without a key");
			return;
		}
		at->field = read_template(c, key);
		at->value = word.ptr != NULL ? read_template(c, word) : NULL;
	}
}

static void check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	struct oauth2_settings *s = settings;
	struct checking c = {s, {a, complain, ctx}};
	check_local(&c);
	check_urls(&c);
	read_issuers(&c);
	read_attrs(&c);
	if (s->username_attribute[0] == '\0')
		driver_check_says(&c.to, "username_attribute", "which field names the user?");
	if ((s->tls_cert_file[0] == '\0') != (s->tls_key_file[0] == '\0'))
		driver_check_says(&c.to, NULL, "tls_cert_file and tls_key_file need each other");
}

static const struct driver_module *module_of(const void *settings UNUSED)
{
	static const struct driver_module module = {
	    "oauth2", "libjansson4", "libcurl4-openssl-dev libjansson-dev libssl-dev"};
	return &module;
}

/* ---- the form of Dovecot 2.4 ---- */

#define NAME_24(name_24, row_name)                                                                 \
	{                                                                                          \
		.name = "oauth2_" name_24, .row = row_name                                         \
	}
#define SAME_24(row_name) NAME_24(row_name, row_name)

static const struct driver_name_24 names_24[] = {
    SAME_24("tokeninfo_url"),
    SAME_24("introspection_url"),
    SAME_24("introspection_mode"),
    SAME_24("force_introspection"),
    SAME_24("grant_url"),
    SAME_24("use_grant_password"),
    SAME_24("client_id"),
    SAME_24("client_secret"),
    SAME_24("scope"),
    SAME_24("username_attribute"),
    NAME_24("username_validation_format", "username_format"),
    SAME_24("active_attribute"),
    SAME_24("active_value"),
    SAME_24("issuers"),
    SAME_24("audience"),
    SAME_24("openid_configuration_url"),
    SAME_24("local_validation_key_dict"),
    SAME_24("local_validation_jwks"),
    SAME_24("local_validation_jwks_refresh_min"),
    SAME_24("local_validation_jwks_refresh_max"),
    SAME_24("local_validation_algorithms"),
    SAME_24("send_auth_headers"),
    {.name = "ssl_client_ca_file", .row = "tls_ca_cert_file"},
    {.name = "ssl_client_ca_dir", .row = "tls_ca_cert_dir"},
    {.name = "ssl_client_cert_file", .row = "tls_cert_file"},
    {.name = "ssl_client_key_file", .row = "tls_key_file"},
    {.name = "ssl_client_require_valid_cert", .row = "tls_allow_invalid_cert", .negated = true},
    {.name = NULL},
};

static const struct driver_form_24 form_24 = {
    .names = names_24, .passdb_fields = "pass_attrs", .sources = source_names};

const struct driver_spec spec_oauth2 = {
    .name = "oauth2",
    .use = DRIVER_PASSDB | DRIVER_ONLY_VERIFIES,
    .args = ARGS_FILE,
    .settings = &table,
    .form_24 = &form_24,
    .check = check,
    .module = module_of,
};
