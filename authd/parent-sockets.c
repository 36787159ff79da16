/*
 * The listening sockets of a lineup. One that an earlier lineup has bound is
 * used again, so that no client is turned away by a reload. Runs in: parent.
 */
#include "authd/parent.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"

static char *socket_name(const struct lineup *l, const struct listener_settings *set)
{
	if (set->port != 0)
		return listen_inet_name(set->address, set->port);
	if (set->path[0] == '/')
		return mem_strdup(set->path);
	return mem_printf("%s/%s", l->config->process->base_dir, set->path);
}

/* Without root a file stays with us unless it is to be given to somebody. */
static bool access_of(
    const struct listener_settings *set, struct listen_access *access, struct err *err)
{
	bool root = lineup_root_here();
	*access = (struct listen_access){
	    .mode = set->mode,
	    .uid = root ? geteuid() : (uid_t)-1,
	    .gid = root ? getegid() : (gid_t)-1,
	};
	return identity_uid(set->user, &access->uid, err) &&
	       identity_gid(set->group, &access->gid, err);
}

static struct bound_socket *find(struct parent *p, const char *name)
{
	struct bound_socket *b;
	SLIST_FOREACH(b, &p->sockets, entry)
	if (strcmp(b->socket.name, name) == 0 && listen_in_place(&b->socket))
		return b;
	return NULL;
}

static void warn_refused(const struct listener_settings *set, const char *name)
{
	log_warning("%s: cannot be given to %s%s%s without root; it stays with the user that "
		    "started authd",
	    name, set->user, set->user[0] != '\0' && set->group[0] != '\0' ? ":" : "", set->group);
}

static bool bind_one(const struct lineup *l, const struct listener_settings *set, const char *name,
    struct listen_socket *out, struct err *err)
{
	struct listen_access access;
	bool refused = false;
	if (set->port != 0)
		return listen_inet(out, set->address, set->port, err);
	if (!access_of(set, &access, err) ||
	    !listen_make_directories(l->config->process->base_dir, name, err) ||
	    !listen_unix(out, name, &access, &refused, err))
		return false;
	if (refused)
		warn_refused(set, name);
	return true;
}

static bool take_one(struct parent *p, struct lineup *l, size_t index, struct err *err)
{
	const struct config_listener *listener = &l->config->listeners[index];
	const struct listener_settings *set = listener->set;
	bool ok = true;
	if (set->port == 0 && set->mode == 0)
		return true; /* mode = 0 switches a listener off */
	char *name = socket_name(l, set);
	struct bound_socket *b = find(p, name);
	for (size_t i = 0; i < index && b != NULL; i++)
		if (l->sockets[i] == b)
			ok = err_set(err, EX_CONFIG, "%s is there twice", name);
	if (ok && b == NULL) {
		b = mem_alloc(sizeof(*b));
		ok = bind_one(l, set, name, &b->socket, err);
		if (ok)
			SLIST_INSERT_HEAD(&p->sockets, b, entry);
		else
			mem_free(&b);
	}
	if (ok)
		l->sockets[index] = b;
	else if (listener->place.file != NULL)
		err_prefix(err, "%s:%u", listener->place.file, listener->place.line);
	mem_free(&name);
	return ok;
}

bool sockets_bind(struct parent *p, struct lineup *l, struct err *err)
{
	for (size_t i = 0; i < l->config->listener_count; i++)
		if (!take_one(p, l, i, err))
			return false;
	return true;
}

void sockets_adjust(const struct lineup *l)
{
	for (size_t i = 0; i < l->config->listener_count; i++) {
		const struct listener_settings *set = l->config->listeners[i].set;
		struct listen_access access;
		struct err err = {0};
		bool refused = false;
		if (l->sockets[i] == NULL)
			continue;
		if (!access_of(set, &access, &err) ||
		    !listen_adjust(&l->sockets[i]->socket, &access, &refused, &err))
			log_error("%s", err.text);
	}
}

static bool used_by(const struct lineup *l, const struct bound_socket *b)
{
	for (size_t i = 0; l != NULL && i < l->config->listener_count; i++)
		if (l->sockets[i] == b)
			return true;
	return false;
}

void sockets_close_unused(struct parent *p)
{
	struct bound_socket *b = SLIST_FIRST(&p->sockets), *after;
	for (; b != NULL; b = after) {
		after = SLIST_NEXT(b, entry);
		if (used_by(p->current, b) || used_by(p->next, b))
			continue;
		SLIST_REMOVE(&p->sockets, b, bound_socket, entry);
		listen_close(&b->socket);
		mem_free(&b);
	}
}
