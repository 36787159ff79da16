/*
 * "authctl driver test" of the LDAP driver: each server is reached, its
 * certificate looked at, and bound to; then what will be searched. Runs in:
 * authd --test-driver.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/wheel.h"
#include "drivers/ldap-conn.h"
#include "drivers/report.h"

enum { PATIENCE_MS = 10000 };

static const struct driver_advice advice[] = {
    {"Invalid credentials", STEP_BROKEN,
	"the service account is refused: check dn and dnpass in %s"},
    {"No such object", STEP_BROKEN, "there is no such entry: check dn and base in %s"},
    {"Invalid DN", STEP_BROKEN, "check how dn is written in %s"},
    {"TLS cannot be set up", STEP_BROKEN, "check the tls_ settings in %s"},
    {"StartTLS refused", STEP_BROKEN, "the server has no TLS: turn it on there, or tls off in %s"},
    {"Insufficient access", STEP_BROKEN,
	"who searches may not: check dn in %s, and the server's access rules"},
    {"successful bind must be completed", STEP_BROKEN,
	"this server lets nobody search who is not bound: set dn and dnpass in %s"},
    {"Strong(er) authentication required", STEP_BROKEN,
	"the server wants TLS: ldaps:// or tls = yes in %s"},
    {"confidentiality required", STEP_BROKEN, "the server wants TLS: set tls = yes in %s"},
    {"certificate", STEP_BROKEN,
	"the server's certificate is refused, see above; the tls_ settings are in %s"},
    {"TLS", STEP_BROKEN, "TLS does not work, see above; the tls_ settings are in %s"},
};

/* false: there is no use in going on with this server */
static bool reach(struct driver_report *r, const struct ldap_settings *set, const char *uri)
{
	LDAPURLDesc *url = NULL;
	char port[16];
	if (ldap_url_parse(uri, &url) != LDAP_SUCCESS || strcmp(url->lud_scheme, "ldapi") == 0) {
		ldap_free_urldesc(url);
		return true;
	}
	bool at_once = strcmp(url->lud_scheme, "ldaps") == 0;
	snprintf(port, sizeof(port), "%d",
	    url->lud_port != 0 ? url->lud_port
	    : at_once	       ? 636
			       : 389);
	int fd = r->reach(r, url->lud_host, port, "the LDAP server");
	if (fd >= 0 && (at_once || set->tls))
		r->certificate(r, fd, at_once ? TLS_AT_ONCE : TLS_LDAP, url->lud_host,
		    set->tls_ca_cert_file, set->tls_ca_cert_dir);
	if (fd >= 0)
		close(fd);
	ldap_free_urldesc(url);
	return fd >= 0;
}

static bool bind_to(struct driver_report *r, const struct ldap_settings *set, const char *uri)
{
	struct ldap_settings one = *set;
	struct err err = {0};
	one.servers = &uri;
	one.server_count = 1;
	struct ldap_conn c = {.set = &one, .servers = ldap_servers_get(&one), .kind = CONN_SERVICE};
	bool ok = ldap_conn_ready(&c, clock_ms() + PATIENCE_MS, &err) == CALL_DONE;
	if (ok)
		driver_step(r, STEP_GOOD, "bind", "%s as %s", uri,
		    set->dn[0] != '\0' ? set->dn
		    : set->sasl_bind   ? "the SASL user"
				       : "anonymous");
	else
		driver_failed(r, "bind", err.text, STEP_DOWN);
	ldap_conn_close(&c);
	ldap_servers_put(c.servers);
	return ok;
}

bool ldap_test(const void *settings, struct driver_report *r)
{
	const struct ldap_settings *set = settings;
	bool any = false;
	r->advice = advice;
	r->advice_count = ARRAY_LEN(advice);
	r->unverified = set->tls_require_cert == CERT_NEVER || set->tls_require_cert == CERT_ALLOW;
	for (size_t i = 0; i < set->server_count; i++) {
		if (reach(r, set, set->servers[i]) && bind_to(r, set, set->servers[i]))
			any = true;
	}
	if (!any)
		return false;
	driver_step(r, STEP_GOOD, "base", "%s", template_text(set->base));
	if (r->userdb)
		driver_step(r, STEP_GOOD, "user_filter", "%s", template_text(set->user_filter));
	else if (set->auth_bind && template_text(set->auth_bind_userdn)[0] != '\0')
		driver_step(r, STEP_GOOD, "bind as", "%s", template_text(set->auth_bind_userdn));
	else
		driver_step(r, STEP_GOOD, "pass_filter", "%s", template_text(set->pass_filter));
	return true;
}
