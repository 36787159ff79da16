/*
 * The effective configuration in its own language, as "doveconf" prints it.
 * What comes out is a valid authd.conf: read again it means the same, but for
 * the secrets.
 */
#include "conf/config.h"

#include "conf/parser.h"

struct printer {
	struct buffer *out;
	bool changed_only;
	unsigned depth;
	bool is_24;
	const struct config *c;
	struct arena arena;
};

static void put_indent(struct printer *p)
{
	for (unsigned i = 0; i < p->depth; i++)
		buffer_append_str(p->out, "  ");
}

static void put_setting(struct printer *p, const char *name, struct span value)
{
	put_indent(p);
	buffer_printf(p->out, "%s =", name);
	if (value.len > 0)
		buffer_append_char(p->out, ' ');
	buffer_append(p->out, conf_quote(value, &p->arena));
	buffer_append_char(p->out, '\n');
}

static void open_block(struct printer *p, const char *key, const char *name)
{
	put_indent(p);
	buffer_append_str(p->out, key);
	if (name != NULL) {
		struct span n = span_of(name);
		bool plain = n.len > 0 && n.ptr[0] != '"' && n.ptr[0] != '{' &&
			     strpbrk(name, " \t=#'\"\\") == NULL;
		buffer_append_char(p->out, ' ');
		if (plain) {
			buffer_append(p->out, n);
		} else {
			buffer_append_char(p->out, '"');
			for (size_t i = 0; i < n.len; i++) {
				if (n.ptr[i] == '"' || n.ptr[i] == '\\')
					buffer_append_char(p->out, '\\');
				buffer_append_char(p->out, n.ptr[i]);
			}
			buffer_append_char(p->out, '"');
		}
	}
	buffer_append_str(p->out, " {\n");
	p->depth++;
}

static void close_block(struct printer *p)
{
	p->depth--;
	put_indent(p);
	buffer_append_str(p->out, "}\n");
}

/* ---- secrets ---- */

static bool contains(struct span s, const char *word)
{
	return memmem(s.ptr, s.len, word, strlen(word)) != NULL;
}

/*
 * Does the key's value show a password? Drivers say so of their settings; the
 * fields of static and of modules are judged by their names.
 */
static bool is_secret_key(const struct driver_spec *spec, struct span key)
{
	const struct setting *row =
	    spec != NULL && spec->settings != NULL ? settings_find(spec->settings, key) : NULL;
	if (row != NULL)
		return (row->flags & SETTING_SECRET) != 0;
	return !span_starts(key, "no") &&
	       (contains(key, "passw") || contains(key, "secret") || contains(key, "dnpass") ||
		   span_eq_str(key, "pass") || span_eq_str(key, "userdb_pass"));
}

/*
 * key=value words with the values of secret keys replaced. The value goes up
 * to the space, or to the closing quote.
 */
static struct span hide_words(struct printer *p, const struct driver_spec *spec, struct span text)
{
	struct buffer out = {0};
	for (size_t i = 0; i < text.len;) {
		size_t end = i, eq = 0;
		bool quoted = false;
		for (; end < text.len && (quoted || text.ptr[end] != ' '); end++) {
			if (text.ptr[end] == '=' && eq == 0)
				eq = end;
			quoted = quoted != (text.ptr[end] == '"');
		}
		if (eq > i && is_secret_key(spec, span_make(text.ptr + i, eq - i))) {
			buffer_append(&out, span_make(text.ptr + i, eq - i));
			buffer_append_str(&out, "=<hidden>");
		} else {
			buffer_append(&out, span_make(text.ptr + i, end - i));
		}
		if (end < text.len)
			buffer_append_char(&out, ' ');
		i = end + 1;
	}
	struct span s = arena_dup(&p->arena, span_make(out.data != NULL ? out.data : "", out.len));
	buffer_free(&out);
	return s;
}

/* ---- sections ---- */

/* The default of 2.3 means the same in 2.4's words. */
static struct span in_24(struct printer *p, struct span v)
{
	if (span_eq_str(v, "%Lu"))
		return SPAN_LIT("%{user | lower}");
	return template_to_24(&p->arena, v);
}

static struct span shown(struct printer *p, const struct setting *row, const void *set)
{
	struct span v = setting_text(row, set, &p->arena);
	if (p->is_24 && (row->type == SETTING_TEMPLATE || row->type == SETTING_FIELDS))
		v = in_24(p, v);
	if ((row->flags & SETTING_SECRET) != 0 && v.len > 0)
		return SPAN_LIT("<hidden>");
	return row->type == SETTING_FIELDS ? hide_words(p, NULL, v) : v;
}

/* ---- the form of 2.4: databases as they are written ---- */

