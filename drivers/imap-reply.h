/*
 * What the lines of an IMAP server mean for a login.
 */
#ifndef DRIVERS_IMAP_REPLY_H
#define DRIVERS_IMAP_REPLY_H

#include "base/err.h"
#include "base/span.h"
#include "base/verdict.h"

enum imap_tagged { IMAP_TAGGED_NONE, IMAP_TAGGED_OK, IMAP_TAGGED_NO, IMAP_TAGGED_BAD };

struct imap_reply {
	bool preauth;	       /* the server takes us for somebody already */
	enum imap_tagged last; /* of the last tagged line */
	char text[160];	       /* what stands after NO or BAD */
};

/* One line of the server, in any pieces' order; the last tagged one counts. */
void imap_reply_line(struct imap_reply *r, struct span line);

/*
 * What a refused login means: MISMATCH only when the server said NO for the
 * user's or the password's sake; *err says it in the server's words.
 */
enum verdict imap_reply_verdict(const struct imap_reply *r, struct err *err) MUST_CHECK;
/* Is INTERNAL the server's trouble, not this user's? */
bool imap_reply_is_outage(const struct imap_reply *r);

#endif
