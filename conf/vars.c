/*
 * The table of variable names and how their values are cut out of struct
 * vars. Names are Dovecot 2.3's, with its aliases and those 2.4 names that
 * mean the same. Runs in all processes; allocates nothing.
 */
#include "conf/vars.h"

const struct var_name var_names[] = {
    {"user", 'u', VAR_USER, CUT_NONE},
    {"username", 'n', VAR_USER, CUT_USERNAME},
    {"domain", 'd', VAR_USER, CUT_DOMAIN},
    {"domain_first", '\0', VAR_USER, CUT_DOMAIN_FIRST},
    {"domain_last", '\0', VAR_USER, CUT_DOMAIN_LAST},
    {"owner_user", '\0', VAR_USER, CUT_NONE},
    {"service", 's', VAR_SERVICE, CUT_NONE},
    {"protocol", '\0', VAR_SERVICE, CUT_NONE},
    {"home", 'h', VAR_HOME, CUT_NONE},
    {"lip", 'l', VAR_LIP, CUT_NONE},
    {"local_ip", '\0', VAR_LIP, CUT_NONE},
    {"rip", 'r', VAR_RIP, CUT_NONE},
    {"remote_ip", '\0', VAR_RIP, CUT_NONE},
    {"lport", 'a', VAR_LPORT, CUT_NONE},
    {"local_port", '\0', VAR_LPORT, CUT_NONE},
    {"rport", 'b', VAR_RPORT, CUT_NONE},
    {"remote_port", '\0', VAR_RPORT, CUT_NONE},
    {"pid", 'p', VAR_PID, CUT_NONE},
    {"client_pid", '\0', VAR_PID, CUT_NONE},
    {"id", '!', VAR_ID, CUT_NONE},
    {"mech", 'm', VAR_MECH, CUT_NONE},
    {"mechanism", '\0', VAR_MECH, CUT_NONE},
    {"secured", 'c', VAR_SECURED, CUT_NONE},
    {"cert", 'k', VAR_CERT, CUT_NONE},
    {"login_user", '\0', VAR_LOGIN_USER, CUT_NONE},
    {"login_username", '\0', VAR_LOGIN_USER, CUT_USERNAME},
    {"login_domain", '\0', VAR_LOGIN_USER, CUT_DOMAIN},
    {"session", '\0', VAR_SESSION, CUT_NONE},
    {"real_lip", '\0', VAR_REAL_LIP, CUT_NONE},
    {"real_local_ip", '\0', VAR_REAL_LIP, CUT_NONE},
    {"real_rip", '\0', VAR_REAL_RIP, CUT_NONE},
    {"real_remote_ip", '\0', VAR_REAL_RIP, CUT_NONE},
    {"real_lport", '\0', VAR_REAL_LPORT, CUT_NONE},
    {"real_local_port", '\0', VAR_REAL_LPORT, CUT_NONE},
    {"real_rport", '\0', VAR_REAL_RPORT, CUT_NONE},
    {"real_remote_port", '\0', VAR_REAL_RPORT, CUT_NONE},
    {"master_user", '\0', VAR_MASTER_USER, CUT_NONE},
    {"session_pid", '\0', VAR_SESSION_PID, CUT_NONE},
    {"orig_user", '\0', VAR_ORIGINAL_USER, CUT_NONE},
    {"orig_username", '\0', VAR_ORIGINAL_USER, CUT_USERNAME},
    {"orig_domain", '\0', VAR_ORIGINAL_USER, CUT_DOMAIN},
    {"original_user", '\0', VAR_ORIGINAL_USER, CUT_NONE},
    {"original_username", '\0', VAR_ORIGINAL_USER, CUT_USERNAME},
    {"original_domain", '\0', VAR_ORIGINAL_USER, CUT_DOMAIN},
    {"auth_user", '\0', VAR_AUTH_USER, CUT_NONE},
    {"auth_username", '\0', VAR_AUTH_USER, CUT_USERNAME},
    {"auth_domain", '\0', VAR_AUTH_USER, CUT_DOMAIN},
    {"local_name", '\0', VAR_LOCAL_NAME, CUT_NONE},
    {"client_id", '\0', VAR_CLIENT_ID, CUT_NONE},
    {"ssl_client_cert_fp", '\0', VAR_CERT_FP, CUT_NONE},
    {"ssl_client_cert_pubkey_fp", '\0', VAR_CERT_PUBKEY_FP, CUT_NONE},
    {"ssl_ja3_hash", '\0', VAR_JA3_HASH, CUT_NONE},
    {"password", 'w', VAR_PASSWORD, CUT_NONE},
};
const size_t var_name_count = ARRAY_LEN(var_names);

const char *var_long_name(enum var v)
{
	for (size_t i = 0; i < var_name_count; i++)
		if (var_names[i].var == v)
			return var_names[i].name;
	return v == VAR_PASSDB ? "passdb" : v == VAR_USERDB ? "userdb" : "";
}

const struct var_name *var_find(struct span name)
{
	for (size_t i = 0; i < var_name_count; i++)
		if (span_eq_str(name, var_names[i].name))
			return &var_names[i];
	return NULL;
}

const struct var_name *var_find_key(char key)
{
	for (size_t i = 0; i < var_name_count; i++)
		if (key != '\0' && var_names[i].key == key)
			return &var_names[i];
	return NULL;
}

struct span var_cut(struct span value, enum var_cut cut)
{
	if (cut == CUT_NONE)
		return value;
	ssize_t at = cut == CUT_DOMAIN_LAST ? span_rfind(value, '@') : span_find(value, '@');
	if (cut == CUT_USERNAME)
		return at < 0 ? value : span_first(value, (size_t)at);
	if (at < 0)
		return SPAN_LIT("");
	struct span domain = span_skip(value, (size_t)at + 1);
	if (cut == CUT_DOMAIN_FIRST && (at = span_find(domain, '@')) >= 0)
		domain = span_first(domain, (size_t)at);
	return domain;
}

static bool is_port(unsigned v)
{
	return v == VAR_LPORT || v == VAR_RPORT || v == VAR_REAL_LPORT || v == VAR_REAL_RPORT;
}

struct span var_value(const struct vars *vars, const struct var_name *name)
{
	struct span v = name->var < VAR_COUNT ? vars->v[name->var] : secret_reveal(vars->password);
	if (v.ptr == NULL)
		return is_port(name->var) ? SPAN_LIT("0") : SPAN_LIT("");
	return var_cut(v, name->cut);
}
