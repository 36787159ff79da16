/*
 * What the filters of 2.4's expressions share: template-filters.c (where a
 * value comes from, choices, running) and template-filters-value.c (what is
 * done to a value). Private to these.
 */
#ifndef CONF_TEMPLATE_FILTERS_H
#define CONF_TEMPLATE_FILTERS_H

#include "base/buffer.h"
#include "conf/template-parts.h"

struct pipe_state {
	const struct expansion *x; /* raw: nothing is escaped on the way */
	struct arena *arena;
	struct span value;
	bool set;
	bool bytes;   /* a digest, say */
	bool literal; /* only made of what the administrator wrote */
	struct err *err;
};

struct pipe_filter {
	const char *name;
	bool (*run)(struct pipe_state *p, const struct pipe_step *s);
	uint8_t min, max;  /* arguments by position */
	const char *named; /* the other ones, separated by spaces; NULL: none */
	bool first;	   /* makes a value by itself when it stands first */
};

/* template-filters-value.c */
extern const struct pipe_filter value_filters[];
extern const size_t value_filter_count;

/* ---- template-filters.c ---- */

bool filter_failed(struct pipe_state *p, const char *why); /* always false */
void filter_put(struct pipe_state *p, struct span value);
void filter_put_text(struct pipe_state *p, struct span value); /* it is no bytes any more */
void filter_put_buffer(struct pipe_state *p, struct buffer *b);

/* An argument by position or by name; NULL: it was not given. */
const struct pipe_arg *filter_arg(const struct pipe_step *s, size_t i);
const struct pipe_arg *filter_named(const struct pipe_step *s, const char *name);
bool filter_is_literal(const struct pipe_arg *a);

/* Their values; false: *err */
bool filter_text(struct pipe_state *p, const struct pipe_arg *a, struct span *out) MUST_CHECK;
bool filter_number(struct pipe_state *p, const struct pipe_arg *a, int64_t *out) MUST_CHECK;
bool filter_small_number(struct pipe_state *p, const struct pipe_arg *a, int64_t min, int64_t max,
    int64_t *out) MUST_CHECK;
bool filter_to_number(struct pipe_state *p, struct span s, int64_t *out) MUST_CHECK;

#endif
