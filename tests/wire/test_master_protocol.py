"""The master and userdb protocols: USER, PASS, LIST, REQUEST, and who may ask what."""

import os
import pwd
import re

import pytest

from lib import authserver, users
from lib.authproto import Conn

GOOD = users.PASSWORDS["tim"]
BOTH = ["auth-master", "auth-userdb"]
EVERYONE = sorted(name for name in users.PASSWORDS if name != "chief")


@pytest.fixture(params=BOTH)
def asker(request, server):
    """A connection to auth-master, then one to auth-userdb."""
    with server.master(request.param) as m:
        yield m


# ---- handshake ----


def test_server_speaks_first_and_briefly(server):
    for name in BOTH:
        with Conn(server.path(name)) as c:
            assert re.fullmatch(rb"VERSION\t1\t\d+", c.line())
            assert re.fullmatch(rb"SPID\t\d+", c.line())
            assert c.silent()


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 99])
def test_every_minor_version(server, minor):
    with server.master(minor=minor) as m:
        assert m.user("tim").cmd == "USER"


def test_lookup_pipelined_behind_the_hello(server):
    with Conn(server.path("auth-userdb")) as c:
        c.raw("VERSION\t1\t0\nUSER\t1\ttim\tservice=lmtp\n")
        c.line(), c.line()
        assert c.reply().cmd == "USER"


@pytest.mark.parametrize("line", [
    "VERSION\t2\t0", "VERSION\t0\t1", "VERSION", "", "HELO", "USER\t1\ttim\tservice=imap"])
def test_bad_hello_closes(server, line):
    with Conn(server.path("auth-master")) as c:
        c.line(), c.line()
        c.raw(line + "\n")
        assert c.closed()


@pytest.mark.parametrize("line", [
    "CPID\t123",
    "NOOP",
    "user\t1\ttim\tservice=imap",
    "AUTH\t1\tPLAIN\tservice=imap",
    "USER",
    "USER\t1",
    "USER\tx\ttim\tservice=imap",
    "USER\t-1\ttim\tservice=imap",
    "USER\t4294967296\ttim\tservice=imap",
    "USER\t1\ttim",
    "USER\t1\ttim\trip=127.0.0.1",
    "PASS\t1\ttim",
    "PASS\tx\ttim\tservice=imap",
    "LIST\tx",
])
def test_protocol_errors_close(asker, line):
    asker.raw(line + "\n")
    assert asker.closed()


@pytest.mark.parametrize("line", [
    "REQUEST\t1\t1\t1\t" + "0" * 32, "CACHE-FLUSH\t1"])
def test_userdb_socket_refuses_masters_commands(server, line):
    with server.master("auth-userdb") as m:
        m.raw(line + "\n")
        assert m.closed()


@pytest.mark.parametrize("line", [
    "REQUEST", "REQUEST\t1", "REQUEST\tx\t1\t1\t" + "0" * 32, "REQUEST\t1\tx\t1\t" + "0" * 32,
    "REQUEST\t1\t1\tx\t" + "0" * 32])
def test_malformed_request_closes(server, line):
    with server.master() as m:
        m.raw(line + "\n")
        assert m.closed()


# ---- USER ----


def test_user(asker):
    reply = asker.user("tim")
    assert reply.cmd == "USER" and reply.args[0] == "tim"
    assert (reply.get("uid"), reply.get("gid")) == (str(users.UID), str(users.GID))
    assert reply.get("home").endswith("/mail/tim")
    assert [a.partition("=")[0] for a in reply.args[1:]] == ["uid", "gid", "home"]


def test_user_extra_fields(asker):
    reply = asker.user("sue")
    assert reply.get("mail") == "maildir:~/Maildir"
    assert reply.get("quota_rule") == "*:storage=1G"
    assert not reply.has("userdb_mail")


def test_user_not_found(asker):
    for name in ("nobody-here", "tim*chief", "a b", "*", ""):
        reply = asker.user(name)
        assert (reply.cmd, reply.args) == ("NOTFOUND", []), name


@pytest.mark.authd_only("dovecot-auth cuts the name at the NUL and finds tim")
def test_user_name_with_nul(asker):
    assert asker.user("tim\0").cmd == "NOTFOUND"
    assert asker.user("tim\0x").cmd == "NOTFOUND"


