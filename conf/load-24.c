/*
 * A file in the language of Dovecot 2.4: its tree becomes one in the form of
 * 2.3, which the rest of load*.c reads. Groups and $SET:name are put in first;
 * then lists, filters and the names of settings are written as 2.3 has them.
 * Each node keeps its place. Runs in: parent, authctl. Nothing is fatal.
 */
#include <stdlib.h>

#include "conf/load.h"

enum { GROUP_DEPTH = 8, SET_DEPTH = 16 };

struct conf_node *load_24_add(struct load *l, struct conf_node *parent, const struct conf_node *n,
    const char *key, const char *value)
{
	struct conf_node *copy = arena_alloc(l->arena, sizeof(*copy));
	*copy = (struct conf_node){.file = n->file,
	    .line = n->line,
	    .key = key,
	    .value = value,
	    .value_kind = CONF_VALUE_QUOTED,
	    .parent = parent,
	    .prev = parent->last};
	if (parent->last != NULL)
		parent->last->next = copy;
	else
		parent->first = copy;
	parent->last = copy;
	return copy;
}

/* A node with all that is in it, at the end of parent. */
static struct conf_node *copy_into(
    struct load *l, struct conf_node *parent, const struct conf_node *n)
{
	struct conf_node *copy = load_24_add(l, parent, n, n->key, n->value);
	copy->section = n->section;
	copy->bad = n->bad;
	copy->name = n->name;
	copy->value_kind = n->value_kind;
	for (const struct conf_node *child = n->first; child != NULL; child = child->next)
		(void)copy_into(l, copy, child);
	return copy;
}

/* ---- groups: "group @label name {" and "@label = name" ---- */

static const struct conf_node *find_group(
    struct load *l, const struct conf_node *root, const struct conf_node *use)
{
	const char *name = arena_printf(l->arena, "%s %s", use->key, use->value).ptr;
	for (const struct conf_node *n = root->last; n != NULL; n = n->prev) {
		if (n->section && strcmp(n->key, "group") == 0 && n->name != NULL &&
		    strcmp(n->name, name) == 0)
			return n;
	}
	return NULL;
}

static void put_in(struct load *l, struct conf_node *out, const struct conf_node *section,
    const struct conf_node *root, unsigned depth);

/* In a group of @label, "host" is "label_host" where there is such a setting. */
static void put_group(struct load *l, struct conf_node *out, const struct conf_node *use,
    const struct conf_node *root, unsigned depth)
{
	const struct conf_node *group = find_group(l, root, use);
	struct conf_node *before = out->last;
	if (depth == GROUP_DEPTH)
		load_error(l, load_place(use), "groups are nested too deeply");
	else if (group != NULL)
		put_in(l, out, group, root, depth + 1);
	else if (l->options->dovecot)
		load_pass_over(l, use); /* one of the mail server's own */
	else
		load_error(l, load_place(use), "there is no group %s %s", use->key, use->value);
	struct conf_node *n = before != NULL ? before->next : out->first;
	for (; n != NULL; n = n->next) {
		struct conf_node full = *n;
		full.key = arena_printf(l->arena, "%s_%s", use->key + 1, n->key).ptr;
		if (load_24_is_of_driver(l, &full))
			n->key = full.key;
	}
}

/* The section's content with groups put in. */
static void put_in(struct load *l, struct conf_node *out, const struct conf_node *section,
    const struct conf_node *root, unsigned depth)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (!n->section && n->key[0] == '@') {
			put_group(l, out, n, root, depth);
		} else if (n->section && strcmp(n->key, "group") != 0) {
			struct conf_node *copy = load_24_add(l, out, n, n->key, NULL);
			copy->section = true;
			copy->bad = n->bad;
			copy->name = n->name;
			put_in(l, copy, n, root, depth);
		} else if (!n->section) {
			(void)copy_into(l, out, n);
		}
	}
}

/* ---- sections of one name are one ---- */

static bool is_db(const struct conf_node *n)
{
	return n->section && (strcmp(n->key, "passdb") == 0 || strcmp(n->key, "userdb") == 0);
}

