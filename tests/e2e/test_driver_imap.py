"""Driver imap: passwords that a real Dovecot judges, and servers that do not behave."""

import time

import pytest

from lib import authproto, authserver, imap, postfix, proc

pytestmark = pytest.mark.authd_only("one driver, tested against authd's rules")

PASSWORDS = {"tim": "tim-Tanstaaf8", "odd": 'q"uo\\te {5} %u (x)*', "r\u00e9mi": "caf\u00e9"}
WRONG = "wrong-Zeppelin2"
TIM = PASSWORDS["tim"]


@pytest.fixture(scope="module")
def target():
    t = imap.Target(PASSWORDS).start()
    yield t
    t.stop()


@pytest.fixture(scope="module")
def scripted():
    s = imap.Scripted()
    yield s
    s.close()


QUICK = authserver.Listener("quick", 0o600, extra="    client_deadline = 2 s\n")


def passdb(args, protocol=None):
    text = "passdb {\n  driver = imap\n  args = %s\n}\n" % args
    return "protocol %s {\n%s}\n" % (protocol, text) if protocol else text


@pytest.fixture(scope="module")
def served(target, scripted):
    """(postfix, server): which passdb is asked depends on the protocol."""
    mail = postfix.Postfix()
    socket = authserver.Listener(mail.socket, 0o660, "postfix", "postfix")
    here = "host=127.0.0.1 port=%d " % target.imap
    ca = " ssl_ca_file=" + target.ca
    named = "host=localhost port=%d "
    text = "auth_verbose = yes\nauth_username_chars =\n" + "".join(
        passdb(args, protocol) for protocol, args in (
            ("smtp", here), ("scripted", "host=127.0.0.1 port=%d" % scripted.port),
            ("imaps", named % target.imaps + "ssl=imaps" + ca),
            ("starttls", named % target.imap + "ssl=starttls" + ca),
            ("othername", "host=127.0.0.1 port=%d ssl=imaps" % target.imaps + ca),
            ("unknownca", named % target.imaps + "ssl=imaps"),
            ("trusting", here + "ssl=starttls allow_invalid_cert=yes"),
            ("notls", "host=127.0.0.1 port=%d ssl=starttls" % scripted.port + ca),
            ("nobody", "host=127.0.0.1 port=1"),
            ("noname", here + "username=%d"),
            ("hostile", "host=%d port=143")))
    server = authserver.standard(
        text=text, listeners=authserver.STANDARD + [socket, QUICK]).start()
    mail.start()
    yield mail, server
    mail.stop()
    server.stop()


def result(served, user, password, service="smtp", name="auth-client"):
    with served[1].client(name) as c:
        reply = c.login(user, password, "rip=192.0.2.1", service=service)
    return reply.get("code") or reply.cmd


def test_passwords(served):
    for user, password in PASSWORDS.items():
        assert result(served, user, password) == "OK"
        assert result(served, user, password + "x") == "FAIL"
        assert result(served, user, WRONG) == "FAIL"
    assert result(served, "no-such-user", WRONG) == "FAIL"
    assert result(served, "tim", "p" * 1000) == "FAIL"
    assert "imap(tim,192.0.2.1): Password mismatch" in served[1].logs()
    assert WRONG not in served[1].logs() and TIM not in served[1].logs()


def test_tls(served):
    for service in ("imaps", "starttls", "trusting"):
        assert result(served, "tim", TIM, service) == "OK"
        assert result(served, "tim", WRONG, service) == "FAIL"


def test_what_cannot_be_verified_is_no_mismatch(served):
    """Not the name in the certificate, not its authority, no TLS at all, nobody there."""
    for service in ("othername", "unknownca", "notls", "nobody"):
        assert result(served, "tim", TIM, service) == "temp_fail"


def test_no_name_and_no_host(served):
    assert result(served, "tim", TIM, "noname") == "FAIL"
    assert result(served, "tim", TIM, "hostile") == "temp_fail"
    assert result(served, "tim@a/b?c", TIM, "hostile") == "temp_fail"
    assert "is no host" in served[1].logs()


@pytest.mark.parametrize("answer,want", [
    ("%s OK done", "OK"), ("%s NO wrong", "FAIL"), ("%s NO [AUTHENTICATIONFAILED] x", "FAIL"),
    ("%s NO [EXPIRED] x", "pass_expired"), ("%s NO [UNAVAILABLE] x", "temp_fail"),
    ("%s NO [SERVERBUG] x", "temp_fail"), ("%s NO [INUSE] x", "temp_fail"),
    ("%s BAD what", "temp_fail"), ("", "temp_fail"), ("A999 OK done", "temp_fail"),
    ("* BYE going\r\n", "temp_fail"), ("\x00\xff" * 50, "temp_fail")])
def test_answers(served, scripted, answer, want):
    scripted.answer = answer
    name = "quick"
    assert result(served, "tim", TIM, "scripted", name) == want


@pytest.mark.parametrize("greeting", ["* PREAUTH you are tim", "* BYE busy", "", None])
def test_greetings(served, scripted, greeting):
    """PREAUTH asks for no password at all: it must not be taken for a yes."""
    scripted.answer, scripted.greeting = "%s OK done", greeting
    try:
        assert result(served, "tim", WRONG, "scripted", "quick") == "temp_fail"
    finally:
        scripted.greeting = "* OK hello"


def test_a_server_that_hangs(served, scripted):
    """The login is told "try again" in time; others are not held up."""
    scripted.answer = None
    with served[1].client("quick") as c:
        ids = [c.start("PLAIN", resp=authproto.plain("tim", TIM), service="scripted")
               for _ in range(4)]
        started = time.monotonic()
        assert result(served, "tim", TIM) == "OK"
        assert time.monotonic() - started < 1.5
        assert {c.reply().get("code") for _ in ids} == {"temp_fail"}
    scripted.answer = "%s OK done"
    proc.wait_for("logins again", lambda: result(served, "tim", TIM, "scripted") == "OK")


def smtp_code(mail, password):
    with mail.smtp() as smtp:
        return smtp.docmd("AUTH PLAIN " + authproto.plain("tim", password))[0]


def test_postfix_and_an_outage_of_the_server(served, target):
    mail = served[0]
    assert smtp_code(mail, TIM) == 235
    assert smtp_code(mail, WRONG) == 535
    target.stop()
    try:
        assert smtp_code(mail, TIM) == 454
        assert smtp_code(mail, WRONG) == 454
    finally:
        target.start()
    assert smtp_code(mail, TIM) == 235
    assert smtp_code(mail, WRONG) == 535
