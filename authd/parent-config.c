/*
 * From a configuration file to a lineup that could be started: who runs as
 * whom, how many workers, and what cannot work here. All that is wrong is
 * said before anything is started. Runs in: parent.
 */
#include "authd/parent.h"
#include "authd/field-ids.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "drivers/drivers.h"
#include "mechanisms/mech.h"

enum { WORKERS_PROCESS_LANES = 4, WORKERS_MAX = 64 };

bool lineup_root_here(void)
{
	return geteuid() == 0;
}

static void report_error(void *ctx, const char *message)
{
	struct config_report *r = ctx;
	if (r->count++ == 0)
		snprintf(r->first, sizeof(r->first), "%s", message);
	if (r->plain)
		fprintf(stderr, "%s\n", message);
	else
		log_error("%s", message);
}

static void PRINTF_LIKE(3, 4)
    report_at(struct config_report *r, const struct config_place *place, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	int n = 0;
	if (place != NULL && place->file != NULL)
		n = snprintf(text, sizeof(text), "%.200s:%u: ", place->file, place->line);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	report_error(r, text);
}

static struct config *load_file(struct parent *p, struct config_report *report)
{
	struct arena names = {0};
	const struct config_options options = {
	    .drivers = known_driver_specs,
	    .mechanisms = mech_names(0, &names),
	    .lookup_mechanisms = mech_names(MECH_NEEDS_LOOKUP, &names),
	    .dovecot = p->dovecot,
	    .module_dir = driver_module_dir(),
	};
	struct config *c = config_load(p->config_path, &options, report_error, report);
	arena_free(&names);
	return c;
}

/* ---- who runs as whom ---- */

static bool is_root_name(const char *user)
{
	return strcmp(user, "root") == 0 || strcmp(user, "0") == 0;
}

static void front_identity(struct lineup *l, struct config_report *report)
{
	const struct process_settings *set = l->config->process;
	const char *user = l->config->service_user;
	struct err err = {0};
	if (user[0] == '\0' || is_root_name(user))
		user = set->default_internal_user;
	const char *group =
	    strcmp(user, set->default_internal_user) == 0 ? set->default_internal_group : "";
	if (is_root_name(user))
		report_at(report, NULL, "default_internal_user must not be root");
	else if (!identity_lookup(&l->front_id, user, group, &err))
		report_at(report, NULL, "default_internal_user: %s", err.text);
}

/*
 * "service auth { user = root }" was how one let the auth process read what
 * root alone may read. Here the workers read, so they get it; never the front.
 */
static void pool_identity(struct lineup *l, size_t pool, struct config_report *report)
{
	const struct config *c = l->config;
	const struct config_pool *cp = &c->pools[pool];
	const char *user = cp->worker_user;
	struct err err = {0};
	if (user[0] == '\0' && cp->root)
		user = c->service_worker_user[0] != '\0' ? c->service_worker_user : "root";
	if (user[0] == '\0' && is_root_name(c->service_user))
		user = "root";
	if (user[0] == '\0')
		l->pool_ids[pool] = l->front_id;
	else if (!identity_lookup(&l->pool_ids[pool], user, NULL, &err))
		report_at(report, &cp->place, "worker user of %s: %s", cp->driver, err.text);
}

static void find_identities(struct lineup *l, struct config_report *report)
{
	l->pool_ids = mem_alloc(l->config->pool_count * sizeof(*l->pool_ids));
	l->drops_privileges = lineup_root_here();
	if (!l->drops_privileges)
		return;
	front_identity(l, report);
	for (size_t i = 0; i < l->config->pool_count; i++)
		pool_identity(l, i, report);
}

static void say_without_root(const struct lineup *l)
{
	const struct config *c = l->config;
	const struct passwd *pw = getpwuid(geteuid());
	log_warning(
	    "started without root: all processes run as %s, default_internal_user is not used",
	    pw != NULL ? pw->pw_name : "the same user");
	for (size_t i = 0; i < c->pool_count; i++) {
		if (c->pools[i].root)
			log_warning(
			    "%s works on one's own account only, or not at all, without root",
			    c->pools[i].driver);
		else if (c->pools[i].worker_user[0] != '\0')
			log_warning(
			    "worker_user = %s needs root; not used", c->pools[i].worker_user);
	}
}

/* ---- listeners: their users and groups must exist ---- */

static void check_listeners(const struct lineup *l, struct config_report *report)
{
	for (size_t i = 0; i < l->config->listener_count; i++) {
		const struct config_listener *cl = &l->config->listeners[i];
		struct err err = {0};
		uid_t uid;
		gid_t gid;
		if (cl->set->port == 0 && cl->set->mode == 0)
			continue;
		if (!identity_uid(cl->set->user, &uid, &err))
			report_at(report, &cl->place, "%s: %s", cl->set->path, err.text);
		if (!identity_gid(cl->set->group, &gid, &err))
			report_at(report, &cl->place, "%s: %s", cl->set->path, err.text);
	}
}

