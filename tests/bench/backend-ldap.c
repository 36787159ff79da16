/*
 * The libldap client of backend.h: searches on one connection; with a
 * password also binds as the entry that was found, on another one.
 */
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"

const int backend_argc = 7;
const char *const backend_usage = "URI DN DNPASS BASE FILTER ATTRIBUTES PASSWORD";

enum { ATTRS = 8 };

struct conn {
	LDAP *search, *user;
	const char *base, *filter, *password;
	char *attrs[ATTRS + 1];
};

static LDAP *open_to(const char *uri)
{
	LDAP *ld = NULL;
	const int version = LDAP_VERSION3;
	int rc = ldap_initialize(&ld, uri);
	if (rc != LDAP_SUCCESS)
		backend_die(uri, ldap_err2string(rc));
	ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	return ld;
}

static bool bind_as(LDAP *ld, const char *dn, const char *password)
{
	struct berval cred = {.bv_val = (char *)password, .bv_len = strlen(password)};
	return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL) == LDAP_SUCCESS;
}

void *backend_connect(char **argv)
{
	struct conn *c = calloc(1, sizeof(*c));
	char *attrs = strdup(argv[5]), *save = NULL;
	if (c == NULL || attrs == NULL)
		backend_die("ldap", "out of memory");
	c->search = open_to(argv[0]);
	c->user = open_to(argv[0]);
	if (!bind_as(c->search, argv[1], argv[2]))
		backend_die(argv[1], "cannot bind");
	c->base = argv[3];
	c->filter = argv[4];
	c->password = argv[6];
	char *one = strtok_r(attrs, ",", &save);
	for (int i = 0; i < ATTRS && one != NULL; i++, one = strtok_r(NULL, ",", &save))
		c->attrs[i] = one;
	return c;
}

bool backend_ask(void *conn, const char *user)
{
	struct conn *c = conn;
	char filter[512];
	LDAPMessage *res = NULL;
	snprintf(filter, sizeof(filter), c->filter, user);
	bool ok = ldap_search_ext_s(c->search, c->base, LDAP_SCOPE_SUBTREE, filter, c->attrs, 0,
		      NULL, NULL, NULL, 2, &res) == LDAP_SUCCESS &&
		  ldap_count_entries(c->search, res) == 1;
	char *dn = ok ? ldap_get_dn(c->search, ldap_first_entry(c->search, res)) : NULL;
	ldap_msgfree(res);
	ok = dn != NULL && (c->password[0] == '\0' || bind_as(c->user, dn, c->password));
	ldap_memfree(dn);
	return ok;
}
