/*
 * The one line that ends each request. Runs in: front.
 */
#include "authd/login.h"
#include "base/log.h"

static const char *kind_name(const struct request *r)
{
	switch (r->kind) {
	case REQUEST_LOGIN:
		return "login";
	case REQUEST_USER:
		return "userdb lookup";
	case REQUEST_PASS:
		return "passdb lookup";
	default:
		return "list";
	}
}

static void put_pair(struct buffer *b, struct span name, struct span value)
{
	buffer_append(b, name);
	buffer_append(b, value);
}

static void end_line_text(struct request *r, struct buffer *b, struct span mech, uint64_t took)
{
	const struct span *v = r->vars.v;
	put_pair(b, span_of(kind_name(r)), SPAN_LIT(": user=<"));
	put_pair(b, v[VAR_USER], SPAN_LIT(">, method="));
	put_pair(b, mech, SPAN_LIT(", service="));
	put_pair(b, v[VAR_SERVICE], SPAN_LIT(", rip="));
	put_pair(b, v[VAR_RIP], SPAN_LIT(", session=<"));
	put_pair(b, v[VAR_SESSION], SPAN_LIT(">, path="));
	put_pair(b, span_make(r->path, r->path_len), SPAN_LIT(", verdict="));
	put_pair(b, span_of(verdict_name(r->verdict)), SPAN_LIT(", serial="));
	/* its two halves: which use of which place in the table */
	buffer_append_u64_text(b, r->serial >> 32);
	buffer_append_char(b, '.');
	buffer_append_u64_text(b, (uint32_t)r->serial);
	buffer_append(b, SPAN_LIT(", "));
	buffer_append_u64_text(b, took);
	buffer_append(b, SPAN_LIT(" us"));
}

void login_log_end(struct request *r)
{
	static struct buffer line; /* used again and again; no secret is ever in it */
	const struct span *v = r->vars.v;
	int64_t took = clock_us() - r->started_us;
	struct span mech = r->mech != NULL ? span_of(r->mech->name) : SPAN_LIT("-");
	line.start = line.len = 0;
	end_line_text(r, &line, mech, (uint64_t)took);
	if (!log_is_json()) {
		log_line(LOG_LEVEL_INFO, NULL, buffer_span(&line));
		return;
	}
	const struct log_value values[] = {
	    {.name = "serial", .is_number = true, .number = (int64_t)r->serial},
	    {.name = "kind", .text = span_of(kind_name(r))},
	    {.name = "protocol", .text = span_of(r->conn->protocol->name)},
	    {.name = "service", .text = v[VAR_SERVICE]},
	    {.name = "mechanism", .text = mech},
	    {.name = "user", .text = v[VAR_USER]},
	    {.name = "master", .text = v[VAR_MASTER_USER]},
	    {.name = "rip", .text = v[VAR_RIP]},
	    {.name = "session", .text = v[VAR_SESSION]},
	    {.name = "path", .text = span_make(r->path, r->path_len)},
	    {.name = "verdict", .text = span_of(verdict_name(r->verdict))},
	    {.name = "usec", .is_number = true, .number = took},
	    {0},
	};
	log_line(LOG_LEVEL_INFO, values, buffer_span(&line));
}
