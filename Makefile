# authd: "make" builds, "make demo" shows it, "make check" tests it. See README.md.
# B=dir builds elsewhere; SAN, OPT, CC, CFLAGS, LDFLAGS, PREFIX, DESTDIR as usual.

B ?= build
ifeq ($(origin CC),default)
CC = gcc
endif
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
OPT ?= -O2 -g
SAN ?=

PKGS := libsodium nettle libxcrypt libevent_core libseccomp
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wno-format-nonliteral -Wvla -Wundef -Wpointer-arith
# UBSan's null checks make gcc (not clang) believe that pointers may be NULL
WARN += $(if $(SAN),$(if $(findstring clang,$(CC)),,-Wno-format-truncation -Wno-format-overflow -Wno-nonnull))
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIC \
	$(if $(findstring -O0,$(OPT)),,-D_FORTIFY_SOURCE=2)
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DAUTHD_VERSION='"$(VERSION)"' -DAUTHD_PREFIX='"$(PREFIX)"' $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(SAN) -pthread $(shell pkg-config --cflags $(PKGS)) $(CFLAGS)
LDFLAGS_ALL = $(SAN) -pthread -pie -Wl,-z,relro,-z,now $(LDFLAGS)

# what a part of the tree is linked with
LIBS_BASE := $(shell pkg-config --libs libsodium nettle) -lunistring
LIBS_CONF := $(LIBS_BASE)
LIBS_SCHEMES := $(LIBS_CONF) $(shell pkg-config --libs libxcrypt)
LIBS_AUTHD := $(LIBS_SCHEMES) $(shell pkg-config --libs libevent_core libseccomp) -ldl

# Loadable drivers: those with client libraries. One is built when its library is there;
# "make" says which are left out. NAME's files are MOD_SRC_NAME (its settings are none of them:
# drivers/NAME-settings.c is part of the program), its libraries MOD_LIBS_NAME.
ALL_MODULES :=
ALL_MODULES += pam
MOD_SRC_pam := drivers/pam.c drivers/pam-codes.c
MOD_LIBS_pam := $(shell pkg-config --libs pam 2>/dev/null)
ALL_MODULES += imap
MOD_SRC_imap := drivers/imap.c drivers/imap-reply.c drivers/curl-setup.c
MOD_LIBS_imap := $(shell pkg-config --libs libcurl 2>/dev/null)
ALL_MODULES += ldap
MOD_SRC_ldap := drivers/ldap.c drivers/ldap-conn.c drivers/ldap-servers.c drivers/ldap-bind.c drivers/ldap-search.c \
	drivers/ldap-together.c drivers/ldap-many.c drivers/ldap-test.c
MOD_LIBS_ldap := $(shell pkg-config --exists libsasl2 && pkg-config --libs ldap 2>/dev/null)
ALL_MODULES += gssapi
MOD_SRC_gssapi := drivers/gssapi.c drivers/gssapi-table.c
MOD_LIBS_gssapi := $(shell pkg-config --libs krb5-gssapi krb5 2>/dev/null)
ALL_MODULES += oauth2
MOD_SRC_oauth2 := drivers/oauth2.c drivers/oauth2-ask.c drivers/oauth2-http.c drivers/oauth2-claims.c \
	drivers/oauth2-jwt.c drivers/oauth2-key.c drivers/oauth2-keys.c drivers/curl-setup.c
MOD_LIBS_oauth2 := $(shell pkg-config --libs libcurl jansson libcrypto 2>/dev/null)
SQL_CORE := drivers/sql.c drivers/sql-pool.c drivers/sql-row.c drivers/sql-test.c
ALL_MODULES += sql-mysql sql-pgsql sql-sqlite
MOD_SRC_sql-mysql := $(SQL_CORE) drivers/sql-mysql.c drivers/sql-mysql-many.c
MOD_SRC_sql-pgsql := $(SQL_CORE) drivers/sql-pgsql.c
MOD_SRC_sql-sqlite := $(SQL_CORE) drivers/sql-sqlite.c
MOD_LIBS_sql-mysql := $(shell pkg-config --libs libmariadb 2>/dev/null)
MOD_LIBS_sql-pgsql := $(shell pkg-config --libs libpq 2>/dev/null)
MOD_LIBS_sql-sqlite := $(shell pkg-config --libs sqlite3 2>/dev/null)
# no driver: what "authctl driver test" sees of a server's certificate
ALL_MODULES += tls-probe
MOD_SRC_tls-probe := libexec/tls-probe.c
MOD_LIBS_tls-probe := $(shell pkg-config --libs libssl libcrypto 2>/dev/null)
MODULES = $(foreach m,$(ALL_MODULES),$(if $(MOD_LIBS_$(m)),$(m)))
LEFT_OUT = $(filter-out $(MODULES),$(ALL_MODULES))

