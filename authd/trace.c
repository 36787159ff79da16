/*
 * Debug lines. What is hidden: SASL data, and the value of every key with
 * "pass" or "token" in it. There is no setting that shows them.
 */
#include "authd/trace.h"

#include "base/log.h"

static bool holds(struct span s, const char *word)
{
	return memmem(s.ptr, s.len, word, strlen(word)) != NULL;
}

bool trace_hides(struct span key)
{
	return span_eq_str(key, "resp") || holds(key, "pass") || holds(key, "token") ||
	       span_eq_str(key, "channel_binding");
}

static void put_field(struct buffer *b, struct span field)
{
	ssize_t equals = span_find(field, '=');
	if (equals > 0 && trace_hides(span_first(field, (size_t)equals))) {
		buffer_append(b, span_first(field, (size_t)equals));
		buffer_append_str(b, "=<hidden>");
	} else {
		buffer_append(b, field);
	}
}

void trace_line(const char *what, struct span line)
{
	struct buffer b = {0};
	struct span field, command = line;
	bool first = true;
	if (!log_debug_enabled())
		return;
	ssize_t tab = span_find(line, '\t');
	if (tab >= 0)
		command = span_first(line, (size_t)tab);
	bool is_cont = span_eq_str(command, "CONT"), is_request = span_eq_str(command, "REQUEST");
	for (unsigned n = 0; span_split(&line, '\t', &field); n++) {
		if (!first)
			buffer_append_char(&b, ' ');
		first = false;
		/* CONT: the SASL message; REQUEST: the cookie */
		if ((is_cont && n >= 2) || (is_request && n == 4))
			buffer_append_str(&b, "<hidden>");
		else
			put_field(&b, field);
	}
	log_debug("%s: %.*s", what, SPAN_ARG(buffer_span(&b)));
	buffer_free(&b);
}

void trace_out(const char *what, const struct buffer *out, size_t from)
{
	if (!log_debug_enabled() || out->len <= from)
		return;
	struct span line = span_make(out->data + out->start + from, out->len - from);
	if (line.ptr[line.len - 1] == '\n')
		line.len--;
	trace_line(what, line);
}
