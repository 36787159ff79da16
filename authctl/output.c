/*
 * Rows of named columns as tab, table, flow or JSON, as doveadm -f prints them.
 * Runs in: authctl. What it prints comes from databases: nothing in it may
 * reach a terminal as a control sequence.
 */
#include "authctl/authctl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/mem.h"

void output_text(FILE *f, const char *text)
{
	for (; *text != '\0'; text++)
		putc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, f);
}

void output_data(struct span data)
{
	bool terminal = isatty(STDOUT_FILENO) != 0;
	for (size_t i = 0; i < data.len; i++) {
		unsigned char c = (unsigned char)data.ptr[i];
		putchar(terminal && (c < ' ' || c == 127) && c != '\t' && c != '\n' ? '?' : c);
	}
}

/* Length of the UTF-8 sequence at p (1 to 4), 0 if it is none. */
static size_t utf8_length(const unsigned char *p)
{
	size_t n = p[0] < 0x80			 ? 1
		   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						 : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
		   (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90);
	return n > 1 && bad ? 0 : n;
}

void output_json_string(FILE *f, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	putc('"', f);
	while (*p != '\0') {
		size_t n = utf8_length(p);
		if (n == 0)
			fputs("\\ufffd", f);
		else if (n == 1 && (*p < ' ' || *p == 127))
			fprintf(f, "\\u%04x", *p);
		else if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else
			fwrite(p, 1, n, f);
		p += n == 0 ? 1 : n;
	}
	putc('"', f);
}

void output_json_fields(FILE *f, const struct authd_field *fields, size_t count)
{
	putc('{', f);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			putc(',', f);
		output_json_string(f, fields[i].name);
		putc(':', f);
		if (fields[i].value != NULL)
			output_json_string(f, fields[i].value);
		else
			fputs("true", f);
	}
	putc('}', f);
}

/* ---- tab, table, flow ---- */

static void tab_row(const char *const *cells, size_t count)
{
	struct buffer line = {0};
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append_char(&line, '\t');
		tab_escape(&line, span_of(cells[i]));
	}
	output_data(buffer_span(&line));
	putchar('\n');
	buffer_free(&line);
}

static void flow_row(const struct output *o, const char *const *cells)
{
	for (size_t i = 0; i < o->column_count; i++) {
		printf("%s%s=", i > 0 ? " " : "", o->columns[i]);
		output_text(stdout, cells[i]);
	}
	putchar('\n');
}

static void json_row(const struct output *o, const char *const *cells)
{
	putchar(o->row_count == 0 ? '[' : ',');
	for (size_t i = 0; i < o->column_count; i++) {
		putchar(i == 0 ? '{' : ',');
		output_json_string(stdout, o->columns[i]);
		putchar(':');
		output_json_string(stdout, cells[i]);
	}
	putchar('}');
}

static void table_keep(struct output *o, const char *const *cells)
{
	for (size_t i = 0; i < o->column_count; i++) {
		o->cells = mem_grow(o->cells, o->cell_count, &o->cell_size, sizeof(*o->cells));
		o->cells[o->cell_count++] = mem_strdup(cells[i]);
	}
}

static void table_print(const struct output *o)
{
	for (size_t first = 0; first < o->cell_count; first += o->column_count) {
		for (size_t i = 0; i < o->column_count; i++) {
			size_t width = 0;
			for (size_t k = i; k < o->cell_count; k += o->column_count)
				if (strlen(o->cells[k]) > width)
					width = strlen(o->cells[k]);
			const char *cell = o->cells[first + i];
			output_text(stdout, cell);
			if (i + 1 < o->column_count) /* no blanks at the end of a line */
				printf("%*s", (int)(width - strlen(cell) + 1), "");
		}
		putchar('\n');
	}
}

void output_begin(
    struct output *o, enum output_format fallback, const char *const *columns, size_t column_count)
{
	*o = (struct output){
	    .format = authctl_globals.format == OUTPUT_DEFAULT ? fallback : authctl_globals.format,
	    .columns = columns,
	    .column_count = column_count,
	};
	if (o->format == OUTPUT_TABLE)
		table_keep(o, columns);
	else if (o->format == OUTPUT_TAB)
		tab_row(columns, column_count);
}

void output_row(struct output *o, const char *const *cells)
{
	switch (o->format) {
	case OUTPUT_TABLE:
		table_keep(o, cells);
		break;
	case OUTPUT_FLOW:
		flow_row(o, cells);
		break;
	case OUTPUT_JSON:
		json_row(o, cells);
		break;
	case OUTPUT_TAB:
	case OUTPUT_DEFAULT:
		tab_row(cells, o->column_count);
		break;
	}
	o->row_count++;
}

void output_end(struct output *o)
{
	if (o->format == OUTPUT_TABLE)
		table_print(o);
	else if (o->format == OUTPUT_JSON)
		puts(o->row_count == 0 ? "[]" : "]");
	for (size_t i = 0; i < o->cell_count; i++)
		mem_free(&o->cells[i]);
	mem_free(&o->cells);
}
