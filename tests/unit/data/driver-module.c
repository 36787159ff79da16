/*
 * A loadable driver for test_authd_worker_module.c, which compiles it with
 * several values of these. Users: "quick" and "slow" (password "secret"),
 * "hashed" (shows an expensive hash), "stuck" (an answer that takes for ever),
 * "last" (as "quick", and the process is to be replaced).
 */
#include <time.h>
#include <unistd.h>

#include "drivers/driver.h"

#ifndef ABI
#define ABI DRIVER_ABI
#endif
#ifndef NAME
#define NAME "testmodule"
#endif
#ifndef LANES
#define LANES LANES_OWN
#endif
#ifndef CAN
#define CAN CAN_VERIFY
#endif

static void *module_open(const void *settings, struct err *err)
{
	static int opened;
	(void)settings;
#ifdef REFUSE
	static const char why[] = "somebody must mend this";
	__builtin_memcpy(err->text, why, sizeof(why));
	err->code = 78;
	return NULL;
#endif
	(void)err;
	return &opened;
}

static int name_is(const struct question *q, const char *name)
{
	return span_eq_str(q->vars->v[VAR_USER], name);
}

static enum verdict module_ask(void *state, struct question *q)
{
	static const struct timespec slow = {.tv_nsec = 300000000};
	(void)state;
	if (name_is(q, "slow"))
		nanosleep(&slow, NULL);
	while (name_is(q, "stuck"))
		pause();
	if (name_is(q, "hashed")) {
		q->entry.password = secret_of(SPAN_LIT(HASH));
		return VERDICT_OK;
	}
	q->retire = name_is(q, "last");
	if (!name_is(q, "quick") && !name_is(q, "slow") && !name_is(q, "last"))
		return VERDICT_UNKNOWN_USER;
	if (q->kind != ASK_VERIFY)
		return VERDICT_OK;
	return span_eq_str(secret_reveal(q->password), "secret") ? VERDICT_OK : VERDICT_MISMATCH;
}

#ifdef MANY
static void module_ask_many(void *state, struct question *const *questions, enum verdict *verdicts,
    size_t count, driver_early *early, void *ctx)
{
	(void)early;
	(void)ctx;
	for (size_t i = 0; i < count; i++)
		verdicts[i] = module_ask(state, questions[i]);
}
#endif

static void module_close(void *state)
{
	(void)state;
}

static const struct driver_spec spec = {
    .name = NAME,
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_NONE,
};

const struct driver authd_driver = {
    .abi = ABI,
    .spec = &spec,
    .can = CAN,
    .lanes = LANES,
    .open = module_open,
    .ask = module_ask,
#ifdef MANY
    .ask_many = module_ask_many,
    .many = MANY,
#endif
    .close = module_close,
};
