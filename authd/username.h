/*
 * User names: from what the client sent to what the databases are asked.
 * Settings: auth_default_realm, auth_username_translation, _chars, _format,
 * auth_master_user_separator. Runs in: front.
 */
#ifndef AUTHD_USERNAME_H
#define AUTHD_USERNAME_H

#include "authd/request.h"

/* Prepares a scope's tables once, when a generation is made. */
void username_compile(struct scope *s);

/* The name as the databases know it, in the request's arena; SPAN_NULL and *err if it is refused.
 */
struct span username_normalise(struct request *r, struct span raw, struct err *err) MUST_CHECK;

/*
 * Takes the identities of a login: sets USER, ORIGINAL_USER, AUTH_USER and,
 * for a master login, LOGIN_USER. authzid may be absent.
 */
bool username_set_login(
    struct request *r, struct span authcid, struct span authzid, struct err *err) MUST_CHECK;

/* The one name that ANONYMOUS has, as it is set: not rewritten, whatever a certificate says. */
void username_set_anonymous(struct request *r);

/* The name out of a certificate that was checked, where it counts more than what the client says.
 */
struct span username_from_cert(const struct request *r);

/* The same for a lookup: no master separator. */
bool username_set_lookup(struct request *r, struct span name, struct err *err) MUST_CHECK;

#endif
