"""What a login over PAM computes: one hash, whatever its outcome, and whether the user exists or not.
A library between authd and libcrypt writes down each hash that is really computed."""

import ctypes
import os
import shutil

import pytest

from lib import authserver, pam, proc

pytestmark = pytest.mark.authd_only("about authd's own process")

PASSWORD = "right-Corundum3"
WRONG = "wrong-Zeppelin2"
UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"
# as Debian's common-auth has it: who is unknown, and who is wrong, is denied by another module
DEBIAN = """auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_unix.so
"""


class Watched:
    """A copy of authd that finds the counting library before libcrypt."""

    def __init__(self):
        self.dir = proc.new_dir("count")
        self.notes = os.path.join(self.dir, "notes")
        library = os.path.join(self.dir, "crypt-count.so")
        self.program = os.path.join(self.dir, "authd")
        shutil.copy(authserver.AUTHD, self.program)
        for argv in (["gcc", "-shared", "-fPIC", '-DNOTES="%s"' % self.notes, "-o", library,
                      os.path.join(pam.HERE, "crypt-count.c")],
                     ["patchelf", "--add-needed", library, self.program]):
            made = proc.run(argv)
            assert made.returncode == 0, made.stderr

    def hashes(self):
        """The kinds of hashes that were computed since the last call."""
        return pam.take_lines(self.notes)


@pytest.fixture(scope="module")
def watched():
    return Watched()


@pytest.fixture(scope="module")
def real_pam():
    p = pam.Pam()
    yield p
    p.close()


@pytest.fixture(scope="module")
def users():
    u = pam.SystemUsers()
    hashed = pam.crypt_hash(PASSWORD)
    named = {"known": u.add("h", hashed), "locked": u.add("i", "!" + hashed),
             "over": u.add("j", hashed, "-e", "2001-01-01")}
    yield {what: user.pw_name for what, user in named.items()}
    u.close()


@pytest.fixture
def start(watched, start_server, monkeypatch):
    """start(service): one process of it."""
    monkeypatch.setattr(authserver, "AUTHD", watched.program)

    def start(service):
        server = start_server(text="driver_dir = %s\npassdb {\n  driver = pam\n  args = %s\n  worker_count = 1\n}\n"
                              % (os.path.join(authserver.BUILD, "drivers"), service))
        watched.hashes()
        return server

    return start


def login(server, user, password):
    with server.client() as c:
        reply = c.login(user, password)
    return reply.get("code") or reply.cmd


def new_process(server):
    """A process that has seen no hash yet."""
    before = server.pids("worker pam")
    server.kill_workers()
    proc.wait_for("another worker", lambda: set(server.pids("worker pam")) - set(before))


def system_kind():
    """Of the hashes that crypt(3) prefers here."""
    libcrypt = ctypes.CDLL("libcrypt.so.1")
    libcrypt.crypt_preferred_method.restype = ctypes.c_char_p
    return libcrypt.crypt_preferred_method().decode()


@pytest.mark.parametrize("stack", [UNIX, DEBIAN], ids=["unix", "debian"])
def test_every_login_costs_one_hash(watched, real_pam, users, start, stack):
    server = start(real_pam.service("hashes" + str(len(stack)), stack))
    for user, password, want in (
            (users["known"], PASSWORD, "OK"), (users["known"], PASSWORD, "OK"),
            (users["known"], WRONG, "FAIL"), (users["known"], "", "FAIL"),
            ("nobody-here", PASSWORD, "FAIL"), ("nobody-here", WRONG, "FAIL"),
            ("nobody-here", "", "FAIL"), (users["locked"], PASSWORD, "FAIL"), (users["over"], WRONG, "FAIL"),
            (users["over"], PASSWORD, "pass_expired"), (users["known"], PASSWORD, "OK")):
        assert login(server, user, password) == want
        assert watched.hashes() == ["$6$"], (user, password)


def test_unknown_user_in_a_new_process(watched, real_pam, users, start):
    """Before it has seen anybody's hash; then it takes those that it has seen."""
    server = start(real_pam.service("new", UNIX))
    assert login(server, "nobody-here", WRONG) == "FAIL"
    assert watched.hashes() == [system_kind()]
    assert login(server, users["known"], WRONG) == "FAIL"
    assert login(server, "nobody-here", WRONG) == "FAIL"
    assert watched.hashes() == ["$6$", "$6$"]
    new_process(server)
    proc.wait_for("an answer", lambda: login(server, "nobody-here", WRONG) == "FAIL")
    assert watched.hashes() == [system_kind()]


def test_modules_that_do_not_hash(watched, real_pam, start):
    """Once somebody got in without a hash, nobody's refusal costs one."""
    server = start(real_pam.service("none"))
    assert login(server, "tim", "good") == "OK"
    assert login(server, "tim", WRONG) == "FAIL"
    assert login(server, "auth10", "good") == "FAIL"
    assert watched.hashes() == []


def test_an_outage_costs_nothing(watched, real_pam, start):
    server = start(real_pam.service("away"))
    assert login(server, "auth9", "good") == "temp_fail"
    assert watched.hashes() == []
