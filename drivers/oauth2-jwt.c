/*
 * A JSON Web Token in its compact form taken apart; nothing of it is true
 * before its signature was verified. Runs in: worker. Bytes from outside.
 */
#include "drivers/oauth2-parts.h"

#include "base/encode.h"

/* Bounded by the length of a client's line, and by Jansson in depth. */
static json_t *decode_object(struct span part, struct arena *a)
{
	struct span text = base64url_decode(a, part);
	if (text.len == 0)
		return NULL;
	json_t *json = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static bool is_type(const json_t *typ)
{
	/* RFC 9068 section 2.1; other tokens that the same keys sign are no access tokens */
	static const char *const good[] = {"JWT", "at+jwt", "application/at+jwt"};
	const char *s = json_string_value(typ);
	if (typ == NULL)
		return true;
	for (size_t i = 0; s != NULL && i < ARRAY_LEN(good); i++) {
		if (strcasecmp(s, good[i]) == 0)
			return true;
	}
	return false;
}

static bool read_header(struct oauth2_jwt *jwt, const char *algorithms, struct err *err)
{
	const json_t *alg = json_object_get(jwt->header, "alg");
	const json_t *kid = json_object_get(jwt->header, "kid");
	const char *name = json_string_value(alg);
	jwt->kid = json_string_value(kid);
	if (name == NULL)
		return err_set(err, 0, "the token names no algorithm");
	jwt->alg = oauth2_alg_find(span_of(name));
	if (jwt->alg == NULL || !oauth2_has_word(algorithms, span_of(name)))
		return err_set(err, 0, "the token's algorithm is not allowed");
	if (kid != NULL && jwt->kid == NULL)
		return err_set(err, 0, "the token's kid is no text");
	/* RFC 7515 section 4.1.11: what must be understood, and is not */
	if (json_object_get(jwt->header, "crit") != NULL)
		return err_set(err, 0, "the token has critical extensions");
	if (!is_type(json_object_get(jwt->header, "typ")))
		return err_set(err, 0, "the token is of a type that lets nobody in");
	return true;
}

enum oauth2_jwt_is oauth2_jwt_parse(struct oauth2_jwt *jwt, struct secret token,
    const char *algorithms, struct arena *a, struct err *err)
{
	struct span all = secret_reveal(token), rest = all, head, body, signature;
	*jwt = (struct oauth2_jwt){0};
	if (!span_split(&rest, '.', &head) || !span_split(&rest, '.', &body) ||
	    !span_split(&rest, '.', &signature) || rest.ptr != NULL)
		return JWT_NONE;
	jwt->header = decode_object(head, a);
	if (jwt->header == NULL)
		return JWT_NONE;
	jwt->claims = decode_object(body, a);
	jwt->signature = base64url_decode(a, signature);
	jwt->signed_part = span_first(all, head.len + 1 + body.len);
	if (jwt->claims == NULL || jwt->signature.ptr == NULL) {
		err_set(err, 0, "the token is damaged");
		return JWT_BAD;
	}
	return read_header(jwt, algorithms, err) ? JWT_GOOD : JWT_BAD;
}

void oauth2_jwt_free(struct oauth2_jwt *jwt)
{
	json_decref(jwt->header);
	json_decref(jwt->claims);
	*jwt = (struct oauth2_jwt){0};
}