A_BASE := $(B)/libbase.a
A_CONF := $(B)/libconf.a
A_SCHEMES := $(B)/libschemes.a
A_MECHS := $(B)/libmechs.a
A_DRIVERS := $(B)/libdrivers.a
A_AUTHD := $(B)/libauthd.a
A_CLIENT := $(B)/libauthd-client.a
SO_CLIENT := $(B)/libauthd-client.so.0

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
SRC_BASE := $(wildcard base/*.c)
SRC_CONF := $(wildcard conf/*.c)
SRC_SCHEMES := $(wildcard schemes/*.c)
SRC_MECHS := $(wildcard mechanisms/*.c)
SRC_DRIVERS := $(filter-out $(foreach m,$(ALL_MODULES),$(MOD_SRC_$(m))),$(wildcard drivers/*.c))
SRC_AUTHD := $(filter-out authd/main.c,$(wildcard authd/*.c))
SRC_CLIENT := $(wildcard client-lib/*.c)
SRC_AUTHCTL := $(wildcard authctl/*.c)

all: $(B)/authd $(B)/authctl $(B)/checkpassword-reply $(A_CLIENT) $(SO_CLIENT) $(MODULES:%=$(B)/drivers/%.so) | $(B)/drivers
	@test -z "$(LEFT_OUT)" || echo "left out for want of their libraries (tools/deps build): drivers $(LEFT_OUT)"

$(B)/drivers:
	@mkdir -p $@

# The programs know their PREFIX: "make install PREFIX=..." after a "make" without it builds these anew.
KNOWS_PREFIX := $(call objs,$(shell grep -l AUTHD_PREFIX */*.c))
$(KNOWS_PREFIX): $(B)/prefix
$(B)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@
FORCE:

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^
$(A_BASE): $(call objs,$(SRC_BASE))
$(A_CONF): $(call objs,$(SRC_CONF))
$(A_SCHEMES): $(call objs,$(SRC_SCHEMES))
$(A_MECHS): $(call objs,$(SRC_MECHS))
$(A_DRIVERS): $(call objs,$(SRC_DRIVERS))
$(A_AUTHD): $(call objs,$(SRC_AUTHD))
$(A_CLIENT): $(call objs,$(SRC_CLIENT))

AUTHD_PARTS = $(A_AUTHD) $(A_DRIVERS) $(A_MECHS) $(A_SCHEMES) $(A_CONF) $(A_BASE)

# a loadable driver may use functions of base, conf and drivers in the program
$(B)/authd: $(B)/obj/authd/main.o $(AUTHD_PARTS)
	$(CC) -o $@ $< -Wl,--whole-archive $(A_BASE) $(A_CONF) $(A_DRIVERS) -Wl,--no-whole-archive $(AUTHD_PARTS) \
	    $(LDFLAGS_ALL) -rdynamic $(LIBS_AUTHD)

$(B)/authctl: $(call objs,$(SRC_AUTHCTL)) $(A_CLIENT) $(A_DRIVERS) $(A_MECHS) $(A_SCHEMES) $(A_CONF) $(A_BASE)
	$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS_SCHEMES)

# run by the programs of driver checkpassword
$(B)/checkpassword-reply: $(B)/obj/libexec/checkpassword-reply.o
	$(CC) -o $@ $^ $(LDFLAGS_ALL)

$(B)/settings-doc: $(B)/obj/tools/settings-doc.o $(A_DRIVERS) $(A_SCHEMES) $(A_CONF) $(A_BASE)
	$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS_SCHEMES)

$(SO_CLIENT): $(call objs,$(SRC_CLIENT)) client-lib/exports.map
	$(CC) -shared -o $@ $(filter %.o,$^) -Wl,-soname,libauthd-client.so.0 \
	    -Wl,--version-script=client-lib/exports.map $(filter-out -pie,$(LDFLAGS_ALL))
	@ln -sf libauthd-client.so.0 $(B)/libauthd-client.so

