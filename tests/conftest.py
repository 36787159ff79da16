"""Fixtures of the system tests. tests/e2e/lib/authserver.py says which server is under test."""

import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))

from lib import authserver, maildovecot, postfix  # noqa: E402


def pytest_configure(config):
    # a run that is told to end (timeout, CI) still stops its servers
    signal.signal(signal.SIGTERM, lambda number, frame: pytest.exit("told to end", returncode=143))
    config.addinivalue_line("markers", "authd_only(why): dovecot-auth does otherwise")
    config.addinivalue_line("markers", "last: runs after all other tests")
    if os.geteuid() != 0:
        pytest.exit("the system tests need root: real mail servers start as root", returncode=3)
    if authserver.KIND == "authd" and not os.access(authserver.AUTHD, os.X_OK):
        pytest.exit("no %s: run make first" % authserver.AUTHD, returncode=3)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    for item in items:
        mark = item.get_closest_marker("authd_only")
        if mark and authserver.KIND != "authd":
            why = mark.args[0] if mark.args else "dovecot-auth does otherwise"
            item.add_marker(pytest.mark.skip(reason="authd only: " + why))


@pytest.fixture(scope="session")
def shared_server():
    """The server most tests share: the users of lib/users.py, PLAIN and LOGIN, no failure delay."""
    server = authserver.standard().start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    """The shared server; the test fails if its front was replaced meanwhile."""
    before = shared_server.front_pid() if shared_server.kind == "authd" else None
    yield shared_server
    if before is not None:
        assert shared_server.front_pid() == before, "the front died:\n" + shared_server.logs()


@pytest.fixture
def start_server():
    """start_server(text=..., listeners=...) starts one more server, stopped after the test."""
    started = []

    def start(**kw):
        one = authserver.standard(**kw)
        started.append(one)
        return one.start()

    yield start
    for one in reversed(started):
        one.stop()


@pytest.fixture(scope="session")
def postfix_pair():
    """(postfix, server): a Postfix and the server that it asks."""
    mail = postfix.Postfix()
    socket = authserver.Listener(mail.socket, 0o660, "postfix", "postfix")
    server = authserver.standard(listeners=authserver.STANDARD + [socket]).start()
    mail.start()
    yield mail, server
    mail.stop()
    server.stop()


@pytest.fixture(scope="session", params=["same", "apart"])
def dovecot_pair(request):
    """(dovecot, server): a Dovecot without auth and the server in its seat, in both layouts."""
    mail = maildovecot.MailDovecot(request.param)
    listeners = mail.listeners()
    extra = [l for l in authserver.STANDARD if l.path == "private-userdb"]
    server = authserver.standard(listeners=listeners + extra)
    server.path = lambda name: os.path.join(mail.run, name)
    if request.param == "apart":
        mail.make_directories()
        server.start()
        mail.start()
    else:
        mail.start()
        server.start()
    yield mail, server
    mail.stop()
    server.stop()