/* ---- workers ---- */

static unsigned worker_count(
    const struct lineup *l, const struct config_pool *pool, struct config_report *report)
{
	bool process = pool->spec != NULL && (pool->spec->use & DRIVER_PROCESS) != 0;
	unsigned most = process ? l->config->scopes[0].auth->worker_max_count : WORKERS_MAX;
	unsigned count = pool->worker_count;
	if (most > WORKERS_MAX)
		most = WORKERS_MAX;
	if (count > most)
		report_at(report, &pool->place, "worker_count = %u: %u at most%s", count, most,
		    most < WORKERS_MAX ? " (auth_worker_max_count)" : "");
	if (count == 0)
		count = process ? WORKERS_PROCESS_LANES : 1;
	return count < most ? count : most;
}

static void make_slots(struct lineup *l, struct config_report *report)
{
	size_t capacity = 0;
	for (unsigned pool = 0; pool < l->config->pool_count; pool++) {
		const struct config_pool *cp = &l->config->pools[pool];
		unsigned count = worker_count(l, cp, report);
		for (unsigned i = 0; i < count; i++) {
			l->slots = mem_grow(l->slots, l->slot_count, &capacity, sizeof(*l->slots));
			l->slots[l->slot_count++] = (struct slot){.lineup = l, .pool = pool};
		}
	}
}

void lineup_section(const struct lineup *l, unsigned pool, char *buf, size_t size)
{
	const char *driver = l->config->pools[pool].driver;
	unsigned nth = 1;
	for (unsigned i = 0; i < pool; i++)
		if (strcmp(l->config->pools[i].driver, driver) == 0)
			nth++;
	if (nth == 1)
		snprintf(buf, size, "%s", driver);
	else
		snprintf(buf, size, "%s#%u", driver, nth);
}

/* ---- the log ---- */

static void plan_log(struct lineup *l, struct config_report *report)
{
	const struct process_settings *set = l->config->process;
	const struct auth_settings *auth = l->config->scopes[0].auth;
	l->log.format = set->log_format == LOG_FORMAT_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	l->log.debug = auth->debug || auth->debug_passwords;
	if (strcmp(set->log_path, "syslog") != 0) {
		if (set->log_path[0] != '\0' && set->log_path[0] != '/')
			report_at(report, NULL, "log_path = %s: must be a full path, or syslog",
			    set->log_path);
		return;
	}
	snprintf(l->log.facility, sizeof(l->log.facility), "%s", set->syslog_facility);
	if (!logging_facility_known(set->syslog_facility))
		report_at(report, NULL, "syslog_facility = %s: there is no such facility",
		    set->syslog_facility);
}

/* What a running authd cannot change. */
static void check_fixed(
    const struct parent *p, const struct lineup *l, struct config_report *report)
{
	if (p->current == NULL)
		return;
	if (strcmp(p->base_dir, l->config->process->base_dir) != 0)
		report_at(report, NULL, "base_dir: a change needs a restart");
	if (strcmp(p->current->log.facility, l->log.facility) != 0)
		report_at(report, NULL, "log_path: a change to or from syslog needs a restart");
}

static void tell_passed_over(const struct config *c)
{
	if (c->passed_over_count > 0)
		log_info(
		    "%zu settings are not about authentication and were passed over (listed by "
		    "authctl config check --dovecot)",
		    c->passed_over_count);
	for (size_t i = 0; i < c->passed_over_count; i++)
		log_debug("passed over: %s", c->passed_over[i]);
}

struct lineup *lineup_load(struct parent *p, struct config_report *report)
{
	struct config *c = load_file(p, report);
	if (c == NULL)
		return NULL;
	struct lineup *l = mem_alloc(sizeof(*l));
	l->config = c;
	l->sockets = mem_alloc(c->listener_count * sizeof(struct bound_socket *));
	find_identities(l, report);
	check_listeners(l, report);
	make_slots(l, report);
	plan_log(l, report);
	check_fixed(p, l, report);
	if (report->count > 0) {
		lineup_free(&l);
		return NULL;
	}
	field_ids_resolve(c);
	l->number = ++p->last_number;
	if (p->current == NULL)
		log_init("master", l->log.format, l->log.debug);
	tell_passed_over(c);
	for (size_t i = 0; config_warning(c, i) != NULL; i++)
		log_warning("%s", config_warning(c, i));
	if (!l->drops_privileges)
		say_without_root(l);
	else if (is_root_name(c->service_user))
		log_warning(
		    "service auth { user = root }: the front runs as %s all the same; workers "
		    "run as root",
		    c->process->default_internal_user);
	return l;
}

void lineup_free(struct lineup **lp)
{
	struct lineup *l = *lp;
	if (l == NULL)
		return;
	config_free(&l->config);
	mem_free(&l->pool_ids);
	mem_free(&l->slots);
	mem_free(&l->sockets);
	mem_free(lp);
}
