"""Mechanisms that compute for themselves, through the client protocol: right, wrong, unknown, outage."""

import base64
import hashlib
import hmac
import time

import pytest

from lib import authserver, users
from lib.authproto import b64
from lib.sasl import DigestMd5, Scram, cram_md5

SECRET = "tanstaaftanstaaf"
CHIEF = users.PASSWORDS["chief"]
HASHES = ["SHA-1", "SHA-256", pytest.param("SHA-512", marks=pytest.mark.authd_only("2.3 has none"))]
NEWER = authserver.KIND == "authd"
MECHS = "plain cram-md5 digest-md5 scram-sha-1 scram-sha-256 anonymous external apop" + (
    " scram-sha-512 scram-sha-1-plus scram-sha-256-plus scram-sha-512-plus" if NEWER else "")
TEXT = """
auth_mechanisms = %s
auth_verbose = yes
auth_ssl_username_from_cert = yes
auth_master_user_separator = *
passdb {
  driver = passwd-file
  args = @passwd@.denied
  deny = yes
}
passdb {
  driver = passwd-file
  args = @passwd@.masters
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = @passwd@
}
""" % MECHS


def stored(name, password, rounds):
    """A SCRAM credential as a store holds it."""
    salt = b"salt-of-20-bytes-xyz"
    hash = name.lower().replace("-", "")
    salted = hashlib.pbkdf2_hmac(hash, password.encode(), salt, rounds)
    key = hashlib.new(hash, hmac.new(salted, b"Client Key", hash).digest()).digest()
    server = hmac.new(salted, b"Server Key", hash).digest()
    return "{SCRAM-%s}%d,%s,%s,%s" % (name, rounds, b64(salt), b64(key), b64(server))


def start(text=TEXT, listeners=authserver.STANDARD):
    server = authserver.standard(text=text, listeners=listeners)
    with open(server.passwd, "a") as f:
        f.write("alice:{PLAIN}%s\nover:{PLAIN}%s::::::nologin=y reason=secret\n" % (SECRET, SECRET))
        f.write("denied:{PLAIN}%s\n" % SECRET)
        f.write("alias:{PLAIN}%s::::::user=alice host=192.0.2.1\n" % SECRET)
        f.write("rose@a.example:{DIGEST-MD5}%s\n"
                % hashlib.md5(b"rose:a.example:" + SECRET.encode()).hexdigest())
        f.write("cert:::::::nopassword=y\n")
        f.write("strong:%s\n" % stored("SHA-256", SECRET, 6000))
    users.write_lines(server.passwd + ".denied", ["denied:"])
    return server.start()


@pytest.fixture(scope="module")
def computing():
    """alice's and over's passwords are stored as plaintext, tim's as a crypt hash."""
    listeners = authserver.STANDARD
    if NEWER:
        listeners = listeners + [authserver.Listener("typed-auth", extra="    type = auth\n")]
    server = start(listeners=listeners)
    yield server
    server.stop()


def data(reply):
    assert reply.cmd == "CONT", reply
    return base64.b64decode(reply.args[0])


def told(reply, user):
    """What the client hears of a refusal, but for the user's name and the id."""
    assert reply.cmd == "FAIL", reply
    return [a.replace(user, "USER") for a in reply.args]


def cram(c, user, password, upper=False):
    id = c.start("CRAM-MD5", "no-penalty")
    return c.cont(id, b64(cram_md5(data(c.reply_to(id)), user, password, upper)))


def scram(c, one, mech=None, *params):
    """The reply to the proof; the client's first message goes as initial response."""
    id = c.start(mech or "SCRAM-" + one.hash.replace("sha", "SHA-").upper(), "no-penalty", *params,
                 resp=b64(one.first()))
    reply = c.reply_to(id)
    if reply.cmd == "CONT" and reply.args[0] == "#":
        reply = c.cont(id, "#\tchannel_binding=" + b64(one.binding))
    return c.cont(id, b64(one.final(data(reply)))) if reply.cmd == "CONT" else reply


