/*
 * Makes documentation of settings: copies a template and puts, for each line
 * "@settings NAME@", the rows of that table in its place; "@driver NAME@"
 * likewise for a driver's own settings, "@form-24 NAME@" for what they are
 * called in the form of Dovecot 2.4.
 *
 *   settings-doc md|man TEMPLATE > DOCUMENT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "conf/config.h"
#include "drivers/drivers.h"

static const struct setting_table *find_table(struct span name)
{
	for (size_t i = 0; config_tables[i] != NULL; i++) {
		if (span_eq_str(name, config_tables[i]->name))
			return config_tables[i];
	}
	return NULL;
}

static const struct driver_spec *find_driver(struct span name)
{
	for (size_t i = 0; known_driver_specs[i] != NULL; i++) {
		if (span_eq_str(name, known_driver_specs[i]->name))
			return known_driver_specs[i];
	}
	return NULL;
}

/* What 2.4 calls the rows; a name without a row makes part of one. */
static bool put_form_24(const struct driver_spec *spec, bool man, struct buffer *out)
{
	if (spec == NULL || spec->form_24 == NULL)
		return false;
	const struct driver_name_24 *n = spec->form_24->names;
	buffer_append_str(out, man ? ".nf\n" : "| Dovecot 2.4 | here |\n|---|---|\n");
	for (; n->name != NULL; n++) {
		const char *row = n->row != NULL ? n->row : "";
		const char *no = n->negated ? " (yes is no)" : "";
		if (!man)
			buffer_printf(out, "| `%s` | %s%s%s%s |\n", n->name, *row ? "`" : "", row,
			    *row ? "`" : "", no);
		else if (*row != '\0')
			buffer_printf(out, "%s: %s%s\n", n->name, row, no);
		else
			buffer_printf(out, "%s\n", n->name);
	}
	if (man)
		buffer_append_str(out, ".fi\n");
	return true;
}

/* "@KIND NAME@"; SPAN_NULL: the line is none */
static struct span argument_of(struct span line, const char *kind)
{
	if (!span_starts(line, kind))
		return SPAN_NULL;
	struct span name = span_skip(line, strlen(kind));
	if (name.len > 0 && name.ptr[name.len - 1] == '@')
		name.len--;
	return name;
}

/* False: the line names a table that is not there. */
static bool put_line(struct span line, bool man, struct buffer *out)
{
	struct span settings = argument_of(line, "@settings "),
		    form = argument_of(line, "@form-24 ");
	struct span driver = argument_of(line, "@driver ");
	if (form.ptr != NULL)
		return put_form_24(find_driver(form), man, out);
	if (settings.ptr == NULL && driver.ptr == NULL) {
		buffer_append(out, line);
		buffer_append_char(out, '\n');
		return true;
	}
	const struct driver_spec *spec = driver.ptr != NULL ? find_driver(driver) : NULL;
	const struct setting_table *table = spec != NULL ? spec->settings : find_table(settings);
	if (table == NULL)
		return false;
	if (man)
		settings_document_man(table, out);
	else
		settings_document(table, out);
	return true;
}

int main(int argc, char **argv)
{
	char line[4096];
	struct buffer out = {0};
	if (argc != 3)
		return EX_USAGE;
	FILE *f = fopen(argv[2], "re");
	if (f == NULL) {
		perror(argv[2]);
		return EX_NOINPUT;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (!put_line(span_of(line), strcmp(argv[1], "man") == 0, &out)) {
			fprintf(stderr, "%s: no such table: %s\n", argv[2], line);
			return EX_DATAERR;
		}
	}
	fclose(f);
	fwrite(out.data + out.start, 1, out.len, stdout);
	buffer_free(&out);
	return EX_OK;
}
