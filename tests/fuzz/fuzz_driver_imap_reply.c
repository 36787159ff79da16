/*
 * An IMAP server's lines: whatever it says, a refused login is never a yes, and
 * a mismatch needs a tagged NO.
 */
#include <stdlib.h>

#include "drivers/imap-reply.c" /* part of the module, not of the library */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_reply r = {.last = IMAP_TAGGED_NONE};
	struct span rest = span_make(data, size), line;
	struct err err = {0};
	while (rest.len > 0 && span_split(&rest, '\n', &line))
		imap_reply_line(&r, line);
	enum verdict v = imap_reply_verdict(&r, &err);
	must(v == VERDICT_INTERNAL || v == VERDICT_MISMATCH || v == VERDICT_EXPIRED);
	must(v == VERDICT_INTERNAL || r.last == IMAP_TAGGED_NO);
	must(err.text[0] != '\0');
	for (const char *p = r.text; *p != '\0'; p++)
		must(*p >= 0x20 && *p < 0x7f);
	return 0;
}
