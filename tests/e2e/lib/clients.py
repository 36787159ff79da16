"""Other people's mail clients, each with one function: does this server let this user in?

True: it let him in. False: it said that the credentials are wrong. Anything else is an AssertionError.
A server is a Server: its protocol, its port, and where it is asked.
"""

import base64
import imaplib
import os
import poplib
import pty
import select
import signal
import smtplib
import socket
import tempfile
import termios

from . import proc


class Server:
    def __init__(self, name, protocol, port):
        self.name, self.protocol, self.port = name, protocol, port


def _verdict(result, yes, no):
    """yes and no: does the text or status of the finished program say so?"""
    said = result.stdout + result.stderr
    if yes(result, said):
        return True
    assert no(result, said), (result.args, result.returncode, said)
    return False


# ---- GNU SASL ----

GSASL = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "GSSAPI")


def gsasl(server, mech, user, password, env=None):
    argv = ["gsasl", "--" + server.protocol, "--no-starttls", "-m", mech, "-a", user,
            "-p", password, "--realm=", "--service=" + server.protocol, "--hostname=localhost",
            "localhost", str(server.port)]
    if mech == "GSSAPI":
        argv += ["-z", user]
    r = proc.run(argv, env=dict(os.environ, **(env or {})))
    if server.protocol == "smtp":
        return _verdict(r, lambda r, s: "\n235 " in s, lambda r, s: "\n535 " in s)
    return _verdict(r, lambda r, s: " OK " in s and "Logged in" in s,
                    lambda r, s: " NO [AUTHENTICATIONFAILED]" in s)


# ---- curl ----

CURL = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "OAUTHBEARER", "XOAUTH2",
        "GSSAPI")
CURL_DENIED = 67


def curl(server, mech, user, password, env=None):
    url = "%s://localhost:%d/" % (server.protocol, server.port)
    argv = ["curl", "-sS", "--max-time", "30", "--login-options", "AUTH=" + mech, url]
    if mech in ("OAUTHBEARER", "XOAUTH2"):
        argv += ["--user", user + ":", "--oauth2-bearer", password]
    elif mech == "GSSAPI":
        argv += ["--user", user + "@EXAMPLE.ORG:", "--sasl-authzid", user]
    else:
        argv += ["--user", user + ":" + password]
    if server.protocol == "smtp":  # a mail without a text
        argv += ["--mail-from", "a@example.com", "--mail-rcpt", "b@example.com", "-T", "-"]
    r = proc.run(argv, env=dict(os.environ, **(env or {})))
    return _verdict(r, lambda r, s: r.returncode == 0, lambda r, s: r.returncode == CURL_DENIED)


# ---- msmtp ----

MSMTP = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256",
         "OAUTHBEARER", "XOAUTH2")  # by GSSAPI it cannot be told whom to log in as
EX_NOPERM = 77


def msmtp(server, mech, user, password, env=None):
    with tempfile.NamedTemporaryFile("w") as secret, tempfile.TemporaryFile() as mail:
        secret.write(password + "\n")
        secret.flush()
        mail.write(b"Subject: test\n\nhello\n")
        mail.seek(0)
        r = proc.run(["msmtp", "--file=/dev/null", "--host=localhost", "--port=%d" % server.port,
                      "--auth=" + mech.lower(), "--user=" + user, "--from=a@example.com",
                      "--passwordeval=cat " + secret.name, "--tls=off", "--timeout=30",
                      "b@example.com"], stdin=mail, env=dict(os.environ, **(env or {})))
    return _verdict(r, lambda r, s: r.returncode == 0, lambda r, s: r.returncode == EX_NOPERM)


# ---- swaks ----

SWAKS = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5")
SWAKS_AUTH = 28


def swaks(server, mech, user, password, env=None):
    r = proc.run(["swaks", "--server", "localhost:%d" % server.port, "--ehlo", "client.example.com",
                  "--from", "a@example.com", "--to", "b@example.com", "--auth", mech,
                  "--auth-user", user, "--auth-password", password, "--quit-after", "AUTH"])
    return _verdict(r, lambda r, s: r.returncode == 0,
                    lambda r, s: r.returncode == SWAKS_AUTH and "535 5.7.8" in s)


# ---- isync (Cyrus SASL inside) ----

ISYNC = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")

ISYNC_CONFIG = """
IMAPAccount a
Host 127.0.0.1
Port {port}
User {user}
Pass "{password}"
SSLType None
AuthMechs {mech}

IMAPStore far
Account a

MaildirStore near
Path {dir}/
Inbox {dir}/inbox

Channel all
Far :far:
Near :near:
"""


def isync(server, mech, user, password, env=None):
    with tempfile.TemporaryDirectory() as where:
        config = os.path.join(where, "rc")
        with open(config, "w") as f:
            f.write(ISYNC_CONFIG.format(port=server.port, user=user, password=password, mech=mech,
                                        dir=where))
        r = proc.run(["mbsync", "-c", config, "-l", "all"])
    return _verdict(r, lambda r, s: r.returncode == 0,
                    lambda r, s: "AUTHENTICATIONFAILED" in s or "authentication" in s.lower())


