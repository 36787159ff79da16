/*
 * libauthd-client: the Dovecot authentication protocols for C programs. Works
 * with authd and with dovecot-auth 2.2 to 2.4. Needs libc only.
 *
 * Two sockets, two kinds of connection:
 *   AUTHD_CLIENT  "is this login good?"   auth-client, auth-login, Postfix's private/auth
 *   AUTHD_MASTER  "who is this user?"     auth-userdb, auth-master
 *
 * Two layers:
 *   1. struct authd_conn: bytes in, bytes out, events. No I/O, no clock, no
 *      threads, no signals: for programs with an event loop of their own.
 *   2. struct authd_link: blocking calls with a time limit, over one socket.
 *
 * Rules that hold everywhere:
 *   - The library never ends the process. Out of memory is AUTHD_NO_MEMORY.
 *   - AUTHD_REFUSED means that somebody decided "no". AUTHD_TEMPORARY means that
 *     nobody decided: tell your client to try again later (SMTP 454, IMAP
 *     [UNAVAILABLE]), never that the password was wrong.
 *   - Passwords and whatever else passed through a connection are wiped from
 *     memory when they have been sent or are no longer valid.
 *   - A connection belongs to one thread at a time. There is no global state.
 *
 * Source: Dovecot's auth-protocol.txt, client protocol (AUTH, CONT, CANCEL) and
 * master protocol (USER, PASS, LIST, REQUEST, CACHE-FLUSH, CACHE-STATUS), and what
 * dovecot-auth 2.3 and 2.4 really do where that says nothing.
 */
#ifndef AUTHD_CLIENT_H
#define AUTHD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest lines, in bytes without the line feed: longer ones received are a
 * protocol error, longer ones to be sent are AUTHD_USAGE. */
enum {
	AUTHD_CLIENT_LINE_MAX = 16383,
	AUTHD_MASTER_LINE_MAX = 8191,	   /* received */
	AUTHD_MASTER_SEND_LINE_MAX = 1023, /* sent: what dovecot-auth takes */
};

enum authd_kind { AUTHD_CLIENT = 1, AUTHD_MASTER };

enum authd_status {
	AUTHD_OK = 0,
	AUTHD_REFUSED,	 /* decided: no. The event's code and reason may say more */
	AUTHD_NOT_FOUND, /* lookups: decided: there is no such user */
	AUTHD_TEMPORARY, /* nobody decided: code=temp_fail, time-out, connection lost or not made */
	AUTHD_WRONG_SOCKET, /* a master socket where a client socket was expected, or the reverse */
	AUTHD_PROTOCOL,	    /* the peer does not speak the protocol as it should */
	AUTHD_USAGE,	    /* the caller asked for what cannot be sent; nothing was */
	AUTHD_NO_MEMORY,
};

/* "refused", "temporary failure" ... Static text, never NULL. */
const char *authd_status_name(enum authd_status status);

/* One "name=value" or bare "name". As an argument: value NULL is a bare name, and value is read
 * up to its NUL (.length is ignored). In an event: value ends with a NUL that .length does not
 * count; value NULL is a bare name. */
struct authd_field {
	const char *name;
	const char *value;
	size_t length;
};

enum authd_mech_flag {		     /* of a mechanism: the words of its MECH line */
	AUTHD_MECH_PRIVATE = 1 << 0, /* do not advertise */
	AUTHD_MECH_ANONYMOUS = 1 << 1,
	AUTHD_MECH_PLAINTEXT = 1 << 2,
	AUTHD_MECH_DICTIONARY = 1 << 3,
	AUTHD_MECH_ACTIVE = 1 << 4,
	AUTHD_MECH_FORWARD_SECRECY = 1 << 5,
	AUTHD_MECH_MUTUAL_AUTH = 1 << 6,
	AUTHD_MECH_CHANNEL_BINDING = 1 << 7,
};

