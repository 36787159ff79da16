"""Mechanisms that compute, with other people's clients through real Postfix and real Dovecot."""

import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import threading

import pytest

from lib import authproto, authserver, maildovecot, postfix, proc, users

pytestmark = pytest.mark.authd_only("Dovecot's own auth is not what is tested here")
MECHS = ("plain cram-md5 digest-md5 scram-sha-1 scram-sha-256 scram-sha-512 scram-sha-256-plus "
         "external anonymous apop ntlm")
TEXT = """
auth_mechanisms = %s
auth_ssl_username_from_cert = yes
auth_anonymous_username = guest
passdb {
  driver = passwd-file
  args = @passwd@
}
userdb {
  driver = passwd-file
  args = @passwd@
}
""" % MECHS
NT_HASH = "a4f49c406510bdcab6824ee7c30fd852"  # of "Password", MS-NLMP 4.2.2.1.2
USER, SECRET = "alice", "alice-Tourmaline3"
COMPUTING = ["CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]


def new_server(listeners):
    server = authserver.standard(text=TEXT, listeners=listeners)
    home = os.path.join(server.mail, "%s")
    for name in (USER, "cert", "guest"):
        os.makedirs(home % name)
        os.chown(home % name, users.UID, users.GID)
    where = ":%d:%d::%s::" % (users.UID, users.GID, home)
    with open(server.passwd, "a") as f:
        f.write(("alice:{PLAIN}" + SECRET + where + "\n") % USER)
        f.write(("winnie:{NT}%s" % NT_HASH + where + "\n") % USER)
        f.write(("cert:" + where + "nopassword=y\n") % "cert")
        f.write(("guest:{PLAIN}x" + where + "\n") % "guest")
    return server.start()


@pytest.fixture(scope="module")
def smtp():
    """A Postfix that also lets in who is anonymous, and the server that it asks."""
    mail = postfix.Postfix()
    with open(os.path.join(mail.dir, "main.cf"), "a") as f:
        f.write("smtpd_sasl_security_options =\n")
    server = new_server([authserver.Listener(mail.socket, 0o660, "postfix", "postfix")])
    mail.start()
    yield mail
    mail.stop()
    server.stop()


def certificate(where, name):
    made = proc.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                     "-subj", "/CN=" + name, "-keyout", os.path.join(where, name + ".key"),
                     "-out", os.path.join(where, name + ".pem")])
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="module")
def imap():
    """A Dovecot with TLS that asks for client certificates, and the server in its auth's seat."""
    mail = maildovecot.MailDovecot("same")
    for name in ("server", "cert"):
        certificate(mail.dir, name)
    with open(mail.config, "a") as f:
        f.write("""
ssl = yes
ssl_cert = <{0}/server.pem
ssl_key = <{0}/server.key
ssl_ca = <{0}/cert.pem
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
""".format(mail.dir))
    mail.start()
    server = new_server(mail.listeners())
    yield mail
    mail.stop()
    server.stop()


