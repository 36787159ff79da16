/*
 * Names of users and groups in the fields of the configuration. Runs in: parent.
 */
#include "authd/field-ids.h"

#include "authd/privileges.h"
#include "base/log.h"

/* SPAN_NULL: there is no such name. */
static struct span number_of(struct arena *a, bool group, const char *name, struct err *err)
{
	uid_t uid = 0;
	gid_t gid = 0;
	bool known = group ? identity_gid(name, &gid, err) : identity_uid(name, &uid, err);
	return known ? arena_printf(a, "%u", group ? gid : uid) : SPAN_NULL;
}

/* One word of a list: "uid=vmail" as "uid=1234", anything else as it is. */
static struct span resolve_word(
    struct arena *a, struct span word, const char *prefix, struct err *err)
{
	struct span value = word, key;
	uint32_t number;
	if (!span_starts(word, prefix) || !span_split(&value, '=', &key))
		return word;
	key = span_skip(key, strlen(prefix));
	bool group = span_eq_str(key, "gid");
	if ((!group && !span_eq_str(key, "uid")) || value.len == 0 || span_find(value, '%') >= 0 ||
	    span_find(value, '"') >= 0 || span_to_u32(value, &number))
		return word;
	struct span text = number_of(a, group, arena_cstr(a, value), err);
	struct span head = span_first(word, (size_t)(value.ptr - word.ptr));
	return text.ptr != NULL ? arena_join(a, head, text) : SPAN_NULL;
}

static void resolve_list(
    struct config *c, const struct config_db *db, struct template_fields **list, const char *prefix)
{
	struct err err = {0};
	struct span rest = span_of(*list != NULL ? (*list)->text : ""), word;
	struct buffer text = {0};
	while (span_split(&rest, ' ', &word)) {
		struct span known = resolve_word(&c->arena, word, prefix, &err);
		if (known.ptr == NULL)
			log_error("%s:%u: %.*s: %s", db->place.file, db->place.line, SPAN_ARG(word),
			    err.text);
		buffer_append(&text, known.ptr != NULL ? known : word);
		if (rest.ptr != NULL)
			buffer_append_char(&text, ' ');
	}
	struct template_fields *resolved =
	    template_fields_parse(&c->arena, buffer_span(&text), &err);
	if (*list != NULL && resolved != NULL)
		*list = resolved;
	buffer_free(&text);
}

static void resolve_dbs(struct config *c, struct config_db *dbs, size_t count, const char *prefix)
{
	for (size_t i = 0; i < count; i++) {
		resolve_list(c, &dbs[i], &dbs[i].set->default_fields, prefix);
		resolve_list(c, &dbs[i], &dbs[i].set->override_fields, prefix);
	}
}

void field_ids_resolve(struct config *c)
{
	for (size_t i = 0; i < c->scope_count; i++) {
		struct config_scope *s = &c->scopes[i];
		resolve_dbs(c, s->passdbs, s->passdb_count, "userdb_");
		resolve_dbs(c, s->userdbs, s->userdb_count, "");
	}
}
