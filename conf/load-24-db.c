/*
 * passdb NAME {} and userdb NAME {} of Dovecot 2.4: as sections in the form
 * of 2.3 whose args, or the file that these would name, is made of the
 * settings. A passdb and a userdb that agree share one text, and so a pool.
 * Runs in: parent, authctl. Nothing is fatal.
 */
#include "conf/form-24.h"
#include "conf/load.h"

/* Rows of a database that 2.4 has not. */
static const char *const not_24[] = {"args", "default_fields", "override_fields", "pass"};

static const char *const no_effect[] = {"use_cache", "use_worker", "fields_import_all"};

static bool is_in(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}

static const struct setting_table *table_of(bool passdb)
{
	return passdb ? &passdb_settings_table : &userdb_settings_table;
}

static const struct driver_form_24 *form_of(const struct form_24 *f)
{
	return f->spec != NULL ? f->spec->form_24 : NULL;
}

/* Are its args made of its settings here? */
static bool is_made(const struct form_24 *f)
{
	return form_of(f) != NULL && f->spec->settings != NULL && f->spec->refusal == NULL;
}

/* "result_success" as "passdb_result_success" */
static const char *full_name(const struct form_24 *f, const char *row)
{
	if (strcmp(row, "mechanisms") == 0)
		row = "mechanisms_filter";
	return arena_printf(f->l->arena, "%s%s", form_24_kind(f), row).ptr;
}

static const struct conf_node *find_row(const struct form_24 *f, const struct setting *row)
{
	if (strcmp(row->name, "auth_verbose") != 0)
		return form_24_find(f, full_name(f, row->name));
	/* around the section it is a setting of its own */
	struct form_24 inside = *f;
	inside.scopes[1] = inside.scopes[2] = NULL;
	return form_24_find(&inside, row->name);
}

/* ---- names: what is known here ---- */

static bool is_driver_name(const struct form_24 *f, const struct driver_spec *spec, const char *key)
{
	const struct driver_name_24 *n = spec->form_24 != NULL ? spec->form_24->names : NULL;
	for (; n != NULL && n->name != NULL; n++) {
		if (f == NULL ? !n->inside && strcmp(key, n->name) == 0
			      : form_24_is_for(f, n->name) && form_24_matches(f, key, n->name))
			return true;
	}
	return false;
}

static bool is_block(const struct driver_spec *spec, const char *key)
{
	struct span rest = SPAN_LIT(""), word;
	if (spec->form_24 != NULL && spec->form_24->blocks != NULL)
		rest = span_of(spec->form_24->blocks);
	while (span_word(&rest, " ", &word)) {
		if (span_eq_str(word, key))
			return true;
	}
	return false;
}

static const char *const field_blocks[][4] = {
    {"fields", "passdb_fields", NULL},
    {"fields", "userdb_fields", NULL},
    {"iterate_fields", "ldap_iterate_fields", "userdb_ldap_iterate_fields", NULL},
};

static bool is_fields(const struct form_24 *f, const struct conf_node *n)
{
	const struct driver_form_24 *form = form_of(f);
	if (is_in(n->key, field_blocks[f->passdb ? 0 : 1], 2))
		return true;
	return !f->passdb && form != NULL && form->iterate_fields != NULL &&
	       is_in(n->key, field_blocks[2], 3);
}

static bool is_db_name(const struct form_24 *f, const char *key)
{
	const struct setting_table *table = table_of(f->passdb);
	for (size_t i = 0; i < table->count; i++) {
		const char *row = table->rows[i].name;
		if (!is_in(row, not_24, ARRAY_LEN(not_24)) &&
		    form_24_matches(f, key, full_name(f, row)))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(no_effect); i++) {
		if (form_24_matches(f, key, full_name(f, no_effect[i])))
			return true;
	}
	return strcmp(key, "auth_verbose") == 0;
}

/* Which driver has a setting of that full name, or such a block? */
static const struct driver_spec *driver_with(const struct load *l, const struct conf_node *n)
{
	const struct driver_spec *const *d = l->options->drivers;
	for (; d != NULL && *d != NULL; d++) {
		if (n->section ? is_block(*d, n->key) : is_driver_name(NULL, *d, n->key))
			return *d;
	}
	return NULL;
}

