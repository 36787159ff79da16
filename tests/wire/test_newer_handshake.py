"""Sockets with type = auth or login: Dovecot 2.4's handshake, and what it brings."""

import pytest

from lib import authserver, users
from lib.authproto import plain

pytestmark = pytest.mark.authd_only("dovecot-auth 2.3 knows no such type")
GOOD = users.PASSWORDS["tim"]
TEXT = authserver.STANDARD_TEXT


@pytest.fixture(scope="module")
def newer():
    typed = [authserver.Listener("typed-" + t, extra="    type = %s\n" % t)
             for t in ("auth", "login", "auth-legacy")]
    server = authserver.standard(text=TEXT, listeners=authserver.STANDARD + typed).start()
    yield server
    server.stop()


@pytest.mark.parametrize("name", ["typed-auth", "typed-login"])
def test_mechanisms_wait_for_the_version(newer, name):
    with newer.client(name, hello=False) as c:
        assert c.line() == b"VERSION\t1\t4"
        assert c.silent()
        c.raw("VERSION\t1\t2\n")
        c.read_hello()
        assert [l.split("\t")[0] for l in c.hello] == \
            ["MECH"] * len(c.mechs) + ["SPID", "CUID", "COOKIE", "DONE"]
        c.raw("CPID\t%d\n" % c.pid)
        assert c.login("tim", GOOD).cmd == "OK"


@pytest.mark.parametrize("name", ["typed-auth-legacy", "auth-client", "login/login"])
def test_all_at_once_elsewhere(newer, name):
    with newer.client(name, hello=False) as c:
        c.read_hello()
        assert c.hello[0] == "VERSION\t1\t2" and c.mechs


@pytest.mark.parametrize("minor", [0, 2, 3, 4, 99])
def test_every_minor_version_logs_in(newer, minor):
    with newer.client("typed-auth", minor=minor) as c:
        assert c.server_minor == 4 and c.login("tim", GOOD).cmd == "OK"


def test_a_login_pipelined_behind_the_hello(newer):
    with newer.client("typed-auth", hello=False) as c:
        c.raw("VERSION\t1\t4\nCPID\t7\nAUTH\t1\tPLAIN\tservice=smtp\tresp=%s\n" % plain("tim", GOOD))
        c.read_hello()
        assert c.reply_to(1).cmd == "OK"


@pytest.mark.parametrize("minor, told", [(2, False), (3, False), (4, True), (5, True)])
def test_cancel_is_confirmed_from_minor_4_on(newer, minor, told):
    with newer.client("typed-auth", minor=minor) as c:
        id = c.auth("LOGIN").id
        c.send("CANCEL", id)
        if told:
            assert c.line() == b"CANCELLED\t%s" % id.encode()
        assert c.silent()


@pytest.mark.parametrize("hello", ["VERSION\t2\t4\n", "CPID\t1\n", "\n", "VERSION\t1\n"])
def test_bad_hello_closes(newer, hello):
    with newer.client("typed-auth", hello=False) as c:
        assert c.line() == b"VERSION\t1\t4"
        c.raw(hello)
        assert c.closed()


def test_parameters_behind_the_data_from_minor_3_on(newer):
    with newer.client("typed-auth", minor=3) as c:
        id = c.start("PLAIN")
        assert c.line() == b"CONT\t%d\t" % id
        assert c.cont(id, plain("tim", GOOD) + "\tchannel_binding=AAAA\tother").cmd == "OK"
    with newer.client("typed-auth", minor=2) as c:
        id = c.start("PLAIN")
        assert c.line() == b"CONT\t%d\t" % id
        assert c.cont(id, plain("tim", GOOD) + "\tother").get("code") == "invalid_base64"


def test_an_answer_out_of_band_that_nobody_asked_for(newer):
    with newer.client("typed-auth", minor=4) as c:
        id = c.start("PLAIN")
        assert c.line() == b"CONT\t%d\t" % id
        assert c.cont(id, "#\tchannel_binding=AAAA").get("code") == "invalid_base64"
