/*
 * The server's lines. Runs in: worker. All of them are bytes from outside.
 */
#include "drivers/imap-reply.h"

static bool take_word(struct span *rest, struct span *word)
{
	*word = SPAN_NULL;
	return rest->len > 0 && span_split(rest, ' ', word);
}

/* libcurl's tags: a capital letter and digits */
static bool is_tag(struct span word)
{
	if (word.len < 2 || word.ptr[0] < 'A' || word.ptr[0] > 'Z')
		return false;
	for (size_t i = 1; i < word.len; i++) {
		if (word.ptr[i] < '0' || word.ptr[i] > '9')
			return false;
	}
	return true;
}

static void keep_text(struct imap_reply *r, struct span text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len && n < sizeof(r->text) - 1; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		r->text[n++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	r->text[n] = '\0';
}

void imap_reply_line(struct imap_reply *r, struct span line)
{
	struct span rest = span_trim(line), tag, word;
	if (!take_word(&rest, &tag) || !take_word(&rest, &word))
		return;
	if (span_eq_str(tag, "*") && span_eq_ci(word, SPAN_LIT("PREAUTH")))
		r->preauth = true;
	if (!is_tag(tag))
		return;
	r->text[0] = '\0';
	if (span_eq_ci(word, SPAN_LIT("OK"))) {
		r->last = IMAP_TAGGED_OK;
		return;
	}
	r->last = span_eq_ci(word, SPAN_LIT("NO")) ? IMAP_TAGGED_NO : IMAP_TAGGED_BAD;
	keep_text(r, rest);
}

/* RFC 5530 section 3, RFC 2221, and what large providers say; what is not in the table (ALERT, none
 * at all) is the usual refusal. */
static const struct code {
	const char *name;
	enum verdict verdict;
	bool outage;
} codes[] = {
    {"AUTHENTICATIONFAILED", VERDICT_MISMATCH, false},
    {"AUTHORIZATIONFAILED", VERDICT_MISMATCH, false},
    {"EXPIRED", VERDICT_EXPIRED, false},
    {"UNAVAILABLE", VERDICT_INTERNAL, true},
    {"SERVERBUG", VERDICT_INTERNAL, true},
    {"INUSE", VERDICT_INTERNAL, false},
    {"LIMIT", VERDICT_INTERNAL, false},
    {"THROTTLED", VERDICT_INTERNAL, false},
    {"REFERRAL", VERDICT_INTERNAL, false}, /* another server judges this user */
    {"PRIVACYREQUIRED", VERDICT_INTERNAL, false},
    {"CONTACTADMIN", VERDICT_INTERNAL, false},
    {"CLIENTBUG", VERDICT_INTERNAL, false},
    {"CANNOT", VERDICT_INTERNAL, false},
    {"NOPERM", VERDICT_INTERNAL, false},
};

static const struct code *find_code(struct span text)
{
	struct span name;
	if (text.len == 0 || text.ptr[0] != '[')
		return NULL;
	text = span_skip(text, 1);
	ssize_t end = span_find(text, ']'), space = span_find(text, ' ');
	if (end < 0)
		return NULL;
	name = span_first(text, (size_t)(space >= 0 && space < end ? space : end));
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (span_eq_ci(name, span_of(codes[i].name)))
			return &codes[i];
	}
	return NULL;
}

bool imap_reply_is_outage(const struct imap_reply *r)
{
	const struct code *code = find_code(span_of(r->text));
	return r->last == IMAP_TAGGED_NONE ||
	       (r->last == IMAP_TAGGED_NO && code != NULL && code->outage);
}

enum verdict imap_reply_verdict(const struct imap_reply *r, struct err *err)
{
	enum verdict v = VERDICT_INTERNAL;
	const struct code *code = find_code(span_of(r->text));
	if (r->last == IMAP_TAGGED_NO)
		v = code != NULL ? code->verdict : VERDICT_MISMATCH;
	if (v == VERDICT_MISMATCH)
		err_set(err, 0, "Password mismatch (the IMAP server says: NO %s)", r->text);
	else if (r->last == IMAP_TAGGED_NO)
		err_set(err, 0, "the IMAP server says: NO %s", r->text);
	else if (r->last == IMAP_TAGGED_BAD)
		err_set(err, 0, "the IMAP server says: BAD %s", r->text);
	else
		err_set(err, 0, "the IMAP server did not take the login");
	return v;
}
