/*
 * The floor under the hash figures of "make bench": how many times a second
 * the bare hash function runs on so many threads.
 *
 *   hash THREADS SECONDS 'stored hash' password
 */
#include <crypt.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *stored, *password;
static double end;
static atomic_ulong done;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int once(struct crypt_data *data)
{
	if (strncmp(stored, "$argon2", 7) == 0)
		return crypto_pwhash_str_verify(stored, password, strlen(password));
	const char *out = crypt_r(password, stored, data);
	return out == NULL || strcmp(out, stored) != 0;
}

static void *run(void *arg)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	if (data == NULL)
		exit(1);
	while (now() < end) {
		if (once(data) != 0) {
			fprintf(stderr, "hash: the password does not match\n");
			exit(1);
		}
		atomic_fetch_add(&done, 1);
	}
	free(data);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	if (argc != 5 || atoi(argv[1]) < 1 || atoi(argv[1]) > 64 || sodium_init() < 0)
		return 64;
	int n = atoi(argv[1]);
	stored = argv[3];
	password = argv[4];
	double start = now();
	end = start + atof(argv[2]);
	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, run, NULL);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("{\"per_second\":%.2f}\n", (double)done / (now() - start));
	return 0;
}