def finish(c, reply, one):
    """A client without final-resp-ok is told the server's proof before the OK."""
    assert one.server_is_right(data(reply))
    return c.cont(reply.id, "")


def digest(c, one):
    id = c.start("DIGEST-MD5", "no-penalty")
    return c.cont(id, b64(one.answer(data(c.reply_to(id)))))


# ---- the handshake ----


def test_flags(computing):
    with computing.client() as c:
        flags = {"PLAIN": ["plaintext"], "CRAM-MD5": ["dictionary", "active"],
                 "DIGEST-MD5": ["dictionary", "active", "mutual-auth"],
                 "SCRAM-SHA-1": ["mutual-auth"], "SCRAM-SHA-256": ["mutual-auth"], "EXTERNAL": [],
                 "ANONYMOUS": ["anonymous"], "APOP": ["private", "dictionary", "active"]}
        assert {name: c.mechs[name] for name in flags} == flags
        assert not [name for name in c.mechs if name.endswith("PLUS")]


# ---- right and wrong ----


def test_cram_md5(computing):
    with computing.client() as c:
        reply = cram(c, "alice", SECRET)
        assert (reply.cmd, reply.get("user")) == ("OK", "alice")
        assert cram(c, "alice", "wrong").cmd == "FAIL"


@pytest.mark.authd_only("hex in either case")
def test_cram_md5_hex_in_upper_case(computing):
    with computing.client() as c:
        assert cram(c, "alice", SECRET, upper=True).cmd == "OK"


@pytest.mark.parametrize("name", HASHES)
def test_scram(computing, name):
    with computing.client() as c:
        one = Scram(name, "alice", SECRET)
        reply = finish(c, scram(c, one), one)
        assert (reply.cmd, reply.get("user"), reply.get("resp")) == ("OK", "alice", None)
        one = Scram(name, "alice", SECRET)
        reply = scram(c, one, None, "final-resp-ok")
        assert reply.cmd == "OK" and one.server_is_right(base64.b64decode(reply.get("resp")))
        assert scram(c, Scram(name, "alice", "wrong")).cmd == "FAIL"


def test_scram_without_initial_response(computing):
    with computing.client() as c:
        one = Scram("SHA-256", "alice", SECRET)
        id = c.start("SCRAM-SHA-256", "no-penalty")
        assert data(c.reply_to(id)) == b""
        reply = c.cont(id, b64(one.final(data(c.cont(id, b64(one.first()))))))
        assert finish(c, reply, one).cmd == "OK"


def test_scram_with_a_stored_credential(computing):
    with computing.client() as c:
        one = Scram("SHA-256", "strong", SECRET)
        reply = scram(c, one)
        assert (one.rounds, one.salt) == (6000, b"salt-of-20-bytes-xyz")
        assert finish(c, reply, one).get("user") == "strong"
        # the same password would do for the other hash, but it is not stored so
        assert scram(c, Scram("SHA-1", "strong", SECRET)).cmd == "FAIL"


def test_digest_md5(computing):
    with computing.client() as c:
        one = DigestMd5("alice", SECRET)
        reply = finish(c, digest(c, one), one)
        assert (reply.cmd, reply.get("user")) == ("OK", "alice")
        assert digest(c, DigestMd5("alice", "wrong")).cmd == "FAIL"


def test_digest_md5_realm(computing):
    with computing.client() as c:
        one = DigestMd5("rose", SECRET, realm="a.example")
        reply = finish(c, digest(c, one), one)
        assert (reply.cmd, reply.get("user")) == ("OK", "rose@a.example")
        assert digest(c, DigestMd5("rose", SECRET, realm="b.example")).cmd == "FAIL"