struct authd_mech {
	const char *name; /* as the server wrote it, upper case by custom */
	unsigned flags;	  /* enum authd_mech_flag */
};

/* ---- layer 1: bytes in, bytes out, events ---- */

struct authd_conn;

enum authd_event_type {
	AUTHD_EVENT_NONE = 0, /* nothing until more bytes are fed */
	AUTHD_EVENT_READY,    /* the handshake is done: requests may be made */
	AUTHD_EVENT_CONTINUE, /* CONT: .data is the server's challenge; answer it */
	AUTHD_EVENT_OK,	      /* authenticated: .user, .fields, .data is server-final data if any */
	AUTHD_EVENT_FAIL,     /* .status REFUSED or TEMPORARY; .code, .reason, .user, .fields */
	AUTHD_EVENT_USER,     /* USER and REQUEST: .user, .fields are the userdb's */
	AUTHD_EVENT_PASS,     /* PASS: .user, .fields are the passdb's */
	AUTHD_EVENT_NOT_FOUND, /* USER, PASS, REQUEST: no such user */
	AUTHD_EVENT_LIST,      /* LIST: one .user; more will follow */
	AUTHD_EVENT_DONE,      /* LIST: the end; .status TEMPORARY when the list is not complete */
	AUTHD_EVENT_FLUSHED,   /* CACHE-FLUSH: .count entries */
	AUTHD_EVENT_CLOSED, /* the connection is of no more use; .status and .reason say why. Once
			     */
	AUTHD_EVENT_CACHE,  /* CACHE-STATUS: .fields hits misses pos_entries neg_entries pos_size
			       neg_size  used_size max_size; none without a cache */
};

/* Everything it points to belongs to the connection and is valid until the next authd_conn_next(),
 * authd_conn_feed() or authd_conn_free(). What is not there is NULL or 0. */
struct authd_event {
	enum authd_event_type type;
	enum authd_status status;
	uint32_t id;	    /* the request's; 0 for READY and CLOSED */
	const char *user;   /* final user name (it may differ from the one asked for) */
	const char *code;   /* FAIL: temp_fail authz_fail user_disabled pass_expired ... */
	const char *reason; /* FAIL: text that may be shown to the end user; CLOSED: for the log */
	const void *data;   /* CONTINUE, OK, FAIL: decoded; NULL when there is none */
	size_t data_length;
	uint64_t count;
	const struct authd_field
	    *fields; /* all fields in their order, user= and the like included */
	size_t field_count;
};

/*
 * New connections; NULL when out of memory. Free with authd_conn_free(), which
 * wipes. client_pid: 0 for getpid(). On login sockets (auth-login, login/login)
 * it must be unique among all live connections, or the server closes.
 */
struct authd_conn *authd_client_new(uint32_t client_pid);
struct authd_conn *authd_master_new(void);
void authd_conn_free(struct authd_conn *conn); /* NULL is fine */

/* Bytes that came from the server: copied. Then call authd_conn_next() until AUTHD_EVENT_NONE. */
enum authd_status authd_conn_feed(struct authd_conn *conn, const void *data, size_t length);
/* The server closed, or reading failed. What was fed before is still answered first. */
void authd_conn_eof(struct authd_conn *conn);

/* Bytes to be sent, 0 when there are none; valid until the next call on conn. */
size_t authd_conn_output(const struct authd_conn *conn, const void **data);
/* That many of them were sent; they are wiped. */
void authd_conn_sent(struct authd_conn *conn, size_t length);

/* The next event. When the connection breaks, each request that waits gets its FAIL with
 * status TEMPORARY first, then CLOSED comes once, then NONE. */
enum authd_event_type authd_conn_next(struct authd_conn *conn, struct authd_event *event);

