/*
 * The one line that ends each request. Runs in: front.
 */
#include "authd/login.h"
#include "base/log.h"

static struct span kind_name(const struct request *r)
{
	switch (r->kind) {
	case REQUEST_LOGIN:
		return SPAN_LIT("login");
	case REQUEST_USER:
		return SPAN_LIT("userdb lookup");
	case REQUEST_PASS:
		return SPAN_LIT("passdb lookup");
	default:
		return SPAN_LIT("list");
	}
}

static inline char *put(char *at, struct span s)
{
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	return at + s.len;
}

/* One look at the room for all of it: every request has such a line. */
static void end_line_text(struct request *r, struct buffer *b, struct span mech, uint64_t took)
{
	const struct span *v = r->vars.v;
	struct span kind = kind_name(r), verdict = verdict_word(r->verdict);
	enum { FIXED = 256 }; /* more than all that has no length below */
	char *line =
	    buffer_reserve(b, FIXED + kind.len + v[VAR_USER].len + mech.len + v[VAR_SERVICE].len +
				  v[VAR_RIP].len + v[VAR_SESSION].len + r->path_len + verdict.len);
	char *p = put(line, kind);
	p = put(put(p, SPAN_LIT(": user=<")), v[VAR_USER]);
	p = put(put(p, SPAN_LIT(">, method=")), mech);
	p = put(put(p, SPAN_LIT(", service=")), v[VAR_SERVICE]);
	p = put(put(p, SPAN_LIT(", rip=")), v[VAR_RIP]);
	p = put(put(p, SPAN_LIT(", session=<")), v[VAR_SESSION]);
	p = put(put(p, SPAN_LIT(">, path=")), span_make(r->path, r->path_len));
	p = put(put(p, SPAN_LIT(", verdict=")), verdict);
	/* its two halves: which use of which place in the table */
	p = put_u64_text(put(p, SPAN_LIT(", serial=")), r->serial >> 32);
	p = put_u64_text(put(p, SPAN_LIT(".")), (uint32_t)r->serial);
	p = put_u64_text(put(p, SPAN_LIT(", ")), took);
	p = put(p, SPAN_LIT(" us"));
	buffer_commit(b, (size_t)(p - line));
}

void login_log_end(struct request *r)
{
	static struct buffer line; /* used again and again; no secret is ever in it */
	const struct span *v = r->vars.v;
	int64_t took = front_now_us(r->conn->front) - r->started_us;
	struct span mech = r->mech != NULL ? span_of(r->mech->name) : SPAN_LIT("-");
	line.start = line.len = 0;
	end_line_text(r, &line, mech, (uint64_t)took);
	if (!log_is_json()) {
		log_line(LOG_LEVEL_INFO, NULL, buffer_span(&line));
		return;
	}
	const struct log_value values[] = {
	    {.name = "serial", .is_number = true, .number = (int64_t)r->serial},
	    {.name = "kind", .text = kind_name(r)},
	    {.name = "protocol", .text = span_of(r->conn->protocol->name)},
	    {.name = "service", .text = v[VAR_SERVICE]},
	    {.name = "mechanism", .text = mech},
	    {.name = "user", .text = v[VAR_USER]},
	    {.name = "master", .text = v[VAR_MASTER_USER]},
	    {.name = "rip", .text = v[VAR_RIP]},
	    {.name = "session", .text = v[VAR_SESSION]},
	    {.name = "path", .text = span_make(r->path, r->path_len)},
	    {.name = "verdict", .text = verdict_word(r->verdict)},
	    {.name = "usec", .is_number = true, .number = took},
	    {0},
	};
	log_line(LOG_LEVEL_INFO, values, buffer_span(&line));
}