static bool is_same(const struct conf_node *a, const struct conf_node *b)
{
	return b->section && b->name != NULL && strcmp(a->key, b->key) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

static void merge_sections(struct load *l, struct conf_node *parent)
{
	for (struct conf_node *n = parent->first; n != NULL; n = n->next) {
		bool protocol = n->section && strcmp(n->key, "protocol") == 0;
		for (struct conf_node *m = n->next; m != NULL; m = m->next) {
			if (n->name == NULL || !(is_db(n) || protocol) || !is_same(n, m))
				continue;
			for (const struct conf_node *c = m->first; c != NULL; c = c->next)
				(void)copy_into(l, n, c);
			m->prev->next = m->next;
			if (m->next != NULL)
				m->next->prev = m->prev;
			else
				parent->last = m->prev;
		}
		if (protocol)
			merge_sections(l, n);
	}
}

/* ---- $SET:name and $ENV:name ---- */

static void resolve(struct load *l, struct conf_node *n, unsigned depth);

/* The setting that the name stands for here; one that names itself means what was before. */
static struct conf_node *find_set(const struct conf_node *n, struct span name)
{
	for (const struct conf_node *s = n->parent; s != NULL; s = s->parent) {
		struct conf_node *m = s->last;
		if (s == n->parent && span_eq_str(name, n->key))
			m = n->prev;
		for (; m != NULL; m = m->prev) {
			if (!m->section && span_eq_str(name, m->key))
				return m;
		}
	}
	return NULL;
}

static const char *set_value(
    struct load *l, const struct conf_node *n, struct span name, unsigned depth)
{
	struct conf_node *m = find_set(n, name);
	if (m == NULL)
		return load_default_of(l, arena_cstr(l->arena, name));
	if (m->busy || depth == SET_DEPTH)
		return NULL; /* it stands for itself */
	resolve(l, m, depth + 1);
	return m->value;
}

/* One word; false: it is none of these. */
static bool put_word(
    struct load *l, struct conf_node *n, struct span word, unsigned depth, struct buffer *out)
{
	const char *value;
	if (span_starts(word, "$SET:"))
		value = set_value(l, n, span_skip(word, 5), depth);
	else if (span_starts(word, "$ENV:"))
		value = getenv(arena_cstr(l->arena, span_skip(word, 5)));
	else
		return false;
	if (value == NULL && word.ptr[1] == 'S')
		n->unknown = arena_cstr(l->arena, span_skip(word, 1));
	buffer_append_str(out, value != NULL ? value : "");
	return true;
}

static void resolve(struct load *l, struct conf_node *n, unsigned depth)
{
	struct buffer out = {0};
	struct span v = span_of(n->value);
	if (n->value_kind != CONF_VALUE_PLAIN || span_find(v, '$') < 0)
		return;
	n->value_kind = CONF_VALUE_QUOTED; /* once */
	n->busy = true;
	for (size_t i = 0; i < v.len && out.len < 16384;) {
		size_t end = i;
		while (end < v.len && v.ptr[end] != ' ' && v.ptr[end] != '\t')
			end++;
		struct span word = span_make(v.ptr + i, end - i);
		if (!put_word(l, n, word, depth, &out))
			buffer_append(&out, word);
		for (i = end; i < v.len && (v.ptr[i] == ' ' || v.ptr[i] == '\t'); i++)
			buffer_append_char(&out, v.ptr[i]);
	}
	n->value = arena_cstr(l->arena, out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	n->busy = false;
	buffer_free(&out);
}

static void resolve_all(struct load *l, struct conf_node *section)
{
	for (struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (n->section)
			resolve_all(l, n);
		else
			resolve(l, n, 0);
	}
}

/* ---- settings ---- */

static const struct setting *global_row(const char *key)
{
	const struct setting *row = settings_find(&auth_settings_table, span_of(key));
	return row != NULL ? row : settings_find(&process_settings_table, span_of(key));
}

/* 2.4's, which are the mail server's to follow. */
static bool is_left_to_server(const char *key)
{
	static const char *const names[] = {"dovecot_config_version", "dovecot_storage_version",
	    "auth_allow_cleartext", "auth_master_socket_path"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(key, names[i]) == 0)
			return true;
	}
	return false;
}

static void add_setting(
    struct load *l, struct conf_node *out, const struct conf_node *n, const char *key)
{
	const struct setting *row = global_row(key);
	struct err err = {0};
	struct span v = span_of(n->value);
	if (row != NULL && row->type == SETTING_TEMPLATE && n->value_kind != CONF_VALUE_FILE) {
		v = template_from_24(l->arena, v, &err);
		if (v.ptr == NULL) {
			load_error(l, load_place(n), "%s: %s", key, err.text);
			return;
		}
	}
	struct conf_node *copy = load_24_add(l, out, n, key, arena_cstr(l->arena, v));
	copy->value_kind = n->value_kind;
	copy->unknown = n->unknown;
	copy->as = key;
}

/* "auth_mechanisms {" with names and yes, or "..._attributes {" with names and values. */
static void add_list(struct load *l, struct conf_node *out, const struct conf_node *section,
    const char *key, const struct setting *row)
{
	struct buffer words = {0};
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		bool yes = !n->section && strcasecmp(n->value, "yes") == 0;
		bool no = !n->section && strcasecmp(n->value, "no") == 0;
		if (n->section || (row->type == SETTING_WORDS && !yes && !no))
			load_error(l, load_place(n), "%s: %s is neither yes nor no", key, n->key);
		else if (row->type != SETTING_WORDS)
			buffer_printf(
			    &words, "%s%s=%s", words.len > 0 ? " " : "", n->key, n->value);
		else if (yes)
			buffer_printf(&words, "%s%s", words.len > 0 ? " " : "", n->key);
	}
	struct span v = words.len > 0 ? buffer_span(&words) : SPAN_LIT("");
	struct conf_node *copy = load_24_add(l, out, section, key, arena_cstr(l->arena, v));
	copy->as = key;
	buffer_free(&words);
}

