/*
 * What the files of the module oauth2 share. A question's way: oauth2-ask.c
 * asks oauth2-http.c (a provider) or oauth2-jwt.c and oauth2-keys.c (keys), and
 * oauth2-claims.c judges what they say.
 */
#ifndef DRIVERS_OAUTH2_PARTS_H
#define DRIVERS_OAUTH2_PARTS_H

#include <jansson.h>
#include <openssl/evp.h>

#include "drivers/oauth2.h"

enum { OAUTH2_GRACE_S = 60 }; /* clocks may differ by so much */

/* ---- oauth2-http.c: one request ---- */

struct oauth2_http {
	const struct oauth2_settings *set;
	void *curl; /* keeps its connection */
};

struct oauth2_request {
	const char *url;
	struct secret bearer;	  /* in an Authorization header, if set */
	struct secret form;	  /* POSTed, if set */
	bool as_client;		  /* with client_id and client_secret, if set */
	const struct vars *about; /* for X-Dovecot-Auth headers; NULL: none */
	int64_t deadline_ms;
	size_t body_max;
};

struct oauth2_reply {
	long status;
	json_t *body;	/* an object; NULL: it was none */
	char error[50]; /* its name (RFC 6749 section 5.2, RFC 6750 section 3); "": none */
};

bool oauth2_http_open(struct oauth2_http *h, const struct oauth2_settings *set, struct err *err);
void oauth2_http_close(struct oauth2_http *h);
/* false and *err: nobody answered. The body is the caller's (json_decref). */
bool oauth2_http_ask(struct oauth2_http *h, const struct oauth2_request *rq, struct arena *a,
    struct oauth2_reply *reply, struct err *err) MUST_CHECK;
/* "a=b&c=d" grows by "&name=value", escaped */
void oauth2_form_add(struct buffer *b, const char *name, struct span value);
void oauth2_escape(struct buffer *b, struct span value);

/* ---- oauth2-jwt.c: a JSON Web Token taken apart (RFC 7515, 7519) ---- */

struct oauth2_jwt {
	json_t *header, *claims;
	const struct oauth2_alg *alg;
	const char *kid; /* NULL: none */
	struct span signed_part, signature;
};

enum oauth2_jwt_is { JWT_NONE, JWT_BAD, JWT_GOOD };

/* JWT_NONE: another kind of token. JWT_BAD and *err: one that no key can help. Free in any case. */
enum oauth2_jwt_is oauth2_jwt_parse(struct oauth2_jwt *jwt, struct secret token,
    const char *algorithms, struct arena *a, struct err *err) MUST_CHECK;
void oauth2_jwt_free(struct oauth2_jwt *jwt);

/* ---- oauth2-key.c: one key, one signature (RFC 7517, 7518, 8037) ---- */

struct oauth2_key {
	EVP_PKEY *pkey; /* a public key; NULL: .hmac is the key */
	struct secret hmac;
	char *kid, *alg; /* NULL: not said */
};

const struct oauth2_alg *oauth2_alg_find(struct span name); /* NULL: none such; "none" is none */
const char *oauth2_alg_name(const struct oauth2_alg *alg);
bool oauth2_alg_is_hmac(const struct oauth2_alg *alg);

/* What a file of the key dict holds for this algorithm. */
bool oauth2_key_of_file(struct oauth2_key *key, const struct oauth2_alg *alg, struct span text,
    struct arena *a, struct err *err) MUST_CHECK;
/* A public key of a set; false: of no use here. */
bool oauth2_key_of_jwk(struct oauth2_key *key, const json_t *jwk, struct arena *a) MUST_CHECK;
void oauth2_key_free(struct oauth2_key *key);
/* Is it a key of the algorithm's own kind, and may it be used with it? */
bool oauth2_key_is_for(const struct oauth2_key *key, const struct oauth2_alg *alg);
bool oauth2_key_verifies(const struct oauth2_key *key, const struct oauth2_alg *alg,
    struct span signed_part, struct span signature);

/* ---- oauth2-keys.c: where keys are ---- */

struct oauth2_keys;

/* The keys of these settings, shared by all lanes. */
struct oauth2_keys *oauth2_keys_open(const struct oauth2_settings *set);
void oauth2_keys_close(struct oauth2_keys *keys);
/* OK, MISMATCH, or INTERNAL when the keys cannot be had; *err */
enum verdict oauth2_keys_verify(struct oauth2_keys *keys, struct oauth2_http *http,
    const struct oauth2_jwt *jwt, int64_t deadline_ms, struct arena *a, struct err *err);

/* ---- oauth2-claims.c: what is known of a token, and whether it will do ---- */

struct oauth2_token {
	const struct oauth2_settings *set;
	struct question *q;
	struct secret text;
	struct fields fields; /* all that was said of it */
	int64_t expires;      /* unix time; 0: not known */
	bool audience_seen;
	const char *status; /* of a refusal, for the mechanism */
};

/* MISMATCH, and the client had better get another token. */
enum verdict oauth2_refuse(struct oauth2_token *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Takes over what somebody says of it, unless that refuses it. verified_here: of a JWT. */
enum verdict oauth2_claims_take(struct oauth2_token *t, const json_t *claims, bool verified_here);
/* When all is known: user, scope, lock; then the extra fields. */
enum verdict oauth2_claims_judge(struct oauth2_token *t);
bool oauth2_claims_suffice(const struct oauth2_token *t);

/* ---- oauth2-ask.c ---- */

enum verdict oauth2_ask(struct oauth2_http *http, struct oauth2_keys *keys, struct question *q);

#endif
