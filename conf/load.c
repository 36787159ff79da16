/*
 * From the tree to struct config: the top level, protocol blocks, and what
 * the other load files share.
 */
#include "conf/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct config_place load_place(const struct conf_node *n)
{
	return (struct config_place){n->file, n->line};
}

struct config_place load_place_of(const struct conf_node *section, const char *key)
{
	for (const struct conf_node *n = section->last; n != NULL; n = n->prev) {
		if (!n->section && strcmp(n->key, key) == 0)
			return load_place(n);
	}
	return load_place(section);
}

void *load_grow(struct load *l, void *items, size_t count, size_t item_size)
{
	bool full = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
	if (!full)
		return items;
	void *grown = arena_alloc(l->arena, (count == 0 ? 4 : 2 * count) * item_size);
	if (count > 0)
		memcpy(grown, items, count * item_size);
	return grown;
}

void load_error(struct load *l, struct config_place place, const char *fmt, ...)
{
	char what[1024];
	const char *text;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	const char *shown = arena_cstr(l->arena, template_shown(l->arena, span_of(what)));
	if (place.file == NULL)
		text = arena_printf(l->arena, "%s", shown).ptr;
	else if (place.line == 0)
		text = arena_printf(l->arena, "%s: %s", place.file, shown).ptr;
	else
		text = arena_printf(l->arena, "%s:%u: %s", place.file, place.line, shown).ptr;
	/* sections that share their settings are checked each for itself */
	for (size_t i = 0; l->version_24 != NULL && i < l->errors; i++) {
		if (strcmp(l->problems[i].text, text) == 0)
			return;
	}
	l->problems = load_grow(l, l->problems, l->errors, sizeof(*l->problems));
	l->problems[l->errors] =
	    (struct load_problem){.place = place, .seq = l->errors, .text = text};
	l->errors++;
}

/* Where the first error of the same file stands: files keep the order in which they came up. */
static size_t first_of_file(const struct load_problem *problems, size_t count, const char *file)
{
	for (size_t i = 0; i < count; i++) {
		const char *other = problems[i].place.file;
		if (file == other || (file != NULL && other != NULL && strcmp(file, other) == 0))
			return i;
	}
	return count;
}

static int by_place(const void *x, const void *y)
{
	const struct load_problem *a = x, *b = y;
	if (a->file_order != b->file_order)
		return a->file_order < b->file_order ? -1 : 1;
	/* what has no line is about the whole file */
	unsigned la = a->place.line - 1, lb = b->place.line - 1;
	if (la != lb)
		return la < lb ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

void load_report_errors(struct load *l)
{
	for (size_t i = 0; i < l->errors; i++)
		l->problems[i].file_order =
		    first_of_file(l->problems, i, l->problems[i].place.file);
	if (l->errors > 1)
		qsort(l->problems, l->errors, sizeof(*l->problems), by_place);
	for (size_t i = 0; l->error != NULL && i < l->errors; i++)
		l->error(l->ctx, l->problems[i].text);
}

const char *load_full_name(struct load *l, const struct conf_node *n)
{
	const char *name = n->key;
	if (n->section && n->name != NULL)
		name = arena_printf(l->arena, "%s %s", n->key, n->name).ptr;
	if (n->parent == NULL || n->parent->parent == NULL)
		return name;
	return arena_printf(l->arena, "%s { %s", load_full_name(l, n->parent), name).ptr;
}

void load_pass_over(struct load *l, const struct conf_node *n)
{
	struct config *c = l->c;
	c->passed_over =
	    load_grow(l, c->passed_over, c->passed_over_count, sizeof(*c->passed_over));
	c->passed_over[c->passed_over_count++] =
	    arena_printf(l->arena, "%s:%u: %s", n->file, n->line, load_full_name(l, n)).ptr;
}

void load_unknown(struct load *l, const struct conf_node *n, const struct setting_table *table)
{
	const char *near = settings_nearest(table, span_of(n->key));
	const char *kind = n->section ? "section" : "setting";
	const char *advice = load_advice(n);
	if (n->bad)
		return;
	if (advice != NULL)
		load_error(l, load_place(n), "%s: %s", load_full_name(l, n), advice);
	else if (near != NULL && !n->section)
		load_error(l, load_place(n), "unknown setting \"%s\", did you mean \"%s\"?",
		    load_full_name(l, n), near);
	else
		load_error(l, load_place(n), "unknown %s \"%s\"", kind, load_full_name(l, n));
}

/* The content of a "<file" value: one line, whose end does not count. */
static bool file_value(struct load *l, const struct conf_node *n, struct span *v, struct err *err)
{
	if (!conf_read_file(n->value, l->arena, v, err))
		return false;
	while (v->len > 0 && (v->ptr[v->len - 1] == '\n' || v->ptr[v->len - 1] == '\r'))
		v->len--;
	if (span_find(*v, '\n') >= 0)
		return err_set(err, 0, "%s has more than one line", n->value);
	return true;
}

bool load_value(struct load *l, const struct conf_node *n, struct span *v)
{
	const char *name = n->as != NULL ? n->as : n->key;
	struct err err = {0};
	*v = span_of(n->value);
	if (n->unknown != NULL)
		load_error(l, load_place(n), "%s: there is no setting for $%s", name, n->unknown);
	else if (n->value_kind == CONF_VALUE_FILE && l->no_files)
		load_error(l, load_place(n), "%s: \"<file\" is not possible here", name);
	else if (n->value_kind == CONF_VALUE_FILE && !file_value(l, n, v, &err))
		load_error(l, load_place(n), "%s: %s", name, err.text);
	else
		return true;
	return false;
}

bool load_set(struct load *l, const struct conf_node *n, const struct setting *row, void *target)
{
	struct err err = {0};
	struct span v;
	if (!load_value(l, n, &v))
		return false;
	if (setting_set(row, target, v, l->arena, &err))
		return true;
	load_error(l, load_place(n), "%s: %s", n->as != NULL ? n->as : row->name, err.text);
	return false;
}

const char *load_hint(struct load *l, const char *near)
{
	return near != NULL ? arena_printf(l->arena, ", did you mean \"%s\"?", near).ptr : "";
}

void load_section(struct load *l, const struct conf_node *section,
    const struct setting_table *table, void *target)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		const struct setting *row = settings_find(table, span_of(n->key));
		if (row == NULL || n->section)
			load_unknown(l, n, table);
		else
			(void)load_set(l, n, row, target);
	}
}

