/*
 * The list of pairs.
 */
#include "base/fields.h"

struct field *fields_find_span(const struct fields *f, struct span key)
{
	for (size_t i = 0; i < f->count; i++) {
		if (span_eq(f->items[i].key, key))
			return &f->items[i];
	}
	return NULL;
}

static void grow(struct fields *f)
{
	size_t capacity = f->capacity > 0 ? f->capacity * 2 : 8;
	struct field *items = arena_alloc(f->arena, capacity * sizeof(*items));
	if (f->count > 0)
		memcpy(items, f->items, f->count * sizeof(*items));
	f->items = items;
	f->capacity = capacity;
}

void fields_set(struct fields *f, struct span key, struct span value)
{
	struct field *old = fields_find_span(f, key);
	if (old != NULL) {
		old->value = arena_dup(f->arena, value);
		return;
	}
	if (f->count == f->capacity)
		grow(f);
	f->items[f->count++] = (struct field){arena_dup(f->arena, key), arena_dup(f->arena, value)};
}

void fields_put(struct fields *f, struct span key, struct span value)
{
	struct field *old = fields_find_span(f, key);
	if (old != NULL) {
		old->value = value;
		return;
	}
	if (f->count == f->capacity)
		grow(f);
	f->items[f->count++] = (struct field){key, value};
}

void fields_set_str(struct fields *f, const char *key, const char *value)
{
	fields_set(f, span_of(key), span_of(value));
}

bool fields_remove_span(struct fields *f, struct span key)
{
	struct field *field = fields_find_span(f, key);
	if (field == NULL)
		return false;
	size_t after = f->count - (size_t)(field - f->items) - 1;
	memmove(field, field + 1, after * sizeof(*field));
	f->count--;
	return true;
}

void fields_merge(struct fields *into, const struct fields *from)
{
	for (size_t i = 0; i < from->count; i++)
		fields_set(into, from->items[i].key, from->items[i].value);
}

struct fields fields_snapshot(const struct fields *f)
{
	struct fields copy = {.arena = f->arena, .count = f->count, .capacity = f->count};
	if (f->count > 0) {
		copy.items = arena_alloc(f->arena, f->count * sizeof(*copy.items));
		memcpy(copy.items, f->items, f->count * sizeof(*copy.items));
	}
	return copy;
}