def test_user_name_is_normalised(asker):
    assert asker.user("Anna@EXAMPLE.com").args[0] == "anna@example.com"


def test_lookups_side_by_side(asker):
    for id in range(100, 200):
        asker.send("USER", id, "tim" if id % 2 else "nobody-here", "service=lmtp")
    replies = {int(r.id): r.cmd for r in (asker.reply() for _ in range(100))}
    assert replies == {id: "USER" if id % 2 else "NOTFOUND" for id in range(100, 200)}


def test_parameters_are_ignored_or_taken(asker):
    assert asker.user("tim", "lip=127.0.0.1", "rip=x", "lport=143", "session=s", "flag", "",
                      "debug", "shoe_size=43").cmd == "USER"


def test_line_of_1024_bytes(asker):
    assert asker.user("tim", "pad=" + "x" * 900).cmd == "USER"


def test_huge_line_closes(asker):
    asker.raw("USER\t1\t" + "x" * 70000)
    assert asker.closed()


# ---- PASS ----


def test_pass(asker):
    reply = asker.passdb("tim")
    assert (reply.cmd, reply.get("user")) == ("PASS", "tim")


def test_pass_shows_no_password(asker):
    for name in EVERYONE:
        reply = asker.passdb(name, "rip=10.0.0.1")
        assert reply.cmd == "PASS", reply
        assert not reply.has("password") and not reply.has("pass")
        for secret in users.secrets():
            assert secret.encode() not in reply.line


def test_pass_proxy_fields(asker):
    reply = asker.passdb("prox")
    assert (reply.get("proxy"), reply.get("host"), reply.get("port")) == ("y", "192.0.2.1", "143")
    assert (reply.get("destuser"), reply.get("nologin")) == ("other", "y")


def test_pass_not_found(asker):
    assert asker.passdb("nobody-here").cmd == "NOTFOUND"
    assert asker.passdb("nets", "rip=198.51.100.1").cmd == "NOTFOUND"
    assert asker.passdb("nets", "rip=192.0.2.1").cmd == "PASS"


# ---- LIST ----


def test_list(asker):
    names, done = asker.list("service=doveadm")
    assert sorted(names) == EVERYONE
    assert done.line == b"DONE\t%s\t" % done.id.encode()


def test_list_without_a_service(asker):
    assert sorted(asker.list()[0]) == EVERYONE


def test_list_with_a_mask(asker):
    """2.3 leaves the choice to its client, 2.4 chooses."""
    names, done = asker.list("user=*@example.com", "service=doveadm")
    assert "anna@example.com" in names and set(names) <= set(EVERYONE)
    assert done.args in ([], [""])


def test_lookup_after_a_list(asker):
    asker.send("LIST", 1, "service=doveadm")
    asker.send("USER", 2, "tim", "service=doveadm")
    lines = [asker.reply() for _ in range(len(EVERYONE) + 2)]
    assert {r.cmd for r in lines} == {"LIST", "DONE", "USER"}


STATIC = """
auth_mechanisms = plain
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=1234 gid=1234 home=/home/%u mail=maildir:~/%d/%n allow_all_users=yes
}
"""


def test_nothing_to_list(start_server):
    server = start_server(text=STATIC)
    with server.master() as m:
        names, done = m.list()
        assert names == [] and done.args == ["fail"]
        reply = m.user("a@example.com")
        assert (reply.get("uid"), reply.get("home")) == ("1234", "/home/a@example.com")
        assert reply.get("mail") == "maildir:~/example.com/a"


# ---- CACHE-FLUSH ----


def test_cache_flush(server):
    with server.master() as m:
        assert m.ask("CACHE-FLUSH").line == b"OK\t1\t0"
        assert m.ask("CACHE-FLUSH", "tim").line == b"OK\t2\t0"


# ---- REQUEST ----


@pytest.fixture
def logged_in(server):
    """(client, id of tim's login, master connection)"""
    with server.client("auth-login") as c, server.master() as m:
        reply = c.login("tim", GOOD, "session=abc", service="imap")
        assert reply.cmd == "OK"
        yield c, reply.id, m


def request(m, pid, id, cookie, *args):
    return m.ask("REQUEST", pid, id, cookie, "session_pid=%d" % os.getpid(), *args)