/* "auth_policy {": the names in it go on where its own ends. */
static bool add_filter(struct load *l, struct conf_node *out, const struct conf_node *section)
{
	const char *prefix = arena_printf(l->arena, "%s_", section->key).ptr;
	bool any = false;
	for (size_t i = 0; i < auth_settings_table.count; i++)
		any = any || strncmp(auth_settings_table.rows[i].name, prefix, strlen(prefix)) == 0;
	for (const struct conf_node *n = section->first; any && n != NULL; n = n->next) {
		const char *key = arena_printf(l->arena, "%s%s", prefix, n->key).ptr;
		if (global_row(n->key) != NULL)
			key = n->key;
		if (global_row(key) != NULL && n->section)
			add_list(l, out, n, key, global_row(key));
		else if (global_row(key) != NULL)
			add_setting(l, out, n, key);
		else
			load_pass_over(l, n); /* the HTTP client's, say */
	}
	return any;
}

/* ---- services ---- */

static const struct rename {
	const char *from, *to;
} renames[] = {
    {"listen", "address"},
    {"restart_request_count", "service_count"},
    {"idle_kill_interval", "idle_kill"},
};

static const char *service_key(const struct conf_node *n)
{
	static const char *const prefixes[] = {"service_", "unix_listener_", "inet_listener_"};
	const char *key = n->key;
	if (n->section || (strcmp(key, "service_count") == 0))
		return key;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			key += strlen(prefixes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(renames); i++) {
		if (strcmp(key, renames[i].from) == 0)
			return renames[i].to;
	}
	return key;
}

static void add_service(
    struct load *l, struct conf_node *out, const struct conf_node *section, struct conf_node *top)
{
	struct conf_node *copy = load_24_add(l, out, section, section->key, NULL);
	bool worker = section->name != NULL && strcmp(section->name, "auth-worker") == 0;
	copy->section = true;
	copy->bad = section->bad;
	copy->name = section->name;
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (n->section) {
			add_service(l, copy, n, top);
			continue;
		}
		const char *key = service_key(n), *value = n->value;
		if (strcmp(value, "unlimited") == 0)
			value = strcmp(key, "client_limit") == 0 ? "0" : "";
		struct conf_node *set = load_24_add(l, copy, n, key, value);
		set->value_kind = n->value_kind;
		set->unknown = n->unknown;
		set->as = n->key;
		if (worker && strcmp(key, "process_limit") == 0 && *value != '\0')
			load_24_add(l, top, n, "auth_worker_max_count", value)->as = n->key;
	}
}

