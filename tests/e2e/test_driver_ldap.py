"""The ldap driver against real slapd servers: what it finds, what outages do to it, and who gets in."""

import os
import re
import socket

import pytest

from lib import authproto, authserver, ldap, proc

pytestmark = pytest.mark.authd_only("the ldap driver of authd")

GOOD, WRONG = ldap.PASSWORDS, ldap.WRONG
OK, MISMATCH, TEMPFAIL = "OK", "FAIL", "temp_fail"


@pytest.fixture(scope="module")
def authority():
    return ldap.Authority(proc.new_dir("ca"))


@pytest.fixture(scope="module")
def slapd(authority):
    cert, key = authority.issue("127.0.0.1")
    server = ldap.Slapd(tls=(authority.cert, cert, key), ldif=ldap.tree() + ldap.many(1500),
                        limits="limits * size.soft=500 size.hard=500 size.prtotal=unlimited")
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def small():
    """A server without TLS that gives no more than 20 entries to anybody."""
    server = ldap.Slapd(ldif=ldap.tree() + ldap.many(30), limits="sizelimit 20\n" + ldap.PPOLICY).start()
    yield server
    server.stop()


class Broker:
    """authd with the ldap driver as passdb and userdb."""

    def __init__(self, more="", userdb=True, deadline=None, **settings):
        self.file = os.path.join(proc.new_dir("l"), "dovecot-ldap.conf.ext")
        self.write(**settings)
        text = ("auth_mechanisms = plain\nauth_verbose = yes\nauth_username_chars =\n"
                "auth_cache_size = 0\npassdb {\n  driver = ldap\n  args = %s\n}\n" % self.file)
        if userdb:
            text += "userdb {\n  driver = ldap\n  args = %s\n}\n" % self.file
        listeners = None
        if deadline:
            limit = "    client_deadline = %s\n" % deadline
            listeners = [authserver.Listener("auth-client", extra=limit)]
        self.server = authserver.new(text + more, listeners=listeners)

    def write(self, **settings):
        with open(self.file, "w") as f:
            f.write(ldap.settings(**settings))

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *exc):
        self.server.stop()

    def login(self, user, password):
        with self.server.client() as c:
            reply = c.login(user, password)
        return reply

    def result(self, user, password):
        return self.server.login_result(user, password)

    def user(self, name):
        with self.server.master() as m:
            return m.user(name)

    def wait_for(self, what, user="alice"):
        proc.wait_for("%s\n%s" % (what, self.server.logs()[-2000:]),
                      lambda: self.result(user, GOOD[user]) == what, 20)


def standard(server, **more):
    found = dict(uris=server.uri, dn=ldap.SERVICE_DN, dnpass=ldap.SERVICE_PW, base=ldap.BASE)
    found.update(more)
    return {k: v for k, v in found.items() if v is not None}


@pytest.fixture(scope="module")
def compare(slapd):
    with Broker(**standard(slapd)) as broker:
        yield broker


@pytest.fixture(scope="module")
def binding(slapd):
    with Broker(**standard(slapd, auth_bind="yes")) as broker:
        yield broker


# ---- right, wrong, unknown ----

def test_search_and_compare(compare):
    for user in GOOD:
        if user != "dave":
            assert compare.result(user, GOOD[user]) == OK, user
            assert compare.result(user, WRONG) == MISMATCH, user
            assert compare.result(user, "") == MISMATCH, user
    assert compare.result("nobody", WRONG) == MISMATCH
    compare.server.wait_log("ldap(nobody): unknown user")


def test_a_scheme_that_is_not_known_is_said(compare):
    assert compare.result("dave", GOOD["dave"]) == TEMPFAIL
    compare.server.wait_log("SASL")


def test_an_empty_password_is_never_bound(binding):
    assert binding.result("alice", "") == MISMATCH
    binding.server.wait_log("ldap(alice): Login attempt with empty password")


def test_auth_bind_knows_users_but_not_their_passwords(binding):
    with binding.server.master() as m:
        assert m.passdb("alice").cmd == "PASS"
        assert m.passdb("nobody").cmd == "NOTFOUND"
        assert m.user("alice").get("home") == "/srv/mail/0"


