/*
 * The parent's files: authd.pid (locked while it runs), authd.status (for
 * authctl), auth-token-secret.dat, and the log. Runs in: parent.
 */
#include "authd/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "base/mem.h"

static char *path_of(const struct parent *p, const char *name)
{
	return mem_printf("%s/%s", p->base_dir, name);
}

/* ---- authd.pid ---- */

static bool same_file(int fd, const char *path)
{
	struct stat mine, there;
	return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino;
}

static bool already_running(int fd, const char *path, struct err *err)
{
	char pid[24] = "?";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
	if (n > 0)
		pid[strcspn(pid, "\n")] = '\0';
	return err_set(
	    err, EX_CANTCREAT, "another authd (pid %s) is running; it holds %s", pid, path);
}

/* One that ends may remove the file between our opening and locking it: then once more. */
static int open_locked(const char *path, struct err *err)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0) {
			err_set(err, errno == EACCES ? EX_NOPERM : EX_CANTCREAT, "%s: %s", path,
			    strerror(errno));
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			already_running(fd, path, err);
			close(fd);
			return -1;
		}
		if (same_file(fd, path))
			return fd;
		close(fd);
	}
}

bool files_claim(struct parent *p, struct err *err)
{
	char *path = path_of(p, "authd.pid"), text[24];
	bool ok = false;
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	p->pid_fd = open_locked(path, err);
	if (p->pid_fd >= 0) {
		ok = ftruncate(p->pid_fd, 0) == 0 && pwrite(p->pid_fd, text, (size_t)n, 0) == n;
		if (!ok)
			err_set(err, EX_CANTCREAT, "%s: %s", path, strerror(errno));
	}
	mem_free(&path);
	return ok;
}

/* ---- auth-token-secret.dat ---- */

static bool read_secret(const char *path, char *secret)
{
	struct stat st;
	bool ok = false;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    (st.st_mode & 07777) == 0600 && st.st_uid == geteuid() &&
	    st.st_size == PARENT_SECRET_SIZE)
		ok = read(fd, secret, PARENT_SECRET_SIZE) == PARENT_SECRET_SIZE;
	close(fd);
	return ok;
}

static bool make_secret(const char *path, char *secret, struct err *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return err_set(err, EX_CANTCREAT, "%s: %s", path, strerror(errno));
	randombytes_buf(secret, PARENT_SECRET_SIZE);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, EX_CANTCREAT, "%s: %s", path, strerror(errno));
	bool ok =
	    fchmod(fd, 0600) == 0 && write(fd, secret, PARENT_SECRET_SIZE) == PARENT_SECRET_SIZE;
	if (!ok)
		err_set(err, EX_CANTCREAT, "%s: %s", path, strerror(errno));
	close(fd);
	return ok;
}

bool files_secret(struct parent *p, struct err *err)
{
	char *path = path_of(p, "auth-token-secret.dat");
	bool ok = read_secret(path, p->secret) || make_secret(path, p->secret, err);
	mem_free(&path);
	return ok;
}

/* ---- authd.status ---- */

void files_status(struct parent *p, bool ok, const char *message)
{
	char *path = path_of(p, "authd.status"), *fresh = path_of(p, "authd.status.new");
	FILE *f;
	p->changes++;
	unlink(fresh);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || (f = fdopen(fd, "w")) == NULL) {
		log_warning("%s: %s", fresh, strerror(errno));
		goto out;
	}
	fprintf(f, "pid=%ld\ngeneration=%u\nreload=%s\nmessage=%s\nchanges=%u\n", (long)getpid(),
	    p->current != NULL ? p->current->number : 0, ok ? "ok" : "failed", message, p->changes);
	if (fchmod(fd, 0644) != 0 || fclose(f) != 0 || rename(fresh, path) != 0)
		log_warning("%s: %s", path, strerror(errno));
out:
	mem_free(&path);
	mem_free(&fresh);
}

void files_remove(struct parent *p)
{
	char *pid = path_of(p, "authd.pid"), *status = path_of(p, "authd.status");
	/* whoever holds the lock owns both */
	if (p->pid_fd >= 0 && same_file(p->pid_fd, pid)) {
		unlink(status);
		unlink(pid);
	}
	mem_free(&pid);
	mem_free(&status);
}

/* ---- the log ---- */

static bool to_file(const char *path)
{
	return path[0] == '/' && strcmp(path, "/dev/stderr") != 0;
}

bool files_open_log(struct parent *p, const struct lineup *l, struct err *err)
{
	const char *path = l->config->process->log_path;
	if (to_file(path)) {
		if (!logging_open_file(path, err))
			return false;
	} else if (p->stderr_fd >= 0) {
		dup2(p->stderr_fd, STDERR_FILENO);
	}
	logging_apply(&l->log, "master");
	return true;
}

void files_reopen_log(struct parent *p)
{
	struct err err = {0};
	struct child *c;
	if (p->current == NULL)
		return;
	if (!files_open_log(p, p->current, &err)) {
		log_error("%s", err.text);
		return;
	}
	if (!to_file(p->current->config->process->log_path))
		return;
	TAILQ_FOREACH(c, &p->children, entry)
	{
		if (c->control >= 0 && !child_tell(c, CONTROL_LOG, 0, 0, SPAN_NULL, STDERR_FILENO))
			log_warning("%s keeps the old log", c->label);
	}
	log_info("the log was opened anew");
}
