"""The circuit breaker of a pool, seen from outside. The backend is a scripted one, which logs what it is asked."""

import pytest

from lib import authserver, proc
from lib.authproto import plain
from lib.scripted import Script, asked, modules

pytestmark = pytest.mark.authd_only("the breaker is authd's")

SHORT = authserver.Listener("auth-short", 0o600, "root", extra="    client_deadline = 1s\n")
DOWN, BACK = "the backend is down, logins are put off", "the backend is back after"
TRIES = 30  # logins one after the other, within a few milliseconds


@pytest.fixture
def start(start_server):
    def run(*scripts):
        text = "auth_mechanisms = plain login\nauth_verbose = yes\ndriver_dir = %s\n" % modules()
        text += "".join("passdb {\n  driver = scripted\n  args = dir=%s\n}\n" % one.dir for one in scripts)
        return start_server(text=text, listeners=authserver.STANDARD + [SHORT])

    return run


def login(server, user="tim", password="good", name="auth-client"):
    with server.client(name) as c:
        reply = c.login(user, password)
    return reply.get("code") or reply.cmd


def wait_back(server, user="tim"):
    proc.wait_for("logins", lambda: login(server, user) == "OK")


def test_after_a_few_outages_the_backend_is_left_alone(start):
    script = Script(tim="good")
    server = start(script)
    assert login(server) == "OK"
    script.mode("fail")
    for user, password in (("tim", "good"), ("tim", "wrong"), ("nobody", "x")):
        assert login(server, user, password) == "temp_fail"
    before = asked(server)
    for user, password in [("tim", "good"), ("tim", "wrong"), ("nobody", "x")] * (TRIES // 3):
        assert login(server, user, password) == "temp_fail"
    assert asked(server) - before < TRIES / 3  # one now and then, to find out
    assert "scripted(tim): down for" in server.logs()
    script.mode("")
    wait_back(server)
    assert [login(server, "tim", "wrong"), login(server, "nobody", "x")] == ["FAIL", "FAIL"]
    assert (server.logs().count(DOWN), server.logs().count(BACK)) == (1, 1)


def test_a_backend_that_hangs(start):
    """As many questions as it takes, and more: all are answered in time, and those after them at once."""
    script, other = Script(tim="good"), Script(ann="fine")
    server = start(script, other)
    script.mode("hang")
    with server.client("auth-short") as c:
        ids = [c.start("PLAIN", resp=plain("ann", "fine")) for _ in range(40)]
        replies = [c.reply() for _ in ids]
    assert {r.cmd for r in replies} == {"OK"}  # the other passdb has her
    assert server.logs().count(DOWN) == 1
    before = asked(server)
    for _ in range(TRIES):
        # a probe may be among them: it has waited, and then the other one was asked
        assert login(server, "ann", "fine", "auth-short") == "OK"
    assert asked(server) - before < TRIES + TRIES / 3  # the other one's are counted, too
    assert login(server, "tim", "good", "auth-short") == "temp_fail"
    script.mode("")
    wait_back(server)
    assert BACK in server.logs()


def test_one_users_trouble_leaves_it_closed(start):
    script = Script(tim="good")
    server = start(script)
    script.mode("odd")
    for _ in range(6):
        assert login(server) == "temp_fail"
    script.mode("")
    assert login(server) == "OK"
    assert DOWN not in server.logs()


def test_a_list_is_refused_too(start_server):
    """It does not wait for a backend that is down, and does not find out for others."""
    script = Script(tim="good")
    section = "{\n  driver = scripted\n  args = dir=%s\n}\n" % script.dir
    server = start_server(text="auth_mechanisms = plain\ndriver_dir = %s\npassdb %suserdb %s" % (
        modules(), section, section))
    script.mode("fail")
    for _ in range(3):
        assert login(server) == "temp_fail"
    with server.master() as m:
        names, done = m.list()
    assert not names and done.has("fail")
    script.mode("")
    wait_back(server)


def test_a_reload_begins_anew(start):
    """A new generation has pools of its own: what the old one knew of its backend is past."""
    script = Script(tim="good")
    server = start(script)
    script.mode("fail")
    for _ in range(4):
        assert login(server) == "temp_fail"
    script.mode("")
    server.reload()
    wait_back(server)
