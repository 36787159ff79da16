/*
 * What a checkpassword program may say: no reply is a yes without fields, and
 * every field is made of the reply's bytes.
 */
#include <stdlib.h>

#include "drivers/checkpassword.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum question_kind kinds[] = {ASK_VERIFY, ASK_PASSDB, ASK_USERDB};
	static const struct vars vars;
	struct arena a = {0};
	if (size < 2)
		return 0;
	struct question q = {
	    .kind = kinds[data[0] % ARRAY_LEN(kinds)],
	    .vars = &vars,
	    .arena = &a,
	    .entry = {.fields = fields_in(&a)},
	};
	struct span reply = span_make(data + 2, size - 2);
	enum verdict v = checkpassword_verdict(&q, (data[0] & 0x80) == 0, data[1], reply);
	must(v < VERDICT_COUNT);
	if (v == VERDICT_OK)
		must(reply.len > 0 && data[1] == (q.kind == ASK_VERIFY ? 0 : 2));
	if (v == VERDICT_INTERNAL)
		must(q.err.text[0] != '\0');
	for (size_t i = 0; i < q.entry.fields.count; i++) {
		struct field f = q.entry.fields.items[i];
		must(f.key.len > 0 && f.key.len + f.value.len < reply.len + 1);
		must(span_find(f.key, '\t') < 0 && span_find(f.key, '=') < 0);
	}
	arena_free(&a);
	return 0;
}
