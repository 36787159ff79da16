"""Dovecot's IMAP, POP3, LMTP and doveadm with the server under test in the seat of its auth."""

import imaplib
import os
import poplib
import smtplib
import stat

import pytest

from lib import authproto, proc, users

USER = "tim"
GOOD = users.PASSWORDS[USER]
PAIRS = [("tim", GOOD), ("anna@example.com", users.PASSWORDS["anna@example.com"])]
TEXT = "Subject: hello\r\n\r\nbody\r\n"


class Imap(imaplib.IMAP4):
    """Keeps the text of each tagged answer, with its response code."""

    def ask(self, *words):
        tag = self._new_tag()
        self.send(tag + b" " + b" ".join(w.encode() for w in words) + b"\r\n")
        return self.tagged(tag), tag

    def tagged(self, tag):
        while True:
            line = self.readline()
            if not line:
                raise ConnectionError("IMAP server closed")
            if line.startswith(tag + b" ") or line.startswith(b"+"):
                return line.strip().decode()


def imap(mail):
    return Imap("127.0.0.1", mail.imap, timeout=60)


def deliver(mail, user):
    """The LMTP code of RCPT, then of the delivery."""
    with smtplib.LMTP("127.0.0.1", mail.lmtp, "client.example.com", timeout=60) as s:
        s.ehlo_or_helo_if_needed()
        assert s.mail("sender@example.com")[0] == 250
        code = s.rcpt(user)[0]
        return code if code != 250 else s.data(TEXT)[0]


@pytest.fixture
def mail(dovecot_pair):
    return dovecot_pair[0]


@pytest.fixture
def outage(dovecot_pair):
    dovecot_pair[1].break_backend()
    yield dovecot_pair[0]
    dovecot_pair[1].heal_backend()


# ---- IMAP ----


@pytest.mark.parametrize("user,password", PAIRS)
def test_imap_login_and_select(mail, user, password):
    with imap(mail) as c:
        assert c.ask("LOGIN", '"%s"' % user, '"%s"' % password)[0].split()[1] == "OK"
        assert c.ask("SELECT", "INBOX")[0].split()[1] == "OK"


def test_imap_wrong_password_then_right(mail):
    with imap(mail) as c:
        answer = c.ask("LOGIN", USER, users.WRONG)[0]
        assert answer.split()[1] == "NO" and "[AUTHENTICATIONFAILED]" in answer
        answer = c.ask("LOGIN", "nobody-here", users.WRONG)[0]
        assert answer.split()[1] == "NO" and "[AUTHENTICATIONFAILED]" in answer
        assert c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"


def test_imap_advertises_the_servers_mechanisms(mail):
    with imap(mail) as c:
        c.capability()
        assert {"AUTH=PLAIN", "AUTH=LOGIN"} <= set(c.capabilities)


def test_imap_authenticate_plain_with_initial_response(mail):
    with imap(mail) as c:
        assert c.ask("AUTHENTICATE", "PLAIN", authproto.plain(USER, GOOD))[0].split()[1] == "OK"


def test_imap_authenticate_plain_without_initial_response(mail):
    with imap(mail) as c:
        answer, tag = c.ask("AUTHENTICATE", "PLAIN")
        assert answer == "+"
        c.send(authproto.plain(USER, GOOD).encode() + b"\r\n")
        assert c.tagged(tag).split()[1] == "OK"


def test_imap_authenticate_login(mail):
    with imap(mail) as c:
        answer, tag = c.ask("AUTHENTICATE", "LOGIN")
        assert answer == "+ VXNlcm5hbWU6"
        c.send(authproto.b64(USER).encode() + b"\r\n")
        assert c.tagged(tag) == "+ UGFzc3dvcmQ6"
        c.send(authproto.b64(GOOD).encode() + b"\r\n")
        assert c.tagged(tag).split()[1] == "OK"


def test_imap_authenticate_cancelled(mail):
    with imap(mail) as c:
        answer, tag = c.ask("AUTHENTICATE", "PLAIN")
        c.send(b"*\r\n")
        assert c.tagged(tag).split()[1] in ("BAD", "NO")
        assert c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"


def test_imap_many_logins(mail):
    sessions = []
    for _ in range(8):
        c = imap(mail)
        sessions.append(c)
        assert c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"
    for c in sessions:
        c.logout()


def test_imap_outage_is_unavailable(outage):
    for password in (GOOD, users.WRONG):
        with imap(outage) as c:
            answer = c.ask("LOGIN", USER, password)[0]
            assert answer.split()[1] == "NO"
            assert "[UNAVAILABLE]" in answer and "AUTHENTICATIONFAILED" not in answer


# ---- POP3 ----


def test_pop3_login_and_retrieve(mail):
    assert deliver(mail, "bob") == 250
    c = poplib.POP3("127.0.0.1", mail.pop3, timeout=60)
    c.user("bob")
    c.pass_(users.PASSWORDS["bob"])
    assert c.stat()[0] >= 1
    assert b"Subject: hello" in c.retr(1)[1]
    c.quit()


def test_pop3_wrong_password(mail):
    c = poplib.POP3("127.0.0.1", mail.pop3, timeout=60)
    c.user("bob")
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        c.pass_(users.WRONG)
    c.quit()


