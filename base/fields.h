/*
 * An ordered list of key[=value] pairs: extra fields of a user, parameters of
 * a request. Keys are unique; setting one again replaces its value in place.
 * Owner: the arena it was made with. Sizes are tens, so lookups are linear.
 */
#ifndef BASE_FIELDS_H
#define BASE_FIELDS_H

#include "base/arena.h"

struct field {
	struct span key;
	struct span value; /* ptr NULL: a flag without a value */
};

struct fields {
	struct arena *arena;
	struct field *items;
	size_t count;
	size_t capacity;
};

static inline struct fields fields_in(struct arena *a)
{
	return (struct fields){.arena = a};
}

/* Both copy key and value into the arena. */
void fields_set(struct fields *f, struct span key, struct span value);
void fields_set_str(struct fields *f, const char *key, const char *value);
/* The same without copying: for bytes that live as long as the arena. */
void fields_put(struct fields *f, struct span key, struct span value);

struct field *fields_find_span(const struct fields *f, struct span key);
bool fields_remove_span(struct fields *f, struct span key);

/* inline, so that the length of a literal is known when it is compiled; most lists are empty */
static inline struct field *fields_find(
    const struct fields *f, const char *key) /* NULL if absent */
{
	return f->count > 0 ? fields_find_span(f, span_of(key)) : NULL;
}

static inline bool fields_has(const struct fields *f, const char *key)
{
	return fields_find(f, key) != NULL;
}

/* SPAN_NULL if absent; a flag without a value yields an empty, non-NULL span */
static inline struct span fields_get(const struct fields *f, const char *key)
{
	const struct field *field = fields_find(f, key);
	if (field == NULL)
		return SPAN_NULL;
	return field->value.ptr != NULL ? field->value : SPAN_LIT("");
}

static inline bool fields_remove(struct fields *f, const char *key)
{
	return f->count > 0 && fields_remove_span(f, span_of(key));
}

void fields_merge(struct fields *into, const struct fields *from);
struct fields fields_snapshot(const struct fields *f); /* same arena, later changes not seen */

#endif