def test_anonymous(computing):
    with computing.client() as c:
        reply = c.auth("ANONYMOUS", resp=b64("sirhc@example.com"))
        assert (reply.cmd, reply.get("user"), reply.has("anonymous")) == ("OK", "anonymous", True)
        # whatever a certificate says
        reply = c.auth("ANONYMOUS", "valid-client-cert", "cert_username=cert", resp=b64("x\0y"))
        if authserver.KIND == "authd":
            assert (reply.cmd, reply.get("user")) == ("OK", "anonymous")
            assert "anonymous login: sirhc@example.com" in computing.logs()


def test_external(computing):
    cert = ["secured=tls", "valid-client-cert", "cert_username=cert"]
    with computing.client() as c:
        reply = c.auth("EXTERNAL", *cert, resp="=")
        assert (reply.cmd, reply.get("user")) == ("OK", "cert")
        assert c.auth("EXTERNAL", *cert, resp=b64("cert")).cmd == "OK"
        # somebody else, no certificate, one without a name, one that no passdb lets in
        assert c.auth("EXTERNAL", *cert, resp=b64("alice")).cmd == "FAIL"
        if NEWER:  # dovecot-auth leaves that to the login process
            assert c.auth("EXTERNAL", "cert_username=cert", resp="=").cmd == "FAIL"
        assert c.auth("EXTERNAL", "secured=tls", "valid-client-cert", resp="=").cmd == "FAIL"
        assert c.auth("EXTERNAL", *cert[:2], "cert_username=alice", resp="=").cmd == "FAIL"


def apop(c, challenge, user, password, pid=None):
    text = challenge.encode()
    return c.auth("APOP", resp=b64(b"%s\0%s\0%s" % (
        text, user.encode(), hashlib.md5(text + password.encode()).digest())))


def test_apop(computing):
    with computing.client() as c:
        now = int(time.time())
        ours = "<%x.%x.%x.abc@host>" % (c.spid, c.cuid, now)
        assert apop(c, ours, "alice", SECRET).get("user") == "alice"
        assert apop(c, ours, "alice", "wrong").cmd == "FAIL"
        for other in ("<%x.%x.%x.abc@host>" % (c.spid + 1, c.cuid, now),
                      "<%x.%x.%x.abc@host>" % (c.spid, c.cuid + 1, now),
                      "<%x.%x.%x.abc@host>" % (c.spid, c.cuid, 1)):
            assert apop(c, other, "alice", SECRET).cmd == "FAIL"


# ---- nobody learns who exists ----


def refuse_cram(c, user, password):
    return cram(c, user, password)


def refuse_digest(c, user, password):
    return digest(c, DigestMd5(user, password))


def refuse_scram(c, user, password):
    return scram(c, Scram("SHA-256", user, password))


def refuse_apop(c, user, password):
    return apop(c, "<%x.%x.%x.abc@host>" % (c.spid, c.cuid, int(time.time())), user, password)


@pytest.mark.authd_only("dovecot-auth refuses some at once")
@pytest.mark.parametrize("attempt", [refuse_cram, refuse_digest, refuse_scram, refuse_apop])
def test_all_refusals_look_the_same(computing, attempt):
    """A wrong password, also of one whose entry has fields; an unknown user; one who is denied,
    with the right password; one whose password is stored in another form."""
    with computing.client() as c:
        wrong = told(attempt(c, "alice", "wrong"), "alice")
        for user in ("over", "alias", "nobody-here", "denied", "tim"):
            assert told(attempt(c, user, users.PASSWORDS.get(user, SECRET if user == "denied" else
                                                             "wrong")), user) == wrong, user


@pytest.mark.authd_only("dovecot-auth refuses some at once")
@pytest.mark.parametrize("last", [b64("c=biws\0"), b64("x"), "!"], ids=["nul", "broken", "base64"])
def test_an_answer_that_makes_no_sense_tells_nothing(computing, last):
    seen = []
    with computing.client() as c:
        for user in ("alice", "over", "alias", "nobody-here", "denied"):
            id = c.start("SCRAM-SHA-256", resp=b64(Scram("SHA-256", user, "x").first()))
            assert c.reply_to(id).cmd == "CONT"
            seen.append(told(c.cont(id, last), user))
    assert seen[1:] == seen[:1] * 4