def test_pop3_outage_is_temporary(outage):
    c = poplib.POP3("127.0.0.1", outage.pop3, timeout=60)
    c.user("bob")
    with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
        c.pass_(users.PASSWORDS["bob"])
    c.quit()


# ---- LMTP ----


def test_lmtp_delivers_to_a_user(mail):
    assert deliver(mail, USER) == 250
    with imap(mail) as c:
        assert c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"
        c.state = "AUTH"
        assert int(c.select("INBOX")[1][0]) >= 1


def test_lmtp_unknown_user(mail):
    assert deliver(mail, "nobody-here") == 550


def test_lmtp_outage(outage):
    assert deliver(outage, USER) == 451
    assert deliver(outage, "nobody-here") == 451


# ---- doveadm ----


def test_doveadm_auth_test(mail):
    good = mail.doveadm("auth", "test", USER, GOOD)
    assert good.returncode == 0
    assert good.stdout.splitlines() == [
        "passdb: tim auth succeeded", "extra fields:", "  user=tim"]
    bad = mail.doveadm("auth", "test", USER, users.WRONG)
    assert bad.returncode == 77 and "passdb: tim auth failed" in bad.stdout


def test_doveadm_auth_test_master_user(mail):
    good = mail.doveadm("auth", "test", "-M", "chief", USER, users.PASSWORDS["chief"])
    assert good.returncode == 0, good.stderr
    assert "  user=tim" in good.stdout.splitlines()


def test_doveadm_auth_login(mail):
    good = mail.doveadm("auth", "login", USER, GOOD)
    assert good.returncode == 0, good.stderr
    lines = good.stdout.splitlines()
    assert lines[0] == "passdb: tim auth succeeded"
    assert lines[lines.index("userdb extra fields:") + 1] == "  tim"
    assert "  uid=%d" % users.UID in lines and "  auth_mech=PLAIN" in lines
    assert mail.doveadm("auth", "login", USER, users.WRONG).returncode == 77


def test_doveadm_auth_lookup(mail):
    good = mail.doveadm("auth", "lookup", USER)
    assert (good.returncode, good.stdout) == (0, "passdb: tim\n  user      : tim\n")
    field = mail.doveadm("auth", "lookup", "-f", "user", USER)
    assert (field.returncode, field.stdout) == (0, "tim\n")
    assert mail.doveadm("auth", "lookup", "nobody-here").returncode == 67


def test_doveadm_user(mail):
    one = mail.doveadm("user", USER)
    assert one.returncode == 0
    fields = dict(line.split("\t", 1) for line in one.stdout.splitlines())
    assert fields["uid"] == str(users.UID) and fields["home"].endswith("/mail/tim")
    assert mail.doveadm("user", "-f", "gid", USER).stdout == "%d\n" % users.GID
    only = mail.doveadm("user", "-u", "sue")
    assert only.stdout.startswith("userdb: sue\n") and "quota_rule: *:storage=1G" in only.stdout
    assert mail.doveadm("user", "nobody-here").returncode == 67


def test_doveadm_user_wildcards(mail):
    everyone = sorted(name for name in users.PASSWORDS if name != "chief")
    assert sorted(mail.doveadm("user", "*").stdout.split()) == everyone
    assert mail.doveadm("user", "t*").stdout == "tim\n"
    assert mail.doveadm("user", "*@example.com").stdout == "anna@example.com\n"


def test_doveadm_outage(outage):
    assert outage.doveadm("user", USER).returncode == 75
    assert outage.doveadm("auth", "lookup", USER).returncode == 75
    bad = outage.doveadm("auth", "test", USER, GOOD)
    assert bad.returncode in (75, 77) and "temp_fail" in bad.stdout


# ---- the seat ----


def test_no_auth_process_of_dovecots_own(dovecot_pair):
    mail = dovecot_pair[0]
    with imap(mail) as c:
        assert c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"
        titles = list(mail.processes().values())
    assert any("imap" in t for t in titles), titles
    assert not [t for t in titles if t.partition(" ")[0].endswith(("/auth", "/auth-worker"))], titles


def test_sockets_have_the_right_owners(dovecot_pair):
    mail, server = dovecot_pair
    for listener in mail.listeners():
        found = os.stat(listener.path)
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == listener.mode, listener.path
        assert found.st_uid == int(proc.run(["id", "-u", listener.user]).stdout), listener.path


def test_dovecot_restarts_beside_a_running_server(dovecot_pair):
    """Only with login sockets apart: Dovecot refuses to start beside a live login/login."""
    mail, server = dovecot_pair
    mail.stop()
    if mail.layout == "apart":
        mail.start()
    else:
        server.stop()
        mail.start()
        server.start()
    with imap(mail) as c:
        assert c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"


def test_server_restarts_beside_a_running_dovecot(dovecot_pair):
    mail, server = dovecot_pair
    with imap(mail) as old:
        assert old.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"
        server.stop()
        server.start()

        def logs_in():
            with imap(mail) as c:
                return c.ask("LOGIN", USER, GOOD)[0].split()[1] == "OK"
        proc.wait_for("logins after the restart", logs_in, 30)
        assert old.ask("NOOP")[0].split()[1] == "OK"
    assert mail.doveadm("auth", "test", USER, GOOD).returncode == 0