/* ---- blocks ---- */

static struct config_block *new_block(
    struct load *l, const char *protocol, bool negated, struct config_place place)
{
	struct config *c = l->c;
	c->blocks = load_grow(l, c->blocks, c->block_count, sizeof(*c->blocks));
	struct config_block *b = &c->blocks[c->block_count++];
	*b = (struct config_block){.protocol = protocol, .negated = negated, .place = place};
	b->auth = settings_new(&auth_settings_table, l->arena);
	b->auth_places = arena_alloc(l->arena, auth_settings_table.count * sizeof(*b->auth_places));
	return b;
}

/* The block of that protocol: the same one again if it was opened before. */
static struct config_block *find_block(
    struct load *l, const char *protocol, bool negated, struct config_place place)
{
	for (size_t i = 1; i < l->c->block_count; i++) {
		struct config_block *b = &l->c->blocks[i];
		if (b->negated == negated && strcasecmp(b->protocol, protocol) == 0)
			return b;
	}
	return new_block(l, protocol, negated, place);
}

static bool set_auth(struct load *l, struct config_block *b, const struct conf_node *n)
{
	const struct setting *row = settings_find(&auth_settings_table, span_of(n->key));
	if (row == NULL || n->section)
		return false;
	if (load_set(l, n, row, b->auth))
		b->auth_places[row - auth_settings_table.rows] = load_place(n);
	return true;
}

/*
 * In a whole dovecot.conf most names are none of ours. What looks like a slip
 * of the pen in one of ours is told apart: silence would be dangerous there.
 */
static const char *slip(const struct conf_node *n)
{
	static const char *const blocks[] = {"passdb", "userdb", "service", "protocol"};
	static const char *const prefix[] = {"auth"};
	struct span key = span_of(n->key), first = key;
	if (n->section)
		return nearest_name(key, blocks, ARRAY_LEN(blocks));
	if (span_find(key, '_') > 0)
		first = span_first(key, (size_t)span_find(key, '_'));
	if (nearest_name(first, prefix, 1) == NULL)
		return NULL;
	const char *near = settings_nearest(&auth_settings_table, key);
	return near != NULL ? near : span_starts(key, "auth_") ? "" : NULL;
}

/* Nor are these passed over, which Dovecot refuses: a certificate would not be asked for. */
static bool is_refused(const struct conf_node *n)
{
	return !n->section && (strcmp(n->key, "dovecot_config_version") == 0 ||
				  strcmp(n->key, "ssl_require_client_cert") == 0 ||
				  strcmp(n->key, "ssl_username_from_cert") == 0);
}

static void foreign(struct load *l, const struct conf_node *n)
{
	const char *near = slip(n);
	if (!l->options->dovecot && (near == NULL || !n->section)) {
		load_unknown(l, n,
		    settings_nearest(&auth_settings_table, span_of(n->key)) != NULL
			? &auth_settings_table
			: &process_settings_table);
	} else if (n->bad) {
		return;
	} else if (near == NULL && !is_refused(n)) {
		load_pass_over(l, n);
	} else if (load_advice(n) != NULL || near == NULL || *near == '\0') {
		load_unknown(l, n, &auth_settings_table);
	} else {
		load_error(l, load_place(n), "unknown %s \"%s\", did you mean \"%s\"?",
		    n->section ? "section" : "setting", load_full_name(l, n), near);
	}
}