def test_auth_bind_userdn_is_searched_for_in_lookups(slapd):
    """A userdb static asks whether the user exists, for LMTP; binding needs his password."""
    userdn = "uid=%u,ou=people," + ldap.BASE
    with Broker("userdb {\n  driver = static\n  args = uid=5000 gid=5000 home=/srv/%u\n}\n", userdb=False,
                **standard(slapd, auth_bind="yes", auth_bind_userdn=userdn)) as broker:
        assert broker.result("alice", GOOD["alice"]) == OK
        assert broker.result("alice", WRONG) == MISMATCH
        assert broker.user("alice").get("home") == "/srv/alice"
        assert broker.user("nobody").cmd == "NOTFOUND"


def test_auth_bind_userdn_that_is_no_dn(slapd):
    """Active Directory binds user@domain. OpenLDAP does not, which is nobody's wrong password."""
    name = "alice@example.org"
    with ldap.Endless(ldap.Endless.ENTRY) as anyone:
        uris = "ldap://127.0.0.1:%d" % anyone.port
        with Broker(**standard(slapd, uris=uris, auth_bind="yes", auth_bind_userdn="%u")) as broker:
            assert broker.result(name, GOOD["alice"]) == OK
    with Broker(**standard(slapd, auth_bind="yes", auth_bind_userdn="%u@example.org")) as broker:
        assert broker.result("alice", GOOD["alice"]) == TEMPFAIL
        broker.server.wait_log("bind as alice@example.org: Invalid DN syntax")


def test_password_policy(small):
    """An account that is locked, or a password that is too old, is no wrong password."""
    with Broker(**standard(small, auth_bind="yes")) as broker:
        assert broker.result("bob", GOOD["bob"]) == OK
        for attr, value, word, user in (
                ("pwdAccountLockedTime", "000001010000Z", "the account is locked", "bob"),
                ("pwdChangedTime", "20200101000000Z", "Password expired", "alice")):
            small.modify("dn: %s\nchangetype: modify\nreplace: %s\n%s: %s\n" % (
                ldap.user_dn(user), attr, attr, value), "-e", "relax")
            reply = broker.login(user, GOOD[user])
            assert reply.cmd == "FAIL" and reply.get("code") != "temp_fail", reply
            broker.server.wait_log("ldap(%s): %s" % (user, word))


# ---- many at once ----

def together(broker, expected, times=8):
    """Logins in one burst on one connection; expected: {(user, password): answer}."""
    asked, out = {}, []
    for i, (user, password) in enumerate(list(expected) * times, 1):
        asked[str(i)] = (user, password)
        out.append("AUTH\t%d\tPLAIN\tservice=imap\tresp=%s\n" % (i, authproto.plain(user, password)))
    with broker.server.client() as c:
        c.raw("".join(out))
        for _ in out:
            reply = c.reply()
            what = asked.pop(reply.id)
            got = TEMPFAIL if reply.get("code") == "temp_fail" else reply.cmd
            assert got == expected[what], (what, reply)
            assert got != OK or reply.get("user") == what[0], (what, reply)


@pytest.mark.parametrize("bind", [False, True])
def test_many_at_once(compare, binding, bind):
    """Searches whose answers are waited for together have each its own, when one of them fails, too."""
    expected = {}
    for user in GOOD:
        if user != "dave":
            unknown = bind and user == "carol"  # slapd has no such scheme
            expected[user, GOOD[user]] = MISMATCH if unknown else OK
            expected[user, WRONG] = MISMATCH
            expected[user, ""] = MISMATCH
    for user in ("nobody", "x" * 1000, "*", "alice)(uid=*", "a\\2a"):
        expected[user, WRONG] = MISMATCH
    if not bind:
        expected["dave", GOOD["dave"]] = TEMPFAIL
    together(binding if bind else compare, expected)


