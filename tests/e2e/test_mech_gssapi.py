"""Mechanisms GSSAPI and GSS-SPNEGO: a real KDC, real tickets, real clients."""

import base64
import os
import signal

import gssapi
import pytest

from lib import authserver, kdc, maildovecot, postfix, proc, users

pytestmark = pytest.mark.authd_only("its own worker for Kerberos")

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
PASSWORDS = {"tim": "tim-Kerberos1", "anna": "anna-Kerberos2", "guest": "guest-Kerberos3"}

CONFIG = """
auth_mechanisms = plain gssapi gss-spnego
auth_krb5_keytab = %s
auth_gssapi_hostname = localhost
passdb {
  driver = passwd-file
  args = @passwd@
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=@dir@/mail/%%u
}
"""



@pytest.fixture(scope="module")
def realm():
    k = kdc.Kdc().start()
    for user, password in PASSWORDS.items():
        k.add_user(user, password)
    for service in ("imap", "smtp", "pop", "sieve"):
        k.add_service(service + "/localhost")
    k.add_service("imap/elsewhere", keytab=os.path.join(k.dir, "other.keytab"))
    before = os.environ.get("KRB5_CONFIG")
    os.environ["KRB5_CONFIG"] = k.env["KRB5_CONFIG"]
    k.caches = {user: k.ticket(user, password) for user, password in PASSWORDS.items()}
    yield k
    if before is None:
        del os.environ["KRB5_CONFIG"]
    else:
        os.environ["KRB5_CONFIG"] = before
    k.stop()


def write_users(server):
    with open(server.passwd, "w") as f:
        f.write("tim:{PLAIN}tim-Password9\n"
                "boss:{PLAIN}boss-Password9::::::k5principals=tim@EXAMPLE.ORG,nobody@EXAMPLE.ORG quarter=north\n")


@pytest.fixture(scope="module")
def server(realm):
    s = authserver.Authd(CONFIG % realm.keytab)
    write_users(s)
    yield s.start()
    s.stop()


def b64(data):
    return base64.b64encode(data or b"").decode()


class Client:
    """A GSSAPI client's side, from a cache of tickets."""

    def __init__(self, cache, service="imap@localhost", mech=gssapi.MechType.kerberos):
        creds = gssapi.Credentials(store={"ccache": "FILE:" + cache}, usage="initiate",
                                   mechs=[gssapi.MechType.kerberos] if mech != SPNEGO else [SPNEGO])
        name = gssapi.Name(service, gssapi.NameType.hostbased_service)
        self.ctx = gssapi.SecurityContext(name=name, creds=creds, mech=mech, usage="initiate",
                                          flags=gssapi.RequirementFlag.mutual_authentication)

    def token(self, challenge=None):
        return self.ctx.step(challenge) or b""


def login(conn, client, authzid=b"", layer=b"\x01\0\0\0", service="imap", spoil=None):
    """RFC 4752 from the client's side; the last reply."""
    id = conn.start("GSSAPI", resp=b64((spoil or (lambda t: t))(client.token())), service=service)
    reply = conn.reply_to(id)
    while reply is not None and reply.cmd == "CONT" and not client.ctx.complete:
        reply = conn.cont(id, b64(client.token(base64.b64decode(reply.args[0]))))
    if reply is None or reply.cmd != "CONT":
        return reply
    offered = client.ctx.unwrap(base64.b64decode(reply.args[0])).message
    assert offered == b"\x01\0\0\0"
    return conn.cont(id, b64(client.ctx.wrap(layer + authzid, False).message))


@pytest.mark.parametrize("authzid", [b"", b"tim"])
def test_login(server, realm, authzid):
    with server.client() as c:
        reply = login(c, Client(realm.caches["tim"]), authzid)
        assert reply.cmd == "OK" and reply.get("user") == "tim", (reply.fields if hasattr(reply,"fields") else reply, server.logs())


def test_user_without_a_passdb_entry(server, realm):
    """The ticket says who he is; the log has no failure that fail2ban would count."""
    with server.client() as c:
        reply = login(c, Client(realm.caches["anna"]))
        assert reply.cmd == "OK" and reply.get("user") == "anna"
    assert "anna): unknown user" not in server.logs()


