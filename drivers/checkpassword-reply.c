/*
 * The environment of a checkpassword program and its reply. Runs in: worker.
 * The reply's bytes are the program's: they are fields, never more.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/mem.h"
#include "drivers/checkpassword.h"

/* ---- the environment ---- */

struct environment {
	struct arena *arena;
	char **items;
	size_t count;
};

static bool is_set(const struct environment *e, struct span name)
{
	for (size_t i = 0; i < e->count; i++) {
		const char *item = e->items[i];
		if (strncmp(item, name.ptr, name.len) == 0 && item[name.len] == '=')
			return true;
	}
	return false;
}

/* The first setting of a name counts. What a C string cannot hold is left out. */
static void set(struct environment *e, struct span name, struct span value)
{
	if (e->count >= CHECKPASSWORD_ENV_MAX || span_find(value, '\0') >= 0 || is_set(e, name))
		return;
	e->items[e->count++] = arena_cstr(
	    e->arena, arena_printf(e->arena, "%.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value)));
}

static void set_str(struct environment *e, const char *name, struct span value)
{
	set(e, span_of(name), value);
}

/* SPAN_NULL when it cannot be a variable's name */
static struct span upper(struct arena *a, const char *prefix, struct span name)
{
	struct span out = arena_join(a, span_of(prefix), name);
	char *p = arena_cstr(a, out);
	for (size_t i = 0; i < out.len; i++) {
		if (!isalnum((unsigned char)p[i]) && p[i] != '_')
			return SPAN_NULL;
		p[i] = (char)toupper((unsigned char)p[i]);
	}
	return span_make(p, out.len);
}

static void set_variables(struct environment *e, const struct vars *vars)
{
	for (size_t i = 0; i < var_name_count; i++) {
		if (var_names[i].name == NULL || var_names[i].var >= VAR_COUNT)
			continue;
		struct span name = upper(e->arena, "AUTH_", span_of(var_names[i].name));
		struct span value = var_value(vars, &var_names[i]);
		if (name.ptr != NULL && value.len > 0)
			set(e, name, value);
	}
}

/* Fields of earlier passdbs; a name that the dynamic linker listens to is none. */
static void set_fields(struct environment *e, const struct fields *fields)
{
	for (size_t i = 0; fields != NULL && i < fields->count; i++) {
		struct span name = upper(e->arena, "", fields->items[i].key);
		struct span value = fields->items[i].value;
		if (name.len > 0 && !span_starts(name, "LD_") &&
		    !isdigit((unsigned char)name.ptr[0]))
			set(e, name, value.ptr != NULL ? value : SPAN_LIT(""));
	}
}

char **checkpassword_environment(const struct question *q)
{
	const struct span *v = q->vars->v;
	struct environment e = {.arena = q->arena};
	e.items = arena_alloc(q->arena, (CHECKPASSWORD_ENV_MAX + 1) * sizeof(*e.items));
	set_str(
	    &e, "PATH", SPAN_LIT("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	set_str(&e, "PROTO", SPAN_LIT("TCP"));
	set_str(&e, "ORIG_UID", arena_printf(q->arena, "%u", (unsigned)getuid()));
	if (q->kind != ASK_VERIFY)
		set_str(&e, "AUTHORIZED", SPAN_LIT("1"));
	if (q->kind == ASK_PASSDB) {
		set_str(&e, "CREDENTIALS_LOOKUP", SPAN_LIT("1"));
		set_str(&e, "SCHEME", q->scheme);
	}
	set_str(&e, "SERVICE", v[VAR_SERVICE]);
	set_str(&e, "TCPLOCALIP", v[VAR_LIP]);
	set_str(&e, "LOCAL_IP", v[VAR_LIP]);
	set_str(&e, "TCPREMOTEIP", v[VAR_RIP]);
	set_str(&e, "REMOTE_IP", v[VAR_RIP]);
	set_str(&e, "TCPLOCALPORT", v[VAR_LPORT]);
	set_str(&e, "TCPREMOTEPORT", v[VAR_RPORT]);
	if (v[VAR_MASTER_USER].len > 0)
		set_str(&e, "MASTER_USER", v[VAR_MASTER_USER]);
	set_variables(&e, q->vars);
	set_fields(&e, q->vars->passdb);
	return e.items;
}

/* ---- the reply ---- */

bool checkpassword_take_reply(struct question *q, struct span reply)
{
	struct span one, key;
	if (span_find(reply, '\0') >= 0 || span_find(reply, '\n') >= 0)
		return err_set(&q->err, 0, "the program's reply has bytes that no reply has");
	while (span_split(&reply, '\t', &one)) {
		struct span value = one;
		if (one.len == 0)
			continue;
		bool flag = span_find(one, '=') < 0;
		if (!span_split(&value, '=', &key) || key.len == 0)
			return err_set(
			    &q->err, 0, "the program's reply has a field without a name");
		if (q->kind == ASK_USERDB) {
			if (!span_starts(key, "userdb_"))
				continue;
			key = span_skip(key, strlen("userdb_"));
		}
		if (key.len > 0)
			fields_set(&q->entry.fields, key,
			    flag ? SPAN_NULL : tab_unescape(q->arena, value));
	}
	return true;
}

static enum verdict success(struct question *q, struct span reply)
{
	if (reply.len == 0) {
		err_set(&q->err, 0, "the program said yes without running the reply helper");
		return VERDICT_INTERNAL;
	}
	return checkpassword_take_reply(q, reply) ? VERDICT_OK : VERDICT_INTERNAL;
}

static enum verdict no_lookups(struct question *q)
{
	err_set(&q->err, 0,
	    "the program does not support lookups: it neither turned AUTHORIZED=1 into 2 nor "
	    "exited with status 3");
	return VERDICT_INTERNAL;
}

enum verdict checkpassword_verdict(struct question *q, bool exited, int status, struct span reply)
{
	bool lookup = q->kind != ASK_VERIFY;
	if (!exited) {
		err_set(&q->err, 0, "the program was killed by signal %d", status);
		return VERDICT_INTERNAL;
	}
	switch (status) {
	case 0:
		return lookup ? no_lookups(q) : success(q, reply);
	case 1: /* a program that only judges passwords says it to the empty one of a lookup */
		return lookup ? no_lookups(q) : VERDICT_MISMATCH;
	case 2:
		if (lookup)
			return success(q, reply);
		break;
	case 3:
		return VERDICT_UNKNOWN_USER;
	case 111:
		err_set(&q->err, 0, "the program has a temporary problem (status 111)");
		q->backend = BACKEND_AWAY;
		return VERDICT_INTERNAL;
	default:
		break;
	}
	err_set(&q->err, 0, "the program exited with status %d", status);
	return VERDICT_INTERNAL;
}
