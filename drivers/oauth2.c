/*
 * oauth2: a token is right when a provider of OAuth 2.0 says so, or when its
 * signature and what is in it are. Runs in: worker; each lane has a
 * connection of its own, the keys are shared. oauth2-ask.c answers.
 */
#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/oauth2-parts.h"

struct oauth2_state {
	struct oauth2_http http;
	struct oauth2_keys *keys;
};

static bool is_loopback(const char *url)
{
	return strncmp(url, "http://127.0.0.1", 16) == 0 ||
	       strncmp(url, "http://localhost", 16) == 0 || strncmp(url, "http://[::1]", 12) == 0;
}

static void warn_of_url(const char *row, const char *url)
{
	if (strncmp(url, "http://", 7) == 0 && !is_loopback(url))
		log_warning("oauth2: %s is not https: anybody in between reads what is sent there "
			    "and says who may log in",
		    row);
}

static void warn(const struct oauth2_settings *set)
{
	if (set->rawlog_dir[0] != '\0')
		log_warning("oauth2: rawlog_dir is ignored: such logs would hold tokens");
	warn_of_url("tokeninfo_url", set->tokeninfo_url);
	warn_of_url("introspection_url", set->introspection_url);
	warn_of_url("grant_url", set->grant_url);
	warn_of_url("local_validation_jwks", set->jwks);
	if (!set->local)
		return;
	if (set->issuers_wanted[0] == '\0')
		log_warning("oauth2: without issuers any issuer counts whose key is there");
	if (set->audience[0] == '\0' && set->client_id[0] == '\0' && set->scope[0] == '\0')
		log_warning("oauth2: without audience, client_id or scope a token for anything "
			    "else lets in, too");
}

static void *oauth2_open(const void *settings, struct err *err)
{
	struct oauth2_state *s = mem_alloc(sizeof(*s));
	const struct oauth2_settings *set = settings;
	static atomic_flag warned = ATOMIC_FLAG_INIT; /* once for all lanes */
	json_object_seed(0);
	if (!oauth2_http_open(&s->http, set, err)) {
		mem_free(&s);
		return NULL;
	}
	if (!atomic_flag_test_and_set(&warned))
		warn(set);
	s->keys = oauth2_keys_open(set);
	return s;
}

static enum verdict ask(void *state, struct question *q)
{
	struct oauth2_state *s = state;
	return oauth2_ask(&s->http, s->keys, q);
}

/* That the password is read makes it part of every answer, "unknown user" included. */
static uint64_t oauth2_needs(void *state)
{
	const struct oauth2_settings *set = ((struct oauth2_state *)state)->http.set;
	uint64_t needs = VAR_BIT(VAR_PASSWORD) | VAR_BIT(VAR_MECH) | set->needs;
	if (set->send_auth_headers)
		needs |= VAR_BIT(VAR_SERVICE) | VAR_BIT(VAR_LIP) | VAR_BIT(VAR_LPORT) |
			 VAR_BIT(VAR_RIP) | VAR_BIT(VAR_RPORT);
	return needs;
}

static void oauth2_close(void *state)
{
	struct oauth2_state *s = state;
	oauth2_keys_close(s->keys);
	oauth2_http_close(&s->http);
	mem_free(&s);
}

extern const struct driver authd_driver;
const struct driver authd_driver = {
    .abi = DRIVER_ABI,
    .spec = &spec_oauth2,
    .can = CAN_VERIFY,
    .lanes = LANES_OWN,
    .open = oauth2_open,
    .ask = ask,
    .needs = oauth2_needs,
    .close = oauth2_close,
};
