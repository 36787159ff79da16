#include "backend.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

enum { THREADS_MAX = 256 };

static char **arguments;
static double seconds;
static unsigned users;
static pthread_barrier_t all_connected;
static atomic_ulong done;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void backend_die(const char *what, const char *why)
{
	fprintf(stderr, "backend: %s: %s\n", what, why);
	exit(1);
}

/* The walk through the users is the load client's. */
static void *run(void *arg)
{
	char user[32];
	unsigned long turn = (unsigned long)(uintptr_t)arg * 1000003, count = 0;
	void *conn = backend_connect(arguments);
	snprintf(user, sizeof(user), "user%u", 0);
	if (!backend_ask(conn, user))
		backend_die(user, "was not found");
	pthread_barrier_wait(&all_connected);
	for (double end = now() + seconds; now() < end; count++) {
		snprintf(user, sizeof(user), "user%lu", turn++ * 7919 % users);
		if (!backend_ask(conn, user))
			backend_die(user, "was not found");
	}
	atomic_fetch_add(&done, count);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int n = argc > 1 ? atoi(argv[1]) : 0;
	if (argc != 4 + backend_argc || n < 1 || n > THREADS_MAX) {
		fprintf(stderr, "usage: %s CONNECTIONS SECONDS USERS %s\n", argv[0], backend_usage);
		return 64;
	}
	seconds = atof(argv[2]);
	users = (unsigned)atoi(argv[3]);
	arguments = argv + 4;
	pthread_barrier_init(&all_connected, NULL, (unsigned)n + 1);
	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i);
	pthread_barrier_wait(&all_connected);
	double start = now();
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("{\"per_second\":%.1f}\n", (double)done / (now() - start));
	return 0;
}