bool load_24_is_of_driver(struct load *l, const struct conf_node *n)
{
	static const char *const fields[] = {
	    "passdb_fields", "userdb_fields", "userdb_ldap_iterate_fields"};
	struct form_24 f = {.l = l, .prefix = ""};
	if (driver_with(l, n) != NULL)
		return true;
	if (n->section)
		return is_in(n->key, fields, ARRAY_LEN(fields));
	f.passdb = strncmp(n->key, "passdb_", 7) == 0;
	return (f.passdb || strncmp(n->key, "userdb_", 7) == 0) && is_db_name(&f, n->key);
}

const char *load_24_nearest(const struct load *l, struct span name)
{
	const struct driver_spec *const *d = l->options->drivers;
	const char *best = NULL;
	for (; d != NULL && *d != NULL; d++) {
		const struct driver_name_24 *n =
		    (*d)->form_24 != NULL ? (*d)->form_24->names : NULL;
		for (; n != NULL && n->name != NULL; n++) {
			const char *names[] = {n->name, best};
			const char *near = nearest_name(name, names, best != NULL ? 2 : 1);
			best = near != NULL ? near : best;
		}
	}
	return best;
}

/* The nearest of what may be written in the section, in its shortest form. */
static const char *nearest_here(const struct form_24 *f, const char *key)
{
	const struct setting_table *table = table_of(f->passdb);
	const struct driver_form_24 *form = form_of(f);
	const struct driver_name_24 *n = form != NULL ? form->names : NULL;
	const char *names[128];
	size_t count = 0;
	names[count++] = "fields";
	for (size_t i = 0; i < table->count && count < 40; i++)
		names[count++] = strcmp(table->rows[i].name, "mechanisms") == 0
				     ? "mechanisms_filter"
				     : table->rows[i].name;
	for (; n != NULL && n->name != NULL && count + 3 < ARRAY_LEN(names); n++) {
		size_t kind = strlen(form_24_kind(f)), prefix = strlen(f->prefix);
		const char *rest = n->name;
		names[count++] = rest;
		if (strncmp(rest, form_24_kind(f), kind) == 0)
			names[count++] = rest += kind;
		if (rest != n->name && strncmp(rest, f->prefix, prefix) == 0)
			names[count++] = rest + prefix;
	}
	return nearest_name(span_of(key), names, count);
}

/* "mysql HOST {": its settings by their names, with "mysql_" or without. */
void load_24_check_block(struct load *l, const struct conf_node *block)
{
	const struct driver_spec *spec = driver_with(l, block);
	const char *names[128];
	size_t count = 0, prefix = strlen(block->key) + 1;
	for (const struct driver_name_24 *d = spec->form_24->names;
	     d->name != NULL && count + 2 < ARRAY_LEN(names); d++) {
		names[count++] = d->name;
		if (strncmp(d->name, block->key, prefix - 1) == 0 && d->name[prefix - 1] == '_')
			names[count++] = d->name + prefix;
	}
	for (const struct conf_node *n = block->first; n != NULL; n = n->next) {
		if (!n->section && !is_in(n->key, names, count))
			load_error(l, load_place(n), "unknown setting \"%s\"%s",
			    load_full_name(l, n),
			    load_hint(l, nearest_name(span_of(n->key), names, count)));
	}
}

static void check_known(struct form_24 *f, struct conf_node *n)
{
	struct load *l = f->l;
	const struct driver_spec *other = driver_with(l, n);
	bool args = strcmp(n->key, "args") == 0;
	if (n->section && f->spec != NULL && is_block(f->spec, n->key))
		load_24_check_block(l, n);
	if (n->bad ||
	    (n->section ? is_fields(f, n) || (f->spec != NULL && is_block(f->spec, n->key))
			: is_db_name(f, n->key)))
		return;
	if (!n->section && f->spec != NULL && is_driver_name(f, f->spec, n->key))
		return;
	if (args && form_of(f) == NULL)
		return;
	if (args)
		load_error(l, load_place(n),
		    "args is of Dovecot 2.3's form: driver %s has settings of their own here "
		    "(authd-%s(5))",
		    f->driver, f->driver);
	else if (other != NULL && other != f->spec)
		load_error(l, load_place(n), "\"%s\" is of driver %s, this section's driver is %s",
		    load_full_name(l, n), other->name, f->driver);
	else if (nearest_here(f, n->key) != NULL || !l->options->dovecot)
		load_error(l, load_place(n), "unknown %s \"%s\"%s",
		    n->section ? "section" : "setting", load_full_name(l, n),
		    load_hint(l, nearest_here(f, n->key)));
	else
		n->foreign = true;
	if (n->foreign)
		load_pass_over(l, n);
}

