/*
 * Makes documentation of settings: copies a template and puts, for each line
 * "@settings NAME@", the rows of that table in its place; "@driver NAME@"
 * likewise for a driver's own settings.
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

static const struct setting_table *find_driver(struct span name)
{
	for (size_t i = 0; known_driver_specs[i] != NULL; i++) {
		if (span_eq_str(name, known_driver_specs[i]->name))
			return known_driver_specs[i]->settings;
	}
	return NULL;
}

/* False: the line names a table that is not there. */
static bool put_line(struct span line, bool man, struct buffer *out)
{
	bool settings = span_starts(line, "@settings "), driver = span_starts(line, "@driver ");
	if (!settings && !driver) {
		buffer_append(out, line);
		buffer_append_char(out, '\n');
		return true;
	}
	struct span name = span_skip(line, strlen(settings ? "@settings " : "@driver "));
	if (name.len > 0 && name.ptr[name.len - 1] == '@')
		name.len--;
	const struct setting_table *table = settings ? find_table(name) : find_driver(name);
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
