/*
 * libcurl's start and its TLS, for the modules that use it. Runs in: worker.
 */
#include "drivers/curl-setup.h"

#include <pthread.h>
#include <sysexits.h>

static CURLcode curl_started = CURLE_FAILED_INIT;

static void start_curl(void)
{
	curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool curl_setup_start(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, start_curl);
	return curl_started == CURLE_OK || err_set(err, EX_SOFTWARE, "libcurl does not start");
}

bool curl_setup_tls(CURL *c, const struct curl_tls *tls)
{
	long verify = tls->verify ? 1L : 0L;
	bool ok = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, verify) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2 * verify) == CURLE_OK;
	ok = ok &&
	     curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
	if (tls->ca_dir[0] == '\0' && tls->ca_file[0] == '\0')
		return ok;
	ok = ok && curl_easy_setopt(c, CURLOPT_CAINFO,
		       tls->ca_file[0] != '\0' ? tls->ca_file : NULL) == CURLE_OK;
	return ok && curl_easy_setopt(c, CURLOPT_CAPATH,
			 tls->ca_dir[0] != '\0' ? tls->ca_dir : NULL) == CURLE_OK;
}