def test_many_lookups_with_sub_queries(slapd):
    with Broker(**standard(slapd, user_attrs="homeDirectory=home, @store=%{ldap:seeAlso}, l@store=mailhost")) as broker:
        with broker.server.master() as m:
            want = {name: m.user(name).args for name in [*GOOD, "nobody"]}
            assert any("mailhost=192.0.2.11" in args for args in want.values())
            names = list(want) * 12
            m.raw("".join("USER\t%d\t%s\tservice=imap\n" % (1000 + i, name) for i, name in enumerate(names)))
            for _ in names:
                reply = m.reply()
                assert reply.args == want[names[int(reply.id) - 1000]], reply


# ---- fields ----

def test_default_user_fields(compare):
    reply = compare.user("bob")
    assert (reply.get("uid"), reply.get("gid"), reply.get("home")) == ("5001", "5000", "/srv/mail/1")
    assert compare.user("nobody").cmd == "NOTFOUND"


def test_attribute_language(slapd):
    attrs = ("homeDirectory=home=/mnt%$/%Ld, =static=x y, uidNumber=uid, gidNumber=gid, mail=alias, "
             "@store=%{ldap:seeAlso}, l@store=mailhost, =url=%{ldap:labeledURI@store}/%n, "
             "=def=%{ldap:title:none}, title=no_such, =ptr=%{ldap_ptr:description}, =dn=%{ldap_dn:x}, "
             "employeeType=%{service}_type, !cn, =name=%{ldap:cn}")
    with Broker(**standard(slapd, user_attrs=attrs)) as broker:
        reply = broker.user("tim@example.org")
        want = {"home": "/mnt/srv/mail/4/example.org", "static": "x y", "uid": "5004", "gid": "5000",
                "alias": "4@example.org", "mailhost": "192.0.2.11",
                "url": "imap://store1/tim", "def": "none", "ptr": "+1 555 4",
                "dn": "uid=tim@example.org,ou=people," + ldap.BASE, "imap_type": "staff",
                "name": "Name of tim@example.org"}
        assert {k: reply.get(k) for k in want} == want
        assert not reply.has("no_such") and not reply.has("cn")
        broker.server.wait_log("attribute mail has several values")


@pytest.mark.parametrize("bind", ["no", "yes"])
def test_prefetch(slapd, bind):
    attrs = ("uid=user, userPassword=password, homeDirectory=userdb_home, uidNumber=userdb_uid, "
             "gidNumber=userdb_gid, =userdb_mail=maildir:~/M")
    with Broker("userdb {\n  driver = prefetch\n}\n", userdb=False,
                **standard(slapd, pass_attrs=attrs, auth_bind=bind)) as broker:
        with broker.server.client("login/login") as c:
            user = "carol" if bind == "no" else "alice"
            reply = c.auth("PLAIN", resp=authproto.plain(user, GOOD[user]), id=7)
            assert reply.cmd == "OK", reply
            with broker.server.master() as m:
                found = m.ask("REQUEST", c.pid, 7, c.cookie, id=9)
        assert found.cmd == "USER" and found.get("mail") == "maildir:~/M", found
        assert found.get("home") == ("/srv/mail/2" if bind == "no" else "/srv/mail/0")


def test_prefetch_of_attributes_that_are_missing(slapd):
    """The userdb answers for the user all the same, as Dovecot's does: with uid and home from elsewhere."""
    with Broker("userdb {\n  driver = prefetch\n}\n", userdb=False,
                **standard(slapd, pass_attrs="uid=user, userPassword=password, title=userdb_quota_rule")) as broker:
        with broker.server.client("login/login") as c:
            assert c.auth("PLAIN", resp=authproto.plain("alice", GOOD["alice"]), id=7).cmd == "OK"
            with broker.server.master() as m:
                found = m.ask("REQUEST", c.pid, 7, c.cookie, id=9)
        assert found.cmd == "USER" and not found.has("quota_rule") and not found.has(""), found


def test_base_and_filter_templates(slapd):
    with Broker(**standard(slapd, base="ou=people,dc=%Dd", scope="onelevel",
                           pass_filter="(&(objectClass=posixAccount)(|(uid=%n)(uid=%u)))",
                           pass_attrs="userPassword=password")) as broker:
        assert broker.result("alice@example.org", GOOD["alice"]) == OK
        assert broker.result("alice@example.com", GOOD["alice"]) == MISMATCH  # no such base
        assert broker.result("alice@example.org,dc=x", GOOD["alice"]) == MISMATCH


