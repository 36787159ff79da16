/*
 * What the tests of drivers share: a temporary directory, files in it, a
 * driver opened from its args, one question asked.
 */
#ifndef TESTS_UNIT_DRIVER_KIT_H
#define TESTS_UNIT_DRIVER_KIT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/drivers.h"

struct kit {
	char dir[64];
	struct arena arena; /* of the settings */
	struct arena answer;
	const struct driver *driver;
	void *state;
	struct vars vars;
	struct question q; /* the last one */
};

static inline int kit_setup(void **state)
{
	struct kit *k = mem_alloc(sizeof(*k));
	strcpy(k->dir, "/tmp/authd-test-XXXXXX");
	if (mkdtemp(k->dir) == NULL)
		return -1;
	*state = k;
	return 0;
}

static inline void kit_close(struct kit *k)
{
	if (k->state != NULL)
		k->driver->close(k->state);
	k->state = NULL;
	arena_free(&k->arena);
}

static inline int kit_teardown(void **state)
{
	struct kit *k = *state;
	char command[128];
	kit_close(k);
	arena_free(&k->answer);
	snprintf(command, sizeof(command), "rm -rf '%s'", k->dir);
	int rc = system(command);
	mem_free(&k);
	return rc;
}

static inline const char *kit_path(struct kit *k, const char *name)
{
	return arena_printf(&k->arena, "%s/%s", k->dir, name).ptr;
}

/* age_ms: how long ago it was last changed, as its time stamp says */
static inline void kit_write_aged(struct kit *k, const char *name, struct span text, int64_t age_ms)
{
	const char *path = kit_path(k, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
	struct timespec ts[2];
	clock_gettime(CLOCK_REALTIME, &ts[1]);
	ts[1].tv_sec -= age_ms / 1000;
	ts[0] = ts[1];
	assert_int_equal(futimens(fd, ts), 0);
	close(fd);
}

static inline void kit_write(struct kit *k, const char *name, const char *text)
{
	static int64_t age = 100000;
	kit_write_aged(k, name, span_of(text), age -= 1000);
}

/* "DIR" in args stands for the temporary directory */
static inline bool kit_try_open(
    struct kit *k, const struct driver *driver, const char *args, struct err *err)
{
	struct buffer b = {0};
	const char *at;
	kit_close(k);
	while ((at = strstr(args, "DIR")) != NULL) {
		buffer_append(&b, span_make(args, (size_t)(at - args)));
		buffer_append_str(&b, k->dir);
		args = at + 3;
	}
	buffer_append_str(&b, args);
	k->driver = driver;
	void *settings =
	    driver_args_parse(driver->spec, buffer_span(&b), SPAN_NULL, &k->arena, err);
	buffer_free(&b);
	if (settings != NULL)
		k->state = driver->open(settings, err);
	return k->state != NULL;
}

static inline void kit_open(struct kit *k, const struct driver *driver, const char *args)
{
	struct err err = {0};
	if (!kit_try_open(k, driver, args, &err))
		fail_msg("open: %s", err.text);
}

static inline enum verdict kit_ask(struct kit *k, enum question_kind kind, const char *user)
{
	arena_reset(&k->answer);
	k->vars.v[VAR_USER] = span_of(user);
	k->q = (struct question){
	    .kind = kind,
	    .vars = &k->vars,
	    .arena = &k->answer,
	    .entry = {.fields = fields_in(&k->answer)},
	};
	return k->driver->ask(k->state, &k->q);
}

/* all fields as "key=value key=value flag" */
static inline const char *kit_fields(struct kit *k)
{
	struct buffer b = {0};
	for (size_t i = 0; i < k->q.entry.fields.count; i++) {
		const struct field *f = &k->q.entry.fields.items[i];
		buffer_printf(&b, "%s%.*s", i > 0 ? " " : "", SPAN_ARG(f->key));
		if (f->value.ptr != NULL)
			buffer_printf(&b, "=%.*s", SPAN_ARG(f->value));
	}
	const char *text = arena_cstr(&k->answer, buffer_span(&b));
	buffer_free(&b);
	return text;
}

static inline const char *kit_password(struct kit *k)
{
	struct span p = secret_reveal(k->q.entry.password);
	return p.ptr != NULL ? arena_cstr(&k->answer, p) : NULL;
}

#endif
