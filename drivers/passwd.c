/*
 * passwd: the users of the system, by getpwnam(3). Runs in: worker; NSS may
 * block (LDAP, SSSD), so each lane asks on its own.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "drivers/drivers.h"
#include "drivers/nss.h"

struct passwd_settings {
	struct template_fields *fields;
};

static const struct setting rows[] = {
    {"fields", SETTING_FIELDS, offsetof(struct passwd_settings, fields), "",
	"Extra fields with templates, which take the place of what the system's database says "
	"(home=/var/mail/%u). \"blocking=no\" is accepted without effect.",
	NULL, 0, NULL},
};

static const struct setting_table table = {
    "passwd", rows, ARRAY_LEN(rows), sizeof(struct passwd_settings)};

static const struct driver_name_24 names_24[] = {{.name = NULL}};

static const struct driver_form_24 form_24 = {.names = names_24, .provider = "passwd"};

const struct driver_spec spec_passwd = {
    .name = "passwd",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_FIELDS,
    .rest = "fields",
    .form_24 = &form_24,
    .settings = &table,
};

struct passwd_state {
	const struct passwd_settings *set;
};

static void *passwd_open(const void *settings, struct err *err UNUSED)
{
	struct passwd_state *s = mem_alloc(sizeof(*s));
	s->set = settings;
	return s;
}

/* What args add; the system's own values stand already. */
static bool add_fields(const struct template_fields *fields, struct question *q)
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
		if (key.len > 0 && !span_eq_str(key, "blocking"))
			fields_set(&q->entry.fields, key, value);
	}
	return true;
}

static void show_passdb(struct question *q, const struct passwd *pw)
{
	struct span hash = span_of(pw->pw_passwd);
	if (nss_password_is_usable(hash))
		q->entry.password = secret_of(hash);
	/* as it is written in the database: "Tim" is not another mailbox than "tim" */
	if (!span_eq_str(q->vars->v[VAR_USER], pw->pw_name))
		fields_set_str(&q->entry.fields, "user", pw->pw_name);
}

static void show_userdb(struct question *q, const struct passwd *pw)
{
	struct fields *f = &q->entry.fields;
	fields_set_str(f, "system_groups_user", pw->pw_name);
	fields_set(f, SPAN_LIT("uid"), arena_printf(q->arena, "%u", (unsigned)pw->pw_uid));
	fields_set(f, SPAN_LIT("gid"), arena_printf(q->arena, "%u", (unsigned)pw->pw_gid));
	fields_set_str(f, "home", pw->pw_dir);
}

static enum verdict passwd_ask(void *state, struct question *q)
{
	const struct passwd_state *s = state;
	struct passwd pw;
	enum verdict v = nss_passwd(q->vars->v[VAR_USER], q->arena, &pw, &q->err);
	if (v == VERDICT_INTERNAL)
		q->backend = BACKEND_AWAY; /* one of several sources of names */
	if (v != VERDICT_OK)
		return v;
	if (q->kind == ASK_USERDB)
		show_userdb(q, &pw);
	else
		show_passdb(q, &pw);
	return add_fields(s->set->fields, q) ? VERDICT_OK : VERDICT_INTERNAL;
}

static bool is_listed(const struct passwd *pw)
{
	const struct driver_limits *l = &driver_limits;
	return pw->pw_uid >= l->first_valid_uid &&
	       (l->last_valid_uid == 0 || pw->pw_uid <= l->last_valid_uid);
}

/* getpwent() has one position for the whole process. */
static bool passwd_list(void *state UNUSED, const struct vars *vars UNUSED, driver_emit *emit,
    void *ctx, struct err *err)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	const struct passwd *pw;
	int e = 0;
	pthread_mutex_lock(&one_at_a_time);
	setpwent();
	for (;;) {
		errno = 0;
		pw = getpwent();
		if (pw == NULL) {
			e = errno;
			break;
		}
		if (is_listed(pw) && !emit(ctx, span_of(pw->pw_name)))
			break;
	}
	endpwent();
	pthread_mutex_unlock(&one_at_a_time);
	if (pw == NULL && e != 0 && e != ENOENT)
		return err_set(err, EX_TEMPFAIL, "getpwent() failed: %s", strerror(e));
	return true;
}

static void passwd_close(void *state)
{
	mem_free(&state);
}

const struct driver driver_passwd = {
    .abi = DRIVER_ABI,
    .spec = &spec_passwd,
    .can = CAN_SHOW | CAN_LIST,
    .lanes = LANES_OWN,
    .open = passwd_open,
    .ask = passwd_ask,
    .list = passwd_list,
    .close = passwd_close,
};
