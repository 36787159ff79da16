/*
 * Running the passdb chain of a request: asks pool after pool, as the chain's
 * tables say. Runs in: front.
 */
#ifndef AUTHD_PASSDB_H
#define AUTHD_PASSDB_H

#include "authd/request.h"
#include "base/log.h"

/*
 * Starts at the scope's passdbs (or the master ones). scheme: NULL to verify
 * r->io.password; "" to know whether the user is there; else the credential
 * wanted. Ends in login_passdb_done() or lookup_passdb_done().
 */
void passdb_start(struct request *r, bool master_list, const char *scheme);
/* Puts r->io.replacement in the place of r->credential, where that came from; ends in
   login_stored(). */
void passdb_store(struct request *r);
void passdb_stored(struct request *r, const struct channel_answer *an);
void passdb_answered(struct request *r, const struct channel_answer *an);

/* What passdbs may change, as it is now; and back to it. */
struct request_kept passdb_keep(struct request *r);
void passdb_roll_back(struct request *r, const struct request_kept *to);

/* "driver(user,ip): what" */
void auth_log(struct request *r, enum log_level level, const char *source, struct span what);
/* The same, as the line of a failure that an administrator and fail2ban look for. */
void auth_log_failure(struct request *r, const char *source, struct span what);
/* The same, when it is not the client's fault: an error of the server's. */
void auth_log_outage(struct request *r, const char *source, struct span what);
struct span db_id_text(struct request *r); /* %! of the db that is asked */
/* "driver:verdict" for the line that ends the request */
void request_path_add(struct request *r, const char *source, enum verdict v);

#endif
