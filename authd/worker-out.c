/*
 * What a worker says to the front: the main thread and the lanes put whole
 * frames here and send them. Runs in: worker, any thread.
 * Owner of what the channel did not take yet.
 */
#include <errno.h>
#include <sys/socket.h>

#include "authd/worker-job.h"
#include "base/mem.h"

enum { TOGETHER = 8 }; /* answers that wait for each other at most */

void outbox_init(struct outbox *o, int fd)
{
	*o = (struct outbox){.fd = fd};
	pthread_mutex_init(&o->lock, NULL);
}

void outbox_free(struct outbox *o)
{
	pthread_mutex_destroy(&o->lock);
	buffer_free(&o->frames);
}

static void send_all(struct outbox *o)
{
	struct span s = buffer_span(&o->frames);
	ssize_t n = send(o->fd, s.ptr, s.len, MSG_NOSIGNAL);
	o->answers = 0;
	if (n > 0) {
		/* answers may hold credentials */
		mem_wipe(o->frames.data + o->frames.start, (size_t)n);
		buffer_consume(&o->frames, (size_t)n);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		o->error = errno;
	}
}

struct buffer *outbox_open(struct outbox *o)
{
	pthread_mutex_lock(&o->lock);
	return &o->frames;
}

size_t outbox_close(struct outbox *o, unsigned answers, bool more_soon)
{
	o->answers += answers;
	bool wait = more_soon && o->answers < TOGETHER;
	if (o->frames.len > 0 && !wait && o->error == 0)
		send_all(o);
	size_t left = wait ? 0 : o->frames.len;
	pthread_mutex_unlock(&o->lock);
	return left;
}
