/*
 * passwd-file: users in a text file in the style of /etc/passwd.
 * Runs in: worker; the lookup is memory only, so the worker's main thread
 * answers it. Owner: the state owns the store of files.
 */
#include "drivers/passwd-file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/driver.h"
#include "drivers/drivers.h"
#include "drivers/passwd-file-store.h"

struct passwd_file_settings {
	const char *scheme;
	struct template *username_format;
	struct template *path;
};

static const struct setting rows[] = {
    {"scheme", SETTING_STRING, offsetof(struct passwd_file_settings, scheme), "",
	"The scheme of passwords without a {SCHEME} in front; CRYPT when empty.", NULL, 0, NULL},
    {"username_format", SETTING_TEMPLATE, offsetof(struct passwd_file_settings, username_format),
	"%u", "What is looked for in the file, made of the login name.", NULL, 0, NULL},
    {"path", SETTING_TEMPLATE, offsetof(struct passwd_file_settings, path), "",
	"The file. With variables in it, one file for each domain (or whatever they say).", NULL,
	SETTING_REQUIRED, NULL},
};

static const struct setting_table table = {
    "passwd-file", rows, ARRAY_LEN(rows), sizeof(struct passwd_file_settings)};

static const char *passwd_file_writes(const void *settings, struct arena *a);

static void passwd_file_check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	const struct passwd_file_settings *set = settings;
	const struct driver_check to = {a, complain, ctx};
	const char *path = template_text(set->path);
	driver_check_scheme(&to, "scheme", set->scheme);
	if (path[0] != '/' &&
	    path[0] != '%') /* what variables give is looked at when it is there */
		driver_check_says(&to, "path", "\"%.120s\" is no absolute path", path);
}

static const struct driver_name_24 names_24[] = {
    {.name = "passwd_file_path", .row = "path"},
    {.name = "passdb_default_password_scheme", .row = "scheme"},
    {.name = "auth_username_format", .row = "username_format", .inside = true},
    {.name = NULL},
};

static const struct driver_form_24 form_24 = {.names = names_24, .provider = "passwd_file"};

const struct driver_spec spec_passwd_file = {
    .name = "passwd-file",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_WORDS,
    .rest = "path",
    .form_24 = &form_24,
    .settings = &table,
    .check = passwd_file_check,
    .writes = passwd_file_writes,
};

struct passwd_file {
	const struct passwd_file_settings *set;
	struct pf_store *store;
	bool one; /* the path has no variables */
};

/* ---- the file's name ---- */

static struct span escape_path(void *ctx UNUSED, struct arena *a UNUSED, struct span value)
{
	ssize_t slash = span_find(value, '/');
	return slash >= 0 ? span_first(value, (size_t)slash) : value;
}

/* A name must not lead out of the place that the administrator gave. */
static bool path_is_tame(struct span path)
{
	struct span part, rest = path;
	if (span_find(path, '\0') >= 0)
		return false;
	if (rest.len > 0 && rest.ptr[0] == '/')
		rest = span_skip(rest, 1);
	while (span_split(&rest, '/', &part)) {
		if (part.len == 0 || span_eq_str(part, ".") || span_eq_str(part, ".."))
			return false;
	}
	return true;
}

static enum verdict find_path(struct passwd_file *pf, struct question *q, const char **out)
{
	struct span path = template_expand(
	    pf->set->path, q->vars, q->arena, pf->one ? NULL : escape_path, NULL, &q->err);
	if (path.ptr == NULL)
		return VERDICT_INTERNAL;
	if (!pf->one && !path_is_tame(path)) {
		err_set(&q->err, 0, "unknown user (his name makes no file name)");
		return VERDICT_UNKNOWN_USER;
	}
	*out = arena_cstr(q->arena, path);
	return VERDICT_OK;
}

/* OK with a referenced table, UNKNOWN_USER or INTERNAL with q->err. */
static enum verdict find_table(struct passwd_file *pf, struct question *q, struct pf_table **out)
{
	const char *path;
	enum verdict v = find_path(pf, q, &path);
	if (v != VERDICT_OK)
		return v;
	struct err err = {0};
	*out = pf_store_get(pf->store, path, &err);
	if (*out != NULL)
		return VERDICT_OK;
	bool none = err.code == ENOENT || err.code == ENOTDIR || err.code == ENAMETOOLONG;
	if (!pf->one && none) {
		err_set(&q->err, 0, "unknown user (no passwd-file %s)", path);
		return VERDICT_UNKNOWN_USER;
	}
	q->err = err;
	q->backend = pf->one ? BACKEND_DOWN : BACKEND_AWAY;
	return VERDICT_INTERNAL;
}

/* ---- the user's line ---- */

/* Names in the file are written with \ before \, ' and ". */
static struct span escape_name(void *ctx UNUSED, struct arena *a, struct span value)
{
	char *out = arena_alloc(a, value.len * 2 + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("\\\"'", value.ptr[i]) != NULL && value.ptr[i] != '\0')
			out[n++] = '\\';
		out[n++] = value.ptr[i];
	}
	return span_make(out, n);
}

