/*
 * The start of a child: from the environment that spawn.h names to a confined
 * process that runs its role. Runs in: front, worker.
 */
#ifndef AUTHD_CHILD_H
#define AUTHD_CHILD_H

#include "base/macros.h"

/* "front" or "worker"; NULL: this process is not a child */
const char *child_role(void);
/* Returns the exit status. */
int child_main(const char *role);

#endif
