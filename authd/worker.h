/*
 * A worker: the process that runs one driver, answers the front's questions
 * on the channel, and compares passwords where they are found.
 */
#ifndef AUTHD_WORKER_H
#define AUTHD_WORKER_H

#include "base/err.h"
#include "base/macros.h"
#include "conf/config.h"

struct worker_hooks {
	/*
	 * Called once, when the configuration has arrived and the driver's code is
	 * loaded, before the backend is opened and before any thread exists: the
	 * place to drop privileges and close the sandbox. false: the worker
	 * reports *err and exits. NULL: nothing to do.
	 */
	bool (*confine)(const struct worker_config *wc, const struct driver_spec *spec,
	    const void *settings, struct err *err);
};

/*
 * The whole life of a worker on descriptors CONTROL_FD and CHANNEL_FD (authd/control.h); the log
 * is set up. The result is the exit code: 0 when the front or the parent closed its end. hooks may
 * be NULL.
 */
int worker_main(const struct worker_hooks *hooks);
/* The same on any descriptors, which it takes over. */
int worker_run(int control, int channel, const struct worker_hooks *hooks);

#endif
