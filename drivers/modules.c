/*
 * Finding the modules' directory. Runs in: parent, worker, authctl.
 */
#include "drivers/drivers.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

const char *driver_module_dir(void)
{
	static char dir[PATH_MAX + sizeof("/drivers")];
	char exe[PATH_MAX];
	struct stat st;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		snprintf(dir, sizeof(dir), "%s/drivers", dirname(exe));
		if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
			return dir;
	}
	return AUTHD_PREFIX "/lib/authd/drivers";
}
