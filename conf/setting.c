/*
 * Values of settings: from text, to text, defaults.
 * Runs in: all processes. Values live in the caller's arena.
 */
#include "conf/setting.h"

#include <inttypes.h>
#include <sysexits.h>

#include "base/mem.h"

/* ---- units ---- */

struct unit {
	const char *name; /* any beginning of it may be written, in any case */
	uint64_t factor;
};

/* The first match counts: "m" is minutes. */
static const struct unit time_units[] = {
    {"seconds", 1000},
    {"secs", 1000},
    {"minutes", 60 * 1000},
    {"mins", 60 * 1000},
    {"hours", 3600 * 1000},
    {"days", UINT64_C(24) * 3600 * 1000},
    {"weeks", UINT64_C(7) * 24 * 3600 * 1000},
    {"ms", 1},
    {"msecs", 1},
    {"milliseconds", 1},
    {"millisecs", 1},
};

static const struct unit size_units[] = {
    {"b", 1},
    {"kb", UINT64_C(1) << 10},
    {"mb", UINT64_C(1) << 20},
    {"gb", UINT64_C(1) << 30},
    {"tb", UINT64_C(1) << 40},
};

static bool unit_find(const struct unit *units, size_t count, struct span word, uint64_t *factor)
{
	for (size_t i = 0; i < count; i++) {
		if (word.len > 0 &&
		    span_eq_ci(word, span_first(span_of(units[i].name), word.len))) {
			*factor = units[i].factor;
			return true;
		}
	}
	return false;
}

/* "123 unit" as a number and what follows it */
static bool number_and_unit(struct span v, uint64_t *number, struct span *unit)
{
	size_t n = 0;
	while (n < v.len && v.ptr[n] >= '0' && v.ptr[n] <= '9')
		n++;
	*unit = span_trim(span_skip(v, n));
	return span_to_u64(span_first(v, n), number);
}

static bool scaled(uint64_t number, uint64_t factor, uint64_t *out)
{
	return !__builtin_mul_overflow(number, factor, out) && *out <= INT64_MAX;
}

static bool parse_time(struct span v, uint64_t *out, struct err *err)
{
	uint64_t number, factor;
	struct span unit;
	if (!number_and_unit(v, &number, &unit))
		return err_set(
		    err, EX_CONFIG, "\"%.*s\" is not a time (as in \"2 secs\")", SPAN_ARG(v));
	if (number == 0 && unit.len == 0) {
		*out = 0;
		return true;
	}
	if (unit.len == 0)
		return err_set(err, EX_CONFIG,
		    "the time \"%.*s\" has no unit: write \"%.*s secs\", or msecs, mins, hours, "
		    "days",
		    SPAN_ARG(v), SPAN_ARG(v));
	if (!unit_find(time_units, ARRAY_LEN(time_units), unit, &factor))
		return err_set(err, EX_CONFIG,
		    "\"%.*s\" is not a unit of time (msecs, secs, mins, hours, days, weeks)",
		    SPAN_ARG(unit));
	return scaled(number, factor, out) || err_set(err, EX_CONFIG, "the time is too long");
}

static bool parse_size(struct span v, uint64_t *out, struct err *err)
{
	uint64_t number, factor = 1;
	struct span unit;
	if (!number_and_unit(v, &number, &unit))
		return err_set(
		    err, EX_CONFIG, "\"%.*s\" is not a size (as in \"512 M\")", SPAN_ARG(v));
	if (unit.len > 0 && !unit_find(size_units, ARRAY_LEN(size_units), unit, &factor))
		return err_set(err, EX_CONFIG, "\"%.*s\" is not a unit of size (B, k, M, G, T)",
		    SPAN_ARG(unit));
	return scaled(number, factor, out) || err_set(err, EX_CONFIG, "the size is too large");
}

/* ---- from text ---- */

static bool parse_bool(struct span v, bool *out, struct err *err)
{
	static const char *const yes[] = {"yes", "y", "1"}, *const no[] = {"no", "n", "0"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (span_eq_ci(v, span_of(yes[i])) || span_eq_ci(v, span_of(no[i]))) {
			*out = span_eq_ci(v, span_of(yes[i]));
			return true;
		}
	}
	return err_set(err, EX_CONFIG, "\"%.*s\" is neither yes nor no", SPAN_ARG(v));
}

static bool parse_uint(struct span v, unsigned *out, struct err *err)
{
	uint32_t n;
	if (!span_to_u32(v, &n))
		return err_set(err, EX_CONFIG, "\"%.*s\" is not a number", SPAN_ARG(v));
	*out = n;
	return true;
}

/*
 * Octal. Dovecot reads a mode without the leading 0 as decimal, which nobody
 * means: 666 would be 01232.
 */
