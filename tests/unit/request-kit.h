/*
 * A request that hangs on nothing but a scope of a few settings: for what
 * works on requests without a connection, a pool or a loop.
 */
#ifndef TESTS_REQUEST_KIT_H
#define TESTS_REQUEST_KIT_H

#include "authd/request.h"
#include "authd/username.h"

struct request_kit {
	struct arena arena; /* of the settings */
	struct auth_settings auth;
	struct scope scope;
	struct request request;
};

/* Dovecot's defaults; change k->auth, then kit_compile() */
static inline void kit_begin(struct request_kit *k)
{
	*k = (struct request_kit){
	    .auth =
		{
		    .default_realm = "",
		    .username_chars = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@",
		    .username_translation = "",
		    .master_user_separator = "",
		    .anonymous_username = "anonymous",
		    .proxy_self = "",
		},
	};
	k->scope.auth = &k->auth;
	struct request *r = &k->request;
	r->scope = &k->scope;
	r->fields = fields_in(&r->arena);
	r->userdb = fields_in(&r->arena);
	r->vars.passdb = &r->fields;
	r->vars.userdb = &r->userdb;
}

static inline bool kit_compile(struct request_kit *k, const char *format)
{
	struct err err = {0};
	k->auth.username_format =
	    format != NULL ? template_parse(&k->arena, span_of(format), &err) : NULL;
	username_compile(&k->scope);
	return format == NULL || k->auth.username_format != NULL;
}

static inline void kit_end(struct request_kit *k)
{
	arena_free(&k->request.arena);
	arena_free(&k->arena);
}

static inline bool var_is(const struct request_kit *k, enum var v, const char *want)
{
	struct span have = k->request.vars.v[v];
	return (have.ptr != NULL) == (want != NULL) && span_eq(have, span_of(want));
}

#endif
