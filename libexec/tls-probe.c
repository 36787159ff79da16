/*
 * tls-probe.so: shakes hands on a connection, whatever certificate comes, and
 * tells what the certificate says and whether it would be trusted. With the
 * OpenSSL that libpq and libcurl bring along; no password ever goes this way.
 * Runs in: authd --test-driver.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "authd/tls-probe.h"

static void add_name(char *to, size_t size, const char *name, size_t len)
{
	size_t at = strlen(to);
	snprintf(to + at, size - at, "%s%.*s", at > 0 ? ", " : "", (int)len, name);
}

static void add_address(char *to, size_t size, const ASN1_OCTET_STRING *ip)
{
	char text[INET6_ADDRSTRLEN];
	int family = ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6;
	if (ASN1_STRING_length(ip) != 4 && ASN1_STRING_length(ip) != 16)
		return;
	if (inet_ntop(family, ASN1_STRING_get0_data(ip), text, sizeof(text)) != NULL)
		add_name(to, size, text, strlen(text));
}

/* The alternative names, or without any the common name. */
static void read_names(X509 *cert, char *to, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		if (n->type == GEN_DNS)
			add_name(to, size, (const char *)ASN1_STRING_get0_data(n->d.dNSName),
			    (size_t)ASN1_STRING_length(n->d.dNSName));
		else if (n->type == GEN_IPADD)
			add_address(to, size, n->d.iPAddress);
	}
	GENERAL_NAMES_free(names);
	if (to[0] == '\0')
		X509_NAME_get_text_by_NID(
		    X509_get_subject_name(cert), NID_commonName, to, (int)size);
}

/* Bytes from outside. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

static void read_certificate(X509 *cert, struct tls_seen *out)
{
	struct tm tm;
	read_names(cert, out->names, sizeof(out->names));
	X509_NAME_get_text_by_NID(
	    X509_get_issuer_name(cert), NID_commonName, out->issuer, sizeof(out->issuer));
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1)
		strftime(out->until, sizeof(out->until), "%Y-%m-%d", &tm);
	make_printable(out->names);
	make_printable(out->issuer);
}

static bool is_for(X509 *cert, const char *host)
{
	return X509_check_host(cert, host, 0, 0, NULL) == 1 ||
	       X509_check_ip_asc(cert, host, 0) == 1;
}

static void read_all(SSL *ssl, const char *host, struct tls_seen *out)
{
	X509 *cert = SSL_get1_peer_certificate(ssl);
	long verdict = SSL_get_verify_result(ssl);
	if (cert == NULL)
		return;
	read_certificate(cert, out);
	out->expired = X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
	out->wrong_name = !is_for(cert, host);
	if (verdict != X509_V_OK)
		snprintf(out->problem, sizeof(out->problem), "%s",
		    X509_verify_cert_error_string(verdict));
	snprintf(out->protocol, sizeof(out->protocol), "%s", SSL_get_version(ssl));
	X509_free(cert);
}

static bool set_authorities(
    SSL_CTX *ctx, const char *ca_file, const char *ca_dir, struct tls_seen *out)
{
	bool file = ca_file[0] != '\0', dir = ca_dir[0] != '\0';
	int ok = file || dir ? SSL_CTX_load_verify_locations(
				   ctx, file ? ca_file : NULL, dir ? ca_dir : NULL)
			     : SSL_CTX_set_default_verify_paths(ctx);
	if (ok == 1)
		return true;
	snprintf(out->problem, sizeof(out->problem), "%s cannot be read as certificates",
	    file ? ca_file : ca_dir);
	return false;
}

bool tls_probe_look(
    int fd, const char *host, const char *ca_file, const char *ca_dir, struct tls_seen *out)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
	bool ok = ssl != NULL && set_authorities(ctx, ca_file, ca_dir, out);
	if (ok) {
		SSL_set_fd(ssl, fd);
		if (strspn(host, "0123456789.") != strlen(host) && strchr(host, ':') == NULL)
			SSL_set_tlsext_host_name(ssl, host);
		ok = SSL_connect(ssl) == 1;
		if (ok)
			read_all(ssl, host, out);
		else
			snprintf(out->problem, sizeof(out->problem), "the handshake fails: %s",
			    ERR_reason_error_string(ERR_peek_error()) != NULL
				? ERR_reason_error_string(ERR_peek_error())
				: "the server ends it");
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return ok;
}