def test_other_identities(server, realm):
    with server.client() as c:
        assert login(c, Client(realm.caches["tim"]), b"anna").cmd == "FAIL"
        assert login(c, Client(realm.caches["anna"]), b"tim").cmd == "FAIL"
        reply = login(c, Client(realm.caches["tim"]), b"boss")
        assert reply.cmd == "OK" and reply.get("user") == "boss"
        assert reply.get("quarter") == "north"
        # what the passdb tells of him is not for others
        reply = login(c, Client(realm.caches["anna"]), b"boss")
        assert reply.cmd == "FAIL" and not reply.has("quarter")
    server.wait_log("principal anna@EXAMPLE.ORG may not log in as boss")


def test_services(server, realm):
    """Dovecot's protocols under the names that Kerberos knows."""
    for service, name in (("pop3", "pop"), ("submission", "smtp"), ("smtp", "smtp"), ("sieve", "sieve")):
        with server.client() as c:
            client = Client(realm.caches["tim"], name + "@localhost")
            assert login(c, client, service=service).cmd == "OK"
    with server.client() as c:  # a ticket for another service
        assert login(c, Client(realm.caches["tim"], "smtp@localhost"), service="imap").cmd == "FAIL"


def test_spnego(server, realm):
    with server.client() as c:
        client = Client(realm.caches["tim"], mech=SPNEGO)
        id = c.start("GSS-SPNEGO", resp=b64(client.token()), service="imap")
        reply = c.reply_to(id)
        while reply.cmd == "CONT":
            data = base64.b64decode(reply.args[0])
            answer = client.token(data) if data and not client.ctx.complete else b""
            reply = c.cont(id, b64(answer))
        assert reply.cmd == "OK" and reply.get("user") == "tim" and client.ctx.complete


@pytest.mark.parametrize("token", [b"", b"\0", b"`", b"A" * 12000, bytes(range(256))])
def test_tokens_that_are_none(server, token):
    with server.client() as c:
        for mech in ("GSSAPI", "GSS-SPNEGO"):
            id = c.start(mech, resp=b64(token) or "=", service="imap")
            reply = c.reply_to(id)
            if reply.cmd == "CONT":  # SPNEGO may begin with an empty token
                reply = c.cont(id, b64(b"nonsense"))
            assert reply.cmd == "FAIL" and reply.get("code") is None, (mech, reply, server.logs()[-600:])
        assert c.login("tim", "tim-Password9").cmd == "OK"


def test_what_clients_may_not_do(server, realm):
    tim = realm.caches["tim"]
    flip = lambda t: t[:-20] + bytes([t[-20] ^ 1]) + t[-19:]
    replay = Client(tim).token()
    with server.client() as c:
        assert login(c, Client(tim), spoil=flip).cmd == "FAIL"
        assert login(c, Client(tim), layer=b"\x04\0\xff\xff").cmd == "FAIL"
        assert login(c, Client(tim), authzid=b"tim\0x").cmd == "FAIL"
        id = c.start("GSSAPI", resp=b64(replay), service="imap")
        assert c.reply_to(id).cmd == "CONT"
        id = c.start("GSSAPI", resp=b64(replay), service="imap")
        assert c.reply_to(id).cmd == "FAIL"
        # an expired exchange, one that is made up: the front alone knows the handle
        assert login(c, Client(tim)).cmd == "OK"


def test_many_unfinished_exchanges(server, realm):
    """They are bounded, and nobody else notices."""
    clients = [Client(realm.caches["tim"]) for _ in range(200)]
    with server.client() as c:
        for one in clients:
            id = c.start("GSSAPI", resp=b64(one.token()), service="imap")
            assert c.reply_to(id).cmd == "CONT"
        assert login(c, Client(realm.caches["anna"])).cmd == "OK"


