/*
 * What every child does before its role: log, privileges, sandbox. Runs in:
 * front, worker. Fatal: anything that does not work here.
 */
#include "authd/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "authd/control.h"
#include "authd/front.h"
#include "authd/logging.h"
#include "authd/privileges.h"
#include "authd/sandbox.h"
#include "authd/spawn.h"
#include "authd/worker.h"

const char *child_role(void)
{
	return getenv(SPAWN_ENV_ROLE);
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	return value != NULL ? value : "";
}

static bool number_from(const char *name, uint64_t *out, struct err *err)
{
	return span_to_u64(span_of(environment(name)), out) ||
	       err_set(err, EX_SOFTWARE, "%s is not in the environment", name);
}

/* Somebody may run the program by hand with a role set: it would wait for a parent for ever. */
static bool check_control(struct err *err)
{
	int type = 0;
	socklen_t size = sizeof(type);
	if (getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	    type == SOCK_SEQPACKET)
		return true;
	return err_set(
	    err, EX_USAGE, "%s is set, but no parent started this process", SPAWN_ENV_ROLE);
}

static bool start_log(bool front, struct logging *log, struct err *err)
{
	char prefix[96] = "auth";
	if (!logging_parse(log, environment(SPAWN_ENV_LOG)))
		return err_set(err, EX_SOFTWARE, "%s does not parse", SPAWN_ENV_LOG);
	if (!front)
		snprintf(prefix, sizeof(prefix), "auth-worker(%s)", environment(SPAWN_ENV_SECTION));
	if (!front) { /* nobody whom it starts gets it */
		log_to_descriptor(LOG_FD);
		(void)fcntl(LOG_FD, F_SETFD, FD_CLOEXEC);
	}
	logging_apply(log, prefix);
	return true;
}

static bool drop(struct identity *id, bool *is_root, struct err *err)
{
	const char *text = getenv(SPAWN_ENV_IDENTITY);
	if (text != NULL && !identity_parse(id, text))
		return err_set(err, EX_SOFTWARE, "%s does not parse", SPAWN_ENV_IDENTITY);
	if (text != NULL && !privileges_drop(id, err))
		return false;
	*is_root = geteuid() == 0;
	return true;
}

static enum sandbox_kind kind_of(bool front, bool is_root, const struct logging *log)
{
	if (front)
		return log->facility[0] != '\0' ? SANDBOX_FRONT_SYSLOG : SANDBOX_FRONT;
	bool programs = is_root || getenv(SPAWN_ENV_PROGRAMS) != NULL;
	return programs ? SANDBOX_WORKER_PROGRAMS : SANDBOX_WORKER;
}

static bool confine(bool front, struct err *err)
{
	struct logging log;
	struct identity id;
	uint64_t parent, files;
	bool is_root = false;
	if (!check_control(err) || !start_log(front, &log, err))
		return false;
	if (!number_from(SPAWN_ENV_PARENT, &parent, err) ||
	    !number_from(SPAWN_ENV_FILES, &files, err))
		return false;
	prctl(PR_SET_NAME, front ? "authd-front" : "authd-worker");
	privileges_raise_files(files);
	if (!drop(&id, &is_root, err) || !privileges_confine((pid_t)parent, err))
		return false;
	/* libsodium may look for random devices, which is over with the sandbox */
	if (sodium_init() < 0)
		return err_set(err, EX_SOFTWARE, "libsodium does not start");
	return sandbox_enter(kind_of(front, is_root, &log), err);
}

/* Where a driver says what it writes, it writes nothing else. */
static bool confine_writing(const struct worker_config *wc, const struct driver_spec *spec,
    const void *settings, struct err *err)
{
	struct arena a = {0};
	if (spec->writes == NULL)
		return true;
	bool ok = sandbox_write_only(wc->stores ? spec->writes(settings, &a) : NULL, err);
	arena_free(&a);
	return ok;
}

int child_main(const char *role)
{
	struct err err = {0};
	bool front = strcmp(role, "front") == 0;
	if (!front && strcmp(role, "worker") != 0)
		err_set(&err, EX_USAGE, "%s=%s is no role", SPAWN_ENV_ROLE, role);
	else if (confine(front, &err))
		return front ? front_main()
			     : worker_main(&(struct worker_hooks){.confine = confine_writing});
	log_fatal("%s", err.text);
	return err.code;
}
