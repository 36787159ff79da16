/*
 * Values of variables written into LDAP filters and distinguished names.
 * Both are UTF-8; a value that is not, or that has a NUL in it, cannot be
 * written, for no entry can have it.
 */
#ifndef DRIVERS_LDAP_ESCAPE_H
#define DRIVERS_LDAP_ESCAPE_H

#include "conf/template.h"

/* ctx: bool *, set when a value was refused; may be NULL */
template_escape ldap_escape_filter; /* an assertion value, RFC 4515 section 3 */
template_escape ldap_escape_dn;	    /* an attribute value in a DN, RFC 4514 section 2.4 */

bool ldap_is_utf8(struct span s); /* no overlong forms, surrogates or NULs */

#endif
