/*
 * static: the same entry for every user, made of templates.
 * Runs in: worker. As a userdb it says yes to every name. Whether the user
 * exists is for the front to ask a passdb, unless the configuration has
 * allow_all_users=yes, which is the front's business and no field.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/form-24.h"
#include "drivers/driver.h"
#include "drivers/drivers.h"
#include "drivers/nss.h"

struct static_settings {
	struct template_fields *fields;
};

static const struct setting rows[] = {
    {"fields", SETTING_FIELDS, offsetof(struct static_settings, fields), "",
	"Fields with templates: password= or nopassword and extra fields for a passdb; uid, gid, "
	"home and others, and allow_all_users=yes, for a userdb.",
	NULL, SETTING_SECRET, NULL},
};

static const struct setting_table table = {
    "static", rows, ARRAY_LEN(rows), sizeof(struct static_settings)};

/* ---- in the form of Dovecot 2.4 ---- */

static void complain(void *ctx, const char *row, const char *text)
{
	form_24_complain(ctx, row, text);
}

static void compose(struct form_24 *f, bool passdb)
{
	const struct driver_check to = {form_24_arena(f), complain, f};
	struct span password = form_24_template(f, "passdb_static_password");
	const char *scheme = form_24_get(f, "passdb_default_password_scheme");
	if (passdb && scheme != NULL)
		driver_check_scheme(&to, "passdb_default_password_scheme", scheme);
	if (passdb && password.ptr != NULL && scheme != NULL && !span_starts(password, "{"))
		password = arena_printf(form_24_arena(f), "{%s}%.*s", scheme, SPAN_ARG(password));
	if (passdb && password.ptr != NULL)
		form_24_add_field(f, "fields", "password", password);
	if (!passdb && form_24_yes(f, "userdb_static_allow_all_users", false))
		form_24_add_field(f, "fields", "allow_all_users", SPAN_LIT("yes"));
}

static const struct driver_name_24 names_24[] = {
    {.name = "passdb_static_password"},
    {.name = "passdb_default_password_scheme"},
    {.name = "userdb_static_allow_all_users"},
    {.name = NULL},
};

static const struct driver_form_24 form_24 = {
    .names = names_24, .passdb_fields = "fields", .userdb_fields = "fields", .compose = compose};

const struct driver_spec spec_static = {
    .name = "static",
    .use = DRIVER_PASSDB | DRIVER_USERDB | DRIVER_ASSUMES_USER,
    .args = ARGS_FIELDS,
    .rest = "fields",
    .form_24 = &form_24,
    .settings = &table,
};

/* The number as text; SPAN_NULL and *err when there is no such name. */
static struct span resolve(bool group, struct span text, struct arena *a, struct err *err)
{
	uint32_t id = 0;
	if (span_to_u32(text, &id))
		return text;
	int e = nss_id(group, text, a, &id);
	if (e == 0)
		return arena_printf(a, "%u", id);
	err_set(err, EX_CONFIG, "static: %s=%.*s: %s", group ? "gid" : "uid", SPAN_ARG(text),
	    e == ENOENT ? "no such name" : strerror(e));
	return SPAN_NULL;
}

/* ---- the driver ---- */

struct static_state {
	const struct static_settings *set;
	struct arena arena;
	struct span uid, gid; /* resolved once when constant; else SPAN_NULL */
};

static struct span resolve_constant(
    struct static_state *s, const struct template_field *f, bool group)
{
	static const struct vars none;
	struct err err = {0};
	if (f->value == NULL || !template_is_constant(f->value))
		return SPAN_NULL;
	struct span text = template_expand(f->value, &none, &s->arena, NULL, NULL, &err);
	struct span id = text.ptr == NULL ? text : resolve(group, text, &s->arena, &err);
	if (id.ptr == NULL) /* not the end: perhaps the name is there when ask() looks */
		log_warning("%s; lookups fail until there is one", err.text);
	return id;
}

static void *static_open(const void *settings, struct err *err UNUSED)
{
	struct static_state *s = mem_alloc(sizeof(*s));
	s->set = settings;
	const struct template_fields *fields = s->set->fields;
	for (size_t i = 0; fields != NULL && i < fields->count; i++) {
		const struct template_field *f = &fields->items[i];
		if (strcmp(template_text(f->key), "uid") == 0)
			s->uid = resolve_constant(s, f, false);
		else if (strcmp(template_text(f->key), "gid") == 0)
			s->gid = resolve_constant(s, f, true);
	}
	return s;
}

static bool expand(const struct template_fields *fields, struct question *q)
{
	for (size_t i = 0; fields != NULL && i < fields->count; i++) {
		const struct template_field *f = &fields->items[i];
		struct span key = template_expand(f->key, q->vars, q->arena, NULL, NULL, &q->err);
		struct span value = SPAN_NULL;
		if (key.ptr == NULL)
			return false;
		if (f->value != NULL) {
			value = template_expand(f->value, q->vars, q->arena, NULL, NULL, &q->err);
			if (value.ptr == NULL)
				return false;
		}
		if (key.len > 0)
			fields_set(&q->entry.fields, key, value);
	}
	fields_remove(&q->entry.fields, "allow_all_users");
	return true;
}

static bool resolve_field(struct question *q, const char *key, struct span known)
{
	const struct field *f = fields_find(&q->entry.fields, key);
	if (f == NULL)
		return true;
	if (known.ptr == NULL)
		known = resolve(strcmp(key, "gid") == 0, f->value, q->arena, &q->err);
	if (known.ptr != NULL)
		fields_set(&q->entry.fields, span_of(key), known);
	return known.ptr != NULL;
}

static enum verdict static_ask(void *state, struct question *q)
{
	const struct static_state *s = state;
	q->entry.default_scheme = "PLAIN";
	if (!expand(s->set->fields, q))
		return VERDICT_INTERNAL;
	if (q->kind == ASK_USERDB &&
	    (!resolve_field(q, "uid", s->uid) || !resolve_field(q, "gid", s->gid)))
		return VERDICT_INTERNAL;
	return VERDICT_OK;
}

static void static_close(void *state)
{
	struct static_state *s = state;
	arena_free(&s->arena);
	mem_free(&s);
}

const struct driver driver_static = {
    .abi = DRIVER_ABI,
    .spec = &spec_static,
    .can = CAN_SHOW,
    .lanes = LANES_SHARED,
    .open = static_open,
    .ask = static_ask,
    .close = static_close,
};
