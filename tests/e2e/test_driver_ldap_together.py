"""Many questions to a directory at once: each is answered as it would be alone, and none waits for a slow one."""

import os
import re
import subprocess

import pytest

from lib import authproto, authserver, ldap, proc

pytestmark = pytest.mark.authd_only("the driver's own tests")

USERS = 40
COUNT = 240  # in one burst
PASSWORD, WRONG = "plain-Gneiss4", "wrong-Pumice1"
SLOW_ROUNDS = 5000000  # of SHA512-CRYPT: some seconds
USER_ATTRS = "homeDirectory=home,uidNumber=uid,gidNumber=gid,cn=cn"
# which the service may search by, but not read
ACCESS = "access to attrs=employeeNumber by dn.one=\"ou=services,%s\" search by * none\n" % ldap.BASE
# (filter, whether one search is enough for several)
FILTERS = {
    "usual": ("(&(objectClass=posixAccount)(uid=%u))", True),
    "alone": ("(uid=%u)", True),
    "more conditions": ("(& (objectClass=posixAccount) (&(!(employeeType=off))(uid=%n)(|(sn=x)(sn=*))))", True),
    "text around": ("(mail=%n@example.net)", True),
    "several variables": ("(mail=%n@%{if;%d;eq;;example.net;%d})", True),
    "either": ("(|(uid=%u)(mail=%u))", True),
    "either of three": ("(&(objectClass=posixAccount)(|(cn=%n)(uid=%n)(mail=%n)))", True),
    "either of two variables": ("(|(uid=%n)(mail=%d))", False),
    "either or something else": ("(|(uid=%u)(&(employeeType=on)(mail=%u)))", False),
    "not": ("(&(uid=%n)(!(employeeType=%n)))", False),
    "beginning": ("(uid=%u*)", False),
    "another rule": ("(uid:caseExactMatch:=%u)", False),
    "approximate": ("(uid~=%u)", False),
    "several kinds": ("(name=%u)", None),
    "languages": ("(cn=%u)", None),
    "telephone": ("(telephoneNumber=%u)", None),
    "numbers": ("(uidNumber=%u)", None),
    "unreadable": ("(employeeNumber=%u)", None),
}