# ---- unit tests: tests/unit/test_PART_what.c, linked with that part and what it rests on ----

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
unit_part = $(word 2,$(subst _, ,$(notdir $(1))))
unit_libs_base = $(A_BASE)
unit_libs_conf = $(A_CONF) $(A_BASE)
unit_libs_schemes = $(A_SCHEMES) $(A_CONF) $(A_BASE)
unit_libs_mech = $(A_MECHS) $(A_SCHEMES) $(A_CONF) $(A_BASE)
unit_libs_driver = $(A_DRIVERS) $(A_SCHEMES) $(A_CONF) $(A_BASE)
unit_libs_authd = $(AUTHD_PARTS)
unit_libs_client = $(A_CLIENT)
# tests of a module's files, which they are compiled with
test_more_driver_oauth2 = $(MOD_LIBS_oauth2)

.SECONDEXPANSION:
$(B)/drivers/%.so: $$(call objs,$$(MOD_SRC_$$*)) | $(B)/drivers
	$(CC) -shared -o $@ $(filter %.o,$^) $(filter-out -pie,$(LDFLAGS_ALL)) $(MOD_LIBS_$*)

$(B)/unit/%: $(B)/obj/tests/unit/%.o $$(unit_libs_$$(call unit_part,$$*))
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS_AUTHD) -lcmocka $(test_more_$(patsubst test_%,%,$*))

unit: $(UNIT_BIN)

# ---- fuzz targets: tests/fuzz/fuzz_PART_what.c, with clang's libFuzzer ----

FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_B := build-fuzz
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(FUZZ_B)/fuzz/%)
fuzz:
	$(MAKE) B=$(FUZZ_B) CC=clang OPT="-O1 -g" \
	    SAN="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" fuzz-build
fuzz-build: $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $$(unit_libs_$$(call unit_part,$$*))
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(LDFLAGS_ALL) -fsanitize=fuzzer $(LIBS_AUTHD) $(test_more_$(patsubst fuzz_%,%,$*))

# ---- installing ----

SBIN := $(DESTDIR)$(PREFIX)/sbin
LIBDIR := $(DESTDIR)$(PREFIX)/lib
MANDIR := $(DESTDIR)$(PREFIX)/share/man
DOCDIR := $(DESTDIR)$(PREFIX)/share/doc/authd

install: all
	install -d $(SBIN) $(LIBDIR)/authd/drivers $(LIBDIR)/pkgconfig $(LIBDIR)/systemd/system \
	    $(DESTDIR)$(PREFIX)/include $(DOCDIR)/examples
	install -m 755 $(B)/authd $(B)/authctl $(SBIN)
	$(if $(MODULES),install -m 644 $(MODULES:%=$(B)/drivers/%.so) $(LIBDIR)/authd/drivers)
	install -D -m 755 $(B)/checkpassword-reply $(DESTDIR)$(PREFIX)/libexec/authd/checkpassword-reply
	install -m 644 $(A_CLIENT) $(SO_CLIENT) $(LIBDIR)
	ln -sf libauthd-client.so.0 $(LIBDIR)/libauthd-client.so
	install -m 644 client-lib/authd-client.h $(DESTDIR)$(PREFIX)/include
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' client-lib/authd-client.pc.in \
	    > $(LIBDIR)/pkgconfig/authd-client.pc
	sed -e 's|/usr/local|$(PREFIX)|g' tools/authd.service > $(LIBDIR)/systemd/system/authd.service
	for page in docs/man/*.[1-8]; do \
	    install -D -m 644 $$page $(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	install -m 644 README.md LICENSE docs/*.md $(DOCDIR)
	install -m 644 conf/examples/*.conf conf/examples/*.conf.ext $(DOCDIR)/examples

# ---- what people call ----

check:
	tests/run
demo:
	tools/demo
run:
	tools/demo --foreground
bench:
	tests/bench/run
deps:
	tools/deps build
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
clean:
	rm -rf $(B) $(FUZZ_B) build-*

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.PHONY: FORCE all unit fuzz fuzz-build check demo run bench deps format clean install
.SECONDARY:
