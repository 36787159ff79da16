/*
 * passdb {} and userdb {} sections: their settings, drivers and args; then
 * which of them share a pool of workers.
 */
#include "conf/load.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/driver-args.h"

/* Drivers of Dovecot 2.3, so that one that is not built in is not taken for a slip of the pen. */
static const char *const dovecot_drivers[] = {"passwd-file", "passwd", "shadow", "pam", "sql",
    "ldap", "static", "prefetch", "checkpassword", "imap", "lua", "oauth2", "dict", "bsdauth",
    "vpopmail", "sia", "nss"};

const struct driver_spec *load_find_driver(const struct load *l, const char *name)
{
	const struct driver_spec *const *d = l->options->drivers;
	for (; d != NULL && *d != NULL; d++) {
		if (strcmp((*d)->name, name) == 0)
			return *d;
	}
	return NULL;
}

static bool is_listed(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}

static const char *nearest_driver(const struct load *l, const char *name)
{
	const struct driver_spec *const *d = l->options->drivers;
	const char *best = NULL;
	for (; d != NULL && *d != NULL; d++) {
		const char *names[] = {(*d)->name, best};
		const char *near = nearest_name(span_of(name), names, best != NULL ? 2 : 1);
		if ((*d)->refusal == NULL && near != NULL)
			best = near;
	}
	return best;
}

static bool is_module_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");
	return n > 0 && n < 64 && name[n] == '\0';
}

/* A driver that is no part of the program: it may be a module. */
static void check_foreign_driver(
    struct load *l, const char *what, const char *name, struct config_place place)
{
	const char *near = nearest_driver(l, name);
	const char *set = l->c->process->driver_dir;
	const char *dir = set[0] != '\0' ? set : l->options->module_dir;
	if (!is_module_name(name)) {
		load_error(l, place, "%s: \"%s\" cannot be the name of a driver", what, name);
		return;
	}
	if (dir != NULL && !l->no_files &&
	    access(arena_printf(l->arena, "%s/%s.so", dir, name).ptr, F_OK) == 0)
		return;
	if (near != NULL && !is_listed(name, dovecot_drivers, ARRAY_LEN(dovecot_drivers)))
		load_error(
		    l, place, "%s: unknown driver \"%s\", did you mean \"%s\"?", what, name, near);
	else if (dir != NULL)
		load_error(l, place,
		    "%s: driver \"%s\" is not built in and %s/%s.so does not exist", what, name,
		    dir, name);
	else
		load_error(l, place, "%s: driver \"%s\" is not built in", what, name);
}

/* ---- args ---- */

struct args_report {
	struct load *l;
	const char *what;
	struct config_place place;
	const char *file; /* of ARGS_FILE */
	const struct driver_spec *spec;
	const struct load_made *made; /* 2.4; else NULL */
};

/* "ROW: why" or "ROW is missing": where that row was set, and as what. */
static void report_made(struct args_report *r, const char *text)
{
	const struct setting_table *table = r->spec->settings;
	for (size_t i = 0; table != NULL && i < table->count; i++) {
		size_t len = strlen(table->rows[i].name);
		if (strncmp(text, table->rows[i].name, len) != 0 || strchr(": ", text[len]) == NULL)
			continue;
		const struct form_value *v = &r->made->values[i];
		if (!v->bad)
			load_error(r->l, v->place.file != NULL ? v->place : r->place, "%s%s",
			    v->name != NULL ? v->name : table->rows[i].name, text + len);
		return;
	}
	load_error(r->l, r->place, "%s: %s", r->what, text);
}

static void report_args(void *ctx, unsigned line, const char *text)
{
	struct args_report *r = ctx;
	if (r->made != NULL && r->made->values != NULL)
		report_made(r, text);
	else if (r->file != NULL && line > 0)
		load_error(r->l, (struct config_place){r->file, line}, "%s", text);
	else
		load_error(r->l, r->place, "%s: args: %s", r->what, text);
}

/* Is the module there that these settings need? Its library is looked for when it is loaded. */
static void check_module(struct load *l, const char *what, const struct driver_spec *spec,
    const void *settings, struct config_place place)
{
	const struct driver_module *m = spec->module(settings);
	const char *set = l->c->process->driver_dir;
	const char *dir = set[0] != '\0' ? set : l->options->module_dir;
	if (dir == NULL || l->no_files ||
	    access(arena_printf(l->arena, "%s/%s.so", dir, m->name).ptr, F_OK) == 0)
		return;
	load_error(l, place,
	    "%s: driver %s needs the module %s.so, which is not in %s: it is left out where authd "
	    "is built without Debian's package %s",
	    what, spec->name, m->name, dir, m->build_package);
}