static struct span line_name(struct passwd_file *pf, struct question *q)
{
	return template_expand(
	    pf->set->username_format, q->vars, q->arena, escape_name, NULL, &q->err);
}

static enum verdict find_line(
    struct passwd_file *pf, struct question *q, const struct pf_table *t, struct pf_line *line)
{
	struct span name = line_name(pf, q);
	if (name.ptr == NULL)
		return VERDICT_INTERNAL;
	if (pf_table_find(t, name, line))
		return VERDICT_OK;
	if (pf_table_is_cut(t)) {
		err_set(&q->err, EX_TEMPFAIL, "the passwd-file is just being written");
		q->backend = BACKEND_AWAY;
		return VERDICT_INTERNAL;
	}
	return VERDICT_UNKNOWN_USER;
}

static bool set_field(struct question *q, struct span key, struct span value)
{
	if (span_find(value, '%') >= 0) {
		struct span text = value;
		if (driver_limits.language_24)
			text = template_from_24(q->arena, value, &q->err);
		const struct template *t =
		    text.ptr != NULL ? template_parse(q->arena, text, &q->err) : NULL;
		if (t == NULL)
			return err_prefix(&q->err, "extra field %.*s", SPAN_ARG(key));
		value = template_expand(t, q->vars, q->arena, NULL, NULL, &q->err);
		if (value.ptr == NULL)
			return err_prefix(&q->err, "extra field %.*s", SPAN_ARG(key));
	}
	fields_set(&q->entry.fields, key, value);
	return true;
}

/* passdb: all of them; userdb: those with userdb_ before the name, without it */
static bool set_extra_fields(struct question *q, const struct pf_line *line)
{
	struct span word, rest = arena_join(q->arena, span_of(line->extra_prefix), line->extra);
	while (span_word(&rest, " ", &word)) {
		ssize_t eq = span_find(word, '=');
		struct span key = eq >= 0 ? span_first(word, (size_t)eq) : word;
		struct span value = eq >= 0 ? span_skip(word, (size_t)eq + 1) : SPAN_NULL;
		if (q->kind == ASK_USERDB) {
			if (!span_starts(key, "userdb_"))
				continue;
			key = span_skip(key, strlen("userdb_"));
		}
		if (key.len > 0 && !set_field(q, key, value))
			return false;
	}
	return true;
}

static enum verdict show_passdb(
    struct passwd_file *pf, struct question *q, const struct pf_line *line)
{
	if (line->password.ptr != NULL)
		q->entry.password =
		    secret_of(arena_join(q->arena, span_of(line->password_prefix), line->password));
	q->entry.default_scheme = pf->set->scheme[0] != '\0' ? pf->set->scheme : NULL;
	return set_extra_fields(q, line) ? VERDICT_OK : VERDICT_INTERNAL;
}

static enum verdict show_userdb(struct question *q, const struct pf_line *line)
{
	if (line->gid.ptr == NULL) {
		err_set(&q->err, 0, "unknown user (his line has no uid and gid columns)");
		return VERDICT_UNKNOWN_USER;
	}
	if (line->uid.len > 0)
		fields_set(&q->entry.fields, SPAN_LIT("uid"), line->uid);
	if (line->gid.len > 0)
		fields_set(&q->entry.fields, SPAN_LIT("gid"), line->gid);
	if (line->home.len > 0)
		fields_set(&q->entry.fields, SPAN_LIT("home"), line->home);
	return set_extra_fields(q, line) ? VERDICT_OK : VERDICT_INTERNAL;
}

/* ---- the driver ---- */

static void wait_until_settled(const char *path)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000000L};
	struct stat st;
	for (int i = 0; i < PF_SETTLE_MS / 50 && stat(path, &st) == 0; i++) {
		struct pf_stamp stamp = pf_stamp_of(&st);
		if (!pf_is_fresh(&stamp))
			break;
		nanosleep(&pause, NULL);
	}
}

/* The only file is loaded now. That it is missing is said, but another may bring it later. */
static bool load_the_one(struct passwd_file *pf, struct err *err)
{
	static const struct vars none;
	struct arena a = {0};
	struct span path = template_expand(pf->set->path, &none, &a, NULL, NULL, err);
	bool ok = path.ptr != NULL;
	if (ok && (path.len == 0 || path.ptr[0] != '/'))
		ok = err_set(
		    err, EX_CONFIG, "passwd-file: \"%.*s\" is no absolute path", SPAN_ARG(path));
	if (ok) {
		const char *name = arena_cstr(&a, path);
		struct err why = {0};
		wait_until_settled(name);
		struct pf_table *t = pf_store_get(pf->store, name, &why);
		if (t == NULL)
			log_error(
			    "%s; all logins that need it will fail until it is there", why.text);
		pf_table_unref(t);
	}
	arena_free(&a);
	return ok;
}