/* What Dovecot does otherwise must not be silently left undone. */
static void check_no_effect(struct form_24 *f)
{
	const char *import = full_name(f, "fields_import_all"), *cache = full_name(f, "use_cache");
	bool attributes = form_of(f) != NULL && form_of(f)->attributes;
	if (form_24_find(f, import) != NULL && form_24_yes(f, import, true) == attributes)
		form_24_complain(f, import,
		    attributes ? "cannot be yes: name the attributes in fields {}"
			       : "cannot be no: what the database returns are fields");
	if (!form_24_yes(f, cache, true))
		form_24_complain(f, cache, "cannot be no for one database; see auth_cache_size");
}

/* ---- one section ---- */

static void add_rows(struct form_24 *f, struct conf_node *out)
{
	const struct setting_table *table = table_of(f->passdb);
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		bool skip = is_in(row->name, not_24, ARRAY_LEN(not_24)) ||
			    strcmp(row->name, "driver") == 0; /* is there already */
		const struct conf_node *n = skip ? NULL : find_row(f, row);
		if (n == NULL)
			continue;
		struct conf_node *copy = load_24_add(f->l, out, n, row->name, n->value);
		copy->value_kind = n->value_kind;
		copy->unknown = n->unknown;
		copy->as = n->key;
	}
}

static void add_fields(struct form_24 *f, struct conf_node *out)
{
	const struct driver_form_24 *form = form_of(f);
	const char *row = form == NULL ? NULL
			  : f->passdb  ? form->passdb_fields
				       : form->userdb_fields;
	bool attributes = row != NULL && form->attributes;
	struct span text = form_24_fields(f, field_blocks[f->passdb ? 0 : 1], attributes);
	if (row != NULL && (text.ptr != NULL || attributes)) {
		form_24_set(f, row, text);
	} else if (text.len > 0) {
		struct conf_node *n = load_24_add(
		    f->l, out, f->scopes[0], "override_fields", arena_cstr(f->l->arena, text));
		n->as = "fields";
	}
	if (f->passdb || form == NULL || form->iterate_fields == NULL)
		return;
	text = form_24_fields(f, field_blocks[2], attributes);
	if (text.ptr != NULL)
		form_24_set(f, form->iterate_fields, text);
}

static const char *prefix_of(struct load *l, const char *driver)
{
	char *prefix = arena_cstr(l->arena, arena_printf(l->arena, "%s_", driver));
	for (char *p = prefix; *p != '\0'; p++)
		*p = *p == '-' ? '_' : *p;
	return prefix;
}

static struct form_24 *new_form(struct load *l, const struct conf_node *section,
    const struct conf_node *block, const struct conf_node *root)
{
	struct form_24 *f = arena_alloc(l->arena, sizeof(*f));
	f->l = l;
	f->scopes[0] = section;
	f->scopes[1] = block;
	f->scopes[2] = root;
	f->passdb = strcmp(section->key, "passdb") == 0;
	f->prefix = "";
	const char *driver = form_24_get(f, full_name(f, "driver"));
	f->driver = driver != NULL ? driver : section->name;
	f->prefix = prefix_of(l, f->driver);
	f->spec = load_find_driver(l, f->driver);
	size_t rows = f->spec != NULL && f->spec->settings != NULL ? f->spec->settings->count : 0;
	f->values = arena_alloc(l->arena, (rows + 1) * sizeof(*f->values));
	f->made = arena_alloc(l->arena, sizeof(*f->made));
	f->made->written = section;
	l->forms = load_grow(l, l->forms, l->form_count, sizeof(struct form_24 *));
	l->forms[l->form_count++] = f;
	return f;
}