def test_a_base_that_is_not_there_is_an_outage(slapd):
    with Broker(**standard(slapd, base="ou=moved," + ldap.BASE)) as broker:
        assert broker.result("alice", GOOD["alice"]) == TEMPFAIL


def test_a_second_userdb_looks_at_what_the_first_one_found(slapd):
    """The "multiple queries" of Dovecot's wiki: the user's class, then the entry of the class."""
    text = ""
    for name, settings in (("user", dict(user_attrs="homeDirectory=home, =class=store1")),
                           ("class", dict(user_attrs="l=mailhost, =home:protected=/none, =of=%{userdb:home}",
                                          user_filter="(cn=%{userdb:class})"))):
        path = os.path.join(proc.new_dir("l"), name)
        with open(path, "w") as f:
            f.write(ldap.settings(**standard(slapd, **settings)))
        text += "userdb {\n  driver = ldap\n  args = %s\n  result_success = continue-ok\n}\n" % path
    with Broker(text, userdb=False, **standard(slapd)) as broker:
        reply = broker.user("alice")
        assert [reply.get(k) for k in ("home", "mailhost", "of")] == ["/srv/mail/0", "192.0.2.11", "/srv/mail/0"], reply
        assert broker.user("nobody").cmd == "NOTFOUND"


# ---- listing ----

def test_listing_pages_and_wildcards(compare):
    with compare.server.master() as m:
        names, done = m.list()
        assert done.cmd == "DONE" and not done.has("fail")
        assert len([n for n in names if n.startswith("list")]) == 1500
        assert set(GOOD) <= set(names)
        names, done = m.list("user=list0000*")
        assert sorted(names) == ["list%05d" % i for i in range(10)]


def test_each_value_of_a_name_is_listed(slapd):
    with Broker(**standard(slapd, iterate_attrs="mail=user, uid=user", iterate_filter="(uid=alice)")) as broker:
        with broker.server.master() as m:
            names, done = m.list()
    assert sorted(names) == ["0@example.net", "0@example.org", "alice"] and not done.has("fail")


def test_a_list_that_is_cut_is_no_list(small):
    with Broker(**standard(small)) as broker:
        with broker.server.master() as m:
            names, done = m.list()
            assert done.has("fail") and len(names) <= 20
        broker.server.wait_log("the list is not complete: Size limit exceeded")


# ---- TLS and SASL ----

def test_the_log_says_why_there_is_no_connection(slapd, authority):
    """Which server, and what an administrator can look after; never libldap's own riddles."""
    stranger = ldap.Authority(proc.new_dir("stranger"))
    silent = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(3)]  # the queue is full: nobody else gets in
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(silent.getsockname())
    for uri, want in (("ldap://127.0.0.1:%d" % proc.free_port(), "refused|nobody takes the connection"),
                      ("ldap://no-such-host.invalid", "does its name resolve"),
                      ("ldap://127.0.0.1:%d" % silent.getsockname()[1], "timed out"),
                      ("ldaps://127.0.0.1:%d" % slapd.tls_port, "certificate is not trusted")):
        with Broker(uris=uri, deadline="2 s", tls_ca_cert_file=stranger.cert, userdb=False) as b:
            assert b.result("alice", GOOD["alice"]) == TEMPFAIL
            log = b.server.logs()
            assert re.search(r"ldap\(alice\): %s: connecting: .*(%s)" % (re.escape(uri), want), log), log
            assert "endpoint" not in log and "unknown error" not in log and "no time left" not in log
    for one in waiting + [silent]:
        one.close()