static void passwd_file_close(void *state)
{
	struct passwd_file *pf = state;
	pf_store_free(&pf->store);
	mem_free(&pf);
}

static void *passwd_file_open(const void *settings, struct err *err)
{
	struct passwd_file *pf = mem_alloc(sizeof(*pf));
	pf->set = settings;
	pf->one = template_is_constant(pf->set->path);
	pf->store = pf_store_new(!pf->one);
	if (pf->one && !load_the_one(pf, err)) {
		passwd_file_close(pf);
		return NULL;
	}
	return pf;
}

static enum verdict passwd_file_ask(void *state, struct question *q)
{
	struct passwd_file *pf = state;
	struct pf_table *t = NULL;
	struct pf_line line;
	enum verdict v = find_table(pf, q, &t);
	if (v == VERDICT_OK)
		v = find_line(pf, q, t, &line);
	if (v == VERDICT_OK)
		v = q->kind == ASK_USERDB ? show_userdb(q, &line) : show_passdb(pf, q, &line);
	pf_table_unref(t);
	return v;
}

static enum verdict passwd_file_store(void *state, struct question *q, const struct replacement *r)
{
	struct passwd_file *pf = state;
	const char *path;
	enum verdict v = find_path(pf, q, &path);
	if (v != VERDICT_OK)
		return v;
	struct span name = line_name(pf, q);
	if (name.ptr == NULL)
		return VERDICT_INTERNAL;
	v = pf_replace(path, name, r, q->deadline_ms, &q->err);
	/* also after a mismatch: then what is in memory is old */
	pf_store_reload(pf->store, path);
	return v;
}

/* Where store() writes: in the file's directory, or below what the path's variables are under. */
static const char *passwd_file_writes(const void *settings, struct arena *a)
{
	static const struct vars none;
	const struct passwd_file_settings *set = settings;
	struct span path = span_of(template_text(set->path));
	char real[PATH_MAX];
	if (template_is_constant(set->path)) {
		struct err err = {0};
		path = template_expand(set->path, &none, a, NULL, NULL, &err);
		if (path.ptr == NULL)
			return NULL;
		if (realpath(arena_cstr(a, path), real) != NULL)
			path = span_of(real);
	} else {
		path = span_first(path, (size_t)span_find(path, '%'));
	}
	ssize_t slash = span_rfind(path, '/');
	return slash >= 0 ? arena_cstr(a, span_first(path, slash > 0 ? (size_t)slash : 1)) : NULL;
}

static struct span unescape_name(struct arena *a, struct span name)
{
	if (span_find(name, '\\') < 0)
		return name;
	char *out = arena_alloc(a, name.len);
	size_t n = 0;
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '\\' && i + 1 < name.len)
			i++;
		out[n++] = name.ptr[i];
	}
	return span_make(out, n);
}

static bool list_table(const struct pf_table *t, driver_emit *emit, void *ctx)
{
	struct arena a = {0};
	struct pf_line line;
	bool go_on = true;
	for (size_t at = 0; go_on && pf_table_next(t, &at, &line);) {
		if (line.gid.ptr == NULL)
			continue; /* for passwords only: show_userdb() does not know him */
		go_on = emit(ctx, unescape_name(&a, line.user));
		arena_reset(&a);
	}
	arena_free(&a);
	return go_on;
}

static bool passwd_file_list(
    void *state, const struct vars *vars, driver_emit *emit, void *ctx, struct err *err)
{
	struct passwd_file *pf = state;
	if (!pf->one)
		return err_set(err, EX_UNAVAILABLE,
		    "passwd-file: users cannot be listed when the path has variables");
	struct arena a = {0};
	struct pf_table *t = NULL;
	bool ok = false;
	struct span path = template_expand(pf->set->path, vars, &a, NULL, NULL, err);
	if (path.ptr != NULL)
		t = pf_store_get(pf->store, arena_cstr(&a, path), err);
	arena_free(&a);
	if (t != NULL && !list_table(t, emit, ctx))
		err_set(err, 0, "stopped");
	else
		ok = t != NULL;
	pf_table_unref(t);
	return ok;
}

static uint64_t passwd_file_needs(void *state)
{
	struct passwd_file *pf = state;
	pf_store_watch(pf->store);
	bool all = !pf->one || pf_store_has_templates(pf->store);
	return all ? VAR_BIT(VAR_BITS) - 1 : 0;
}

static uint64_t passwd_file_version(void *state)
{
	return pf_store_version(((struct passwd_file *)state)->store);
}

const struct driver driver_passwd_file = {
    .abi = DRIVER_ABI,
    .spec = &spec_passwd_file,
    .can = CAN_SHOW | CAN_LIST | CAN_STORE,
    .lanes = LANES_SHARED,
    .open = passwd_file_open,
    .ask = passwd_file_ask,
    .list = passwd_file_list,
    .store = passwd_file_store,
    .needs = passwd_file_needs,
    .version = passwd_file_version,
    .close = passwd_file_close,
};
