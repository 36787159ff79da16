/*
 * A section in the form of Dovecot 2.4: finding its settings by their full
 * names, however much of the name was left out, and giving them to the rows
 * of the driver. Runs in: parent, authctl. Nothing is fatal.
 */
#include "conf/form-24.h"

#include "conf/load.h"

const char *form_24_kind(const struct form_24 *f)
{
	return f->passdb ? "passdb_" : "userdb_";
}

bool form_24_is_for(const struct form_24 *f, const char *name)
{
	return strncmp(name, f->passdb ? "userdb_" : "passdb_", 7) != 0;
}

/* name is prefix and then rest */
static bool is_joined(const char *name, const char *prefix, const char *rest)
{
	size_t n = strlen(prefix);
	return strncmp(name, prefix, n) == 0 && strcmp(name + n, rest) == 0;
}

bool form_24_matches(const struct form_24 *f, const char *key, const char *name)
{
	const char *kind = form_24_kind(f);
	if (strcmp(key, name) == 0 || is_joined(name, kind, key))
		return true;
	return strncmp(name, kind, strlen(kind)) == 0 &&
	       is_joined(name + strlen(kind), f->prefix, key);
}

const struct conf_node *form_24_find(const struct form_24 *f, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(f->scopes); i++) {
		const struct conf_node *n = f->scopes[i] != NULL ? f->scopes[i]->last : NULL;
		for (; n != NULL; n = n->prev) {
			if (!n->section &&
			    (i == 0 ? form_24_matches(f, n->key, name) : strcmp(n->key, name) == 0))
				return n;
		}
	}
	return NULL;
}

/* ---- for drivers ---- */

struct arena *form_24_arena(struct form_24 *f)
{
	return f->l->arena;
}

/* A plain text: variables may stand there only if their value does not change. */
static const char *fixed_text(struct form_24 *f, const struct conf_node *n, struct span text)
{
	static const struct vars none;
	struct err err = {0};
	struct arena *a = f->l->arena;
	if (memmem(text.ptr, text.len, "%{", 2) == NULL)
		return arena_cstr(a, text);
	struct span inside = template_from_24(a, text, &err);
	struct template *t = inside.ptr != NULL ? template_parse(a, inside, &err) : NULL;
	if (t != NULL && template_is_constant(t))
		return arena_cstr(a, template_expand(t, &none, a, NULL, NULL, &err));
	load_error(f->l, load_place(n), "%s: %s", n->key,
	    t != NULL ? "variables of a login are not possible here" : err.text);
	return NULL;
}

static const char *text_of(struct form_24 *f, const struct conf_node *n)
{
	struct span v;
	if (n == NULL)
		return NULL;
	const char *text = load_value(f->l, n, &v) ? fixed_text(f, n, v) : NULL;
	return text != NULL ? text : "";
}

const char *form_24_get(struct form_24 *f, const char *name)
{
	return text_of(f, form_24_find(f, name));
}

bool form_24_yes(struct form_24 *f, const char *name, bool otherwise)
{
	const char *v = form_24_get(f, name);
	return v != NULL ? strcasecmp(v, "yes") == 0 || strcasecmp(v, "y") == 0 || *v == '1'
			 : otherwise;
}

const struct conf_node *form_24_block(struct form_24 *f, const char *kind, size_t i)
{
	for (size_t scope = 0; scope < ARRAY_LEN(f->scopes); scope++) {
		const struct conf_node *n =
		    f->scopes[scope] != NULL ? f->scopes[scope]->first : NULL;
		size_t count = 0;
		for (; n != NULL; n = n->next) {
			if (n->section && strcmp(n->key, kind) == 0 && count++ == i)
				return n;
		}
		if (count > 0)
			return NULL;
	}
	return NULL;
}

const char *form_24_block_name(const struct conf_node *block)
{
	return block->name != NULL ? block->name : "";
}

const char *form_24_get_in(struct form_24 *f, const struct conf_node *block, const char *name)
{
	const char *prefix = arena_printf(f->l->arena, "%s_", block->key).ptr;
	for (const struct conf_node *n = block->last; n != NULL; n = n->prev) {
		if (!n->section && (strcmp(n->key, name) == 0 || is_joined(name, prefix, n->key)))
			return text_of(f, n);
	}
	return form_24_get(f, name);
}

