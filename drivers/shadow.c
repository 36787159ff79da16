/*
 * shadow: the system's users' hashes, by getspnam(3), with their expiry.
 * Runs in: worker, as root (nobody else may read them). NSS may block, so each
 * lane asks on its own.
 */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "drivers/drivers.h"
#include "drivers/nss.h"

struct shadow_settings {
	bool blocking;
};

static const struct setting rows[] = {
    {"blocking", SETTING_BOOL, offsetof(struct shadow_settings, blocking), "yes",
	"Accepted without effect: lookups never hold others up.", NULL, 0, NULL},
};

static const struct setting_table table = {
    "shadow", rows, ARRAY_LEN(rows), sizeof(struct shadow_settings)};

const struct driver_spec spec_shadow = {
    .name = "shadow",
    .use = DRIVER_PASSDB | DRIVER_ROOT,
    .args = ARGS_WORDS,
    .settings = &table,
};

static void *shadow_open(const void *settings UNUSED, struct err *err UNUSED)
{
	return mem_alloc(1);
}

static enum verdict shadow_ask(void *state UNUSED, struct question *q)
{
	struct spwd sp;
	enum verdict v = nss_shadow(q->vars->v[VAR_USER], q->arena, &sp, &q->err);
	if (v == VERDICT_INTERNAL)
		q->backend = BACKEND_AWAY; /* one of several sources of names */
	if (v == VERDICT_OK)
		v = nss_shadow_age(&sp, (long)(time(NULL) / NSS_DAY_S), &q->err);
	/* who is refused for his age is compared all the same: only his password tells him that */
	if (v != VERDICT_OK && v != VERDICT_DISABLED && v != VERDICT_EXPIRED)
		return v;
	if (nss_password_is_usable(span_of(sp.sp_pwdp)))
		q->entry.password = secret_of(span_of(sp.sp_pwdp));
	if (!span_eq_str(q->vars->v[VAR_USER], sp.sp_namp))
		fields_set_str(&q->entry.fields, "user", sp.sp_namp);
	return v;
}

static void shadow_close(void *state)
{
	mem_free(&state);
}

const struct driver driver_shadow = {
    .abi = DRIVER_ABI,
    .spec = &spec_shadow,
    .can = CAN_SHOW,
    .lanes = LANES_OWN,
    .open = shadow_open,
    .ask = shadow_ask,
    .close = shadow_close,
};
