/*
 * The parent's line to its children. Runs in: parent, front, worker.
 */
#include "authd/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static void encode(struct buffer *b, const struct control_message *m)
{
	size_t place = wire_frame_begin(b, (uint8_t)m->type);
	wire_put_u32(b, m->generation);
	wire_put_u32(b, m->index);
	wire_put_span(b, m->text);
	wire_frame_end(b, place);
}

static bool decode(struct span packet, struct control_message *m)
{
	uint8_t type;
	struct span payload;
	if (wire_frame_next(&packet, &type, &payload) != 1 || packet.len != 0)
		return false;
	struct wire_reader r = wire_reader_of(payload);
	m->type = (enum control_type)type;
	m->generation = wire_get_u32(&r);
	m->index = wire_get_u32(&r);
	m->text = wire_get_span(&r);
	return wire_done(&r);
}

bool control_send(int socket, const struct control_message *m, struct err *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = {{0}};
	struct buffer b = {0};
	encode(&b, m);
	struct iovec iov = {b.data + b.start, b.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (m->fd >= 0) {
		msg.msg_control = room.bytes;
		msg.msg_controllen = sizeof(room.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &m->fd, sizeof(int));
	}
	ssize_t n;
	do {
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	bool ok = n == (ssize_t)b.len;
	if (!ok)
		err_set(err, EX_OSERR, "sending to a child or the parent: %s",
		    n < 0 ? strerror(errno) : "cut short");
	buffer_free(&b);
	return ok;
}

static int take_fd(struct msghdr *msg)
{
	int fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int got;
			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = got;
			else
				close(got);
		}
	}
	return fd;
}

int control_receive(int socket, struct control_message *m, char *buf, size_t size, struct err *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 4)];
		struct cmsghdr align;
	} room;
	struct iovec iov = {buf, size};
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = room.bytes,
	    .msg_controllen = sizeof(room.bytes),
	};
	ssize_t n;
	do {
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0) {
		err_set(err, EX_OSERR, "%s", n == 0 ? "closed" : strerror(errno));
		return -1;
	}
	*m = (struct control_message){.fd = -1};
	m->fd = take_fd(&msg);
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && decode(span_make(buf, (size_t)n), m))
		return 1;
	if (m->fd >= 0)
		close(m->fd);
	err_set(err, EX_SOFTWARE, "a control message does not decode");
	return -1;
}

int control_memfd(struct span bytes, struct err *err)
{
	int fd = memfd_create("authd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		err_set(err, EX_OSERR, "memfd_create: %s", strerror(errno));
		return -1;
	}
	size_t done = 0;
	while (done < bytes.len) {
		ssize_t n = write(fd, bytes.ptr + done, bytes.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set(err, EX_OSERR, "writing a memfd: %s", strerror(errno));
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		err_set(err, EX_OSERR, "sealing a memfd: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

bool control_read_memfd(int fd, struct buffer *out, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || st.st_size < 0)
		return err_set(err, EX_OSERR, "fstat of a memfd: %s", strerror(errno));
	size_t size = (size_t)st.st_size, done = 0;
	char *p = buffer_reserve(out, size + 1);
	while (done < size) {
		ssize_t n = pread(fd, p + done, size - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, EX_OSERR, "reading a memfd: %s", strerror(errno));
		done += (size_t)n;
	}
	buffer_commit(out, size);
	return true;
}