bool form_24_item(struct form_24 *f, const struct conf_node *block, const char *list, size_t i,
    const char **key, const char **value)
{
	const char *full = arena_printf(f->l->arena, "%s_%s", block->key, list).ptr;
	for (const struct conf_node *s = block->first; s != NULL; s = s->next) {
		if (!s->section || (strcmp(s->key, list) != 0 && strcmp(s->key, full) != 0))
			continue;
		for (const struct conf_node *n = s->first; n != NULL; n = n->next) {
			if (n->section || i-- > 0)
				continue;
			*key = n->key;
			*value = text_of(f, n);
			return true;
		}
	}
	return false;
}

static struct form_value *value_of(const struct form_24 *f, const char *row)
{
	const struct setting *s = settings_find(f->spec->settings, span_of(row));
	return &f->values[s - f->spec->settings->rows];
}

void form_24_set(struct form_24 *f, const char *row, struct span text)
{
	struct form_value *v = value_of(f, row);
	v->text = text.ptr != NULL ? text : SPAN_LIT("");
	if (v->place.file == NULL)
		v->place = load_place(f->scopes[0]);
}

static struct span row_text(struct form_24 *f, const struct conf_node *n, bool variables)
{
	struct err err = {0};
	struct span v;
	if (!load_value(f->l, n, &v))
		return SPAN_NULL;
	if (!variables)
		return span_of(fixed_text(f, n, v));
	struct span inside = template_from_24(f->l->arena, v, &err);
	if (inside.ptr == NULL)
		load_error(f->l, load_place(n), "%s: %s", n->key, err.text);
	return inside;
}

struct span form_24_template(struct form_24 *f, const char *name)
{
	const struct conf_node *n = form_24_find(f, name);
	return n != NULL ? row_text(f, n, true) : SPAN_NULL;
}

void form_24_add_field(struct form_24 *f, const char *row, const char *key, struct span value)
{
	struct form_value *v = value_of(f, row);
	struct buffer list = {0};
	buffer_append(&list, v->text);
	form_24_put_field(&list, key, value);
	form_24_set(f, row, arena_dup(f->l->arena, buffer_span(&list)));
	buffer_free(&list);
}

bool form_24_has(const struct form_24 *f, const char *row)
{
	return value_of(f, row)->text.ptr != NULL || value_of(f, row)->bad;
}

void form_24_complain(struct form_24 *f, const char *name, const char *text)
{
	const struct conf_node *n = name != NULL ? form_24_find(f, name) : NULL;
	load_error(f->l, load_place(n != NULL ? n : f->scopes[0]), "%s%s%s",
	    name != NULL ? name : "", name != NULL ? " " : "", text);
}

/* ---- names to rows ---- */

static struct span negated(struct span v)
{
	if (span_eq_ci(v, SPAN_LIT("yes")))
		return SPAN_LIT("no");
	return span_eq_ci(v, SPAN_LIT("no")) ? SPAN_LIT("yes") : v;
}

void form_24_map(struct form_24 *f)
{
	const struct driver_name_24 *name = f->spec->form_24->names;
	for (; name != NULL && name->name != NULL; name++) {
		if (name->row == NULL || !form_24_is_for(f, name->name))
			continue;
		const struct setting *row = settings_find(f->spec->settings, span_of(name->row));
		struct form_value *v = value_of(f, name->row);
		struct form_24 here = *f;
		if (name->inside)
			here.scopes[1] = here.scopes[2] = NULL;
		const struct conf_node *n = form_24_find(&here, name->name);
		bool variables = name->variables || row->type == SETTING_TEMPLATE;
		if (v->name == NULL)
			v->name = name->name;
		if (n == NULL)
			continue;
		struct span text = row_text(f, n, variables);
		bool bad = text.ptr == NULL;
		if (bad && !variables)
			text = SPAN_LIT("?"); /* nothing is missing */
		*v = (struct form_value){
		    name->negated ? negated(text) : text, load_place(n), n->key, bad};
	}
}