static void check_args(struct load *l, const struct config_db *db, struct config_place place,
    const char *what, const struct load_made *made)
{
	struct args_report r = {l, what, place, NULL, db->spec, made};
	struct span text = span_of(db->file_text);
	if (db->spec->args == ARGS_FILE && db->file_text == NULL) {
		struct err err = {0};
		r.file = db->set->args;
		if (db->set->args[0] == '\0') {
			load_error(
			    l, place, "%s: args must name the file of the driver's settings", what);
			return;
		}
		if (!conf_read_file(db->set->args, l->arena, &text, &err)) {
			load_error(l, place, "%s: args: %s", what, err.text);
			return;
		}
	}
	const void *settings =
	    driver_args_read(db->spec, span_of(db->set->args), text, l->arena, report_args, &r);
	if (settings != NULL && db->spec->module != NULL)
		check_module(l, what, db->spec, settings, place);
}

static void check_driver(
    struct load *l, struct config_db *db, const struct conf_node *n, bool passdb)
{
	struct config_place place = load_place_of(n, "driver");
	const char *what = passdb ? "passdb" : "userdb";
	const struct driver_spec *spec = load_find_driver(l, db->set->driver);
	db->spec = spec;
	if (spec == NULL) {
		check_foreign_driver(l, what, db->set->driver, place);
		return;
	}
	bool names_it = spec->refusal != NULL && strstr(spec->refusal, spec->name) != NULL;
	if (spec->refusal != NULL)
		load_error(l, place, "%s: %s%s%s%s", what, names_it ? "" : "driver \"",
		    names_it ? "" : spec->name, names_it ? "" : "\": ", spec->refusal);
	else if ((spec->use & (passdb ? DRIVER_PASSDB : DRIVER_USERDB)) == 0)
		load_error(l, place, "driver \"%s\" cannot be used in a %s", spec->name, what);
	else
		check_args(l, db, load_place_of(n, "args"), what, n->made);
}

/* ---- one section ---- */

static void add_db(struct load *l, struct config_block *b, struct config_db db, bool passdb)
{
	struct config_db **list = passdb ? &b->passdbs : &b->userdbs;
	size_t *count = passdb ? &b->passdb_count : &b->userdb_count;
	*list = load_grow(l, *list, *count, sizeof(**list));
	(*list)[(*count)++] = db;
}

void load_db(struct load *l, struct config_block *block, const struct conf_node *n, bool passdb)
{
	const struct setting_table *table =
	    passdb ? &passdb_settings_table : &userdb_settings_table;
	struct config_db db = {.place = load_place(n), .pool = -1};
	size_t before = l->errors;
	db.set = settings_new(table, l->arena);
	db.id = passdb ? ++l->passdb_ids : ++l->userdb_ids;
	load_section(l, n, table, db.set);
	if (db.set->name[0] == '\0' && n->name != NULL)
		db.set->name = n->name;
	if (n->made != NULL)
		db.file_text = n->made->file_text;
	if (n->made != NULL)
		db.written = n->made->written;
	if (db.set->driver[0] != '\0')
		check_driver(l, &db, n, passdb);
	else if (n->name != NULL &&
		 (load_find_driver(l, n->name) != NULL ||
		     is_listed(n->name, dovecot_drivers, ARRAY_LEN(dovecot_drivers))))
		load_error(l, db.place, "%s %s has no driver: write driver = %s inside", n->key,
		    n->name, n->name);
	else if (l->errors == before)
		load_error(l, db.place, "%s has no driver", n->key);
	if (db.set->deny && db.set->master)
		load_error(l, db.place, "a passdb cannot be both deny and master");
	add_db(l, block, db, passdb);
}

/* ---- pools ---- */

static bool is_root(const char *user)
{
	return strcmp(user, "root") == 0 || strcmp(user, "0") == 0;
}

static struct config_pool pool_of(const struct load *l, const struct config_db *db)
{
	struct config_pool p = {.driver = db->set->driver,
	    .args = db->set->args,
	    .file_text = db->file_text,
	    .worker_count = db->set->worker_count,
	    .worker_user = db->set->worker_user,
	    .spec = db->spec,
	    .place = db->place};
	if (p.worker_user[0] == '\0' && p.spec != NULL && (p.spec->use & DRIVER_ROOT) != 0)
		p.worker_user = l->worker->user[0] != '\0' ? l->worker->user : "root";
	p.root = is_root(p.worker_user);
	return p;
}

/* What was made of settings; the text of a file is read later, and is the same as the args are. */
static bool same_text(const struct config_pool *a, const struct config_pool *b)
{
	if (a->args[0] != '\0' || (a->file_text == NULL && b->file_text == NULL))
		return true;
	return a->file_text != NULL && b->file_text != NULL &&
	       strcmp(a->file_text, b->file_text) == 0;
}

