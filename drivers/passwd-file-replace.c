/*
 * A new password in a passwd-file: another file is written beside it and takes
 * its place. Runs in: worker, a thread that may wait.
 * Who else changes the file may take flock(2) on it, as this does. One that
 * does not is found out by what the file is before it is replaced.
 * Not fatal: a directory or file that cannot be written; nothing changes then.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/passwd-file.h"
#include "drivers/replacement.h"

enum { LOCK_WAIT_MS = 5000, LOCK_PAUSE_MS = 10, XATTRS_MAX = 64 * 1024 };

#define SCRAM_FIELD "password_scram_sha_256="

struct replace {
	char path[PATH_MAX]; /* of the file itself, whatever links lead to it */
	char temporary[PATH_MAX];
	int fd; /* the file as it is, locked */
	struct stat st;
	struct buffer text;
	struct arena arena; /* of pieces of secrets */
	struct err *err;
};

static bool fails(struct replace *p, const char *what)
{
	return err_set(p->err, errno, "passwd-file %s: %s: %s", p->path, what, strerror(errno));
}

/* ---- the file as it is ---- */

static bool lock(struct replace *p, int64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
	while (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK || clock_ms() >= deadline_ms)
			return fails(p, "flock");
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Who waited for the lock may have got that of a file that is not the one any more. */
static bool is_current(struct replace *p)
{
	struct stat now;
	if (fstat(p->fd, &p->st) != 0 || stat(p->path, &now) != 0)
		return false;
	return p->st.st_dev == now.st_dev && p->st.st_ino == now.st_ino;
}

static bool open_locked(struct replace *p, int64_t deadline_ms)
{
	do {
		if (p->fd >= 0)
			close(p->fd);
		p->fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (p->fd < 0)
			return fails(p, "open");
		if (!lock(p, deadline_ms))
			return false;
	} while (!is_current(p) && clock_ms() < deadline_ms);
	if (!is_current(p))
		return err_set(
		    p->err, EAGAIN, "passwd-file %s: it is replaced again and again", p->path);
	if (!S_ISREG(p->st.st_mode))
		return err_set(p->err, EINVAL, "passwd-file %s: not a regular file", p->path);
	if (p->st.st_nlink > 1)
		return err_set(p->err, EMLINK,
		    "passwd-file %s: it has several names (hard links), so it is not replaced",
		    p->path);
	return true;
}

static bool read_text(struct replace *p)
{
	size_t size = (size_t)p->st.st_size, done = 0;
	char *to = buffer_reserve(&p->text, size + 1);
	while (done < size) {
		ssize_t n = pread(p->fd, to + done, size - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EAGAIN; /* it got shorter */
		if (n <= 0)
			return fails(p, "read");
		done += (size_t)n;
	}
	buffer_commit(&p->text, size);
	return true;
}

/* ---- the user's line ---- */

static bool is_old(struct replace *p, const struct pf_line *line, struct secret old)
{
	struct span stored = arena_join(&p->arena, span_of(line->password_prefix), line->password);
	return line->password.ptr != NULL && secret_eq(secret_of(stored), old);
}

/* His first line with the old password; *seen: he has some line. */
static bool find_line(
    struct replace *p, struct span user, struct secret old, struct pf_line *line, bool *seen)
{
	struct span rest = buffer_span(&p->text), text;
	while (span_split(&rest, '\n', &text)) {
		if (text.len < user.len || memcmp(text.ptr, user.ptr, user.len) != 0 ||
		    !pf_line_parse(text, line) || !span_eq(line->user, user))
			continue;
		*seen = true;
		if (is_old(p, line, old))
			return true;
	}
	return false;
}

/* The column as it stands in the file, with a "[NN]" that was taken off it. */
static struct span password_column(struct replace *p, const struct pf_line *line)
{
	struct span all = buffer_span(&p->text);
	struct span rest = span_skip(all, (size_t)(line->password.ptr - all.ptr));
	size_t len = line->password.len;
	while (len < rest.len && strchr(":\r\n", rest.ptr[len]) == NULL)
		len++;
	return span_first(rest, len);
}

/* ---- the new text ---- */

struct change {
	struct span at;			/* what goes, in the text */
	struct span before, put, after; /* what comes there */
};

/*
 * The SCRAM verifier goes into the column of extra fields, where the line has
 * one: more columns would make a userdb entry of a line that is none.
 */
static bool scram_change(
    struct replace *p, const struct pf_line *line, struct secret value, struct change *c)
{
	struct span word, rest = line->extra;
	bool room = rest.ptr != NULL && line->extra_prefix[0] == '\0';
	if (!room || !secret_is_set(value))
		return false;
	struct span put = arena_join(&p->arena, SPAN_LIT(SCRAM_FIELD), secret_reveal(value));
	*c = (struct change){.at = span_first(rest, 0), .put = put};
	c->after = rest.len > 0 ? SPAN_LIT(" ") : SPAN_LIT("");
	while (span_word(&rest, " ", &word)) {
		if (!span_starts(word, SCRAM_FIELD))
			continue;
		c->at = word;
		c->after = SPAN_LIT("");
	}
	return true;
}

static void put_change(struct buffer *out, struct span *rest, const struct change *c)
{
	buffer_append(out, span_make(rest->ptr, (size_t)(c->at.ptr - rest->ptr)));
	buffer_append(out, c->put);
	buffer_append(out, c->after);
	*rest = span_skip(*rest, (size_t)(c->at.ptr + c->at.len - rest->ptr));
}

static void make_text(
    struct replace *p, const struct pf_line *line, const struct replacement *r, struct buffer *out)
{
	struct span rest = buffer_span(&p->text);
	struct change password = {
	    .at = password_column(p, line), .put = secret_reveal(r->password)};
	struct change scram;
	buffer_reserve(out, rest.len + 1024);
	put_change(out, &rest, &password);
	if (scram_change(p, line, r->scram_sha_256, &scram))
		put_change(out, &rest, &scram);
	buffer_append(out, rest);
}

/* ---- the new file ---- */

static bool write_text(struct replace *p, int fd, struct span text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.ptr, text.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fails(p, "write");
		text = span_skip(text, (size_t)n);
	}
	return true;
}

/* Access control lists and the like. What the kernel sets by itself need not be ours to set. */
static bool copy_attributes(struct replace *p, int to)
{
	char *names = arena_alloc(&p->arena, XATTRS_MAX),
	     *value = arena_alloc(&p->arena, XATTRS_MAX);
	ssize_t len = flistxattr(p->fd, names, XATTRS_MAX);
	if (len < 0)
		return errno == ENOTSUP || fails(p, "flistxattr");
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t n = fgetxattr(p->fd, names + at, value, XATTRS_MAX);
		bool ok = n >= 0 && fsetxattr(to, names + at, value, (size_t)n, 0) == 0;
		if (!ok && strncmp(names + at, "security.", 9) != 0)
			return fails(p, names + at);
	}
	return true;
}