@pytest.mark.parametrize("way", ["ldaps", "starttls"])
def test_tls_is_verified(slapd, authority, way):
    other = ldap.Authority(proc.new_dir("ca"), "other")

    def broker(ca, host="127.0.0.1", **more):
        if way == "ldaps":
            more["uris"] = "ldaps://%s:%d" % (host, slapd.tls_port)
        else:
            more.update(uris="ldap://%s:%d" % (host, slapd.port), tls="yes")
        return Broker(**standard(slapd, tls_ca_cert_file=ca.cert, **more))

    with broker(authority) as b:
        assert b.result("alice", GOOD["alice"]) == OK
        assert b.result("alice", WRONG) == MISMATCH
    with broker(authority, auth_bind="yes") as b:
        assert b.result("alice", GOOD["alice"]) == OK
    for b in (broker(other), broker(authority, host="localhost")):
        with b:
            assert b.result("alice", GOOD["alice"]) == TEMPFAIL
    with broker(other, tls_require_cert="never") as b:
        assert b.result("alice", GOOD["alice"]) == OK


def test_tls_as_ldap_conf_has_it(slapd, authority):
    """What the settings leave open is libldap's to say, in ldap.conf(5) or the file that takes its place."""
    rc = os.path.join(proc.new_dir("rc"), "ldaprc")
    with open(rc, "w") as f:
        f.write("TLS_CACERT %s\n" % authority.cert)
    uris = "ldaps://127.0.0.1:%d" % slapd.tls_port
    with Broker(**standard(slapd, uris=uris, ldaprc_path=rc)) as broker:
        assert broker.result("alice", GOOD["alice"]) == OK, broker.server.logs()
        assert broker.result("alice", WRONG) == MISMATCH
    other = ldap.Authority(proc.new_dir("ca"), "other")
    with Broker(**standard(slapd, uris=uris, ldaprc_path=rc, tls_ca_cert_file=other.cert)) as broker:
        assert broker.result("alice", GOOD["alice"]) == TEMPFAIL


def test_tls_settings_count_for_tls_only(slapd):
    with Broker(**standard(slapd, tls_ca_cert_file="/no/such/file", tls_cipher_suite="HIGH")) as broker:
        assert broker.result("alice", GOOD["alice"]) == OK, broker.server.logs()


def test_starttls_is_never_left_out(small, authority):
    with Broker(**standard(small, tls="yes", tls_ca_cert_file=authority.cert)) as broker:
        assert broker.result("alice", GOOD["alice"]) == TEMPFAIL
        broker.server.wait_log("StartTLS")


def test_sasl_external_over_ldapi(slapd):
    with Broker(**standard(slapd, uris=slapd.ldapi, dn=None, dnpass=None, sasl_bind="yes",
                           sasl_mech="EXTERNAL")) as broker:
        assert broker.result("alice", GOOD["alice"]) == OK
        assert broker.result("alice", WRONG) == MISMATCH


def test_sasl_digest_md5(slapd):
    with Broker(**standard(slapd, dn="digest", dnpass=ldap.DIGEST_PW, sasl_bind="yes",
                           sasl_mech="DIGEST-MD5")) as broker:
        assert broker.result("alice", GOOD["alice"]) == OK, broker.server.logs()
        assert broker.result("alice", WRONG) == MISMATCH
    with Broker(**standard(slapd, dn="digest", dnpass=WRONG, sasl_bind="yes",
                           sasl_mech="DIGEST-MD5")) as broker:
        assert broker.result("alice", GOOD["alice"]) == TEMPFAIL


# ---- outages: the rest is in test_outages.py ----

@pytest.mark.parametrize("scheme,tls", [("ldap", "no"), ("ldaps", "no"), ("ldap", "yes")])
def test_a_listener_that_says_nothing(slapd, scheme, tls):
    with ldap.Silent() as silent:
        uris = "%s://127.0.0.1:%d %s" % (scheme, silent.port, slapd.uri)
        with Broker(deadline="4 secs", **standard(slapd, uris=uris, tls_require_cert="never",
                                                  tls=tls)) as broker:
            assert broker.result("alice", GOOD["alice"]) == OK, broker.server.logs()
            assert broker.result("alice", WRONG) == MISMATCH


