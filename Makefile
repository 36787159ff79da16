# authd: make builds, make check tests, make demo shows. See README.md.

B ?= build
CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

PKGS_BASE := libsodium
PKGS_SCHEMES := libsodium nettle libxcrypt
PKGS_AUTHD := libevent_core libsodium nettle libxcrypt libseccomp

WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wvla -Wundef -Wpointer-arith -Wno-format-nonliteral
HARDEN := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fstack-clash-protection -fcf-protection
OPT ?= -O2 -g
SAN ?=
CFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE -I. $(OPT) $(WARN) $(HARDEN) $(SAN) -pthread \
	-DAUTHD_VERSION='"$(VERSION)"' -DAUTHD_PREFIX='"$(PREFIX)"' \
	$(shell pkg-config --cflags libsodium nettle libevent_core libxcrypt) $(CFLAGS)
LDFLAGS_ALL = $(SAN) -pthread -pie -Wl,-z,relro,-z,now $(LDFLAGS)