def test_request(logged_in):
    c, id, m = logged_in
    reply = request(m, c.pid, id, c.cookie)
    assert reply.cmd == "USER" and reply.args[0] == "tim"
    assert (reply.get("uid"), reply.get("auth_mech")) == (str(users.UID), "PLAIN")
    assert not reply.has("auth_token") and not reply.has("master_user")


def test_request_with_token(logged_in):
    c, id, m = logged_in
    reply = request(m, c.pid, id, c.cookie, "request_auth_token")
    assert re.fullmatch("[0-9a-f]{40}", reply.get("auth_token"))


def test_request_consumes(logged_in):
    c, id, m = logged_in
    assert request(m, c.pid, id, c.cookie).cmd == "USER"
    assert request(m, c.pid, id, c.cookie).cmd == "FAIL"


def test_wrong_request_consumes_nothing(logged_in):
    c, id, m = logged_in
    wrong = ("0" if c.cookie[0] != "0" else "1") + c.cookie[1:]
    assert request(m, c.pid, id, wrong).cmd == "FAIL"
    assert request(m, c.pid + 1, id, c.cookie).cmd == "FAIL"
    assert request(m, c.pid, int(id) + 1, c.cookie).cmd == "FAIL"
    assert request(m, c.pid, id, c.cookie).cmd == "USER"


def test_request_from_another_process_fails(logged_in, server):
    """dovecot-auth forgets the login then; authd keeps it for whom it was meant."""
    c, id, m = logged_in
    assert m.ask("REQUEST", c.pid, id, c.cookie, "session_pid=1").cmd == "FAIL"
    after = "USER" if server.kind == "authd" else "FAIL"
    assert request(m, c.pid, id, c.cookie).cmd == after


def test_request_for_a_failed_login(server):
    with server.client("auth-login") as c, server.master() as m:
        reply = c.login("tim", users.WRONG, service="imap")
        assert reply.cmd == "FAIL"
        assert request(m, c.pid, reply.id, c.cookie).cmd == "FAIL"


def test_request_for_an_unfinished_login(server):
    with server.client("auth-login") as c, server.master() as m:
        id = c.auth("PLAIN", service="imap").id
        assert request(m, c.pid, id, c.cookie).cmd == "FAIL"


def test_request_after_cancel(logged_in):
    c, id, m = logged_in
    c.send("CANCEL", id)
    c.auth("PLAIN")  # the CANCEL has been read
    assert request(m, c.pid, id, c.cookie).cmd == "FAIL"


def test_request_after_the_client_went(logged_in, server):
    c, id, m = logged_in
    c.close()
    with server.client("auth-login") as other:
        other.auth("PLAIN")  # the close has been seen
        assert request(m, c.pid, id, c.cookie).cmd == "FAIL"


def test_request_on_a_client_socket_login(server):
    with server.client() as c, server.master() as m:
        id = c.login("tim", GOOD).id
        assert request(m, c.pid, id, c.cookie).cmd == "FAIL"


def test_request_tells_the_name_that_was_given(server):
    with server.client("auth-login") as c, server.master() as m:
        for name, told in (("TIM", "TIM"), ("tim", None)):
            id = c.login(name, GOOD, service="imap").id
            reply = request(m, c.pid, id, c.cookie)
            assert (reply.args[0], reply.get("auth_user")) == ("tim", told)


EMPTY = """
auth_mechanisms = plain
passdb {
  driver = static
  args = password=x empty= flag full=1 userdb_nothing= userdb_some=1
}
userdb {
  driver = prefetch
}
userdb {
  driver = static
  args = uid=5 gid=6 home=/h mail= flag
}
"""


def test_fields_without_a_value_are_bare():
    """Whether there was a "=" or not: a login process takes "destuser=" for a user without a name."""
    server = authserver.new(EMPTY).start()
    try:
        with server.client("auth-login") as c, server.master() as m:
            ok = c.login("tim", "x", service="imap")
            assert ok.args == ["user=tim", "empty", "flag", "full=1"]
            assert request(m, c.pid, ok.id, c.cookie).args == ["tim", "nothing", "some=1", "auth_mech=PLAIN"]
            assert m.user("tim").args == ["tim", "nothing", "some=1", "uid=5", "gid=6", "home=/h", "mail", "flag"]
            assert m.passdb("tim").args == ["user=tim", "empty", "flag", "full=1"]
    finally:
        server.stop()


def test_request_of_a_master_users_login(server):
    with server.client("auth-login") as c, server.master() as m:
        id = c.login("tim*chief", users.PASSWORDS["chief"], service="imap").id
        reply = request(m, c.pid, id, c.cookie)
        assert reply.args[0] == "tim"
        assert (reply.get("master_user"), reply.get("auth_user")) == ("chief", "chief")


def test_request_of_two_logins_on_one_connection(server):
    with server.client("auth-login") as c, server.master() as m:
        first = c.login("tim", GOOD, service="imap").id
        second = c.login("bob", users.PASSWORDS["bob"], service="imap").id
        assert request(m, c.pid, second, c.cookie).args[0] == "bob"
        assert request(m, c.pid, first, c.cookie).args[0] == "tim"


PREFETCH = """
auth_mechanisms = plain
passdb {
  driver = static
  args = password=@static@ userdb_uid=1234 userdb_gid=1234 userdb_home=/home/%u userdb_x=1
}
userdb {
  driver = prefetch
}
userdb {
  driver = passwd-file
  args = @passwd@
}
""".replace("@static@", users.STATIC)


def test_prefetch(start_server):
    server = start_server(text=PREFETCH)
    with server.client("auth-login") as c, server.master() as m:
        id = c.login("someone", users.STATIC, service="imap").id
        reply = request(m, c.pid, id, c.cookie)
        assert reply.args[0] == "someone"
        assert (reply.get("uid"), reply.get("home"), reply.get("x")) == ("1234", "/home/someone", "1")
        assert m.user("tim").get("uid") == str(users.UID)
        assert m.user("someone").cmd == "NOTFOUND"


# ---- who may ask ----


class As:
    """Effective ids for connects; SO_PEERCRED tells them."""

    def __init__(self, uid, gid):
        self.uid, self.gid = uid, gid

    def __enter__(self):
        self.groups = os.getgroups()
        os.setgroups([])
        os.setegid(self.gid)
        os.seteuid(self.uid)

    def __exit__(self, *exc):
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(self.groups)


def master_as(server, name, uid, gid):
    with As(uid, gid):
        return server.master(name)


def test_userdb_tells_strangers_about_themselves_only(server):
    with master_as(server, "auth-userdb", users.UID, users.GID) as m:
        assert m.user("tim").cmd == "USER"
        assert m.passdb("tim").cmd == "FAIL"
        names, done = m.list()
        assert names == [] and done.args == ["fail"]


def test_userdb_tells_strangers_nothing_about_others(server):
    with master_as(server, "auth-userdb", 12345, 12345) as m:
        assert m.user("tim").cmd == "FAIL"
        assert m.passdb("tim").cmd == "FAIL"
        assert m.list()[1].args == ["fail"]


@pytest.mark.parametrize("who", ["owner", "group", "root"])
def test_userdb_trusts_its_owner_and_group(server, who):
    owner = pwd.getpwnam("dovecot")
    uid, gid = {"owner": (owner.pw_uid, 12345), "group": (12345, owner.pw_gid),
                "root": (0, 0)}[who]
    with master_as(server, "auth-userdb", uid, gid) as m:
        assert m.user("tim").cmd == "USER"
        assert m.passdb("tim").cmd == "PASS"
        assert sorted(m.list()[0]) == EVERYONE


def test_other_modes_trust_whoever_can_connect(start_server):
    server = start_server(listeners=authserver.STANDARD + [
        authserver.Listener("open-userdb", 0o777, "dovecot", "dovecot"),
        authserver.Listener("group-userdb", 0o660, "root", "nogroup")])
    for name, gid in (("open-userdb", 12345), ("group-userdb", 65534)):
        with master_as(server, name, 12345, gid) as m:
            assert m.user("tim").cmd == "USER"
            assert m.passdb("tim").cmd == "PASS"
    with pytest.raises(PermissionError):
        master_as(server, "auth-master", 12345, 12345)
    with pytest.raises(PermissionError):
        master_as(server, "private-userdb", 12345, 12345)


# ---- outage ----


def test_outage_is_fail_and_never_notfound(start_server):
    server = start_server()
    server.break_backend()
    for name in BOTH:
        with server.master(name) as m:
            for user in ("tim", "nobody-here"):
                assert m.user(user).cmd == "FAIL"
                assert m.passdb(user).cmd == "FAIL"
            if server.kind == "authd":  # dovecot-auth lists the users that it had
                assert m.list()[1].args == ["fail"]