/* AUTHD_OK while the connection can be used; else why it cannot, and the same as text. */
enum authd_status authd_conn_status(const struct authd_conn *conn);
/* Why the last call gave AUTHD_USAGE, or why the connection broke. One line, never NULL. */
const char *authd_conn_error(const struct authd_conn *conn);
size_t authd_conn_pending(const struct authd_conn *conn); /* requests without an answer yet */

/* What the handshake told; meaningful from AUTHD_EVENT_READY on. */
uint32_t authd_conn_server_pid(const struct authd_conn *conn);	/* SPID */
uint32_t authd_conn_connect_uid(const struct authd_conn *conn); /* CUID; 0 on a master connection */
const char *authd_conn_cookie(
    const struct authd_conn *conn); /* 32 hex digits; "" on a master one */
size_t authd_conn_mechs(const struct authd_conn *conn, const struct authd_mech **mechs);
const struct authd_mech *authd_conn_find_mech(const struct authd_conn *conn, const char *name);

/*
 * Requests. All may be made from AUTHD_EVENT_READY on (before that, and when the
 * connection is broken: AUTHD_USAGE), any number at once. *id names the request
 * in events. On any status but AUTHD_OK nothing was queued.
 *
 * fields: parameters of the request. "service" is a must in all but REQUEST and
 * the cache's; authd and dovecot-auth close the connection without it. For a
 * login also: lip rip lport rport (the end client's), local_name session
 * secured (bare, or =tls) valid-client-cert cert_username no-penalty nologin
 * final-resp-ok (takes server-final data in OK) client_id forward_fields.
 */
struct authd_auth {
	const char *mech; /* one that the server offers */
	const struct authd_field *fields;
	size_t field_count;
	const void *initial; /* initial response; NULL: none; not NULL but of length 0: empty */
	size_t initial_length;
};
enum authd_status authd_client_auth(
    struct authd_conn *conn, const struct authd_auth *auth, uint32_t *id);
/* The answer to AUTHD_EVENT_CONTINUE, once for each. */
enum authd_status authd_client_continue(
    struct authd_conn *conn, uint32_t id, const void *data, size_t length);

enum authd_status authd_master_user(struct authd_conn *conn, const char *user,
    const struct authd_field *fields, size_t field_count, uint32_t *id);
enum authd_status authd_master_pass(struct authd_conn *conn, const char *user,
    const struct authd_field *fields, size_t field_count, uint32_t *id);
/* mask: with * and ?, or NULL. Servers before 2.4 send every user all the same: see
 * authd_mask_match(). */
enum authd_status authd_master_list(struct authd_conn *conn, const char *mask,
    const struct authd_field *fields, size_t field_count, uint32_t *id);
/* Takes over the login that another connection, on a login socket, was told OK for. fields:
 * session_pid=PID (checked against this socket's peer), request_auth_token. */
enum authd_status authd_master_request(struct authd_conn *conn, uint32_t client_pid,
    uint32_t client_id, const char *cookie, const struct authd_field *fields, size_t field_count,
    uint32_t *id);
/* users: NULL-terminated; NULL: all */
/* The answers are those of a list, each .user one line; see authd_pw_status(). */
enum authd_status authd_master_pw_status(struct authd_conn *conn, bool stored, uint32_t *id);
enum authd_status authd_master_cache_flush(
    struct authd_conn *conn, const char *const *users, uint32_t *id);
/* reset: hits and misses begin anew after this answer */
enum authd_status authd_master_cache_status(struct authd_conn *conn, bool reset, uint32_t *id);

/* No more events for this request. Queues CANCEL on a client connection; the master protocol has
 * no such command and its answer is passed over. Unknown ids are ignored. */
enum authd_status authd_conn_cancel(struct authd_conn *conn, uint32_t id);

/* Does the user match the mask (* and ?, ASCII letters in any case)? */
bool authd_mask_match(const char *mask, const char *user);

/* ---- layer 2: blocking, with a time limit ---- */

struct authd_link;

struct authd_error {
	enum authd_status status;
	int errnum; /* errno of a call that failed, ETIMEDOUT, or 0 */
	char text[256];
};

