/*
 * scripted: a driver whose every move a test decides, through files in one
 * directory. It is loaded as any driver module is.
 *
 *   users  a line for each entry: KEY TAB PASSWORD [TAB FIELD=VALUE]...
 *          KEY is the expanded "key" setting; PASSWORD may be "-" (none),
 *          "!disabled", "!expired"; with JUDGES it is compared here, as text
 *   mode   "" (no such file): answer; "fail": say that the backend is down;
 *          "hang": wait until the mode is another one; "die": end the process
 *
 * Each question is logged as "scripted: KIND USER", so a test can count them.
 * Compiled with -DJUDGES it judges passwords itself, as PAM does.
 * Runs in: worker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/driver.h"

#ifdef JUDGES
#define NAME "scripted-judge"
#define CAN CAN_VERIFY
#else
#define NAME "scripted"
#define CAN CAN_SHOW
#endif

struct scripted_settings {
	const char *directory;
	struct template *key;
};

static const struct setting rows[] = {
    {"dir", SETTING_STRING, offsetof(struct scripted_settings, directory), "",
	"The directory with the script.", NULL, SETTING_REQUIRED, NULL},
    {"key", SETTING_TEMPLATE, offsetof(struct scripted_settings, key), "%u",
	"What entries are found by.", NULL, 0, NULL},
};

static const struct setting_table table = {
    NAME, rows, ARRAY_LEN(rows), sizeof(struct scripted_settings)};

static const struct driver_spec spec = {
    .name = NAME,
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_WORDS,
    .rest = "dir",
    .settings = &table,
};

static void *scripted_open(const void *settings, struct err *err)
{
	(void)err;
	struct scripted_settings *s = mem_alloc(sizeof(*s));
	*s = *(const struct scripted_settings *)settings;
	return s;
}

static FILE *open_file(const struct scripted_settings *s, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", s->directory, name);
	return fopen(path, "re");
}

static bool mode_is(const struct scripted_settings *s, const char *want)
{
	char mode[32] = "";
	FILE *f = open_file(s, "mode");
	if (f == NULL)
		return false;
	if (fgets(mode, sizeof(mode), f) == NULL)
		mode[0] = '\0';
	fclose(f);
	return strcmp(mode, want) == 0;
}

static enum verdict take_entry(struct question *q, struct span password, struct span fields)
{
	struct span field, name;
	while (span_split(&fields, '\t', &field)) {
		struct span value = field;
		if (span_split(&value, '=', &name))
			fields_set(&q->entry.fields, name, value);
	}
	if (span_eq_str(password, "!disabled"))
		return VERDICT_DISABLED;
	if (span_eq_str(password, "!expired"))
		return VERDICT_EXPIRED;
	if (q->kind == ASK_VERIFY)
		return span_eq(password, secret_reveal(q->password)) ? VERDICT_OK
								     : VERDICT_MISMATCH;
	if (!span_eq_str(password, "-"))
		q->entry.password = secret_of(arena_dup(q->arena, password));
	return VERDICT_OK;
}

static enum verdict find(const struct scripted_settings *s, struct question *q, struct span key)
{
	char line[1024];
	FILE *f = open_file(s, "users");
	if (f == NULL) {
		err_set(&q->err, errno, "users: %s", strerror(errno));
		return VERDICT_INTERNAL;
	}
	enum verdict v = VERDICT_UNKNOWN_USER;
	while (v == VERDICT_UNKNOWN_USER && fgets(line, sizeof(line), f) != NULL) {
		struct span rest = span_trim(span_of(line)), name, password;
		if (span_split(&rest, '\t', &name) && span_eq(name, key) &&
		    span_split(&rest, '\t', &password))
			v = take_entry(q, password, rest);
	}
	fclose(f);
	return v;
}

static enum verdict scripted_ask(void *state, struct question *q)
{
	static const char *const kinds[] = {
	    [ASK_VERIFY] = "verify", [ASK_PASSDB] = "passdb", [ASK_USERDB] = "userdb"};
	const struct scripted_settings *s = state;
	struct vars vars = *q->vars;
	q->entry.default_scheme = "PLAIN";
	struct span key = template_expand(s->key, &vars, q->arena, NULL, NULL, &q->err);
	if (key.ptr == NULL)
		return VERDICT_INTERNAL;
	log_info("scripted: %s %.*s", kinds[q->kind], SPAN_ARG(vars.v[VAR_USER]));
	if (mode_is(s, "die"))
		abort();
	/* what the backend had when it was asked: it hangs with that */
	enum verdict v = find(s, q, key);
	while (mode_is(s, "hang"))
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	if (mode_is(s, "odd")) {
		err_set(&q->err, 0, "this user's entry is broken");
		return VERDICT_INTERNAL;
	}
	if (mode_is(s, "fail")) {
		err_set(&q->err, 0, "the backend is down");
		q->backend = BACKEND_DOWN;
		return VERDICT_INTERNAL;
	}
	return v;
}

static void scripted_close(void *state)
{
	mem_free(&state);
}

extern const struct driver authd_driver;
const struct driver authd_driver = {
    .abi = DRIVER_ABI,
    .spec = &spec,
    .can = CAN,
    .lanes = LANES_OWN,
    .open = scripted_open,
    .ask = scripted_ask,
    .close = scripted_close,
};