# ---- Python's own ----

PYTHON = {"smtp": ("PLAIN", "LOGIN", "CRAM-MD5"), "imap": ("PLAIN", "CRAM-MD5"),
          "pop3": ("PLAIN", "APOP")}


def _python_smtp(server, mech, user, password):
    with smtplib.SMTP("127.0.0.1", server.port, "client.example.com", 30) as s:
        s.ehlo()
        s.user, s.password = user, password
        try:
            s.auth(mech, getattr(s, "auth_" + mech.lower().replace("-", "_")))
        except smtplib.SMTPAuthenticationError as e:
            assert e.smtp_code == 535, e
            return False
        return True


def _python_imap(server, mech, user, password):
    with imaplib.IMAP4("127.0.0.1", server.port, 30) as i:
        try:
            if mech == "CRAM-MD5":
                i.login_cram_md5(user, password)
            else:
                i.authenticate(mech, lambda _: b"\0%s\0%s" % (user.encode(), password.encode()))
        except imaplib.IMAP4.error as e:
            assert "AUTHENTICATIONFAILED" in str(e), e
            return False
        return True


def _python_pop3(server, mech, user, password):
    p = poplib.POP3("127.0.0.1", server.port, 30)
    try:
        if mech == "APOP":
            p.apop(user, password)
        else:
            p.user(user)
            p.pass_(password)
    except poplib.error_proto as e:
        assert b"[AUTH]" in e.args[0], e
        return False
    finally:
        p.close()
    return True


def python(server, mech, user, password, env=None):
    speak = {"smtp": _python_smtp, "imap": _python_imap, "pop3": _python_pop3}
    return speak[server.protocol](server, mech, user, password)


# ---- Cyrus SASL's sample client, its messages carried to an IMAP server ----

CYRUS = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256",
         "SCRAM-SHA-512", "GSSAPI")


class _Sample:
    """On a terminal, since it asks for passwords there. It prints "C: base64" for each message."""

    def __init__(self, mech, user, password, env):
        self.password = password
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("sasl-sample-client",
                       ["sasl-sample-client", "-m", mech, "-s", "imap", "-n", "localhost", "-a", user,
                        "-u", user if mech == "GSSAPI" else "", "-b", "max=0"], dict(os.environ, **(env or {})))
        settings = termios.tcgetattr(self.fd)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(self.fd, termios.TCSANOW, settings)

    def say(self, line):
        os.write(self.fd, line + b"\n")

    def message(self):
        """The next message that it sends; None: it has ended."""
        while True:
            line, newline, rest = self.text.partition(b"\n")
            if newline:
                self.text = rest
                if line.startswith(b"C: "):
                    return line[3:].strip()
                continue
            if self.text.endswith(b"Password: "):
                self.text = b""
                self.say(self.password.encode())
            if not select.select([self.fd], [], [], 15)[0]:
                raise AssertionError("sasl-sample-client says nothing more than %r" % self.text)
            try:
                data = os.read(self.fd, 4096)
            except OSError:  # how Linux says that the other side has closed
                data = b""
            if not data:
                return None
            self.text += data

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def cyrus(server, mech, user, password, env=None):
    sample = _Sample(mech, user, password, env)
    try:
        with socket.create_connection(("127.0.0.1", server.port), 30) as s:
            lines = s.makefile("rwb")
            assert lines.readline().startswith(b"* OK")
            return _carry(lines, sample, mech)
    finally:
        sample.close()


def _carry(lines, sample, mech):
    sample.say(b"S: " + base64.b64encode(mech.encode()))
    first = sample.message()
    assert first is not None, sample.text
    name, has_initial, initial = base64.b64decode(first).partition(b"\0")
    assert name == mech.encode(), name
    lines.write(b"a AUTHENTICATE " + name + b"\r\n")
    lines.flush()
    while True:
        line = lines.readline().strip()
        if line.startswith(b"a OK"):
            return True
        if line.startswith(b"a NO"):
            assert b"AUTHENTICATIONFAILED" in line, line
            return False
        if not line.startswith(b"+"):
            continue
        challenge = line[1:].strip()
        if has_initial and not challenge:
            answer, has_initial = base64.b64encode(initial), False
        else:
            sample.say(b"S: " + challenge)
            answer = sample.message()
            assert answer is not None, sample.text
        lines.write(answer + b"\r\n")
        lines.flush()


# name: (function, {protocol: mechanisms})
ALL = {
    "GNU SASL (gsasl)": (gsasl, {"smtp": GSASL, "imap": GSASL}),
    "curl": (curl, {"smtp": CURL, "imap": CURL, "pop3": CURL}),
    "msmtp": (msmtp, {"smtp": MSMTP}),
    "swaks": (swaks, {"smtp": SWAKS}),
    "isync": (isync, {"imap": ISYNC}),
    "Python": (python, PYTHON),
    "Cyrus SASL": (cyrus, {"imap": CYRUS}),
}