/*
 * Connects and waits for the handshake. address: a path (it has a slash), or
 * host:port, [ip]:port, inet:host:port. timeout_ms, here and below: for the
 * whole call, > 0 (looking up a host's name is not covered by it).
 * NULL and *error (may be NULL) when it failed; ENOENT: no such socket; EACCES:
 * not permitted; ECONNREFUSED: nobody listens.
 */
struct authd_link *authd_connect(
    enum authd_kind kind, const char *address, int timeout_ms, struct authd_error *error);
void authd_disconnect(struct authd_link *link); /* frees, wipes; NULL is fine */
const struct authd_error *authd_link_error(const struct authd_link *link); /* of the last call */
struct authd_conn *authd_link_conn(struct authd_link *link); /* to ask about the handshake */

struct authd_login {
	const char *mech; /* PLAIN, LOGIN, OAUTHBEARER or XOAUTH2; NULL: PLAIN; any with .respond */
	const char *user;
	const char *password; /* or a token */
	const char *master;   /* a master user whose password it is; PLAIN only; NULL: none */
	const struct authd_field *fields; /* as in struct authd_auth */
	size_t field_count;
	/*
	 * NULL, or the client's part of .mech, by the caller: user, password and master are not
	 * looked at. Given a challenge, it sets *answer (which stays the caller's, and is copied)
	 * and gives true; with false the login is given up (AUTHD_USAGE). initial is as in struct
	 * authd_auth.
	 */
	bool (*respond)(void *context, const void *challenge, size_t length, const void **answer,
	    size_t *answer_length);
	void *context;
	const void *initial;
	size_t initial_length;
};

/*
 * The status is the answer: AUTHD_OK or AUTHD_REFUSED were decided by the
 * server; any other is explained by authd_link_error(). *event (never NULL) is
 * valid until the next call on the link. After AUTHD_TEMPORARY by time-out the
 * link can be used again: a late answer is passed over.
 */
enum authd_status authd_authenticate(struct authd_link *link, const struct authd_login *login,
    int timeout_ms, struct authd_event *event);

/* These need a master link. AUTHD_OK, AUTHD_NOT_FOUND, AUTHD_TEMPORARY (with event->reason when
 * the server gave one) ... */
enum authd_status authd_lookup_user(struct authd_link *link, const char *user,
    const struct authd_field *fields, size_t field_count, int timeout_ms,
    struct authd_event *event);
enum authd_status authd_lookup_pass(struct authd_link *link, const char *user,
    const struct authd_field *fields, size_t field_count, int timeout_ms,
    struct authd_event *event);
/* each: called for every user that matches mask (NULL: all); false ends the list early. */
enum authd_status authd_list(struct authd_link *link, const char *mask,
    const struct authd_field *fields, size_t field_count, int timeout_ms,
    bool (*each)(void *context, const char *user), void *context);
/* PW-STATUS (authd only): lines "PASSDB DRIVER WHAT SCHEME COUNT"; stored: count what is stored,
 * too. */
enum authd_status authd_pw_status(struct authd_link *link, bool stored, int timeout_ms,
    bool (*each)(void *context, const char *line), void *context);
/* As authd_master_request(). A refused REQUEST is AUTHD_REFUSED here: the login that it names
 * does not exist, or the lookup failed (the protocol does not tell which). */
enum authd_status authd_request(struct authd_link *link, uint32_t client_pid, uint32_t client_id,
    const char *cookie, const struct authd_field *fields, size_t field_count, int timeout_ms,
    struct authd_event *event);
enum authd_status authd_cache_flush(
    struct authd_link *link, const char *const *users, int timeout_ms, uint64_t *count);
enum authd_status authd_cache_status(
    struct authd_link *link, bool reset, int timeout_ms, struct authd_event *event);

#ifdef __cplusplus
}
#endif

#endif
