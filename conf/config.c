/*
 * Loading the configuration, and finding the part that holds for a request.
 * Runs in: parent, authctl (load); front, worker (imported parts).
 */
#include "conf/config.h"

#include <stdio.h>

#include "base/mem.h"
#include "conf/load.h"

static void from_parser(void *ctx, const char *file, unsigned line, const char *what)
{
	load_error(ctx, (struct config_place){file, line}, "%s", what);
}

static const char *default_in(
    const struct setting_table *table, const char *name, struct arena *a, const void *values)
{
	const struct setting *row = settings_find(table, span_of(name));
	return row != NULL ? arena_cstr(a, setting_text(row, values, a)) : NULL;
}

/* $name where name was not set in the file */
const char *load_default_of(void *ctx, const char *name)
{
	struct load *l = ctx;
	if (l->options->dovecot && (strcmp(name, "default_internal_user") == 0 ||
				       strcmp(name, "default_internal_group") == 0))
		return "dovecot";
	if (l->options->dovecot && strcmp(name, "base_dir") == 0)
		return "/run/dovecot";
	const char *v = default_in(&process_settings_table, name, l->arena,
	    settings_new(&process_settings_table, l->arena));
	return v != NULL ? v
			 : default_in(&auth_settings_table, name, l->arena,
			       settings_new(&auth_settings_table, l->arena));
}

static void build(struct load *l, const struct conf_node *root)
{
	struct config *c = l->c;
	l->incomplete = l->errors > 0;
	l->auth = settings_new(&service_settings_table, l->arena);
	l->worker = settings_new(&service_settings_table, l->arena);
	load_top(l, root);
	load_default_listeners(l);
	load_pools(l);
	load_scopes(l);
	load_check_databases(l);
	load_check_auth(l);
	c->service_user = l->auth->user;
	c->service_worker_user = l->worker->user;
	c->client_limit = l->auth->client_limit;
	c->dovecot = l->options->dovecot;
}

static struct config *load(const char *name, const struct span *text,
    const struct config_options *options, config_error *error, void *ctx)
{
	struct config *c = mem_alloc(sizeof(*c));
	struct load l = {.c = c,
	    .options = options,
	    .error = error,
	    .ctx = ctx,
	    .arena = &c->arena,
	    .no_files = text != NULL};
	struct conf_parser p = {.arena = &c->arena,
	    .no_files = text != NULL,
	    .report = from_parser,
	    .ctx = &l,
	    .default_of = load_default_of};
	name = arena_cstr(&c->arena, span_of(name));
	struct conf_node *root =
	    text != NULL ? conf_parse_text(&p, name, *text) : conf_parse_file(&p, name);
	if (p.is_24)
		root = load_24(&l, root);
	c->version_24 = l.version_24;
	c->drivers = options->drivers;
	if (text != NULL || l.errors == 0 || root->first != NULL)
		build(&l, root);
	load_report_errors(&l);
	if (l.errors > 0)
		config_free(&c);
	return c;
}

struct config *config_load(
    const char *path, const struct config_options *options, config_error *error, void *ctx)
{
	return load(path, NULL, options, error, ctx);
}

struct config *config_load_text(const char *name, struct span text,
    const struct config_options *options, config_error *error, void *ctx)
{
	return load(name, &text, options, error, ctx);
}

void config_free(struct config **config)
{
	struct config *c = *config;
	*config = NULL;
	if (c == NULL)
		return;
	struct arena arena = c->arena;
	arena_free(&arena);
	mem_free(&c);
}

const struct config_scope *config_scope_for(const struct config *c, struct span service)
{
	const struct config_scope *other = NULL;
	for (size_t i = 1; i < c->scope_count; i++) {
		const struct config_scope *s = &c->scopes[i];
		bool same = span_eq_ci(service, span_of(s->protocol));
		if (same && !s->negated)
			return s;
		if (!same && s->negated && other == NULL)
			other = s;
	}
	return other != NULL ? other : &c->scopes[0];
}

const char *config_warning(const struct config *c, size_t number)
{
	const struct auth_settings *set = c->scopes[0].auth;
	const struct {
		bool given;
		const char *text;
	} all[] = {
	    /* so that nobody is locked out by the change of servers */
	    {c->dovecot && set->allow_weak_schemes,
		"auth_allow_weak_schemes is on, as in Dovecot 2.3: passwords kept in MD5, DES and "
		"the like are accepted. Set it to no when there are none left (authctl pw "
		"upgrade-status -s counts them)"},
	    {set->policy_server_url[0] != '\0',
		"auth_policy_server_url: no policy server is asked yet; logins are decided "
		"without one"},
	    {set->use_winbind,
		"auth_use_winbind: Samba's helper is not asked yet; NTLM and GSS-SPNEGO are "
		"decided here"},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].given && number-- == 0)
			return all[i].text;
	}
	return NULL;
}