static void protocol_block(struct load *l, const struct conf_node *section)
{
	const char *name = section->name != NULL ? section->name : "";
	bool negated = name[0] == '!';
	name += negated;
	if (*name == '\0') {
		load_error(
		    l, load_place(section), "a protocol section needs a name: protocol imap {");
		return;
	}
	struct config_block *b = find_block(l, name, negated, load_place(section));
	b->written = section->written;
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (set_auth(l, b, n))
			continue;
		if (n->section && strcmp(n->key, "passdb") == 0)
			load_db(l, b, n, true);
		else if (n->section && strcmp(n->key, "userdb") == 0)
			load_db(l, b, n, false);
		else if (n->section && strcmp(n->key, "protocol") == 0)
			load_error(l, load_place(n), "protocol sections cannot be nested");
		else if (settings_find(&process_settings_table, span_of(n->key)) != NULL ||
			 (n->section && strcmp(n->key, "service") == 0))
			load_error(
			    l, load_place(n), "\"%s\" cannot be set for one protocol", n->key);
		else
			foreign(l, n);
	}
}

/* local / remote / local_name blocks: Dovecot refuses auth settings in them, too. */
static void network_block(struct load *l, const struct conf_node *section)
{
	if (!l->options->dovecot) {
		load_unknown(l, section, &process_settings_table);
		return;
	}
	load_pass_over(l, section);
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (settings_find(&auth_settings_table, span_of(n->key)) != NULL ||
		    strcmp(n->key, "passdb") == 0 || strcmp(n->key, "userdb") == 0)
			load_error(l, load_place(n), "\"%s\" cannot be set in a %s section", n->key,
			    section->key);
	}
}

static bool top_section(struct load *l, const struct conf_node *n)
{
	if (!n->section)
		return false;
	if (strcmp(n->key, "passdb") == 0)
		load_db(l, &l->c->blocks[0], n, true);
	else if (strcmp(n->key, "userdb") == 0)
		load_db(l, &l->c->blocks[0], n, false);
	else if (strcmp(n->key, "protocol") == 0)
		protocol_block(l, n);
	else if (strcmp(n->key, "service") == 0)
		load_service(l, n);
	else if (strcmp(n->key, "auth") == 0)
		load_old_auth(l, n);
	else if (strcmp(n->key, "local") == 0 || strcmp(n->key, "remote") == 0 ||
		 strcmp(n->key, "local_name") == 0)
		network_block(l, n);
	else
		return false;
	return true;
}

/* What Dovecot's defaults are where ours differ. */
static void dovecot_defaults(struct load *l)
{
	struct process_settings *p = l->c->process;
	p->base_dir = "/run/dovecot";
	p->default_internal_user = "dovecot";
	p->default_internal_group = "dovecot";
	p->log_path = "syslog";
}

/*
 * Listeners depend on base_dir and default_internal_user, wherever these
 * stand. Errors are reported when their turn comes.
 */
static void preset_process(struct load *l, const struct conf_node *root)
{
	for (const struct conf_node *n = root->first; n != NULL; n = n->next) {
		const struct setting *row = settings_find(&process_settings_table, span_of(n->key));
		if (row != NULL && !n->section && n->value_kind != CONF_VALUE_FILE)
			(void)!setting_set(row, l->c->process, span_of(n->value), l->arena, NULL);
	}
}

static void set_process(struct load *l, const struct conf_node *n, const struct setting *row)
{
	static const char *const facilities[] = {"mail", "auth", "authpriv", "daemon", "user",
	    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"};
	const struct process_settings *p = l->c->process;
	if (!load_set(l, n, row, l->c->process))
		return;
	if (strcmp(row->name, "base_dir") == 0 && p->base_dir[0] != '/')
		load_error(l, load_place(n), "base_dir: \"%s\" does not begin with /", p->base_dir);
	if (strcmp(row->name, "syslog_facility") != 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++) {
		if (strcmp(p->syslog_facility, facilities[i]) == 0)
			return;
	}
	const char *near =
	    nearest_name(span_of(p->syslog_facility), facilities, ARRAY_LEN(facilities));
	load_error(l, load_place(n), "syslog_facility: \"%s\" is no syslog facility%s%s%s",
	    p->syslog_facility, near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?" : "");
}

void load_top(struct load *l, const struct conf_node *root)
{
	l->c->process = settings_new(&process_settings_table, l->arena);
	struct config_block *global = new_block(l, NULL, false, load_place(root));
	if (l->options->dovecot) {
		dovecot_defaults(l);
		global->auth->allow_weak_schemes = l->version_24 == NULL;
	}
	preset_process(l, root);
	for (const struct conf_node *n = root->first; n != NULL; n = n->next) {
		const struct setting *row = settings_find(&process_settings_table, span_of(n->key));
		if (row != NULL && !n->section)
			set_process(l, n, row);
		else if (!top_section(l, n) && !set_auth(l, &l->c->blocks[0], n))
			foreign(l, n);
	}
}
