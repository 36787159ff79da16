/*
 * What a mechanism may know of the login that it runs in. Runs in: front.
 */
#include <sodium.h>
#include <time.h>
#include <unistd.h>

#include "authd/login.h"
#include "authd/username.h"
#include "base/encode.h"

static struct span fresh_nonce(struct arena *a)
{
	unsigned char random[48];
	randombytes_buf(random, sizeof(random));
	return base64_encode_arena(a, span_make(random, sizeof(random)));
}

/* Built when a mechanism starts; spans point into the request and its generation. */
const struct mech_context *login_context(struct request *r)
{
	static char name[256];
	static struct span hostname;
	if (hostname.ptr == NULL) {
		if (gethostname(name, sizeof(name) - 1) != 0)
			name[0] = '-';
		hostname = span_of(name);
	}
	struct mech_context *mc = arena_alloc(&r->arena, sizeof(*mc));
	bool token = r->conn->type == LISTENER_TOKEN || r->conn->type == LISTENER_TOKEN_LOGIN;
	mc->service = r->vars.v[VAR_SERVICE];
	mc->session = r->vars.v[VAR_SESSION];
	mc->cert_username = username_from_cert(r);
	mc->anonymous_username = span_of(r->scope->auth->anonymous_username);
	mc->realms = span_of(r->scope->auth->realms);
	mc->hostname = hostname;
	mc->plus_offered = r->plus_offered;
	if ((r->mech->flags & MECH_NEEDS_LOOKUP) != 0)
		mc->nonce = fresh_nonce(&r->arena);
	mc->now = (int64_t)time(NULL);
	mc->server_started = r->conn->front->started;
	mc->server_pid = r->conn->front->pid;
	mc->connect_uid = r->conn->connect_uid;
	mc->token_secret = token ? r->generation->token_secret : SECRET_NULL;
	return mc;
}
