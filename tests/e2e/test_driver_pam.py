"""Driver pam with real PAM: pam_unix on a user of this machine, and a module that misbehaves."""

import os
import pwd
import re
import time

import pytest

from lib import authproto, authserver, pam, postfix, proc

pytestmark = pytest.mark.authd_only("Dovecot takes outages of PAM for wrong passwords")

FILTER = "/etc/fail2ban/filter.d/dovecot.conf"
RHEL = os.path.join(authserver.ROOT, "tests/unit/fixtures/rhel-basic/dovecot.conf")
PASSWORD = "right-Corundum3"
WRONG = "wrong-Zeppelin2"
ITEMS = "items %s tim tim 192.0.2.1 dovecot"

# codes of <security/_pam_types.h>
OPEN_ERR, SYSTEM_ERR, BUF_ERR, PERM_DENIED, AUTH_ERR, AUTHINFO_UNAVAIL, USER_UNKNOWN = 1, 4, 5, 6, 7, 9, 10
MAXTRIES, NEW_AUTHTOK_REQD, ACCT_EXPIRED, SESSION_ERR, CRED_EXPIRED, ABORT = 11, 12, 13, 14, 16, 26


@pytest.fixture(scope="module")
def real_pam():
    p = pam.Pam()
    yield p
    p.close()


@pytest.fixture(scope="module")
def system_users():
    u = pam.SystemUsers()
    yield u
    u.close()


@pytest.fixture(scope="module")
def real_user(system_users):
    return system_users.add("a", pam.crypt_hash(PASSWORD))


def passdb(args, *settings):
    return "passdb {\n  driver = pam\n  args = %s\n%s}\n" % (
        args, "".join("  %s\n" % s for s in settings))


QUICK = authserver.Listener("quick", 0o600, extra="    client_deadline = 2 s\n")


@pytest.fixture(scope="module")
def served(real_pam):
    """(postfix, server): the test module behind a Postfix."""
    mail = postfix.Postfix()
    socket = authserver.Listener(mail.socket, 0o660, "postfix", "postfix")
    text = "auth_verbose = yes\nauth_username_chars =\n" + passdb(real_pam.service("main"))
    server = authserver.standard(
        text=text, listeners=authserver.STANDARD + [socket, QUICK]).start()
    mail.start()
    yield mail, server
    mail.stop()
    server.stop()


def result(server, user, password="good", name="auth-client", **kw):
    """OK, FAIL, temp_fail, or the code= of a failure."""
    with server.client(name) as c:
        reply = c.login(user, password, "rip=192.0.2.1", **kw)
    return reply.get("code") or reply.cmd


def smtp_code(mail, user, password):
    with mail.smtp() as smtp:
        return smtp.docmd("AUTH PLAIN " + authproto.plain(user, password))[0]


def test_items(served, real_pam):
    real_pam.notes()
    assert result(served[1], "tim") == "OK"
    assert real_pam.notes() == [ITEMS % (pam.NAME + "-main"), "acct"]


def test_wrong_password_and_no_delay(served, real_pam):
    """The module asks PAM to wait 20 s, which would hold a worker up."""
    assert result(served[1], "tim", WRONG) == "FAIL"
    assert result(served[1], "tim", "") == "FAIL"
    assert smtp_code(served[0], "tim", WRONG) == 535
    assert smtp_code(served[0], "tim", "good") == 235


@pytest.mark.parametrize("phase", ["auth", "acct"])
@pytest.mark.parametrize("code,want", [
    (OPEN_ERR, "temp_fail"), (SYSTEM_ERR, "temp_fail"), (BUF_ERR, "temp_fail"),
    (AUTHINFO_UNAVAIL, "temp_fail"), (ABORT, "temp_fail"), (PERM_DENIED, "FAIL"),
    (MAXTRIES, "FAIL"), (AUTH_ERR, "FAIL"), (USER_UNKNOWN, "FAIL"), (NEW_AUTHTOK_REQD, "pass_expired"),
    (ACCT_EXPIRED, "pass_expired"), (CRED_EXPIRED, "pass_expired")])
def test_codes(served, phase, code, want):
    assert result(served[1], "%s%d" % (phase, code)) == want


