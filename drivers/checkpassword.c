/*
 * checkpassword: a program of the administrator judges the password (the
 * interface of qmail's checkpassword), or looks a user up.
 * Runs in: worker, which may run programs; each lane runs one at a time.
 */
#include "drivers/checkpassword.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/drivers.h"

enum { ARGS_MAX = 32, PATIENCE_MS = 60 * 1000 };

struct checkpassword_settings {
	const char *program;
};

static const struct setting rows[] = {
    {"program", SETTING_WORDS, offsetof(struct checkpassword_settings, program), "",
	"The program's full path and its arguments; the path of the reply helper is added.", NULL,
	SETTING_REQUIRED, NULL},
};

static const struct setting_table table = {
    "checkpassword", rows, ARRAY_LEN(rows), sizeof(struct checkpassword_settings)};

static void check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	const struct checkpassword_settings *set = settings;
	struct span rest = span_of(set->program), word;
	size_t count = 0;
	while (span_word(&rest, " ", &word)) {
		if (count++ == 0 && word.ptr[0] != '/')
			complain(ctx, NULL,
			    arena_printf(a, "\"%.*s\" is no full path of a program", SPAN_ARG(word))
				.ptr);
	}
	if (count > ARGS_MAX)
		complain(ctx, NULL, "too many arguments for the program");
}

const struct driver_spec spec_checkpassword = {
    .name = "checkpassword",
    .use = DRIVER_PASSDB | DRIVER_USERDB | DRIVER_EXEC,
    .args = ARGS_WORDS,
    .rest = "program",
    .settings = &table,
    .check = check,
};

struct checkpassword_state {
	struct arena arena;
	char *argv[ARGS_MAX + 2];
};

/* Beside the program, in a tree that runs where it was built; else where it is installed. */
static void find_reply_helper(char *path, size_t size)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		snprintf(path, size, "%s/checkpassword-reply", dirname(exe));
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, size, "%s/libexec/authd/checkpassword-reply", AUTHD_PREFIX);
}

static void *checkpassword_open(const void *settings, struct err *err)
{
	const struct checkpassword_settings *set = settings;
	struct checkpassword_state *s = mem_alloc(sizeof(*s));
	struct span rest = span_of(set->program), word;
	char helper[PATH_MAX + 64];
	size_t count = 0;
	while (count < ARGS_MAX && span_word(&rest, " ", &word))
		s->argv[count++] = arena_cstr(&s->arena, word);
	find_reply_helper(helper, sizeof(helper));
	s->argv[count] = arena_cstr(&s->arena, span_of(helper));
	const char *missing = access(s->argv[0], X_OK) != 0 ? s->argv[0]
			      : access(helper, X_OK) != 0   ? helper
							    : NULL;
	if (missing == NULL)
		return s;
	err_set(
	    err, EX_CONFIG, "checkpassword: %s is no program that this process may run", missing);
	arena_free(&s->arena);
	mem_free(&s);
	return NULL;
}

static bool has_nul(struct span s)
{
	return span_find(s, '\0') >= 0;
}

/* user NUL password NUL timestamp NUL; a lookup has no password, the timestamp is empty */
static struct span make_input(const struct question *q)
{
	struct span user = q->vars->v[VAR_USER], password = secret_reveal(q->password);
	char *p = arena_alloc(q->arena, user.len + password.len + 3);
	memcpy(p, user.ptr, user.len);
	if (password.len > 0)
		memcpy(p + user.len + 1, password.ptr, password.len);
	return span_make(p, user.len + password.len + 3);
}

static enum verdict checkpassword_ask(void *state, struct question *q)
{
	struct checkpassword_state *s = state;
	q->backend = BACKEND_UNSAID;
	if (q->vars->v[VAR_USER].len == 0 || has_nul(q->vars->v[VAR_USER]))
		return VERDICT_UNKNOWN_USER;
	if (has_nul(secret_reveal(q->password)))
		return VERDICT_MISMATCH;
	struct checkpassword_run *run = arena_alloc(q->arena, sizeof(*run));
	run->argv = s->argv;
	run->env = checkpassword_environment(q);
	run->input = make_input(q);
	run->deadline_ms = q->deadline_ms > 0 ? q->deadline_ms : clock_ms() + PATIENCE_MS;
	if (!checkpassword_run(run, &q->err)) {
		q->backend = q->err.code == EX_OSERR ? BACKEND_DOWN : BACKEND_AWAY;
		return VERDICT_INTERNAL;
	}
	q->backend = BACKEND_ANSWERS;
	return checkpassword_verdict(
	    q, run->exited, run->status, span_make(run->reply, run->reply_len));
}

/* A program may look at anything but the password's place in a template. */
static uint64_t checkpassword_needs(void *state UNUSED)
{
	return (VAR_BIT(VAR_COUNT) - 1) | VAR_BIT(VAR_PASSDB);
}

static void checkpassword_close(void *state)
{
	struct checkpassword_state *s = state;
	arena_free(&s->arena);
	mem_free(&s);
}

const struct driver driver_checkpassword = {
    .abi = DRIVER_ABI,
    .spec = &spec_checkpassword,
    .can = CAN_VERIFY | CAN_SHOW,
    .lanes = LANES_OWN,
    .open = checkpassword_open,
    .ask = checkpassword_ask,
    .needs = checkpassword_needs,
    .close = checkpassword_close,
};