@pytest.mark.authd_only("dovecot-auth's salt is random where the password is stored as plaintext")
@pytest.mark.parametrize("name", HASHES)
def test_challenges_look_the_same_and_stay(computing, name):
    seen = {}
    with computing.client() as c:
        for round in range(2):
            for user in ("alice", "over", "nobody-here", "denied", "tim"):
                one = Scram(name, user, "wrong")
                assert scram(c, one).cmd == "FAIL"
                assert (one.rounds, len(one.salt)) == (4096, 16) or name == "SHA-256"
                assert seen.setdefault(user, one.salt) == one.salt
    assert len(set(seen.values())) == len(seen)


@pytest.mark.authd_only("dovecot-auth's fake challenge does not exist")
def test_salts_survive_a_restart():
    salts = []
    server = start()
    try:
        for _ in range(2):
            with server.client() as c:
                for user in ("alice", "nobody-here"):
                    one = Scram("SHA-256", user, "wrong")
                    scram(c, one)
                    salts.append((user, one.salt))
            server.stop()
            server.start()
    finally:
        server.stop()
    assert salts[:2] == salts[2:]


@pytest.mark.authd_only("an outage looks like a refusal there")
def test_an_outage_is_no_challenge(computing):
    server = start(text=TEXT.replace("plain cram-md5", "plain cram-md5 login"))
    try:
        server.break_backend()
        with server.client() as c:
            assert cram(c, "alice", SECRET).get("code") == "temp_fail"
            assert digest(c, DigestMd5("alice", SECRET)).get("code") == "temp_fail"
            for user in ("alice", "nobody-here"):
                assert scram(c, Scram("SHA-256", user, SECRET)).get("code") == "temp_fail"
    finally:
        server.stop()


# ---- somebody else's name ----


@pytest.mark.authd_only("dovecot-auth 2.3.19 says authz_fail")
def test_master_login_with_scram(computing):
    with computing.client() as c:
        one = Scram("SHA-256", "chief", CHIEF, gs2="n,a=alice,")
        reply = finish(c, scram(c, one), one)
        assert (reply.cmd, reply.get("user"), reply.get("auth_user")) == ("OK", "alice", "chief")


@pytest.mark.authd_only("dovecot-auth 2.3.19 says authz_fail")
def test_master_login_with_digest_md5(computing):
    with computing.client() as c:
        one = DigestMd5("chief", CHIEF, authzid="alice")
        reply = finish(c, digest(c, one), one)
        assert (reply.cmd, reply.get("user"), reply.get("auth_user")) == ("OK", "alice", "chief")


@pytest.mark.authd_only("dovecot-auth's last word differs")
def test_master_becomes_the_target_only_after_his_proof(computing):
    with computing.client() as c:
        before = len(computing.logs())
        wrong = scram(c, Scram("SHA-256", "chief", "wrong", gs2="n,a=alice,"))
        assert (wrong.cmd, wrong.get("user"), wrong.get("code")) == ("FAIL", "chief", None)
        assert "Master user logging in" not in computing.logs()[before:]
        reply = scram(c, Scram("SHA-256", "chief", CHIEF, gs2="n,a=nobody-here,"))
        assert (reply.cmd, reply.get("code")) == ("FAIL", "authz_fail")
        # who is no master, with the right password
        reply = scram(c, Scram("SHA-256", "alice", SECRET, gs2="n,a=over,"))
        assert (reply.cmd, reply.get("code")) == ("FAIL", None)
        # oneself is nobody else
        one = Scram("SHA-256", "alice", SECRET, gs2="n,a=alice,")
        assert finish(c, scram(c, one), one).get("user") == "alice"


# ---- channel binding ----

plus = pytest.mark.authd_only("2.3 has no channel binding")


