/*
 * The template parser's state, shared by its files: template.c (text,
 * ranges, modifiers, short keys), template-body.c (what is in braces) and
 * template-pipe.c (the same in Dovecot 2.4's language).
 */
#ifndef CONF_TEMPLATE_PARSER_H
#define CONF_TEMPLATE_PARSER_H

#include "conf/template-parts.h"

struct template_parser {
	struct arena *arena;
	struct span text;
	size_t at;
	size_t base; /* of text in what the administrator wrote */
	unsigned depth;
	uint64_t needs;
	const struct template_sources *sources; /* NULL: none */
	struct err *err;
};

/* What ends a sequence: the end of the text, or a byte that separates arguments. */
struct ending {
	const char *bytes; /* NULL: the end of the text */
	bool escapes;	   /* \ takes the next byte literally */
	bool braces;	   /* { } pairs of plain text are text */
};

/* Parts while they are collected. */
struct sequence {
	struct template_part *parts;
	size_t count, capacity;
};

/* "WHAT at offset N"; always false */
bool tparse_fail(struct template_parser *p, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);

static inline bool tparse_at_end(const struct template_parser *p)
{
	return p->at >= p->text.len;
}

/* the next byte, '\0' at the end */
static inline char tparse_peek(const struct template_parser *p)
{
	return tparse_at_end(p) ? '\0' : p->text.ptr[p->at];
}

static inline bool tparse_take(struct template_parser *p, char c)
{
	if (tparse_at_end(p) || p->text.ptr[p->at] != c)
		return false;
	p->at++;
	return true;
}

/* what was passed since start */
static inline struct span tparse_since(const struct template_parser *p, size_t start)
{
	return span_make(p->text.ptr + start, p->at - start);
}

/* Up to any of the stop bytes (or a NUL) or the end. */
static inline struct span tparse_until(struct template_parser *p, const char *stop)
{
	size_t start = p->at;
	while (!tparse_at_end(p) && strchr(stop, p->text.ptr[p->at]) == NULL)
		p->at++;
	return tparse_since(p, start);
}

void tparse_add_text(struct template_parser *p, struct sequence *s, struct span text);
struct template *tparse_finish(struct template_parser *p, const struct sequence *s);
/* A template up to its ending, which is left in place. NULL: err is set */
struct template *tparse_sequence(struct template_parser *p, const struct ending *ending) MUST_CHECK;
/* One of the driver's own; start is where it begins. */
bool tparse_source(struct template_parser *p, struct template_part *part, size_t start,
    struct span name, struct span argument, struct span otherwise) MUST_CHECK;
bool tparse_is_source(const struct template_parser *p, struct span name);
/* What follows "%{", or the ":" of a hash, up to but not including the "}". */
bool tparse_body(struct template_parser *p, struct template_part *part) MUST_CHECK;
/* The same after the mark of an expression of 2.4. */
bool tparse_pipe(struct template_parser *p, struct template_part *part) MUST_CHECK;

#endif