def test_postfix_tells_outages_from_wrong_passwords(served):
    mail = served[0]
    for code in (SYSTEM_ERR, AUTHINFO_UNAVAIL, OPEN_ERR, ABORT):
        assert smtp_code(mail, "auth%d" % code, "good") == 454
        assert smtp_code(mail, "acct%d" % code, "good") == 454
    for code in (AUTH_ERR, USER_UNKNOWN, PERM_DENIED, MAXTRIES):
        assert smtp_code(mail, "auth%d" % code, "good") == 535


def test_a_module_may_change_the_user(served):
    with served[1].client() as c:
        assert c.login("renamed", "good").get("user") == "other"


@pytest.mark.parametrize("name", ["nul\0name", "a/../b", "x" * 300, "quote'\"\\%u", "r\u00e9mi",
                                  "x,198.51.100.1): unknown user"])
def test_odd_names(served, name):
    """They are names of users like all others; what they are not is trouble."""
    want = "FAIL" if "\0" in name else "OK"
    with served[1].client() as c:
        assert c.login(name, "good").cmd in (want, "FAIL")
        assert c.login(name, WRONG).cmd == "FAIL"
    assert result(served[1], "tim") == "OK"


def test_long_password(served):
    assert result(served[1], "tim", "p" * 1000) == "FAIL"


def test_lookups_are_told_apart(served):
    """PAM only judges: it cannot tell whether a user exists."""
    with served[1].master() as m:
        assert m.ask("PASS", "tim", "service=imap").cmd == "FAIL"


def test_a_crash_costs_one_login(served):
    mail, server = served
    assert result(server, "crash") == "temp_fail"
    assert smtp_code(mail, "crash", "good") == 454
    assert result(server, "tim") == "OK"
    assert result(server, "exit") == "temp_fail"
    assert result(server, "tim") == "OK"
    proc.wait_for("all four workers", lambda: len(server.pids("worker pam")) == 4)


def test_a_hang_costs_one_login(served):
    """The others go on at once; the stuck process is replaced soon after the deadline."""
    server = served[1]
    proc.wait_for("all four workers", lambda: len(server.pids("worker pam")) == 4)
    before = server.pids("worker pam")
    with server.client("quick") as stuck:
        stuck.start("PLAIN", resp=authproto.plain("hang", "good"))
        started = time.monotonic()
        for _ in range(20):
            assert result(server, "tim") == "OK"
        assert stuck.reply().get("code") == "temp_fail"
        waited = time.monotonic() - started
    assert waited < 10
    for _ in range(20):
        assert result(server, "tim") == "OK"
    proc.wait_for("the stuck worker's end", lambda: len(
        set(server.pids("worker pam")) & set(before)) == 3 and len(server.pids("worker pam")) == 4)
    assert "does not come back" in server.logs()


def test_all_hang_and_it_recovers(served):
    server = served[1]
    proc.wait_for("all four workers", lambda: len(server.pids("worker pam")) == 4)
    with server.client("quick") as c:
        ids = [c.start("PLAIN", resp=authproto.plain("hang", "good")) for _ in range(6)]
        replies = [c.reply() for _ in ids]
    assert {r.get("code") for r in replies} == {"temp_fail"}
    proc.wait_for("logins again", lambda: result(server, "tim") == "OK", 30)


def test_fail2ban_counts_wrong_passwords_only(served):
    server = served[1]
    with server.client() as c:
        for n, code in enumerate((AUTH_ERR, USER_UNKNOWN, PERM_DENIED, MAXTRIES)):
            c.login("auth%d" % code, "good", "rip=198.51.100.%d" % (n + 1))
        for code in (SYSTEM_ERR, AUTHINFO_UNAVAIL, ABORT):
            c.login("auth%d" % code, "good", "rip=198.51.100.99")
        c.login("tim", "good", "rip=198.51.100.98")
    server.wait_log("198.51.100.98" if "198.51.100.98" in server.logs() else "198.51.100.99")
    made = proc.run(["fail2ban-regex", "-o", "ip", server.log, FILTER])
    found = [ip for ip in made.stdout.split() if ip.startswith("198.51.100.")]
    assert sorted(found) == ["198.51.100.%d" % n for n in (1, 2, 3, 4)], server.logs()
    assert ("pam(auth7,198.51.100.1): pam_authenticate() failed: Authentication failure "
            "(Password mismatch?)") in server.logs()


