/*
 * Arbitrary bytes on a client, login or token socket of a front whose workers
 * are not there. The first byte picks the socket and how the bytes are cut.
 */
#include "tests/fuzz/front-kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum listener_type types[] = {
	    LISTENER_AUTH, LISTENER_LOGIN, LISTENER_TOKEN, LISTENER_TOKEN_LOGIN};
	if (size == 0)
		return 0;
	struct kit k;
	struct span in = span_make(data + 1, size - 1);
	size_t cut = (data[0] & 4) != 0 ? 1 + (data[0] >> 3) : in.len;
	kit_begin(&k);
	enum listener_type type = types[data[0] & 3];
	int fd = kit_connect_to(&k, type, type == LISTENER_AUTH && (data[0] & 0x80) != 0);
	for (; in.len > 0; in = span_skip(in, cut)) {
		kit_send(fd, span_first(in, cut));
		front_turn(k.front, false);
		kit_check_replies(fd);
	}
	kit_turns(&k);
	kit_time_passes(&k);
	kit_check_replies(fd);
	close(fd);
	kit_turns(&k);
	kit_end(&k);
	return 0;
}
