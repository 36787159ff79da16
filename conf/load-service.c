/*
 * service {} sections: the listeners, and the users that processes run as.
 */
#include "conf/load.h"

struct default_listener {
	const char *path;
	unsigned mode;
	bool internal_user; /* owner: default_internal_user, else root */
};

/* Dovecot's own, which a whole dovecot.conf counts on without naming them. */
static const struct default_listener dovecot_listeners[] = {
    {"login/login", 0666, false},
    {"token-login/tokenlogin", 0666, false},
    {"auth-login", 0600, true},
    {"auth-client", 0600, true},
    {"auth-userdb", 0666, true},
    {"auth-master", 0600, false},
};

struct type_word {
	const char *word;
	enum listener_type type;
};

bool load_listener_type(const struct listener_settings *set, enum listener_type *type)
{
	static const struct type_word words[] = {{"auth", LISTENER_AUTH},
	    {"auth-legacy", LISTENER_AUTH}, {"login", LISTENER_LOGIN}, {"master", LISTENER_MASTER},
	    {"userdb", LISTENER_USERDB}, {"token", LISTENER_TOKEN},
	    {"token-login", LISTENER_TOKEN_LOGIN}};
	static const struct type_word suffixes[] = {{"login", LISTENER_LOGIN},
	    {"master", LISTENER_MASTER}, {"userdb", LISTENER_USERDB}, {"token", LISTENER_TOKEN},
	    {"tokenlogin", LISTENER_TOKEN_LOGIN}};
	struct span name = span_of(set->path);
	if (set->type[0] != '\0') {
		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			if (strcmp(set->type, words[i].word) == 0) {
				*type = words[i].type;
				return true;
			}
		}
		return false;
	}
	if (span_rfind(name, '/') >= 0)
		name = span_skip(name, (size_t)span_rfind(name, '/') + 1);
	if (span_rfind(name, '-') >= 0)
		name = span_skip(name, (size_t)span_rfind(name, '-') + 1);
	*type = LISTENER_AUTH;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (span_eq_str(name, suffixes[i].word))
			*type = suffixes[i].type;
	}
	return true;
}

/* ---- listeners ---- */

/* /var/run is a link to /run; older files name it. */
static const char *without_var(const char *path)
{
	return strncmp(path, "/var/run/", strlen("/var/run/")) == 0 ? path + strlen("/var") : path;
}

/* "auth-client", "/run/dovecot/auth-client" and that in /var/run are one. */
static const char *without_base(const struct load *l, const char *path)
{
	const char *base = without_var(l->c->process->base_dir);
	size_t n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	path = without_var(path);
	if (strncmp(path, base, n) == 0 && path[n] == '/')
		return path + n + 1;
	return path;
}

static struct config_listener *find_listener(struct load *l, const char *path, bool inet)
{
	for (size_t i = 0; i < l->c->listener_count; i++) {
		struct config_listener *x = &l->c->listeners[i];
		if (x->inet == inet &&
		    strcmp(without_base(l, x->set->path), without_base(l, path)) == 0)
			return x;
	}
	return NULL;
}

static struct config_listener *new_listener(
    struct load *l, const char *path, bool inet, struct config_place place)
{
	struct config *c = l->c;
	c->listeners = load_grow(l, c->listeners, c->listener_count, sizeof(*c->listeners));
	struct config_listener *x = &c->listeners[c->listener_count++];
	*x = (struct config_listener){.inet = inet, .place = place};
	/* one struct, two tables: what the one does not name must still be valid */
	x->set = settings_new(&unix_listener_settings_table, l->arena);
	x->set->address = "";
	x->set->path = path;
	for (size_t i = 0; !inet && l->options->dovecot && i < ARRAY_LEN(dovecot_listeners); i++) {
		const struct default_listener *d = &dovecot_listeners[i];
		if (strcmp(without_base(l, path), d->path) != 0)
			continue;
		x->set->mode = d->mode;
		x->set->user = d->internal_user ? c->process->default_internal_user : "";
	}
	return x;
}

