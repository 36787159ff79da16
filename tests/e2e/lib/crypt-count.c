/*
 * Stands before libcrypt in a program that is to be watched: writes a line with the
 * setting's kind into the file NOTES, for each hash that is really computed.
 */
#define _GNU_SOURCE
#include <crypt.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void note(const char *setting)
{
	char line[8];
	int fd = open(NOTES, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	int n = snprintf(line, sizeof(line), "%.3s\n", setting);
	if (write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

EXPORT char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
	char *(*real)(const char *, const char *, struct crypt_data *);
	*(void **)&real = dlsym(RTLD_NEXT, "crypt_r");
	note(setting);
	return real(phrase, setting, data);
}

EXPORT char *crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	char *(*real)(const char *, const char *, void *, int);
	*(void **)&real = dlsym(RTLD_NEXT, "crypt_rn");
	note(setting);
	return real(phrase, setting, data, size);
}