void load_24_db(struct load *l, struct conf_node *parent, const struct conf_node *section,
    const struct conf_node *block, const struct conf_node *root)
{
	if (section->name == NULL || section->name[0] == '\0') {
		load_error(l, load_place(section), "%s needs a name: %s NAME {", section->key,
		    section->key);
		l->incomplete = true;
		return;
	}
	struct form_24 *f = new_form(l, section, block, root);
	struct conf_node *out = load_24_add(l, parent, section, section->key, NULL);
	out->section = true;
	out->name = section->name;
	(void)load_24_add(l, out, section, "driver", f->driver);
	f->args = load_24_add(l, out, section, "args", "");
	add_rows(f, out);
	out->made = f->made;
	if (f->spec != NULL && f->spec->refusal != NULL)
		return; /* which is said; its settings do not matter */
	for (struct conf_node *n = section->first; n != NULL; n = n->next)
		check_known(f, n);
	check_no_effect(f);
	if (!is_made(f)) {
		const char *args = form_24_get(f, "args");
		f->args->value = args != NULL ? args : "";
		add_fields(f, out);
		return;
	}
	form_24_map(f);
	add_fields(f, out);
	if (form_of(f)->compose != NULL)
		form_of(f)->compose(f, f->passdb);
}

/* ---- sharing ---- */

enum row_kind { ROW_COMMON, ROW_PASSDB, ROW_USERDB };

/* For which kind of section the row is: what its names and the fields say. */
static enum row_kind kind_of_row(const struct driver_spec *spec, const char *row)
{
	const struct driver_form_24 *form = spec->form_24;
	if (form->passdb_fields != form->userdb_fields && form->passdb_fields != NULL &&
	    strcmp(row, form->passdb_fields) == 0)
		return ROW_PASSDB;
	if (form->passdb_fields != form->userdb_fields && form->userdb_fields != NULL &&
	    strcmp(row, form->userdb_fields) == 0)
		return ROW_USERDB;
	if (form->iterate_fields != NULL && strcmp(row, form->iterate_fields) == 0)
		return ROW_USERDB;
	for (const struct driver_name_24 *n = form->names; n->name != NULL; n++) {
		if (n->row == NULL || strcmp(n->row, row) != 0)
			continue;
		if (strncmp(n->name, "passdb_", 7) == 0)
			return ROW_PASSDB;
		return strncmp(n->name, "userdb_", 7) == 0 ? ROW_USERDB : ROW_COMMON;
	}
	return ROW_COMMON;
}

static bool same_value(const struct form_value *a, const struct form_value *b)
{
	return (a->text.ptr == NULL) == (b->text.ptr == NULL) && span_eq(a->text, b->text);
}

static bool can_share(const struct form_24 *leader, const struct form_24 *f)
{
	if (leader->spec != f->spec)
		return false;
	for (size_t i = 0; i < f->spec->settings->count; i++) {
		enum row_kind kind = kind_of_row(f->spec, f->spec->settings->rows[i].name);
		bool matters = kind == ROW_COMMON ||
			       (kind == ROW_PASSDB && f->passdb && leader->has_passdb) ||
			       (kind == ROW_USERDB && !f->passdb && leader->has_userdb);
		if (matters && !same_value(&leader->values[i], &f->values[i]))
			return false;
	}
	return true;
}

static void share(struct form_24 *leader, const struct form_24 *f)
{
	for (size_t i = 0; i < f->spec->settings->count; i++) {
		struct form_value *v = &leader->values[i];
		if (v->text.ptr == NULL && !v->bad)
			*v = f->values[i];
	}
	leader->has_passdb = leader->has_passdb || f->passdb;
	leader->has_userdb = leader->has_userdb || !f->passdb;
}

static void find_leader(struct load *l, size_t index)
{
	struct form_24 *f = l->forms[index];
	f->leader = f;
	for (size_t i = 0; i < index && f->leader == f; i++) {
		struct form_24 *other = l->forms[i];
		if (is_made(other) && other->leader == other && can_share(other, f))
			f->leader = other;
	}
	share(f->leader, f);
}

static void finish(struct load *l, struct form_24 *f)
{
	f->made->values = f->leader->values;
	struct span text = form_24_text(f, f->leader->values);
	if (f->spec->args == ARGS_FILE)
		f->made->file_text = arena_cstr(l->arena, text);
	else
		f->args->value = arena_cstr(l->arena, text);
}

void load_24_finish(struct load *l)
{
	for (size_t i = 0; i < l->form_count; i++) {
		if (is_made(l->forms[i]))
			find_leader(l, i);
	}
	for (size_t i = 0; i < l->form_count; i++) {
		if (is_made(l->forms[i]))
			finish(l, l->forms[i]);
	}
}
