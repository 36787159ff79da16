/*
 * Extra fields: what a passdb or userdb says beside "yes". Which of them mean
 * something here, which go to the client, which belong to the userdb reply.
 * Contract: Dovecot's "extra fields". Runs in: front.
 */
#ifndef AUTHD_EXTRA_FIELDS_H
#define AUTHD_EXTRA_FIELDS_H

#include "authd/request.h"

/*
 * Takes one passdb field ("key", "key:protected", "key:remove", "userdb_key" ...). Key and value
 * must live as long as the request.
 */
void passdb_field_set(struct request *r, struct span key, struct span value);
/* Takes one userdb field; the same holds. */
void userdb_field_set(struct request *r, struct span key, struct span value);

/* default_fields and override_fields of the db that is being asked. False: a template failed. */
bool passdb_fields_expand(struct request *r, const struct template_fields *tf);
bool userdb_fields_expand(struct request *r, const struct template_fields *tf);

/* Are uid and gid numbers? A name would be nobody's, or somebody else's, where it is used. */
bool userdb_fields_check(const struct request *r);

/* Do the fields let this login through? Otherwise r->field_failure says why not. */
bool passdb_fields_check(struct request *r);

/* proxy_maybe, proxy without host: settled once the passdbs are done */
void passdb_fields_settle_proxy(struct request *r);

/* Writes it as both protocols have it: TAB key=value. */
void extra_field_put(struct buffer *out, const struct request *r, const struct field *f);

/* True for fields that clients do not see (allow_nets, nopassword ...). */
bool passdb_field_is_hidden(struct span key);

#endif
