/*
 * The variables that templates may use (%u, %{rip}, ...): one table of their
 * keys and long names, one struct of their values.
 * Runs in: all processes. Values belong to the caller.
 */
#ifndef CONF_VARS_H
#define CONF_VARS_H

#include "base/fields.h"
#include "base/secret.h"

/* What a template can be made of. Parts such as username and domain are cut from these. */
enum var {
	VAR_USER,	/* u: current user name */
	VAR_SERVICE,	/* s: protocol name: imap, smtp ... */
	VAR_HOME,	/* h: always empty here */
	VAR_LIP,	/* l */
	VAR_RIP,	/* r */
	VAR_LPORT,	/* a */
	VAR_RPORT,	/* b */
	VAR_PID,	/* p: the client's CPID */
	VAR_ID,		/* !: number of the passdb or userdb */
	VAR_MECH,	/* m */
	VAR_SECURED,	/* c: "", "secured" or "TLS" */
	VAR_CERT,	/* k: "valid" or "" */
	VAR_LOGIN_USER, /* target of a master login */
	VAR_SESSION,
	VAR_REAL_LIP,
	VAR_REAL_RIP,
	VAR_REAL_LPORT,
	VAR_REAL_RPORT,
	VAR_MASTER_USER,
	VAR_SESSION_PID,
	VAR_ORIGINAL_USER, /* as the client gave it */
	VAR_AUTH_USER,	   /* the master user, or the original one */
	VAR_LOCAL_NAME,	   /* TLS SNI */
	VAR_CLIENT_ID,	   /* IMAP ID */
	VAR_CERT_FP,
	VAR_CERT_PUBKEY_FP,
	VAR_JA3_HASH,
	VAR_COUNT,
	/* bits of template_needs() that are not spans in struct vars */
	VAR_PASSWORD = VAR_COUNT, /* w */
	VAR_PASSDB,		  /* %{passdb:field} */
	VAR_USERDB,		  /* %{userdb:field} */
	VAR_BITS
};

#define VAR_BIT(v) (UINT64_C(1) << (v))

struct vars {
	struct span v[VAR_COUNT]; /* absent ones expand to the empty string */
	struct secret password;
	const struct fields *passdb; /* extra fields so far; may be NULL */
	const struct fields *userdb; /* may be NULL */
};

const char *var_long_name(enum var v); /* "user", "rip": for documentation and checkpassword */

/* What a name takes of its value: all of it, or a part of "user@domain". */
enum var_cut {
	CUT_NONE,
	CUT_USERNAME,	  /* before the first @ */
	CUT_DOMAIN,	  /* after the first @ */
	CUT_DOMAIN_FIRST, /* between the first and the second @ */
	CUT_DOMAIN_LAST,  /* after the last @ */
};

struct var_name {
	const char *name; /* as in %{name} */
	char key;	  /* as in %u; '\0': none */
	uint8_t var;	  /* enum var */
	uint8_t cut;	  /* enum var_cut */
};

/* In the order of enum var; the first of a variable with CUT_NONE is its long name. */
extern const struct var_name var_names[];
extern const size_t var_name_count;

const struct var_name *var_find(struct span name); /* NULL: no such name */
const struct var_name *var_find_key(char key);	   /* NULL: no such key */
struct span var_cut(struct span value, enum var_cut cut);
/* The value behind a name; never SPAN_NULL. An unknown port is "0", all else "". */
struct span var_value(const struct vars *vars, const struct var_name *name);

#endif
