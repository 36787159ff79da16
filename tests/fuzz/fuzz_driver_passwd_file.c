/*
 * A passwd-file with any bytes in it: every user that is listed is found, and
 * the entry shown is made of the file's bytes only.
 */
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/drivers.h"
#include "drivers/passwd-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void inside(const struct pf_line *l, struct span part)
{
	must(part.len == 0 || part.ptr >= l->user.ptr);
	must(memchr(part.ptr != NULL ? part.ptr : "", '\n', part.len) == NULL);
}

static void check_table(struct span text)
{
	struct pf_table *t = pf_table_of("fuzz", text);
	struct pf_line l, again;
	size_t count = 0;
	for (size_t at = 0; pf_table_next(t, &at, &l);) {
		count++;
		must(l.user.len > 0);
		must(pf_table_find(t, l.user, &again) && again.user.ptr == l.user.ptr);
		inside(&l, l.password);
		inside(&l, l.uid);
		inside(&l, l.gid);
		inside(&l, l.home);
		inside(&l, l.extra);
	}
	must(count == pf_table_users(t));
	(void)!pf_table_find(t, text, &l);
	pf_table_unref(t);
}

/* The driver on a real file, asked for the first few users and for the text itself. */
static void check_driver(struct span text)
{
	static char path[64];
	static int fd = -1;
	struct arena a = {0};
	struct err err = {0};
	struct pf_line l;
	if (fd < 0) {
		fd = memfd_create("users", MFD_CLOEXEC); /* leaves nothing behind */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	must(fd >= 0 && ftruncate(fd, 0) == 0);
	must(pwrite(fd, text.ptr, text.len, 0) == (ssize_t)text.len);
	struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	must(futimens(fd, old) == 0);
	void *settings = driver_args_parse(&spec_passwd_file, span_of(path), SPAN_NULL, &a, &err);
	void *state = driver_passwd_file.open(settings, &err);
	must(state != NULL);
	struct pf_table *t = pf_table_of("fuzz", text);
	unsigned n = 0;
	for (size_t at = 0; n < 8 && pf_table_next(t, &at, &l); n++) {
		struct vars vars = {.v[VAR_USER] = l.user};
		struct question q = {.kind = n % 2 == 0 ? ASK_PASSDB : ASK_USERDB,
		    .vars = &vars,
		    .arena = &a,
		    .entry = {.fields = fields_in(&a)}};
		must(driver_passwd_file.ask(state, &q) < VERDICT_COUNT);
	}
	pf_table_unref(t);
	driver_passwd_file.close(state);
	arena_free(&a);
}

/* The log is most of the work otherwise; what the sanitizers say stays visible. */
static void silence_log(void)
{
	int keep = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	must(keep >= 0 && null >= 0 && dup2(null, STDERR_FILENO) >= 0);
	__sanitizer_set_report_fd((void *)(intptr_t)keep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	if (!ready) {
		log_init("fuzz", LOG_FORMAT_TEXT, false);
		silence_log();
		ready = true;
	}
	struct span text = span_make(data, size);
	check_table(text);
	check_driver(text);
	return 0;
}