/* Does the setting show a password? By its table, or by its name. */
static bool is_secret_24(const struct printer *p, const struct conf_node *n)
{
	const struct driver_spec *const *d = p->c->drivers;
	for (; d != NULL && *d != NULL; d++) {
		const struct driver_name_24 *name =
		    (*d)->form_24 != NULL ? (*d)->form_24->names : NULL;
		for (; name != NULL && name->name != NULL; name++) {
			size_t full = strlen(name->name), part = strlen(n->key);
			if (part > full || strcmp(name->name + full - part, n->key) != 0 ||
			    name->row == NULL)
				continue;
			return (settings_find((*d)->settings, span_of(name->row))->flags &
				   SETTING_SECRET) != 0;
		}
	}
	return is_secret_key(NULL, span_of(n->key)) && strstr(n->key, "scheme") == NULL;
}

static void put_written(struct printer *p, const struct conf_node *n)
{
	if (!n->section) {
		bool secret =
		    n->value[0] != '\0' && strstr(n->value, "%{") == NULL && is_secret_24(p, n);
		if (n->value_kind == CONF_VALUE_FILE) {
			put_indent(p);
			buffer_printf(p->out, "%s = <%s\n", n->key, n->value);
			return;
		}
		put_setting(p, n->key, secret ? SPAN_LIT("<hidden>") : span_of(n->value));
		return;
	}
	open_block(p, n->key, n->name);
	for (const struct conf_node *child = n->first; child != NULL; child = child->next) {
		if (!child->foreign)
			put_written(p, child);
	}
	close_block(p);
}

/* What the drivers' sections find around them. */
static void put_around(struct printer *p, const struct conf_node *section)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (n->of_driver)
			put_written(p, n);
	}
}

static void put_rows(struct printer *p, const struct setting_table *table, const void *set)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		if (!p->changed_only || !setting_is_default(row, set))
			put_setting(p,
			    p->is_24 && row->old_name != NULL ? row->old_name : row->name,
			    shown(p, row, set));
	}
}

static void put_db(struct printer *p, const struct config_db *db, bool passdb)
{
	const struct setting_table *table =
	    passdb ? &passdb_settings_table : &userdb_settings_table;
	if (db->written != NULL) {
		put_written(p, db->written);
		return;
	}
	open_block(p, passdb ? "passdb" : "userdb", NULL);
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		struct span v = shown(p, row, db->set);
		if (p->changed_only && setting_is_default(row, db->set))
			continue;
		if (row->offset == offsetof(struct db_settings, args))
			v = hide_words(p, db->spec, v);
		put_setting(p, row->name, v);
	}
	close_block(p);
}

static void put_dbs(struct printer *p, const struct config_block *b)
{
	for (size_t i = 0; i < b->passdb_count; i++)
		put_db(p, &b->passdbs[i], true);
	for (size_t i = 0; i < b->userdb_count; i++)
		put_db(p, &b->userdbs[i], false);
}

static void put_protocol(struct printer *p, const struct config_block *b)
{
	const char *name = arena_printf(&p->arena, "%s%s", b->negated ? "!" : "", b->protocol).ptr;
	open_block(p, "protocol", name);
	for (size_t i = 0; i < auth_settings_table.count; i++) {
		const struct setting *row = &auth_settings_table.rows[i];
		if (b->auth_places[i].file != NULL)
			put_setting(p, row->name, shown(p, row, b->auth));
	}
	if (b->written != NULL)
		put_around(p, b->written);
	put_dbs(p, b);
	close_block(p);
}

static void put_services(struct printer *p, const struct config *c)
{
	open_block(p, "service", "auth");
	if (!p->changed_only || c->client_limit != 0)
		put_setting(p, "client_limit", arena_printf(&p->arena, "%u", c->client_limit));
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *x = &c->listeners[i];
		open_block(p, x->inet ? "inet_listener" : "unix_listener", x->set->path);
		put_rows(p, x->inet ? &inet_listener_settings_table : &unix_listener_settings_table,
		    x->set);
		close_block(p);
	}
	if (!p->changed_only || c->service_user[0] != '\0')
		put_setting(p, "user", span_of(c->service_user));
	close_block(p);
	if (p->changed_only && c->service_worker_user[0] == '\0')
		return;
	open_block(p, "service", "auth-worker");
	put_setting(p, "user", span_of(c->service_worker_user));
	close_block(p);
}

void config_print(const struct config *c, bool changed_only, struct buffer *out)
{
	struct printer p = {
	    .out = out, .changed_only = changed_only, .is_24 = c->version_24 != NULL, .c = c};
	if (p.is_24)
		put_setting(&p, "dovecot_config_version", span_of(c->version_24));
	put_rows(&p, &process_settings_table, c->process);
	put_rows(&p, &auth_settings_table, c->blocks[0].auth);
	if (p.is_24)
		put_around(&p, c->written);
	put_dbs(&p, &c->blocks[0]);
	put_services(&p, c);
	for (size_t i = 1; i < c->block_count; i++)
		put_protocol(&p, &c->blocks[i]);
	arena_free(&p.arena);
}