static bool same_pool(const struct config_pool *a, const struct config_pool *b)
{
	return strcmp(a->driver, b->driver) == 0 && strcmp(a->args, b->args) == 0 &&
	       same_text(a, b) && a->worker_count == b->worker_count &&
	       strcmp(a->worker_user, b->worker_user) == 0;
}

static void read_args_file(struct load *l, struct config_pool *p)
{
	struct span text;
	struct err err = {0};
	if (p->spec == NULL || p->spec->args != ARGS_FILE || p->file_text != NULL || l->errors > 0)
		return; /* what was wrong with it has been said */
	if (conf_read_file(p->args, l->arena, &text, &err))
		p->file_text = text.ptr; /* NUL-terminated; NULs inside were refused */
	else
		load_error(l, p->place, "%s", err.text);
}

/* One-time passwords are used up, so the next one must be stored; any passdb may have them. */
static bool wants_store(const struct load *l, const struct config_db *db, bool passdb)
{
	struct span word, offered = span_of(l->c->blocks[0].auth->mechanisms);
	if (!passdb)
		return false;
	while (span_word(&offered, " ,\t", &word)) {
		if (span_eq_ci(word, SPAN_LIT("OTP")))
			return true;
	}
	return db->set->rehash;
}

static void assign_pool(struct load *l, struct config_db *db, bool passdb)
{
	struct config *c = l->c;
	if (db->spec != NULL && (db->spec->use & DRIVER_IN_FRONT) != 0)
		return;
	struct config_pool p = pool_of(l, db);
	p.rehash = passdb && db->set->rehash;
	p.stores = wants_store(l, db, passdb);
	for (size_t i = 0; i < c->pool_count; i++) {
		if (same_pool(&c->pools[i], &p)) {
			db->pool = (int)i;
			c->pools[i].stores = c->pools[i].stores || p.stores;
			c->pools[i].rehash = c->pools[i].rehash || p.rehash;
			return;
		}
	}
	read_args_file(l, &p);
	c->pools = load_grow(l, c->pools, c->pool_count, sizeof(*c->pools));
	db->pool = (int)c->pool_count;
	c->pools[c->pool_count++] = p;
}

/* ---- drivers that carry out mechanisms ---- */

static bool serves_any(const struct driver_spec *spec, struct span names)
{
	struct span word, rest, one;
	while (spec->mechanisms != NULL && span_word(&names, " ,\t", &word)) {
		rest = span_of(spec->mechanisms);
		while (span_word(&rest, " ", &one)) {
			if (span_eq_ci(one, word))
				return true;
		}
	}
	return false;
}

/* The auth_ settings that such a driver needs, as its args. */
static struct span helper_args(struct load *l)
{
	const struct auth_settings *auth = l->c->blocks[0].auth;
	struct span keytab = SPAN_LIT(""), hostname = SPAN_LIT("");
	if (auth->krb5_keytab[0] != '\0')
		keytab = arena_printf(l->arena, "keytab=%s ", auth->krb5_keytab);
	if (auth->gssapi_hostname[0] != '\0')
		hostname = arena_printf(l->arena, "hostname=%s", auth->gssapi_hostname);
	return arena_join(l->arena, keytab, hostname);
}

static void add_helper_pool(struct load *l, const struct driver_spec *spec)
{
	struct config *c = l->c;
	struct args_report r = {
	    l, spec->name, load_auth_place(&c->blocks[0], "auth_mechanisms"), NULL, spec, NULL};
	struct config_pool p = {
	    .driver = spec->name,
	    .args = arena_cstr(l->arena, helper_args(l)),
	    .worker_count = 1,
	    .worker_user = "",
	    .spec = spec,
	    .place = r.place,
	};
	const void *settings =
	    driver_args_read(spec, span_of(p.args), SPAN_NULL, l->arena, report_args, &r);
	if (settings != NULL && spec->module != NULL)
		check_module(l, "auth_mechanisms", spec, settings, r.place);
	c->pools = load_grow(l, c->pools, c->pool_count, sizeof(*c->pools));
	c->pools[c->pool_count++] = p;
}

/* One worker: an exchange goes on where it began. */
static void add_helper_pools(struct load *l)
{
	const struct driver_spec *const *d = l->options->drivers;
	struct span names = span_of(l->c->blocks[0].auth->mechanisms);
	for (; d != NULL && *d != NULL; d++) {
		if (serves_any(*d, names))
			add_helper_pool(l, *d);
	}
}

void load_pools(struct load *l)
{
	for (size_t i = 0; i < l->c->block_count; i++) {
		struct config_block *b = &l->c->blocks[i];
		for (size_t j = 0; j < b->passdb_count; j++)
			assign_pool(l, &b->passdbs[j], true);
		for (size_t j = 0; j < b->userdb_count; j++)
			assign_pool(l, &b->userdbs[j], false);
	}
	add_helper_pools(l);
}