def test_what_a_module_prints_is_no_line_of_the_log(real_pam, start_server):
    """It comes out with the worker's name before it, so that nobody is banned for it; and the last
    words of one that crashes come out, too."""
    server = start_server(text="auth_verbose = yes\nauth_username_chars =\nauth_username_format = %u\n" +
                          passdb(real_pam.service("prints"), "worker_count = 1"))
    forged = "auth: Info: pam(victim,198.51.100.9): unknown user"
    result(server, "print\n" + forged, WRONG)
    server.wait_log("says: " + forged)
    assert result(server, "abort") == "temp_fail"
    server.wait_log("says: last words\n")
    for line in server.logs().splitlines():
        assert re.match(r"\w{3} \d\d \d\d:\d\d:\d\d (auth|master|auth-worker\(pam\)): ", line), line
    banned = proc.run(["fail2ban-regex", "-o", "ip", server.log, FILTER]).stdout.split()
    assert "198.51.100.9" not in banned


def test_a_module_that_prints_without_end_holds_nobody_up(real_pam, start_server):
    server = start_server(text=passdb(real_pam.service("flood"), "worker_count = 1"))
    assert result(server, "flood") == "OK"
    assert result(server, "tim") == "OK"
    server.wait_log("says: line 0 of many")
    assert server.logs().count("of many") < 20000  # of 200000: what is too much is lost


def test_session_setcred_and_service_of_the_protocol(real_pam, start_server):
    service = real_pam.service("imap")
    assert service.islower()
    text = passdb("session=yes setcred=yes failure_show_msg=yes *", "worker_count = 1")
    server = start_server(text="auth_verbose = yes\n" + text)
    real_pam.notes()
    assert result(server, "tim", service=service) == "OK"
    notes = real_pam.notes()
    assert notes == [ITEMS % service, "setcred establish", "acct", "open", "close",
                     "setcred delete"]
    assert result(server, "sess%d" % SESSION_ERR, service=service) == "temp_fail"
    assert result(server, "cred%d" % CRED_EXPIRED, service=service) == "pass_expired"
    assert result(server, "tim", service="no/service") == "temp_fail"
    with server.client() as c:
        reply = c.login("talk", WRONG, service=service)
    assert reply.cmd == "FAIL" and not reply.has("reason")
    server.wait_log("locked by Jupiter")
    assert "good" not in server.logs()


@pytest.mark.parametrize("written", ["%Ls", "%{service}"])
def test_the_protocol_written_as_a_variable(real_pam, start_server, written):
    service = real_pam.service("v" + str(len(written)))
    server = start_server(text=passdb(written, "worker_count = 1"))
    real_pam.notes()
    assert result(server, "tim", service=service) == "OK"
    assert real_pam.notes() == [ITEMS % service, "acct"]


@pytest.mark.parametrize("written,user,protocol", [
    ("-s%s", "tim", "imap"), ("-d%Ld", "tim@Shop.example", "imap"),
    ("-b%{domain}-%Ls", "tim@shop", "SMTP")])
def test_the_service_is_a_template(real_pam, start_server, written, user, protocol):
    values = {"s": "imap", "d": "shop.example", "b": "shop-smtp"}
    service = real_pam.service(written[1] + values[written[1]])
    server = start_server(text="auth_verbose = yes\n" + passdb(pam.NAME + written, "worker_count = 1"))
    real_pam.notes()
    assert result(server, user, service=protocol) == "OK"
    assert real_pam.notes()[0].split()[:2] == ["items", service]


def test_a_value_stays_in_the_directory(real_pam, start_server):
    """What a user brings is no way to another file, and a name that cannot be one is nobody's."""
    service = real_pam.service("x")
    server = start_server(text="auth_verbose = yes\nauth_username_chars =\n" +
                          passdb(pam.NAME + "-%d", "worker_count = 1"))
    for domain in ("../" + service, "x/../x", "x" * 80, "x@y", "x\0"):
        assert result(server, "tim@" + domain) == "FAIL"
    server.wait_log("unknown user")
    assert result(server, "tim@x") == "OK"
    real_pam.notes()


def test_max_requests(real_pam, start_server):
    """Leaks end with the process, and nobody notices."""
    server = start_server(text=passdb("max_requests=5 " + real_pam.service("leak"),
                                      "worker_count = 2"))
    seen = set()
    with server.client() as c:
        for _ in range(60):
            assert c.login("leak", "good").cmd == "OK"
            seen |= set(server.pids("worker pam"))
    assert len(seen) >= 6
    for pid in server.pids("worker pam"):
        assert proc.rss_kib(pid) < 80 * 1024
    assert "asked again" not in server.logs()


