/*
 * Documentation made from the tables: Markdown for docs/, roff for man pages.
 */
#include "conf/setting.h"

static const char *type_word(enum setting_type type)
{
	static const char *const words[] = {[SETTING_STRING] = "text",
	    [SETTING_BOOL] = "yes or no",
	    [SETTING_UINT] = "number",
	    [SETTING_SIZE] = "size",
	    [SETTING_TIME] = "time",
	    [SETTING_MODE] = "octal mode",
	    [SETTING_ENUM] = "word",
	    [SETTING_WORDS] = "words",
	    [SETTING_TEMPLATE] = "text with %variables",
	    [SETTING_FIELDS] = "fields with %variables"};
	return words[type];
}

/* A table cell: "|" would end it. */
static void put_cell(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			buffer_append_char(out, '\\');
		buffer_append_char(out, *text);
	}
}

static void put_choices(struct buffer *out, const struct setting *row)
{
	struct span rest = span_of(row->choices), word;
	for (bool first = true; span_word(&rest, " ", &word); first = false)
		buffer_printf(out, "%s%.*s", first ? "" : ", ", SPAN_ARG(word));
}

void settings_document(const struct setting_table *table, struct buffer *out)
{
	buffer_append_str(out, "| setting | type | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		buffer_printf(out, "| `%s` | ", row->name);
		if (row->type == SETTING_ENUM)
			put_choices(out, row);
		else
			buffer_append_str(out, type_word(row->type));
		buffer_append_str(out, " | ");
		if (row->def[0] != '\0') {
			buffer_append_char(out, '`');
			put_cell(out, row->def);
			buffer_append_char(out, '`');
		}
		buffer_append_str(out, " | ");
		put_cell(out, row->help);
		if (row->old_name != NULL)
			buffer_printf(out, " Also understood as `%s`.", row->old_name);
		buffer_append_str(out, " |\n");
	}
}

/* Text that roff must not take for a request or an escape. */
static void put_roff(struct buffer *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if ((*p == '.' || *p == '\'') && p == text)
			buffer_append_str(out, "\\&");
		if (*p == '\\')
			buffer_append_str(out, "\\e");
		else if (*p == '-')
			buffer_append_str(out, "\\-");
		else
			buffer_append_char(out, *p);
	}
}

void settings_document_man(const struct setting_table *table, struct buffer *out)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		buffer_append_str(out, ".TP\n.BR ");
		put_roff(out, row->name);
		buffer_append_str(out, " \" = ");
		if (row->type == SETTING_ENUM)
			put_choices(out, row);
		else
			put_roff(out, type_word(row->type));
		buffer_append_str(out, "\"\n");
		put_roff(out, row->help);
		if (row->old_name != NULL) {
			buffer_append_str(out, " Also understood as ");
			put_roff(out, row->old_name);
			buffer_append_char(out, '.');
		}
		if (row->def[0] != '\0') {
			buffer_append_str(out, "\n.br\nDefault: ");
			put_roff(out, row->def);
		}
		buffer_append_char(out, '\n');
	}
}