@plus
@pytest.mark.parametrize("name", ["SHA-1", "SHA-256", "SHA-512"])
@pytest.mark.parametrize("type", ["tls-exporter", "tls-server-end-point", "tls-unique"])
def test_plus(computing, name, type):
    with computing.client("typed-auth", minor=3) as c:
        mech = "SCRAM-%s-PLUS" % name
        assert c.mechs[mech] == ["mutual-auth", "channel-binding"]
        one = Scram(name, "alice", SECRET, gs2="p=%s,," % type, binding=bytes(range(200, 232)))
        id = c.start(mech, "secured=tls", resp=b64(one.first()))
        assert c.line() == b"CONT\t%d\t#\tchannel_binding=%s" % (id, type.encode())
        reply = c.cont(id, "#\tchannel_binding=" + b64(one.binding))
        reply = finish(c, c.cont(id, b64(one.final(data(reply)))), one)
        assert (reply.cmd, reply.get("user")) == ("OK", "alice")


@plus
@pytest.mark.parametrize("answer, code", [
    ("#", None), ("#\tchannel_binding=", None), ("#\tother=x", None),
    ("#\tchannel_binding=!", "invalid_base64"), ("QUJD\tchannel_binding=QUJD", "invalid_base64"),
    ("QUJD", "invalid_base64"), ("", "invalid_base64")])
def test_no_binding_no_login(computing, answer, code):
    with computing.client("typed-auth", minor=4) as c:
        one = Scram("SHA-256", "alice", SECRET, gs2="p=tls-exporter,,", binding=b"ABC")
        id = c.start("SCRAM-SHA-256-PLUS", "secured=tls", resp=b64(one.first()))
        assert c.reply_to(id).args == ["#", "channel_binding=tls-exporter"]
        reply = c.cont(id, answer)
        assert (reply.cmd, reply.get("code")) == ("FAIL", code)


@plus
def test_the_binding_of_another_channel(computing):
    with computing.client("typed-auth", minor=4) as c:
        one = Scram("SHA-256", "alice", SECRET, gs2="p=tls-exporter,,", binding=b"mine")
        id = c.start("SCRAM-SHA-256-PLUS", "secured=tls", resp=b64(one.first()))
        assert c.reply_to(id).args[0] == "#"
        reply = c.cont(id, "#\tchannel_binding=" + b64("the proxy's"))
        assert c.cont(id, b64(one.final(data(reply)))).cmd == "FAIL"
        # a parameter that comes with a message of the mechanism is none that was asked for
        id = c.start("SCRAM-SHA-256-PLUS", "secured=tls", resp=b64(one.first()))
        assert c.reply_to(id).args[0] == "#"
        reply = c.cont(id, "#\tchannel_binding=" + b64("the proxy's"))
        final = b64(one.final(data(reply)))
        assert c.cont(id, final + "\tchannel_binding=" + b64("mine")).cmd == "FAIL"


@plus
def test_downgrade(computing):
    with computing.client("typed-auth", minor=4) as c:
        # it was offered over TLS, and the client says that he saw none
        assert scram(c, Scram("SHA-256", "alice", SECRET, gs2="y,,"), None, "secured=tls").cmd == "FAIL"
        assert "downgrade" in computing.logs()
        # who binds never, and who has nothing to bind to
        for one in (Scram("SHA-256", "alice", SECRET), Scram("SHA-256", "alice", SECRET, gs2="y,,")):
            params = ["secured=tls"] if one.gs2[0] == "n" else []
            assert finish(c, scram(c, one, None, *params), one).cmd == "OK"


@plus
def test_plus_is_not_there_for_older_clients(computing):
    for name, minor in (("typed-auth", 2), ("auth-client", 4)):
        with computing.client(name, minor=minor) as c:
            assert not [mech for mech in c.mechs if mech.endswith("PLUS")]
            one = Scram("SHA-256", "alice", SECRET, gs2="y,,")
            assert finish(c, scram(c, one, None, "secured=tls"), one).cmd == "OK"
            c.start("SCRAM-SHA-256-PLUS", "secured=tls", resp="biws")
            assert c.closed()