def gsasl(how, port, mech, user, password, *more):
    """GNU SASL's client; True: it got in."""
    made = subprocess.run(
        ["gsasl", how, "--no-starttls", "--connect=127.0.0.1:%d" % port, "-m", mech, "-a", user,
         "-p", password, "--quality-of-protection=qop-auth", *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return made.returncode == 0, made.stdout.decode(errors="replace")


@pytest.mark.parametrize("mech", COMPUTING)
def test_gsasl_through_postfix(smtp, mech):
    good, said = gsasl("--smtp", smtp.port, mech, USER, SECRET)
    assert good, said
    good, said = gsasl("--smtp", smtp.port, mech, USER, users.WRONG)
    assert not good and "535" in said, said
    unknown, said_unknown = gsasl("--smtp", smtp.port, mech, "nobody-here", SECRET)
    assert not unknown and "535" in said_unknown


@pytest.mark.parametrize("mech", COMPUTING)
def test_gsasl_through_dovecot(imap, mech):
    good, said = gsasl("--imap", imap.imap, mech, USER, SECRET)
    assert good, said
    good, said = gsasl("--imap", imap.imap, mech, USER, users.WRONG)
    assert not good and "AUTHENTICATIONFAILED" in said, said
    good, said = gsasl("--imap", imap.imap, mech, "nobody-here", SECRET)
    assert not good and "AUTHENTICATIONFAILED" in said, said


@pytest.mark.parametrize("mech", ["CRAM-MD5", "DIGEST-MD5"])
def test_swaks_through_postfix(smtp, mech):
    def swaks(password):
        return subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", str(smtp.port), "--auth", mech,
             "--auth-user", USER, "--auth-password", password, "--quit-after", "AUTH"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    made = swaks(SECRET)
    assert made.returncode == 0 and b"235" in made.stdout, made.stdout.decode()
    made = swaks(users.WRONG)
    assert made.returncode != 0 and b"535" in made.stdout, made.stdout.decode()


def test_python_cram_md5(smtp, imap):
    with smtp.smtp() as s:
        s.user, s.password = USER, SECRET
        assert s.auth("CRAM-MD5", s.auth_cram_md5)[0] == 235
        with smtp.smtp() as other:
            other.user, other.password = USER, users.WRONG
            with pytest.raises(smtplib.SMTPAuthenticationError):
                other.auth("CRAM-MD5", other.auth_cram_md5)
    with imaplib.IMAP4("127.0.0.1", imap.imap, timeout=60) as c:
        assert c.login_cram_md5(USER, SECRET)[0] == "OK"


def curl_ntlm(url, user, password):
    """Its exit status (67: the login was refused) and what it said."""
    made = subprocess.run(
        ["curl", "-sS", "-v", "--max-time", "60", "--login-options", "AUTH=NTLM", "-u",
         user + ":" + password, url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=90)
    return made.returncode, made.stdout.decode(errors="replace")


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_curl_ntlm(smtp, imap, protocol):
    url = "%s://127.0.0.1:%d/" % (protocol, smtp.port if protocol == "smtp" else getattr(imap, protocol))
    for user, password in ((USER, SECRET), ("winnie", "Password"), ("ALICE", SECRET)):
        status, said = curl_ntlm(url, user, password)
        assert status != 67 and "AUTH NTLM" in said.replace("AUTHENTICATE", "AUTH"), said
        assert status == 0 or protocol == "smtp", said
    for user, password in ((USER, users.WRONG), ("winnie", "password"), ("nobody-here", SECRET),
                           ("cert", "x")):
        assert curl_ntlm(url, user, password)[0] == 67


def test_channel_binding_is_not_offered_where_nobody_can_bind(smtp, imap):
    with smtp.smtp() as s:
        offered = s.esmtp_features["auth"].split()
    with imaplib.IMAP4("127.0.0.1", imap.imap, timeout=60) as c:
        offered += [word[5:] for word in c.capabilities if word.startswith("AUTH=")]
    assert offered.count("SCRAM-SHA-256") == 2
    assert not [mech for mech in offered if mech.endswith("PLUS") or mech == "APOP"]


def test_gsasl_anonymous_through_postfix(smtp):
    made = subprocess.run(
        ["gsasl", "--smtp", "--no-starttls", "--connect=127.0.0.1:%d" % smtp.port, "-m", "ANONYMOUS",
         "-n", "trace@example.com"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60)
    assert made.returncode == 0, made.stdout.decode()


def test_apop_through_dovecot(imap):
    c = poplib.POP3("127.0.0.1", imap.pop3, timeout=60)
    assert c.apop(USER, SECRET).startswith(b"+OK")
    c.quit()
    for user, password in ((USER, users.WRONG), ("nobody-here", SECRET)):
        c = poplib.POP3("127.0.0.1", imap.pop3, timeout=60)
        with pytest.raises(poplib.error_proto, match="AUTH"):
            c.apop(user, password)
        c.close()


def tls_session(imap, certified):
    context = ssl.create_default_context(cafile=os.path.join(imap.dir, "server.pem"))
    context.check_hostname = False
    if certified:
        context.load_cert_chain(os.path.join(imap.dir, "cert.pem"), os.path.join(imap.dir, "cert.key"))
    c = imaplib.IMAP4("127.0.0.1", imap.imap, timeout=60)
    c.starttls(context)
    return c


def test_external_through_dovecot_with_a_client_certificate(imap):
    with tls_session(imap, True) as c:
        assert c.authenticate("EXTERNAL", lambda challenge: b"")[0] == "OK"
    with tls_session(imap, True) as c:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            c.authenticate("EXTERNAL", lambda challenge: USER.encode())
    with tls_session(imap, False) as c:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            c.authenticate("EXTERNAL", lambda challenge: b"")


def test_gsasl_external_through_dovecot(imap):
    argv = ["gsasl", "--imap", "--starttls", "--connect=localhost:%d" % imap.imap, "-m", "EXTERNAL",
            "--authorization-id=", "--x509-ca-file="]
    certified = ["--x509-cert-file=" + os.path.join(imap.dir, "cert.pem"),
                 "--x509-key-file=" + os.path.join(imap.dir, "cert.key")]
    for more, word in ((certified, b" OK "), ([], b"NO [AUTHENTICATIONFAILED]")):
        made = subprocess.run(argv + more, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        _, asked, answer = made.stdout.partition(b". AUTHENTICATE EXTERNAL")
        assert asked and word in answer, made.stdout.decode()


class BindingSmtp(threading.Thread):
    """An SMTP server as Dovecot 2.4's submission-login is one: TLS ends here, and the server in its
    auth's seat is told the channel binding when it asks."""

    def __init__(self, where, path):
        super().__init__(daemon=True)
        self.path, self.result, self.types = path, None, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(where, "server.pem"), os.path.join(where, "server.key"))
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2  # Python knows tls-unique only
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.port = self.listener.getsockname()[1]

    def run(self):
        with self.listener, self.listener.accept()[0] as plain:
            plain.settimeout(30)
            plain.sendall(b"220 mail.example.com\r\n")
            while self.line(plain) != "STARTTLS":  # EHLO
                plain.sendall(b"250-mail.example.com\r\n250 STARTTLS\r\n")
            plain.sendall(b"220 go\r\n")
            with self.context.wrap_socket(plain, server_side=True) as tls:
                words = self.line(tls).split()
                while words and words[0] != "AUTH":
                    tls.sendall(b"250-mail.example.com\r\n250 AUTH SCRAM-SHA-256-PLUS\r\n")
                    words = self.line(tls).split()
                self.auth(tls, words)
                if self.line(tls) == "QUIT":
                    tls.sendall(b"221 bye\r\n")
                    tls.unwrap()

    @staticmethod
    def line(s):
        text = b""
        while not text.endswith(b"\n"):
            byte = s.recv(1)
            if not byte:
                break
            text += byte
        return text.decode().strip()

    def auth(self, tls, words):
        with authproto.AuthClient(self.path, minor=4) as c:
            id = c.start(words[1], "secured=tls", "final-resp-ok", service="submission",
                         resp=words[2] if len(words) > 2 else None)
            while True:
                reply = c.reply_to(id)
                if reply.cmd != "CONT":
                    break
                if reply.args[0] == "#":
                    self.types.append(reply.get("channel_binding"))
                    binding = authproto.b64(tls.get_channel_binding("tls-unique"))
                    c.raw("CONT\t%d\t#\tchannel_binding=%s\n" % (id, binding))
                    continue
                tls.sendall(b"334 " + reply.args[0].encode() + b"\r\n")
                c.raw("CONT\t%d\t%s\n" % (id, self.line(tls)))
        if reply.cmd == "OK" and reply.has("resp"):
            tls.sendall(b"334 " + reply.get("resp").encode() + b"\r\n")
            self.line(tls)
        self.result = reply
        tls.sendall(b"235 ok\r\n" if reply.cmd == "OK" else b"535 no\r\n")


@pytest.mark.parametrize("password, wanted", [(SECRET, "OK"), (users.WRONG, "FAIL")])
def test_gsasl_with_channel_binding(password, wanted):
    where = proc.new_dir("b")
    certificate(where, "server")
    server = new_server([authserver.Listener("typed", extra="    type = auth\n")])
    try:
        bridge = BindingSmtp(where, server.path("typed"))
        bridge.start()
        made = subprocess.run(
            ["gsasl", "--smtp", "--starttls", "--connect=127.0.0.1:%d" % bridge.port, "-m", "SCRAM-SHA-256-PLUS",
             "-a", USER, "-p", password, "--x509-ca-file="],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        bridge.join(30)
        said = made.stdout.decode(errors="replace")
        assert bridge.types == ["tls-unique"], said
        assert bridge.result.cmd == wanted and (made.returncode == 0) == (wanted == "OK"), said
    finally:
        server.stop()