def test_a_module_that_gives_root_up_costs_no_other_login(real_pam, start_server):
    server = start_server(text=passdb(real_pam.service("unroot"), "worker_count = 2"))
    before = server.pids("worker pam")
    with server.client() as c:
        for _ in range(4):
            assert c.login("unroot", "good").cmd == "OK"
    proc.wait_for("new workers", lambda: len(server.pids("worker pam")) == 2 and
                  owners(server.pids("worker pam")) == {0})
    assert server.pids("worker pam") != before and "has changed whose process this is" in server.logs()


def test_module_that_is_missing(real_pam, start_server):
    text = passdb(real_pam.service("broken", "auth required pam_not_there_at_all.so\n"))
    server = start_server(text=text)
    assert result(server, "tim") == "temp_fail"


def test_bad_args_are_found_before_the_start(tmp_path):
    for args, want in (("max_request=3 dovecot", 'did you mean "max_requests"'),
                       ("a b", "unexpected"), ("../shadow", "cannot be the name"),
                       ("%u", "the client would choose")):
        path = tmp_path / "bad.conf"
        path.write_text(passdb(args))
        made = proc.run([authserver.AUTHCTL, "config", "check", str(path)])
        assert made.returncode != 0 and want in made.stdout + made.stderr


def test_worker_count_is_bounded(real_pam, start_server):
    text = "auth_worker_max_count = 2\n" + passdb(real_pam.service("few"))
    server = start_server(text=text)
    assert len(server.pids("worker pam")) == 2


# ---- the machine's own users ----


def owners(pids):
    """User ids of processes; what they have in /proc belongs to root."""
    found = set()
    for pid in pids:
        with open("/proc/%d/status" % pid) as f:
            found |= {int(line.split()[1]) for line in f if line.startswith("Uid:")}
    return found


@pytest.fixture
def pam_d_dovecot():
    """/etc/pam.d/dovecot as Debian's dovecot-core has it, or one like it."""
    path = "/etc/pam.d/dovecot"
    if os.path.exists(path):
        yield
        return
    with open(path, "x") as f:
        f.write("@include common-auth\n@include common-account\n@include common-session\n")
    yield
    os.unlink(path)


def test_rhel_basic_unchanged(pam_d_dovecot, real_user, start_server, tmp_path, monkeypatch):
    """authd --dovecot on the file as it stands: system users over PAM and passwd."""
    program = tmp_path / "authd"
    program.write_text('#!/bin/sh\nexec %s --dovecot "$@"\n' % authserver.AUTHD)
    program.chmod(0o755)
    monkeypatch.setattr(authserver, "AUTHD", str(program))
    server = start_server(text="!include %s\n" % RHEL)
    name = real_user.pw_name
    assert "auth_allow_weak_schemes is on, as in Dovecot 2.3" in server.logs()
    assert result(server, name, PASSWORD) == "OK"
    assert result(server, name, WRONG) == "FAIL"
    assert result(server, "nobody-here", WRONG) == "FAIL"
    with server.master() as m:
        reply = m.user(name)
        assert reply.cmd == "USER"
        assert [reply.get(k) for k in ("uid", "gid", "home", "system_groups_user")] == [
            str(real_user.pw_uid), str(real_user.pw_gid), real_user.pw_dir, name]
        assert m.user("nobody-here").cmd == "NOTFOUND"
        names, done = m.list()
    assert not done.has("fail")
    assert name in names and "root" not in names
    assert len(server.pids("worker pam")) == 4
    assert owners(server.pids("worker pam")) == {0}
    assert owners(server.pids("worker passwd")) == {pwd.getpwnam("nobody").pw_uid}


def test_expired_account(real_pam, system_users, start_server):
    """pam_unix's account phase: the password is right, but the account is over."""
    hashed = pam.crypt_hash(PASSWORD)
    over = system_users.add("b", hashed, "-e", "2001-01-01").pw_name
    unix = "auth required pam_unix.so\naccount required pam_unix.so\n"
    server = start_server(text=passdb(real_pam.service("unix", unix)))
    assert result(server, over, PASSWORD) == "pass_expired"
    assert result(server, over, WRONG) == "FAIL"
