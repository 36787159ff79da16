/*
 * "Did you mean ...?": the nearest of a list of names.
 */
#include "conf/setting.h"

enum { NAME_MAX_LEN = 64 };

static size_t min2(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein (optimal string alignment): a slip of two neighbours counts one. */
static size_t distance(struct span a, const char *b, size_t blen)
{
	size_t row[3][NAME_MAX_LEN + 1];
	for (size_t j = 0; j <= blen; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			size_t cost = a.ptr[i - 1] != b[j - 1];
			now[j] = min2(min2(up[j] + 1, now[j - 1] + 1), up[j - 1] + cost);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b[j - 2] && a.ptr[i - 2] == b[j - 1])
				now[j] = min2(now[j], up2[j - 2] + 1);
		}
	}
	return row[a.len % 3][blen];
}

const char *nearest_name(struct span name, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t best_distance = 0;
	if (name.len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(names[i]);
		if (len > NAME_MAX_LEN)
			continue;
		size_t longest = len > name.len ? len : name.len;
		size_t apart = len > name.len ? len - name.len : name.len - len;
		if (3 * apart > longest)
			continue; /* the lengths alone tell */
		size_t d = distance(name, names[i], len);
		if (3 * d <= longest && (best == NULL || d < best_distance)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

const char *settings_nearest(const struct setting_table *table, struct span name)
{
	const char *best = NULL;
	for (size_t i = 0; i < table->count; i++) {
		const char *names[] = {table->rows[i].name, best};
		best = nearest_name(name, names, best != NULL ? 2 : 1);
		if (best == NULL && names[1] != NULL)
			best = names[1];
	}
	return best;
}
