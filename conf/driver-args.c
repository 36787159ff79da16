/*
 * A driver's settings, from its args or from the file that they name.
 * Runs in: parent, authctl (to check), worker (to run).
 */
#include "conf/driver-args.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "conf/lexer.h"

struct reading {
	const struct driver_spec *spec;
	void *target;
	struct arena *arena;
	driver_args_report *report;
	void *ctx;
	unsigned errors;
	bool *is_set;	 /* by row */
	unsigned *lines; /* by row; 0: not from a file */
};

static void report(struct reading *r, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void report(struct reading *r, unsigned line, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->errors++;
	r->report(r->ctx, line, text);
}

static void set(struct reading *r, const struct setting *row, unsigned line, struct span value)
{
	struct err err = {0};
	size_t i = (size_t)(row - r->spec->settings->rows);
	r->lines[i] = line;
	if (setting_set(row, r->target, value, r->arena, &err))
		r->is_set[i] = true;
	else
		report(r, line, "%s: %s", row->name, err.text);
}

static void unknown(struct reading *r, unsigned line, struct span key)
{
	const char *near = settings_nearest(r->spec->settings, key);
	if (near != NULL)
		report(
		    r, line, "unknown setting \"%.*s\", did you mean \"%s\"?", SPAN_ARG(key), near);
	else
		report(r, line, "unknown setting \"%.*s\"", SPAN_ARG(key));
}

static const struct setting *rest_row(const struct driver_spec *spec)
{
	return spec->rest != NULL ? settings_find(spec->settings, span_of(spec->rest)) : NULL;
}

/* One word: true when it was a named setting, or meant to be one. */
static bool read_word(struct reading *r, struct span word)
{
	ssize_t eq = span_find(word, '=');
	if (eq <= 0)
		return false;
	struct span key = span_first(word, (size_t)eq);
	const struct setting *row = settings_find(r->spec->settings, key);
	if (row != NULL) {
		set(r, row, 0, span_skip(word, (size_t)eq + 1));
		return true;
	}
	if (rest_row(r->spec) != NULL && settings_nearest(r->spec->settings, key) == NULL)
		return false;
	unknown(r, 0, key);
	return true;
}

static void read_words(struct reading *r, struct span args)
{
	const struct setting *row = rest_row(r->spec);
	struct buffer rest = {0};
	struct span word;
	while (span_word(&args, " \t", &word)) {
		if (read_word(r, word))
			continue;
		if (row == NULL) {
			report(r, 0, "\"%.*s\" is not of the form key=value", SPAN_ARG(word));
			continue;
		}
		if (rest.len > 0)
			buffer_append_char(&rest, ' ');
		buffer_append(&rest, word);
	}
	if (row != NULL && rest.len > 0)
		set(r, row, 0, buffer_span(&rest));
	buffer_free(&rest);
}

static void read_file(struct reading *r, struct span text)
{
	struct conf_lexer lx = conf_lexer_of(text, r->arena);
	lx.patient = true;
	for (;;) {
		struct conf_line l = conf_lexer_next(&lx);
		const struct setting *row;
		if (l.kind == CONF_LINE_EOF)
			return;
		if (l.kind == CONF_LINE_BAD)
			report(r, l.line, "%s", l.err.text);
		else if (l.kind != CONF_LINE_SETTING)
			report(
			    r, l.line, "only lines of the form \"key = value\" are possible here");
		else if (l.value_kind == CONF_VALUE_FILE)
			report(r, l.line, "\"<file\" is not possible here");
		else if ((row = settings_find(r->spec->settings, l.key)) == NULL)
			unknown(r, l.line, l.key);
		else
			set(r, row, l.line, l.value);
	}
}

/* What must be there and was not written at all. */
static void check_required(struct reading *r)
{
	for (size_t i = 0; i < r->spec->settings->count; i++) {
		const struct setting *row = &r->spec->settings->rows[i];
		if ((row->flags & SETTING_REQUIRED) == 0 || r->is_set[i] || row->def[0] != '\0')
			continue;
		if (r->spec->rest != NULL && strcmp(row->name, r->spec->rest) == 0)
			report(r, 0, "the %s is missing", row->name);
		else
			report(r, 0, "%s is missing", row->name);
	}
}

static void complain(void *ctx, const char *row, const char *text)
{
	struct reading *r = ctx;
	const struct setting_table *table = r->spec->settings;
	for (size_t i = 0; row != NULL && i < table->count; i++) {
		if (strcmp(table->rows[i].name, row) == 0) {
			report(r, r->lines[i], "%s: %s", row, text);
			return;
		}
	}
	report(r, 0, "%s", text);
}

void *driver_args_read(const struct driver_spec *spec, struct span args, struct span file_text,
    struct arena *a, driver_args_report *report_fn, void *ctx)
{
	struct reading r = {.spec = spec, .arena = a, .report = report_fn, .ctx = ctx};
	if (spec->settings == NULL) {
		if (span_trim(args).len > 0)
			report(&r, 0, "the driver takes none");
		return r.errors == 0 ? arena_alloc(a, 1) : NULL;
	}
	r.target = settings_new(spec->settings, a);
	r.is_set = arena_alloc(a, spec->settings->count * sizeof(bool) + 1);
	r.lines = arena_alloc(a, spec->settings->count * sizeof(unsigned) + 1);
	switch (spec->args) {
	case ARGS_NONE:
		if (span_trim(args).len > 0)
			report(&r, 0, "the driver takes none");
		break;
	case ARGS_WORDS:
		read_words(&r, args);
		break;
	case ARGS_FIELDS:
		if (rest_row(spec) != NULL)
			set(&r, rest_row(spec), 0, args);
		break;
	case ARGS_FILE:
		read_file(&r, file_text);
		break;
	}
	if (r.errors == 0)
		check_required(&r);
	if (r.errors == 0 && spec->check != NULL)
		spec->check(r.target, a, complain, &r);
	return r.errors == 0 ? r.target : NULL;
}

struct first {
	struct err *err;
	bool any;
};

static void keep_first(void *ctx, unsigned line, const char *text)
{
	struct first *f = ctx;
	if (f->any)
		return;
	f->any = true;
	if (line > 0)
		(void)err_set(f->err, EX_CONFIG, "line %u: %s", line, text);
	else
		(void)err_set(f->err, EX_CONFIG, "%s", text);
}

void *driver_args_parse(const struct driver_spec *spec, struct span args, struct span file_text,
    struct arena *a, struct err *err)
{
	struct first f = {err, false};
	return driver_args_read(spec, args, file_text, a, keep_first, &f);
}

void driver_check_says(const struct driver_check *c, const char *row, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->complain(c->ctx, row, text);
}