@pytest.mark.parametrize("what", [ldap.Endless.ENTRY, ldap.Endless.REFERENCE], ids=["entries", "references"])
def test_an_answer_without_an_end(slapd, what):
    """An outage, at once, and the worker stays small; before, it took a gigabyte in some seconds."""
    with ldap.Endless(what) as endless:
        uris = "ldap://127.0.0.1:%d" % endless.port
        with Broker(deadline="20 secs", **standard(slapd, uris=uris)) as broker:
            assert broker.result("alice", GOOD["alice"]) == TEMPFAIL, broker.server.logs()
            assert "an answer of more than" in broker.server.logs()
            assert max(map(proc.peak_kib, broker.server.pids("worker ldap"))) < 300 * 1024


def test_no_password_is_in_the_log(compare, binding):
    for broker in (compare, binding):
        logs = broker.server.logs()
        for secret in list(GOOD.values()) + [WRONG, ldap.SERVICE_PW]:
            assert secret not in logs


# ---- the form of Dovecot 2.4 ----

TEXT_24 = """
auth_mechanisms = plain
auth_verbose = yes
auth_username_chars =
ldap_uris = %(uri)s
ldap_auth_dn = %(dn)s
ldap_auth_dn_password = %(pw)s
ldap_base = ou=people,%(base)s
passdb ldap {
  bind = %(bind)s
  filter = (&(objectClass=posixAccount)(uid=%%{user | username | lower}))
  fields {
    user = %%{ldap:uid}
    password = %%{ldap:userPassword}
    userdb_home:default = %%{ldap:homeDirectory | default('/none')}/%%{ldap:uid | upper}, x
    dn = %%{ldap:dn}
    missing = %%{ldap:telephoneNumber}
    fallback = %%{ldap:telephoneNumber | default('none')}
    classes = %%{ldap_multi:objectClass | list('+')}
  }
}
userdb ldap {
  filter = (uid=%%{user | username})
  iterate_filter = (uid=alice)
  fields {
    home = %%{ldap:homeDirectory}
    uid = %%{ldap:uidNumber}
    gid = %%{ldap:gidNumber}
  }
  iterate_fields {
    user = %%{ldap:uid}
  }
}
"""


@pytest.mark.parametrize("bind", ["no", "yes"])
def test_form_24(slapd, bind):
    text = TEXT_24 % {"uri": slapd.uri, "dn": ldap.SERVICE_DN, "pw": ldap.SERVICE_PW, "base": ldap.BASE, "bind": bind}
    server = authserver.new(text)
    server.form_24 = True
    server.start()
    try:
        with server.client() as c:
            reply = c.login("alice", GOOD["alice"])
        assert reply.cmd == "OK", server.logs()
        assert reply.get("dn") == ldap.user_dn("alice")
        assert not reply.has("missing") and reply.get("fallback") == "none"
        assert "+" in reply.get("classes") and "posixAccount" in reply.get("classes").split("+")
        for user in ("alice", "bob"):
            assert server.login_result(user, GOOD[user]) == OK
            assert server.login_result(user, WRONG) == MISMATCH
        for name in ("nobody", "*", "ali*", "alice)(uid=*", "alice\\", "(", "alice)(objectClass=*"):
            assert server.login_result(name, GOOD["alice"]) == MISMATCH, name
        with server.master() as m:
            reply = m.user("alice")
            assert reply.get("home") == "/srv/mail/0" and reply.has("uid") and reply.has("gid")
            assert m.user("ali*").cmd == "NOTFOUND"
            got, done = m.list()
        assert got == ["alice"] and not done.has("fail")
        assert len(server.pids("worker")) == 1, "passdb and userdb share their worker"
        assert ldap.SERVICE_PW not in server.logs() and GOOD["alice"] not in server.logs()
    finally:
        server.stop()


def test_a_bind_without_a_name_is_never_sent():
    """auth_bind_userdn of a part that the user's name does not have, and a server that grants anonymous binds with any password."""
    server = ldap.Slapd()
    with open(server.conf, "r+") as f:
        text = f.read()
        f.seek(0)
        f.write("allow bind_anon_cred\n" + text)
    server.start()
    try:
        with Broker(uris=server.ldapi, base=ldap.BASE, auth_bind="yes", auth_bind_userdn="%n") as b:
            assert b.result("@example.org", "any") == MISMATCH
            b.server.wait_log("auth_bind_userdn makes no name")
    finally:
        server.stop()