static bool parse_mode(struct span v, unsigned *out, struct err *err)
{
	unsigned mode = 0;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] < '0' || v.ptr[i] > '7' || i >= 5)
			return err_set(err, EX_CONFIG,
			    "\"%.*s\" is not an octal mode (as in \"0660\")", SPAN_ARG(v));
		mode = mode * 8 + (unsigned)(v.ptr[i] - '0');
	}
	if (v.len == 0 || mode > 0777)
		return err_set(
		    err, EX_CONFIG, "\"%.*s\" is not an octal mode (as in \"0660\")", SPAN_ARG(v));
	if (v.ptr[0] != '0')
		return err_set(err, EX_CONFIG, "a mode is octal and begins with 0: write \"0%.*s\"",
		    SPAN_ARG(v));
	*out = mode;
	return true;
}

static bool parse_enum(const struct setting *row, struct span v, int *out, struct err *err)
{
	struct span rest = span_of(row->choices), word;
	const char *words[16];
	char copy[256];
	size_t used = 0, count = 0;
	for (int i = 0; span_word(&rest, " ", &word); i++) {
		if (span_eq_ci(word, v)) { /* Dovecot takes "scope = Subtree", too */
			*out = i;
			return true;
		}
		if (count < ARRAY_LEN(words) && used + word.len < sizeof(copy)) {
			memcpy(copy + used, word.ptr, word.len);
			copy[used + word.len] = '\0';
			words[count++] = copy + used;
			used += word.len + 1;
		}
	}
	const char *near = nearest_name(v, words, count);
	if (near != NULL)
		return err_set(err, EX_CONFIG, "\"%.*s\" is not one of: %s; did you mean \"%s\"?",
		    SPAN_ARG(v), row->choices, near);
	return err_set(err, EX_CONFIG, "\"%.*s\" is not one of: %s", SPAN_ARG(v), row->choices);
}

static void *member(const struct setting *row, void *target)
{
	return (char *)target + row->offset;
}

static const void *member_const(const struct setting *row, const void *source)
{
	return (const char *)source + row->offset;
}

static bool set_value(
    const struct setting *row, void *at, struct span v, struct arena *a, struct err *err)
{
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_WORDS:
		*(const char **)at = arena_cstr(a, v);
		return true;
	case SETTING_BOOL:
		return parse_bool(v, at, err);
	case SETTING_UINT:
		return parse_uint(v, at, err);
	case SETTING_SIZE:
		return parse_size(v, at, err);
	case SETTING_TIME:
		return parse_time(v, at, err);
	case SETTING_MODE:
		return parse_mode(v, at, err);
	case SETTING_ENUM:
		return parse_enum(row, v, at, err);
	case SETTING_TEMPLATE:
		return (*(struct template **)at = template_parse(a, v, err)) != NULL;
	case SETTING_FIELDS:
		return (*(struct template_fields **)at = template_fields_parse(a, v, err)) != NULL;
	}
	mem_panic("setting of unknown type");
}

bool setting_set(
    const struct setting *row, void *target, struct span v, struct arena *a, struct err *err)
{
	if (v.ptr == NULL)
		v = SPAN_LIT("");
	if (v.len == 0 && (row->flags & SETTING_REQUIRED) != 0)
		return err_set(err, EX_CONFIG, "must not be empty");
	if (memchr(v.ptr, '\0', v.len) != NULL)
		return err_set(err, EX_CONFIG, "the value has a NUL byte in it");
	void *at = member(row, target);
	char old[sizeof(uint64_t)] = {0};
	size_t size = setting_member_size(row);
	memcpy(old, at, size);
	if (set_value(row, at, v, a, err))
		return true;
	memcpy(at, old, size);
	return false;
}

size_t setting_member_size(const struct setting *row)
{
	switch (row->type) {
	case SETTING_BOOL:
		return sizeof(bool);
	case SETTING_UINT:
	case SETTING_MODE:
		return sizeof(unsigned);
	case SETTING_ENUM:
		return sizeof(int);
	case SETTING_SIZE:
	case SETTING_TIME:
		return sizeof(uint64_t);
	default:
		return sizeof(void *);
	}
}

void setting_copy(const struct setting *row, void *target, const void *source)
{
	memcpy(member(row, target), member_const(row, source), setting_member_size(row));
}

void *settings_new(const struct setting_table *table, struct arena *a)
{
	void *s = arena_alloc(a, table->size);
	for (size_t i = 0; i < table->count; i++) {
		struct err err = {0};
		const struct setting *row = &table->rows[i];
		if (!set_value(row, member(row, s), span_of(row->def), a, &err))
			mem_panic(arena_printf(a, "default of %s: %s", row->name, err.text).ptr);
	}
	return s;
}

const struct setting *settings_find(const struct setting_table *table, struct span name)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		if (span_eq_str(name, row->name) ||
		    (row->old_name != NULL && span_eq_str(name, row->old_name)))
			return row;
	}
	return NULL;
}

uint64_t settings_needs(const struct setting_table *table, const void *source)
{
	uint64_t needs = 0;
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		const void *at = member_const(row, source);
		if (row->type == SETTING_TEMPLATE)
			needs |= template_needs(*(struct template *const *)at);
		else if (row->type == SETTING_FIELDS)
			needs |= template_fields_needs(*(struct template_fields *const *)at);
	}
	return needs;
}

/* ---- to text ---- */

static struct span scaled_text(
    uint64_t v, const struct unit *units, const char *const *names, size_t count, struct arena *a)
{
	size_t best = 0;
	for (size_t i = 0; i < count; i++) {
		if (v % units[i].factor == 0 && units[i].factor >= units[best].factor)
			best = i;
	}
	return arena_printf(a, "%" PRIu64 " %s", v / units[best].factor, names[best]);
}

static struct span time_text(uint64_t v, struct arena *a)
{
	static const struct unit units[] = {
	    {"", 1}, {"", 1000}, {"", 60000}, {"", 3600000}, {"", 86400000}, {"", 604800000}};
	static const char *const names[] = {"msecs", "secs", "mins", "hours", "days", "weeks"};
	if (v == 0)
		return SPAN_LIT("0");
	return scaled_text(v, units, names, ARRAY_LEN(units), a);
}

static struct span size_text(uint64_t v, struct arena *a)
{
	static const char *const names[] = {"B", "k", "M", "G", "T"};
	if (v == 0)
		return SPAN_LIT("0");
	return scaled_text(v, size_units, names, ARRAY_LEN(size_units), a);
}

static struct span enum_text(const struct setting *row, int index)
{
	struct span rest = span_of(row->choices), word;
	for (int i = 0; span_word(&rest, " ", &word); i++) {
		if (i == index)
			return word;
	}
	mem_panic("setting outside its choices");
}

struct span setting_text(const struct setting *row, const void *source, struct arena *a)
{
	const void *at = member_const(row, source);
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_WORDS:
		return span_of(*(const char *const *)at);
	case SETTING_BOOL:
		return *(const bool *)at ? SPAN_LIT("yes") : SPAN_LIT("no");
	case SETTING_UINT:
		return arena_printf(a, "%u", *(const unsigned *)at);
	case SETTING_MODE:
		return arena_printf(a, "%04o", *(const unsigned *)at);
	case SETTING_SIZE:
		return size_text(*(const uint64_t *)at, a);
	case SETTING_TIME:
		return time_text(*(const uint64_t *)at, a);
	case SETTING_ENUM:
		return enum_text(row, *(const int *)at);
	case SETTING_TEMPLATE:
		return span_of(template_text(*(struct template *const *)at));
	case SETTING_FIELDS:
		return span_of((*(struct template_fields *const *)at)->text);
	}
	mem_panic("setting of unknown type");
}

bool setting_is_default(const struct setting *row, const void *source)
{
	const void *at = member_const(row, source);
	uint64_t def = 0;
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_WORDS:
		return strcmp(*(const char *const *)at, row->def) == 0;
	case SETTING_TEMPLATE:
		return strcmp(template_text(*(struct template *const *)at), row->def) == 0;
	case SETTING_FIELDS:
		return strcmp((*(struct template_fields *const *)at)->text, row->def) == 0;
	default:
		/* the others are values, which need no arena */
		return set_value(row, &def, span_of(row->def), NULL, NULL) &&
		       memcmp(at, &def, setting_member_size(row)) == 0;
	}
}

/* ---- transfer: index of the row and its text; the end is UINT32_MAX ---- */

void settings_export(const struct setting_table *table, const void *source, struct buffer *out)
{
	struct arena a = {0};
	for (size_t i = 0; i < table->count; i++) {
		if (setting_is_default(&table->rows[i], source))
			continue;
		struct span text = setting_text(&table->rows[i], source, &a);
		enum setting_type type = table->rows[i].type;
		/* a child has no environment of its own to look into */
		if (type == SETTING_TEMPLATE || type == SETTING_FIELDS)
			text = template_resolve_env(&a, text);
		wire_put_u32(out, (uint32_t)i);
		wire_put_span(out, text);
	}
	wire_put_u32(out, UINT32_MAX);
	arena_free(&a);
}

bool settings_import(const struct setting_table *table, void *target, struct wire_reader *r,
    struct arena *a, struct err *err)
{
	for (;;) {
		uint32_t i = wire_get_u32(r);
		if (i == UINT32_MAX && !r->failed)
			return true;
		struct span v = wire_get_span(r);
		if (r->failed || i >= table->count)
			return err_set(
			    err, EX_SOFTWARE, "settings \"%s\" are damaged", table->name);
		if (!setting_set(&table->rows[i], target, v, a, err))
			return err_prefix(err, "%s", table->rows[i].name);
	}
}
