/*
 * Any mechanism, driven as the front drives it: the input's first byte picks
 * the mechanism, then come messages of one length byte each; before each
 * answer of the front a byte picks the verdict, and what follows is the
 * credential (a fake one when the verdict is no yes) or the channel binding. A
 * mechanism must not say that it is done unless somebody is named, nor after a
 * verdict other than ok.
 */
#include <stdlib.h>

#include "mechanisms/mech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 64 };

static void check(bool good)
{
	if (!good)
		abort();
}

static uint8_t take_byte(struct span *in)
{
	uint8_t b = in->len > 0 ? (uint8_t)in->ptr[0] : 0;
	*in = span_skip(*in, 1);
	return b;
}

/* its own allocation, so that reading past its end is seen */
static struct span take_message(struct span *in)
{
	size_t len = take_byte(in);
	struct span s = span_first(*in, len);
	*in = span_skip(*in, len);
	char *copy = malloc(s.len > 0 ? s.len : 1);
	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	return span_make(copy, s.len);
}

static void give_verdict(struct mech_io *io, struct span *in, struct span *message)
{
	io->verdict = (enum verdict)(take_byte(in) % VERDICT_COUNT);
	io->credential = SECRET_NULL;
	if (io->verdict == VERDICT_INTERNAL || io->scheme == NULL)
		return;
	struct span credential = take_message(in);
	free((void *)(uintptr_t)message->ptr);
	*message = credential;
	io->credential = secret_of(credential);
}

static void give_binding(struct mech_io *io, struct span *in, struct span *message)
{
	struct span binding = take_byte(in) % 4 == 0 ? SPAN_NULL : take_message(in);
	check(io->binding_type != NULL);
	free((void *)(uintptr_t)message->ptr);
	*message = binding;
	io->binding = binding;
}

/* The helper names the user with an OK, and has a message with a NEXT. */
static void give_exchange(struct mech_io *io, struct span *in, struct span *message)
{
	bool authorize = io->exchange.authorize;
	io->verdict = (enum verdict)(take_byte(in) % VERDICT_COUNT);
	io->exchange = (struct mech_exchange){.handle = SPAN_LIT("0123456789abcdef")};
	if (io->verdict != VERDICT_OK && io->verdict != VERDICT_NEXT)
		return;
	free((void *)(uintptr_t)message->ptr);
	*message = take_message(in);
	io->exchange.message = secret_of(arena_dup(io->arena, *message));
	if (io->verdict == VERDICT_OK && !authorize)
		io->user = arena_dup(io->arena, *message);
}

static void drive(const struct mech *m, struct mech_io *io, void *state, struct span in)
{
	bool refused = false;
	struct span message = take_byte(&in) % 4 == 0 ? SPAN_NULL : take_message(&in);
	io->in = message;
	for (int i = 0; i < STEPS_MAX; i++) {
		io->out = SPAN_NULL;
		enum mech_next next = m->step(m, state, io);
		if (next == MECH_DONE)
			check(!refused && io->user.ptr != NULL);
		if (next == MECH_DONE || next == MECH_FAIL)
			break;
		if (next == MECH_CLIENT) {
			check(io->out.ptr != NULL);
			free((void *)(uintptr_t)message.ptr);
			message = take_message(&in);
			io->in = message;
		} else if (next == MECH_EXCHANGE) {
			check(m->helper != NULL);
			give_exchange(io, &in, &message);
			/* only the last word decides: NEXT to it is no yes */
			refused = io->verdict != VERDICT_OK;
		} else if (next == MECH_BINDING) {
			give_binding(io, &in, &message);
		} else {
			check(io->user.ptr != NULL);
			if (next == MECH_CREDENTIAL)
				check(io->scheme != NULL);
			if (next == MECH_STORE)
				check(secret_is_set(io->replacement));
			if (next == MECH_VERIFY)
				check(secret_is_set(io->password));
			if (next != MECH_USER) {
				give_verdict(io, &in, &message);
				refused = io->verdict != VERDICT_OK;
			}
		}
		if (in.len == 0 && i > 8)
			break;
	}
	free((void *)(uintptr_t)message.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	struct arena arena = {0};
	size_t count = 0;
	while (mech_table[count] != NULL)
		count++;
	uint8_t pick = take_byte(&in);
	const struct mech *m = mech_table[(pick & 0x3f) % count];
	struct fields fields = fields_in(&arena);
	struct mech_context context = {
	    .service = SPAN_LIT("imap"),
	    .session = SPAN_LIT("sess1"),
	    .cert_username = (pick & 0x80) != 0 ? SPAN_LIT("cert") : SPAN_NULL,
	    .anonymous_username = SPAN_LIT("anonymous"),
	    .realms = SPAN_LIT("example.com example.org"),
	    .nonce = SPAN_LIT("0123456789abcdef"),
	    .now = 697170952,
	    .server_started = 0,
	    .plus_offered = (pick & 0x40) != 0,
	    .hostname = SPAN_LIT("mail.example.com"),
	    .server_pid = 4711,
	    .connect_uid = 1,
	    .token_secret = secret_of(SPAN_LIT("0123456789abcdef0123456789abcdef")),
	};
	struct mech_io io = {.arena = &arena, .context = &context, .fields = &fields};
	drive(m, &io, arena_alloc(&arena, m->state_size), in);
	arena_free(&arena);
	return 0;
}
