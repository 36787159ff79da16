/*
 * The effective configuration in its own language, as "doveconf" prints it.
 * What comes out is a valid authd.conf: read again it means the same, but for
 * the secrets.
 */
#include "conf/config.h"

#include "conf/lexer.h"

struct printer {
	struct buffer *out;
	bool changed_only;
	unsigned depth;
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

static struct span shown(struct printer *p, const struct setting *row, const void *set)
{
	struct span v = setting_text(row, set, &p->arena);
	if ((row->flags & SETTING_SECRET) != 0 && v.len > 0)
		return SPAN_LIT("<hidden>");
	return row->type == SETTING_FIELDS ? hide_words(p, NULL, v) : v;
}

static void put_rows(struct printer *p, const struct setting_table *table, const void *set)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		if (!p->changed_only || !setting_is_default(row, set))
			put_setting(p, row->name, shown(p, row, set));
	}
}

static void put_db(struct printer *p, const struct config_db *db, bool passdb)
{
	const struct setting_table *table =
	    passdb ? &passdb_settings_table : &userdb_settings_table;
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
	struct printer p = {.out = out, .changed_only = changed_only};
	put_rows(&p, &process_settings_table, c->process);
	put_rows(&p, &auth_settings_table, c->blocks[0].auth);
	put_dbs(&p, &c->blocks[0]);
	put_services(&p, c);
	for (size_t i = 1; i < c->block_count; i++)
		put_protocol(&p, &c->blocks[i]);
	arena_free(&p.arena);
}