def person(name, number, **more):
    attrs = {"uid": name, "cn": name, "sn": "x", "uidNumber": str(number), "gidNumber": "5000", "homeDirectory": "/home/%d" % number,
             "userPassword": PASSWORD, "mail": [name + "@example.net", name + ".alias@example.net"], "telephoneNumber": "0%d-%d" % (number // 100, number % 100),
             "employeeNumber": name}
    attrs.update(more)
    return ldap.entry("uidNumber=%d,ou=people,%s" % (number, ldap.BASE), ["inetOrgPerson", "posixAccount"], **attrs)


def slow_hash():
    out = subprocess.run(["openssl", "passwd", "-6", "-salt", "rounds=%d$abcdefgh" % SLOW_ROUNDS, PASSWORD],
                         check=True, capture_output=True, text=True).stdout.strip()
    if "rounds=" not in out:
        out = subprocess.run(["mkpasswd", "-m", "sha-512", "-R", str(SLOW_ROUNDS), PASSWORD],
                             check=True, capture_output=True, text=True).stdout.strip()
    return "{CRYPT}" + out


def people():
    out = [person("u%d" % i, 5000 + i, employeeType="off" if i % 5 == 4 else "on") for i in range(USERS)]
    out.append(person("Big", 6000))
    out.append(person("ab", 6001))
    out.append(person("a-b", 6002))
    out.append(person("twin", 6003))
    out.append(person("twin", 6004))
    out.append(person("0", 6005))
    out.append(person("many", 6006, uid=["many", "alias"], mail=["many@example.net", "alias@example.net"]))
    out.append(person("kind", 6007, cn=["kind", "u1"], sn="another"))
    out.append(person("u2x", 6008).replace("\ncn:", "\ncn;lang-de:", 1) + "")
    out.append(person("space", 6009, cn="sp  ace"))
    out.append(person("phone", 6010, telephoneNumber="05-03"))
    out.append(person("phones", 6011, telephoneNumber=["050-99", "05 01"]))
    out.append(person("other", 6012, mail=["other@example.net", "u9"]))
    out.append(person("case", 6013, labeledURI=["Exact", "label"]))
    out.append(person("fax", 6014, facsimileTelephoneNumber="123"))
    out.append(person("first", 6015, mail="first@example.net", cn=["first", "second"], sn="first", employeeNumber="second", title="second"))
    out.append(person("second", 6016, cn="2nd", sn="2nd", mail=["second@example.net", "secondmail"]))
    out.append(person("secondmail", 6017, mail="3rd@example.net"))
    out.append(person("de", 6018, cn="german").replace("\nsn:", "\ncn;lang-de: choice\nsn:", 1))
    out.append(person("choice", 6019))
    out.append(person("both", 6020, labeledURI="Link").replace("\nsn:", "\ncn;lang-de: pretty\nsn:", 1))
    return "".join(out)


PLAIN = ["u%d" % i for i in range(USERS)] + ["nobody%d" % i for i in range(5)]
# an answer with one of these cannot be told apart, or what is alike is asked for at once
ODD = (["u%d" % i for i in range(0, USERS, 3)] +
       ["Big", "big", "BIG", "U3", "ab", "a-b", "twin", "0", "00", "many", "alias", "kind", "another", "x", "u2x", "sp ace", "sp  ace",
         "5003", "05003", "050-3", "05-03", "0503", "050 3", "x*", "u*", "u(1)", "u1)(uid=*", "\u00fc"])


@pytest.fixture(scope="module")
def slapd():
    stored = slow_hash()
    slow = "".join(person("slow%d" % i, 7000 + i, userPassword=stored) for i in range(3))
    server = ldap.Slapd(ldif=ldap.base() + people() + slow, limits=ACCESS, debug=256)
    yield server.start()
    server.stop()


def broker(slapd, **more):
    settings = {"uris": slapd.ldapi, "dn": ldap.SERVICE_DN, "dnpass": ldap.SERVICE_PW, "base": ldap.BASE,
                "user_attrs": USER_ATTRS, "default_pass_scheme": "PLAIN", **more}
    path = os.path.join(proc.new_dir("l"), "dovecot-ldap.conf.ext")
    with open(path, "w") as f:
        f.write(ldap.settings(**settings))
    section = "%%s {\n  driver = ldap\n  args = %s\n}\n" % path
    text = ("auth_mechanisms = plain\nauth_username_chars =\nauth_username_format = %u\nauth_failure_delay = 0\n"
            "auth_cache_size = 0\n" + section % "passdb" + section % "userdb")
    return authserver.new(text)


def searches(slapd):
    with open(slapd.log, errors="replace") as f:
        return re.findall(r' SRCH base="[^"]+" scope=2 .*filter="(.*)"', f.read())


def answer(reply):
    return reply.cmd, [a for a in reply.args if not a.startswith("reason=")]


def some(names):
    """All of them, some again."""
    return [names[i * 31 % len(names)] for i in range(COUNT)]


def alone(server, name):
    with server.master() as c:
        return answer(c.user(name))


def burst(server, names):
    asked = dict(enumerate(some(names), 1))
    with server.master() as c:
        c.raw("".join("USER\t%d\t%s\tservice=imap\n" % (i, name) for i, name in asked.items()))
        for _ in range(COUNT):
            reply = c.reply()
            yield asked.pop(int(reply.id)), answer(reply)


@pytest.mark.parametrize("kind", FILTERS)
def test_filter(slapd, kind):
    text, together = FILTERS[kind]
    server = broker(slapd, user_filter=text)
    server.start()
    try:
        want = {name: alone(server, name) for name in PLAIN + ODD}
        before = len(searches(slapd))
        for name, got in burst(server, PLAIN):
            assert got == want[name], name
        begin = re.search(r"\([^()=]*=[^()=]*%", text).group().partition("=")[0]
        joint = [f for f in searches(slapd)[before:] if f.count(begin + "=") > 1]
        assert together is None or bool(joint) == together, joint
        for _ in range(5):
            for name, got in burst(server, ODD):
                assert got == want[name], name
        if kind == "usual":
            assert want["big"][1][1:] == want["BIG"][1][1:] and want["big"][0] == "USER"
            assert want["twin"][0] == "FAIL" and want["u7"][0] == "USER" and want["nobody1"][0] == "NOTFOUND"
            assert want["u1)(uid=*"][0] == "NOTFOUND"
    finally:
        server.stop()


# (filter, who is asked for with them): alone, one of these is found twice
ALIKE = {
    "but for a hyphen": ("(telephoneNumber=%u)", ["050-4", "050-5", "050-3", "05-03"], "050-3"),
    "but for a blank": ("(telephoneNumber=%u)", ["050-1", "050-2", "050-99"], "050-1"),
    "in another attribute": ("(|(uid=%u)(mail=%u))", PLAIN + ["other"], "u9"),
    "one of several values": ("(cn=%u)", PLAIN + ["kind"], "u1"),
    "the same value": ("(uid=%u)", PLAIN + ["twin"], "twin"),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_alike(slapd, kind):
    text, names, twice = ALIKE[kind]
    server = broker(slapd, user_filter=text)
    server.start()
    try:
        for name, got in burst(server, names):
            if name == twice:
                assert got[0] == "FAIL", got
        for name in names:
            assert alone(server, name)[0] == ("FAIL" if name == twice or (twice, name) == ("050-3", "05-03") else
                                              "NOTFOUND" if name.startswith("nobody") else "USER")
    finally:
        server.stop()


# (filter, what is read besides, who is asked for with whom, and what he is told alone): from the entry of the one who is found
# with him it cannot be seen that it is his, too, or that it is not
UNSEEN = {
    "case that counts": ("(labeledURI=%u)", "", ["label", "exact"], "exact", "NOTFOUND"),
    "a value that nobody can search by": ("(|(uid=%u)(facsimileTelephoneNumber=%u))", "", ["fax", "123"], "123", "NOTFOUND"),
    "an attribute that cannot be read": ("(|(uid=%u)(employeeNumber=%u))", "", ["first", "second"], "second", "FAIL"),
    "another name of the attribute": ("(|(userid=%u)(mail=%u))", "uid=x", ["3rd@example.net", "secondmail"], "secondmail", "FAIL"),
    "a subtype": ("(|(uid=%u)(name=%u))", "sn=x,title=y", ["first", "second"], "second", "FAIL"),
    "an option": ("(|(uid=%u)(cn=%u))", "cn;lang-de=x", ["german", "choice"], "choice", "FAIL"),
    "an option, and case that counts": ("(|(labeledURI=%u)(cn=%u))", "cn;lang-de=x", ["pretty", "link"], "link", "NOTFOUND"),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_cannot_be_seen(slapd, kind):
    text, more, names, other, told = UNSEEN[kind]
    server = broker(slapd, user_filter=text, user_attrs=USER_ATTRS + "," + more)
    server.start()
    try:
        want = {name: alone(server, name) for name in names}
        assert want[other][0] == told and [want[name][0] for name in names if name != other] == ["USER"]
        for _ in range(3):
            for name, got in burst(server, names):
                assert got == want[name], name
    finally:
        server.stop()


def test_the_password_is_that_users(slapd):
    """Found together, compared here."""
    server = broker(slapd, pass_attrs="uid=user,userPassword=password", pass_filter=FILTERS["usual"][0])
    server.start()
    try:
        check_logins(server)
    finally:
        server.stop()


def expected(name, password):
    known = re.fullmatch(r"u([0-9]|[123][0-9])", name)
    return "OK" if known and password == PASSWORD else "FAIL"


def check_logins(server):
    for _ in range(3):
        asked = {}
        with server.client() as c:
            lines = []
            for i in range(COUNT):
                name = "u%d" % (i * 37 % (USERS + 8))
                password = PASSWORD if i % 3 else WRONG
                asked[i + 1] = (name, password)
                lines.append("AUTH\t%d\tPLAIN\tservice=smtp\tresp=%s\n" % (i + 1, authproto.plain(name, password)))
            c.raw("".join(lines))
            for _ in range(COUNT):
                reply = c.reply()
                name, password = asked.pop(int(reply.id))
                assert reply.cmd == expected(name, password), (name, password, reply)
                if reply.cmd == "OK":
                    assert reply.get("user") == name
                else:
                    assert not reply.has("temp"), reply


@pytest.mark.parametrize("how", ("searched", "by a template"))
def test_binds(slapd, how):
    more = {"auth_bind": "yes", "pass_filter": FILTERS["usual"][0], "pass_attrs": "uid=user"}
    if how == "by a template":
        more["auth_bind_userdn"] = "uid=%u,ou=people," + ldap.BASE
    server = broker(slapd, **more)
    server.start()
    try:
        if how == "searched":
            check_logins(server)
            assert any("(|(uid=" in f for f in searches(slapd)[-50:])
        else:
            with server.client() as c:  # nobody has such a DN: all of them are wrong, none is an outage
                c.raw("".join("AUTH\t%d\tPLAIN\tservice=smtp\tresp=%s\n" % (i, authproto.plain("u%d" % (i % 40), PASSWORD))
                              for i in range(1, COUNT + 1)))
                replies = [c.reply() for _ in range(COUNT)]
            assert {(r.cmd, r.has("temp")) for r in replies} == {("FAIL", False)}
    finally:
        server.stop()


def check_slow_binds(server):
    with server.client(timeout=60) as c:
        asked = {i: "u%d" % (i % USERS) for i in range(1, 91)}
        asked.update({5: "slow0", 35: "slow1", 65: "slow2"})
        asked.update({i: ("twin", "nobody1", "Big")[i % 3] for i in range(7, 91, 10)})
        c.raw("".join("AUTH\t%d\tPLAIN\tservice=smtp\tresp=%s\n" % (i, authproto.plain(name, PASSWORD))
                      for i, name in asked.items()))
        order = []
        for _ in range(90):
            reply = c.reply(timeout=60)
            name = asked[int(reply.id)]
            assert (reply.cmd == "OK") == (name not in ("twin", "nobody1")), reply
            order.append(name)
    assert [name for name in order[:87] if name.startswith("slow")] == []


def test_a_slow_bind_holds_up_nobody(slapd):
    server = broker(slapd, auth_bind="yes", pass_filter=FILTERS["usual"][0], pass_attrs="uid=user")
    server.start()
    try:
        check_logins(server)  # now there are connections, and answers have been quick
        check_slow_binds(server)
    finally:
        server.stop()


def test_a_slow_bind_holds_up_nobody_with_tls(slapd):
    """What a server says besides its answers is no reason to wait for one, nor is the beginning of one."""
    authority = ldap.Authority(proc.new_dir("ca"))
    with ldap.Tickets(slapd, authority.issue("127.0.0.1")) as front:
        server = broker(slapd, uris=front.uri, tls_ca_cert_file=authority.cert, auth_bind="yes",
                        pass_filter=FILTERS["usual"][0], pass_attrs="uid=user")
        server.start()
        try:
            check_slow_binds(server)  # the tickets come with the first answers
            check_logins(server)
        finally:
            server.stop()


def test_it_can_be_switched_off(slapd):
    server = broker(slapd, user_filter=FILTERS["usual"][0], ask_together="no")
    server.start()
    try:
        before = len(searches(slapd))
        for _ in burst(server, PLAIN):
            pass
        assert len(searches(slapd)) - before == COUNT
    finally:
        server.stop()