static bool copy_owner(struct replace *p, int to)
{
	struct stat now;
	if (fstat(to, &now) != 0)
		return fails(p, "fstat");
	if ((now.st_uid != p->st.st_uid || now.st_gid != p->st.st_gid) &&
	    fchown(to, p->st.st_uid, p->st.st_gid) != 0)
		return fails(p, "its owner and group cannot be kept, so it is not replaced");
	return fchmod(to, p->st.st_mode & 07777) == 0 || fails(p, "fchmod");
}

static int make_temporary(struct replace *p)
{
	const char *name = strrchr(p->path, '/') + 1;
	int dir = (int)(name - p->path);
	/* all of the name: another file's lock is not ours */
	int len = snprintf(p->temporary, sizeof(p->temporary), "%.*s.%s.authd", dir, p->path, name);
	if (len < 0 || (size_t)len >= sizeof(p->temporary)) {
		errno = ENAMETOOLONG;
		fails(p, "making a file beside it");
		return -1;
	}
	(void)unlink(p->temporary); /* of one who died; we have the lock */
	int fd = open(p->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		bool gone = errno == EACCES || errno == EROFS || errno == EPERM;
		fails(p, gone ? "no new password can be stored, this process may not write in its "
				"directory"
			      : "making a file beside it");
	}
	return fd;
}

/* Changed by somebody who does not lock: his version stays. */
static bool is_untouched(struct replace *p)
{
	struct stat now;
	struct pf_stamp then = pf_stamp_of(&p->st);
	if (stat(p->path, &now) != 0)
		return fails(p, "stat");
	struct pf_stamp stamp = pf_stamp_of(&now);
	return pf_stamp_eq(&then, &stamp) ||
	       err_set(p->err, EAGAIN, "passwd-file %s: it was changed meanwhile", p->path);
}

static void sync_directory(struct replace *p)
{
	char *slash = strrchr(p->temporary, '/');
	slash[slash == p->temporary] = '\0';
	int fd = open(p->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static bool put_in_place(struct replace *p, struct span text)
{
	int fd = make_temporary(p);
	if (fd < 0)
		return false;
	bool ok = copy_owner(p, fd) && copy_attributes(p, fd) && write_text(p, fd, text);
	if (ok && fsync(fd) != 0)
		ok = fails(p, "fsync");
	close(fd);
	ok = ok && is_untouched(p);
	if (ok && rename(p->temporary, p->path) != 0)
		ok = fails(p, "rename");
	if (ok)
		sync_directory(p);
	else
		(void)unlink(p->temporary);
	return ok;
}

/* ---- all of it ---- */

static bool fits(struct secret value)
{
	struct span s = secret_reveal(value);
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\0' || strchr(":\r\n", s.ptr[i]) != NULL)
			return false;
	}
	return s.len > 0;
}

static enum verdict replace(struct replace *p, struct span user, const struct replacement *r)
{
	struct pf_line line;
	struct buffer out = {0};
	bool seen = false;
	if (!fits(r->password)) {
		err_set(p->err, EX_DATAERR, "a passwd-file cannot hold this hash");
		return VERDICT_INTERNAL;
	}
	if (!read_text(p))
		return VERDICT_INTERNAL;
	if (!find_line(p, user, r->old, &line, &seen))
		return seen ? VERDICT_MISMATCH : VERDICT_UNKNOWN_USER;
	make_text(p, &line, r, &out);
	bool ok = put_in_place(p, buffer_span(&out));
	buffer_free(&out);
	return ok ? VERDICT_OK : VERDICT_INTERNAL;
}

enum verdict pf_replace(const char *path, struct span user, const struct replacement *r,
    int64_t deadline_ms, struct err *err)
{
	enum verdict v = VERDICT_INTERNAL;
	struct replace *p = mem_alloc(sizeof(*p));
	p->fd = -1;
	p->err = err;
	snprintf(p->path, sizeof(p->path), "%s", path);
	if (deadline_ms == 0)
		deadline_ms = clock_ms() + LOCK_WAIT_MS;
	if (realpath(path, p->path) == NULL)
		fails(p, "realpath");
	else if (open_locked(p, deadline_ms))
		v = replace(p, user, r);
	if (p->fd >= 0)
		close(p->fd);
	buffer_free(&p->text);
	arena_free(&p->arena);
	mem_free(&p);
	return v;
}