def test_dead_worker_is_an_outage(server, realm):
    """The exchange that it had is told to try again; the next one works, passwords all the time."""
    with server.client() as c:
        client = Client(realm.caches["tim"])
        id = c.start("GSSAPI", resp=b64(client.token()), service="imap")
        reply = c.reply_to(id)
        assert reply.cmd == "CONT"
        for pid in server.pids("worker gssapi"):
            os.kill(pid, signal.SIGKILL)
        assert c.login("tim", "tim-Password9").cmd == "OK"
        reply = c.cont(id, b64(client.token(base64.b64decode(reply.args[0]))))
        assert reply.cmd == "FAIL" and reply.get("code") == "temp_fail"
        proc.wait_for("the next worker",
                      lambda: login(c, Client(realm.caches["tim"])).cmd == "OK", 20)


def test_stopped_worker_holds_up_nobody_else(server, realm):
    pids = server.pids("worker gssapi")
    with server.client() as c:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            id = c.start("GSSAPI", resp=b64(Client(realm.caches["tim"]).token()), service="imap")
            with server.client() as other:
                assert other.login("tim", "tim-Password9").cmd == "OK"
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        assert c.reply_to(id).cmd == "CONT"


def test_missing_keys_are_an_outage(realm, start_server):
    """The keytab lacks the service that the clients ask for: our fault, not theirs."""
    s = authserver.Authd(CONFIG.replace("localhost", "elsewhere") %
                         os.path.join(realm.dir, "other.keytab"))
    write_users(s)
    s.start()
    try:
        with s.client() as c:
            reply = login(c, Client(realm.caches["tim"], "smtp@localhost"), service="smtp")
            assert reply.cmd == "FAIL" and reply.get("code") == "temp_fail"
    finally:
        s.stop()


def test_unreadable_keytab_is_found_at_start(realm):
    path = os.path.join(realm.dir, "none.keytab")
    s = authserver.Authd(CONFIG % path)
    write_users(s)
    with pytest.raises(RuntimeError):
        s.start()
    assert "auth_krb5_keytab" in s.logs() and path in s.logs()
    s.stop()


def krb_env(realm, user):
    return dict(os.environ, KRB5CCNAME="FILE:" + realm.caches[user])


def test_postfix_and_gsasl(realm):
    mail = postfix.Postfix()
    socket = authserver.Listener(mail.socket, 0o660, "postfix", "postfix")
    s = authserver.Authd(CONFIG % realm.keytab, listeners=[socket])
    write_users(s)
    s.start()
    mail.start()
    try:
        r = proc.run(["/usr/bin/gsasl", "--smtp", "--no-starttls", "-m", "GSSAPI", "-a", "tim",
                      "-z", "tim", "--service=smtp", "--hostname=localhost", "localhost",
                      str(mail.port)], env=krb_env(realm, "tim"))
        assert "235 2.7.0" in r.stdout, (r.stdout, r.stderr, s.logs(), mail.logs())
        r = proc.run(["/usr/bin/gsasl", "--smtp", "--no-starttls", "-m", "GSSAPI", "-a", "boss",
                      "-z", "boss", "--service=smtp", "--hostname=localhost", "localhost",
                      str(mail.port)], env=krb_env(realm, "anna"))
        assert "535 5.7.8" in r.stdout, (r.stdout, r.stderr)
    finally:
        mail.stop()
        s.stop()


def test_dovecot_and_curl(realm):
    mail = maildovecot.MailDovecot("same")
    s = authserver.Authd(CONFIG % realm.keytab, listeners=mail.listeners())
    write_users(s)
    os.makedirs(os.path.join(s.mail, "tim"), 0o700)
    os.chown(os.path.join(s.mail, "tim"), 65534, 65534)
    mail.start()
    s.start()
    try:
        for protocol, port in (("imap", mail.imap), ("pop3", mail.pop3)):
            for user, code in (("tim", 0), ("anna", 67)):
                r = proc.run(["/usr/bin/curl", "-sS", "--user", "tim@EXAMPLE.ORG:", "--login-options",
                              "AUTH=GSSAPI", "--sasl-authzid", "tim", "%s://localhost:%d/" % (protocol, port)],
                             env=krb_env(realm, user))
                assert r.returncode == code, (protocol, user, r.stderr, s.logs(), mail.logs())
    finally:
        s.stop()
        mail.stop()