static void listener_section(struct load *l, const struct conf_node *n, bool inet)
{
	enum listener_type type;
	if (!inet && (n->name == NULL || n->name[0] == '\0')) {
		if (!n->bad)
			load_error(l, load_place(n), "%s needs the path of its socket: %s PATH {",
			    n->key, n->key);
		return;
	}
	const char *path = n->name != NULL ? n->name : "";
	struct config_listener *x = find_listener(l, path, inet);
	if (x == NULL)
		x = new_listener(l, path, inet, load_place(n));
	load_section(
	    l, n, inet ? &inet_listener_settings_table : &unix_listener_settings_table, x->set);
	if (x->set->port > 65535)
		load_error(l, load_place(n), "port: %u is no TCP port", x->set->port);
	if (load_listener_type(x->set, &type))
		return;
	static const char *const words[] = {
	    "auth", "auth-legacy", "login", "master", "userdb", "token", "token-login"};
	const char *near = nearest_name(span_of(x->set->type), words, ARRAY_LEN(words));
	load_error(l, load_place(n),
	    "type: \"%s\" is not one of: auth auth-legacy login master "
	    "userdb token token-login%s%s%s",
	    x->set->type, near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?" : "");
	x->set->type = "";
}

/* ---- services ---- */

static void unknown_listener(struct load *l, const struct conf_node *n)
{
	static const char *const kinds[] = {"unix_listener", "inet_listener"};
	const char *near = nearest_name(span_of(n->key), kinds, ARRAY_LEN(kinds));
	if (n->bad)
		return;
	if (near != NULL)
		load_error(l, load_place(n), "unknown section \"%s\", did you mean \"%s\"?",
		    load_full_name(l, n), near);
	else
		load_error(l, load_place(n),
		    "unknown section \"%s\": a service has unix_listener and inet_listener",
		    load_full_name(l, n));
}

static void auth_service(struct load *l, const struct conf_node *section)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		const struct setting *row = settings_find(&service_settings_table, span_of(n->key));
		if (row != NULL && !n->section)
			(void)load_set(l, n, row, l->auth);
		else if (n->section && strcmp(n->key, "unix_listener") == 0)
			listener_section(l, n, false);
		else if (n->section && strcmp(n->key, "inet_listener") == 0)
			listener_section(l, n, true);
		else if (n->section && strcmp(n->key, "fifo_listener") == 0 && l->options->dovecot)
			load_pass_over(l, n);
		else if (n->section)
			unknown_listener(l, n);
		else
			load_unknown(l, n, &service_settings_table);
	}
}

/* Its sockets are between Dovecot's own processes; here there are none. */
static void worker_service(struct load *l, const struct conf_node *section)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		const struct setting *row = settings_find(&service_settings_table, span_of(n->key));
		if (row != NULL && !n->section)
			(void)load_set(l, n, row, l->worker);
		else if (n->section && l->options->dovecot)
			load_pass_over(l, n);
		else if (n->section)
			load_error(l, load_place(n), "service auth-worker has no listeners");
		else
			load_unknown(l, n, &service_settings_table);
	}
}

void load_service(struct load *l, const struct conf_node *n)
{
	const char *name = n->name != NULL ? n->name : "";
	static const char *const names[] = {"auth", "auth-worker"};
	const char *near = nearest_name(span_of(name), names, ARRAY_LEN(names));
	if (strcmp(name, "auth") == 0)
		auth_service(l, n);
	else if (strcmp(name, "auth-worker") == 0)
		worker_service(l, n);
	else if (*name == '\0')
		load_error(l, load_place(n), "a service needs a name: service auth {");
	else if (near != NULL)
		load_error(
		    l, load_place(n), "unknown service \"%s\", did you mean \"%s\"?", name, near);
	else if (l->options->dovecot)
		load_pass_over(l, n);
	else
		load_error(l, load_place(n),
		    "service \"%s\" is not authd's: it has auth and auth-worker", name);
}

static void drop_disabled(struct config *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *x = &c->listeners[i];
		if (x->inet ? x->set->port != 0 : x->set->mode != 0)
			c->listeners[kept++] = *x;
	}
	c->listener_count = kept;
}

void load_default_listeners(struct load *l)
{
	struct config *c = l->c;
	struct config_place nowhere = {"default", 0};
	for (size_t i = 0; l->options->dovecot && i < ARRAY_LEN(dovecot_listeners); i++) {
		if (find_listener(l, dovecot_listeners[i].path, false) == NULL)
			(void)new_listener(l, dovecot_listeners[i].path, false, nowhere);
	}
	size_t written = c->listener_count;
	drop_disabled(c);
	for (size_t i = 0; i < c->listener_count; i++) {
		struct config_listener *x = &c->listeners[i];
		const char *type = x->set->type;
		(void)load_listener_type(x->set, &x->type);
		x->newer = strcmp(type, "auth") == 0 || strcmp(type, "login") == 0;
	}
	if (c->listener_count > 0 || l->incomplete)
		return;
	load_error(l, c->blocks[0].place,
	    "there is no listener%s: write service auth { unix_listener auth-client { mode = 0660 "
	    "} } (one setting a line)%s",
	    written > 0 ? ", mode = 0 or port = 0 takes all of them away" : "",
	    written > 0 && l->options->dovecot
		? ", or, where that is to keep Dovecot from making them, a file for authd that "
		  "includes this one and has listeners of its own"
		: "");
}