/* ---- the top level, and protocol X {} ---- */

static void rewrite(struct load *l, struct conf_node *out, const struct conf_node *section,
    const struct conf_node *root, struct conf_node *top);

static void rewrite_section(struct load *l, struct conf_node *out, const struct conf_node *n,
    const struct conf_node *root, struct conf_node *top)
{
	const struct setting *row = global_row(n->key);
	if (is_db(n)) {
		load_24_db(l, out, n, n->parent != root ? n->parent : NULL, root);
	} else if (strcmp(n->key, "protocol") == 0 && out == top) {
		struct conf_node *copy = load_24_add(l, out, n, n->key, NULL);
		copy->section = true;
		copy->bad = n->bad;
		copy->name = n->name;
		copy->written = n;
		rewrite(l, copy, n, root, top);
	} else if (strcmp(n->key, "service") == 0) {
		add_service(l, out, n, top);
	} else if (row != NULL && n->name == NULL) {
		add_list(l, out, n, n->key, row);
	} else if (strcmp(n->key, "protocols") == 0) {
		(void)load_24_add(l, out, n, n->key, ""); /* a list, not a slip of the pen */
	} else if (n->name != NULL || !add_filter(l, out, n)) {
		(void)copy_into(l, out, n);
	}
}

/* A name near to one of a driver's settings, in a file where most names are none of ours. */
static bool report_slip(struct load *l, const struct conf_node *n)
{
	const char *near = load_24_nearest(l, span_of(n->key));
	if (global_row(n->key) != NULL || near == NULL || load_advice(n) != NULL ||
	    settings_nearest(&auth_settings_table, span_of(n->key)) != NULL ||
	    settings_nearest(&process_settings_table, span_of(n->key)) != NULL)
		return false;
	if (l->options->dovecot && strncmp(n->key, near, 5) != 0)
		return false;
	load_error(
	    l, load_place(n), "unknown setting \"%s\"%s", load_full_name(l, n), load_hint(l, near));
	return true;
}

static void rewrite(struct load *l, struct conf_node *out, const struct conf_node *section,
    const struct conf_node *root, struct conf_node *top)
{
	for (struct conf_node *n = section->first; n != NULL; n = n->next) {
		n->of_driver = !is_db(n) && load_24_is_of_driver(l, n);
		if (n->of_driver && n->section && n->name != NULL)
			load_24_check_block(l, n);
		if (n->of_driver)
			continue; /* found when a section looks for it */
		if (n->section)
			rewrite_section(l, out, n, root, top);
		else if (!is_left_to_server(n->key) && !report_slip(l, n))
			add_setting(l, out, n, n->key);
	}
}

static void check_version(struct load *l, const struct conf_node *root)
{
	const struct conf_node *n = root->first;
	while (n->section || strcmp(n->key, "dovecot_config_version") != 0)
		n = n->next;
	struct span v = span_of(n->value);
	l->version_24 = n->value;
	if (span_starts(v, "2.4") && (v.len == 3 || v.ptr[3] == '.' || v.ptr[3] == '-'))
		return;
	load_error(l, load_place(n),
	    "dovecot_config_version: \"%s\" is not known: authd reads files of 2.4, and those of "
	    "2.3, which have no version",
	    n->value);
}

struct conf_node *load_24(struct load *l, struct conf_node *read)
{
	struct conf_node *root = arena_alloc(l->arena, sizeof(*root));
	struct conf_node *top = arena_alloc(l->arena, sizeof(*top));
	*root = *read;
	root->first = root->last = NULL;
	*top = *root;
	check_version(l, read);
	put_in(l, root, read, read, 0);
	merge_sections(l, root);
	load_24_blocks(l, root);
	resolve_all(l, root);
	l->c->written = root;
	rewrite(l, top, root, root, top);
	load_24_finish(l);
	return top;
}
