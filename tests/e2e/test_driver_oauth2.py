"""Driver oauth2 against a real OpenID provider (oidc-provider), directly and through Postfix and Dovecot."""

import base64
import json
import os
import time

import pytest

from lib import authserver, maildovecot, oidc, postfix, proc, users
from lib.authproto import b64, plain

pytestmark = pytest.mark.authd_only("one driver, tested against authd's rules")

PASSWORDS = {"tim": "tim-Tanstaaf8 &+=", "bob": "bob-Zeppelin"}
AUDIENCE = "urn:mail"
HMAC_KEY = b"0123456789abcdef0123456789abcdef"

COMMON = """
username_attribute = email
scope = mail imap
openid_configuration_url = {url}/.well-known/openid-configuration
client_id = authd
client_secret = authd-s3cret/+&
"""
FORMS = {
    "jwks": """
audience = urn:mail
local_validation_jwks = {url}/jwks
local_validation_jwks_refresh_min = 200 ms
timeout_msecs = 1500
pass_attrs = tokensub=%{{oauth2:sub}} userdb_alg=%{{oauth2:none:x}} email=%$
""",
    "slowjwks": """
audience = urn:mail
local_validation_jwks = {url}/jwks
local_validation_jwks_refresh_min = 1 hour
""",
    "file": """
audience = urn:mail
local_validation_jwks = {dir}/jwks.json
""",
    "dict": """
audience = urn:mail
local_validation_key_dict = fs:posix:prefix={dir}/keys/
""",
    "post": """
introspection_mode = post
introspection_url = {url}/token/introspection
timeout_msecs = 3000
""",
    "wrongclient": """
introspection_mode = post
introspection_url = {url}/token/introspection
client_secret = wrong
""",
    "auth": """
introspection_mode = auth
introspection_url = {url}/me
scope =
""",
    "get": """
introspection_mode = get
introspection_url = {url}/tokeninfo?access_token=
""",
    "tokeninfo": """
tokeninfo_url = {url}/tokeninfo?access_token=
""",
    # the user's name from there, the scope from here
    "userinfo": """
tokeninfo_url = {url}/me
introspection_mode = post
introspection_url = {url}/token/introspection
""",
    "grant": """
use_grant_password = yes
grant_url = {url}/token
client_id = mail app
client_secret = app-s3cret=&
""",
    "nobody": """
introspection_mode = post
introspection_url = http://127.0.0.1:1/
""",
    "nojson": """
tokeninfo_url = {url}/.well-known/openid-configuration?token=
username_attribute = nothing
""",
    "headers": """
tokeninfo_url = {url}/headers?access_token=
send_auth_headers = yes
pass_attrs = about=%{{oauth2:about}}
""",
    "tls": """
tokeninfo_url = https://localhost:{tls}/tokeninfo?access_token=
tls_ca_cert_file = {provider}/cert.pem
""",
    "trusting": """
tokeninfo_url = https://127.0.0.1:{tls}/tokeninfo?access_token=
tls_allow_invalid_cert = yes
""",
    "unknownca": """
tokeninfo_url = https://localhost:{tls}/tokeninfo?access_token=
""",
    "othername": """
tokeninfo_url = https://127.0.0.1:{tls}/tokeninfo?access_token=
tls_ca_cert_file = {provider}/cert.pem
""",
    "huge": """
tokeninfo_url = {url}/huge?access_token=
""",
    "list": """
tokeninfo_url = {url}/list?access_token=
""",
    "broken": """
tokeninfo_url = {url}/broken?access_token=
""",
    "redirect": """
tokeninfo_url = {url}/moved?access_token=
""",
}
SIGNED = {"jwks", "slowjwks", "file"}
STATUSES = {"400": "invalid_token", "401": "invalid_token", "401/invalid_token": "invalid_token",
            "400/invalid_request": "temp_fail", "401/invalid_client": "temp_fail", "403": "temp_fail",
            "403/insufficient_scope": "insufficient_scope", "404": "temp_fail", "429": "temp_fail",
            "500/invalid_token": "temp_fail", "503": "temp_fail"}
for _answer in STATUSES:
    FORMS["status" + _answer.replace("/", "")] = "tokeninfo_url = {url}/status/%s?\n" % _answer
OPAQUE = {"post", "get", "tokeninfo", "userinfo", "tls", "trusting"}


def settings(name, directory, provider):
    text = (COMMON + FORMS[name]).format(
        dir=directory, url=provider.url, tls=provider.tls_port, provider=provider.dir)
    last = {}
    for line in text.split("\n"):
        if "=" in line:
            last[line.split("=")[0].strip()] = line
    return "\n".join(last.values()) + "\n"


class World:
    """Provider, authd, Postfix and Dovecot. The protocol of a login says which passdb is asked."""

    def __init__(self):
        self.mechanisms = "plain oauthbearer xoauth2"
        self.provider = oidc.Provider(PASSWORDS).start()
        self.postfix = postfix.Postfix()
        self.dovecot = maildovecot.MailDovecot("apart")
        quick = authserver.Listener("quick", 0o600, extra="    client_deadline = 2 s\n")
        socket = authserver.Listener(self.postfix.socket, 0o660, "postfix", "postfix")
        # absolute paths for Dovecot's sockets, so that all are one server's
        self.server = authserver.new("", listeners=self.dovecot.listeners() + [
            authserver.Listener("auth-client", 0o600), quick, socket])
        self.server.body = self.text()
        users.write(self.server.passwd, self.server.mail)

    def text(self):
        directory = self.server.dir
        parts = ["auth_mechanisms = @mechanisms@\nauth_verbose = yes\nauth_debug = yes\n"
                 "userdb {\n  driver = passwd-file\n  args = @passwd@\n}\n"]
        os.makedirs(directory + "/keys/default/HS256", exist_ok=True)
        with open(directory + "/keys/default/HS256/default", "wb") as f:
            f.write(base64.b64encode(HMAC_KEY))
        with open(directory + "/jwks.json", "wb") as f:
            f.write(self.provider.jwks())
        for name in FORMS:
            path = "%s/%s.conf.ext" % (directory, name)
            with open(path, "w") as f:
                f.write(settings(name, directory, self.provider))
            # Dovecot's and Postfix's logins have their keys from a URL
            for protocol in [name] + (["imap", "smtp"] if name == "jwks" else []) + (
                    ["pop3"] if name == "post" else []):
                parts.append("protocol %s {\n  passdb {\n    driver = oauth2\n    args = %s\n  }\n}\n"
                             % (protocol, path))
        return "".join(parts).replace("@mechanisms@", self.mechanisms)

    def start(self):
        self.dovecot.make_directories()
        self.server.start()
        self.dovecot.start()
        self.postfix.start()
        return self

    def stop(self):
        for one in (self.postfix, self.dovecot, self.server, self.provider):
            one.stop()

    def without_oauthbearer(self):
        """curl takes it wherever it is offered, whatever is asked of it."""
        self.mechanisms = "plain xoauth2"
        self.server.write_config(self.text())
        self.server.reload()
        proc.wait_for("the new configuration", lambda: not self.offers("OAUTHBEARER"))
        for one in (self.dovecot, self.postfix):
            one.stop()
            one.start()

    def offers(self, mech):
        with self.server.client() as c:
            return mech in c.mechs

    def token(self, form, user="tim", **kw):
        if form in SIGNED:
            kw.setdefault("resource_server", AUDIENCE + " RS256")
        return self.provider.token(user, PASSWORDS[user], **kw)


@pytest.fixture(scope="module")
def world():
    one = World()
    try:
        yield one.start()
    finally:
        one.stop()


MECHS = ("OAUTHBEARER", "XOAUTH2", "PLAIN")


def response(mech, user, token):
    if mech == "OAUTHBEARER":
        return b64("n,a=%s,\1host=h\1auth=Bearer %s\1\1" % (user, token))
    if mech == "XOAUTH2":
        return b64("user=%s\1auth=Bearer %s\1\1" % (user, token))
    return plain(user, token)


def ask(world, service, token, user="tim", mech="OAUTHBEARER", name="auth-client"):
    """The reply, its words of refusal read."""
    with world.server.client(name) as c:
        reply = c.auth(mech, "final-resp-ok", "rip=192.0.2.1", resp=response(mech, user, token),
                       service=service)
    words = reply.get("resp")
    reply.words = json.loads(base64.b64decode(words)) if words else None
    return reply


def status(world, *args, **kw):
    reply = ask(world, *args, **kw)
    if reply.cmd == "OK":
        return "OK"
    return reply.get("code") if reply.words is None else reply.words["status"]


def test_the_example():
    """conf/examples/oauth2.conf with its second file where it is."""
    examples = os.path.join(authserver.ROOT, "conf", "examples")
    with open(examples + "/oauth2.conf") as f:
        text = f.read().replace("/etc/authd/oauth2.conf.ext", examples + "/oauth2.conf.ext")
    path = os.path.join(proc.new_dir("x"), "oauth2.conf")
    with open(path, "w") as f:
        f.write(text)
    done = proc.run([authserver.AUTHCTL, "config", "check", path])
    assert done.returncode == 0, done.stdout + done.stderr


FORM_24 = """dovecot_config_version = 2.4.0
auth_mechanisms = xoauth2
oauth2_introspection_url = https://id.example/
passdb oauth2 {
  oauth2_introspection_mode = post
  oauth2_username_validation_format = %{user | lower}
}
"""


@pytest.mark.parametrize("slip, says", [("", "good"), ("username", "usrname"), ("post", "pots"), ("%{user", "%{usr")])
def test_the_form_of_dovecot_2_4(slip, says):
    path = os.path.join(proc.new_dir("x"), "f.conf")
    with open(path, "w") as f:
        f.write(FORM_24.replace(slip, says) if slip else FORM_24)
    done = proc.run([authserver.AUTHCTL, "config", "check", "--dovecot", path])
    assert (done.returncode == 0) == (slip == ""), done.stdout + done.stderr
    assert says.strip("%{") in done.stdout + done.stderr


# ---- what is right and what is not, in each form ----


@pytest.mark.parametrize("form", sorted(SIGNED | OPAQUE | {"auth"}))
def test_tokens(world, form):
    token = world.token(form)
    for mech in MECHS:
        assert ask(world, form, token, mech=mech).get("user") == "tim"
    assert ask(world, form, token, user="TIM").cmd == "OK"  # username_format = %Lu
    assert status(world, form, token, user="bob") == "invalid_token"
    assert status(world, form, token[:-6] + "AAAAAA") == "invalid_token"
    assert status(world, form, "not-a-token") == "invalid_token"
    assert status(world, form, token, user="bob", mech="XOAUTH2") == "401"
    assert token not in world.server.logs()


@pytest.mark.parametrize("form", sorted(SIGNED | OPAQUE))
def test_scope(world, form):
    poor = world.token(form, scope="openid email calendar")
    reply = ask(world, form, poor)
    assert reply.words == {
        "status": "insufficient_scope", "scope": "mail imap",
        "openid-configuration": world.provider.url + "/.well-known/openid-configuration"}
    assert ask(world, form, poor, mech="XOAUTH2").words == {
        "status": "403", "schemes": "bearer", "scope": "mail imap"}


def test_headers_about_the_client(world):
    with world.server.client() as c:
        for params, want in (((), "headers"), (("rip=192.0.2.1", "lip=2001:db8::1"), "headers 192.0.2.1 2001:db8::1"),
                             (("rip=192.0.2.1", "rport=5", "lip=2001:db8::1", "lport=143"),
                              "headers 192.0.2.1:5 [2001:db8::1]:143")):
            reply = c.auth("PLAIN", *params, resp=plain("tim", "any"), service="headers")
            assert reply.get("about").split() == want.split()


def test_userinfo_wants_a_scope_of_its_own(world):
    """The provider's 403 is told as such."""
    assert status(world, "auth", world.token("auth", scope="mail")) == "insufficient_scope"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_algorithms(world, alg):
    token = world.token("jwks", resource_server="%s %s" % (AUDIENCE, alg))
    reply = ask(world, "jwks", token)
    assert reply.cmd == "OK" and reply.get("tokensub") == "tim" and reply.get("email") == "tim"
    assert status(world, "file", token) == "OK"


@pytest.mark.parametrize("form", sorted(SIGNED))
def test_signed_tokens(world, form):
    for wrong in (dict(resource_server="urn:calendar RS256"), dict(expires_in=-100)):
        assert status(world, form, world.token(form, **wrong)) == "invalid_token"
    # a minute of grace
    assert status(world, form, world.token(form, expires_in=-5)) == "OK"


def claims(world, **kw):
    now = int(time.time())
    every = {"iss": world.provider.url, "aud": AUDIENCE, "exp": now + 600, "iat": now, "sub": "tim",
             "email": "tim", "scope": "mail"}
    every.update(kw)
    return {k: v for k, v in every.items() if v is not None}


def test_shared_secrets(world):
    good = oidc.hs256(claims(world), HMAC_KEY)
    assert status(world, "dict", good) == "OK"
    assert status(world, "dict", oidc.hs256(claims(world, aud=["x", AUDIENCE]), HMAC_KEY)) == "OK"
    for wrong in (dict(iss="http://127.0.0.1:9"), dict(iss=None), dict(aud="x"), dict(aud=None),
                  dict(exp=1), dict(exp=None), dict(exp="tomorrow"), dict(nbf=int(time.time()) + 600),
                  dict(iat=int(time.time()) + 600), dict(azp="../default"), dict(azp="other"),
                  dict(email="bob")):
        assert status(world, "dict", oidc.hs256(claims(world, **wrong), HMAC_KEY)) == "invalid_token"
    assert status(world, "dict", oidc.hs256(claims(world), HMAC_KEY + b"x")) == "invalid_token"
    assert status(world, "dict", oidc.hs256(claims(world), HMAC_KEY, kid="../HS256/default")) == "invalid_token"
    assert status(world, "dict", oidc.hs256(claims(world, email=None), HMAC_KEY)) == "temp_fail"


def test_forged_tokens(world):
    """No algorithm, and the public key taken for a shared secret."""
    for alg in ("none", "None", "NONE", ""):
        forged = oidc.hs256(claims(world), b"", alg=alg)
        for token in (forged, forged.rsplit(".", 1)[0] + "."):
            for form in ("jwks", "dict", "file"):
                assert status(world, form, token) == "invalid_token"
    keys = json.loads(world.provider.jwks())["keys"]
    for key in keys:
        for secret in (json.dumps(key).encode(), key.get("n", key.get("x")).encode(), b"", b"\0"):
            for form in ("jwks", "file"):
                forged = oidc.hs256(claims(world), secret, kid=key["kid"])
                assert status(world, form, forged) == "invalid_token"
    assert status(world, "jwks", oidc.hs256(claims(world), b"x", kid="first-RS256", alg="RS256")) == "invalid_token"


def test_odd_tokens(world):
    for form in ("jwks", "post", "get", "tokeninfo"):
        for token in ("a.b.c", "..", "e30.e30.", "e30.e30.e30", "%00&x=y", "a" * 8000, "=" * 50):
            assert status(world, form, token) == "invalid_token", (form, token[:20])
        for token in ("a b", "caf\u00e9", "a\x7f"):
            assert ask(world, form, token, mech="PLAIN").cmd == "FAIL"


def test_revoked(world):
    for form in ("post", "get", "tokeninfo", "userinfo"):
        token = world.token(form)
        assert status(world, form, token) == "OK"
        world.provider.revoke(token)
        assert status(world, form, token) == "invalid_token"


def test_passwords_for_a_grant(world):
    for user, password in PASSWORDS.items():
        assert ask(world, "grant", password, user, "PLAIN").get("user") == user
        assert ask(world, "grant", password + "x", user, "PLAIN").get("code") is None
    assert ask(world, "grant", "x", "no-such-user", "PLAIN").cmd == "FAIL"
    # there is nobody who could judge a token
    assert status(world, "grant", "a-token") == "temp_fail"
    assert PASSWORDS["tim"] not in world.server.logs()


@pytest.mark.parametrize("mech", ["oauthbearer", "XOAUTH2", "plain"])
def test_authctl(world, mech):
    def code(form, token, user="tim"):
        return proc.run([authserver.AUTHCTL, "auth", "test", "-a", world.server.path("auth-client"), "-A", mech,
                         "-x", "service=" + form, user, token]).returncode

    assert code("post", world.token("post")) == 0
    assert code("post", "wrong") == 77 and code("post", world.token("post"), "bob,=x") == 77
    assert code("nobody", "any") == 75


# ---- when nobody can tell ----


@pytest.mark.parametrize("answer, want", sorted(STATUSES.items()))
def test_statuses(world, answer, want):
    """A page of a gateway says nothing of the token, unless it says so in the header of RFC 6750."""
    assert status(world, "status" + answer.replace("/", ""), "a-token") == want


@pytest.mark.parametrize("form", [
    "nobody", "wrongclient", "redirect", "nojson", "unknownca", "othername", "huge", "list", "broken"])
def test_what_is_not_the_tokens_fault(world, form):
    """Nobody there, or somebody else, authd's own secret refused, a redirect, an answer of another kind."""
    for mech in MECHS:
        assert status(world, form, world.token("post"), mech=mech) == "temp_fail"
    if form == "redirect":
        assert "tokeninfo: status 302" in world.server.logs()
    assert "authd-s3cret" not in world.server.logs()


def smtp_code(world, token):
    with world.postfix.smtp() as smtp:
        code, text = smtp.docmd("AUTH XOAUTH2 " + b64("user=tim\1auth=Bearer %s\1\1" % token))
        if code == 334:
            assert json.loads(base64.b64decode(text))["status"] == "401"
            code, text = smtp.docmd("")
        return code


def curl(world, protocol, token):
    """(exit code, what curl says of the dialogue)"""
    where = {"imap": world.dovecot.imap, "pop3": world.dovecot.pop3, "smtp": world.postfix.port}[protocol]
    argv = ["curl", "-sv", "--max-time", "20", "--sasl-ir", "-u", "tim", "--oauth2-bearer", token,
            "%s://127.0.0.1:%d" % (protocol, where)]
    if protocol == "smtp":
        argv += ["--mail-from", "tim@example.com", "--mail-rcpt", "bob@example.com", "-T", "/dev/null"]
    if protocol == "imap":
        argv += ["-X", "NOOP"]
    done = proc.run(argv)
    return done.returncode, done.stderr


def other(form):
    return "post" if form == "pop3" else "jwks"


def check_curl(world, protocol, mech, refusal):
    """A refusal's words reach the client."""
    form = "post" if protocol == "pop3" else "jwks"
    code, said = curl(world, protocol, world.token(form))
    assert code == 0 and mech in said, said
    code, said = curl(world, protocol, world.token(form, scope="calendar openid"))
    assert code == 67, said
    challenges = [line.split()[-1] for line in said.split("\n") if line.startswith(("< + ", "< 334 "))]
    words = [json.loads(base64.b64decode(c)) for c in challenges if len(c) > 8]
    assert [w["status"] for w in words] == [refusal], said


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_curl_oauthbearer(world, protocol):
    check_curl(world, protocol, "OAUTHBEARER", "insufficient_scope")


@pytest.mark.parametrize("how", ["paused", "killed"])
def test_an_outage_of_the_provider(world, how):
    """Told as one, in time, and what can be judged without it still is."""
    opaque, signed = world.token("post"), world.token("jwks")
    assert status(world, "post", opaque) == "OK" and status(world, "jwks", signed) == "OK"
    if how == "paused":
        world.provider.pause()
    else:
        world.provider.stop()
    try:
        with world.server.client("quick") as c:
            asked = [c.start(mech, "final-resp-ok", resp=response(mech, "tim", opaque), service=form)
                     for form in ("post", "get", "tokeninfo", "userinfo") for mech in MECHS]
            asked.append(c.start("PLAIN", resp=plain("tim", PASSWORDS["tim"]), service="grant"))
            for reply in [c.reply() for _ in asked]:
                assert reply.get("code") == "temp_fail" and reply.get("resp") is None, reply
        # the keys are known; whose key is not, may be good
        assert status(world, "jwks", signed, name="quick") == "OK"
        unknown = signed.split(".")
        unknown[0] = oidc.b64url(b'{"alg":"RS256","kid":"new"}')
        assert status(world, "jwks", ".".join(unknown), name="quick") == "temp_fail"
        with world.server.client("quick") as c:  # many of them do not take all lanes
            asked = [c.start("XOAUTH2", "final-resp-ok", service="jwks",
                             resp=response("XOAUTH2", "tim", ".".join(unknown))) for _ in range(32)]
            assert status(world, "jwks", signed, name="quick") == "OK"
            assert {c.reply().get("code") for _ in asked} == {"temp_fail"}
        code, said = curl(world, "imap", signed)
        assert code == 0, said
        code, said = curl(world, "pop3", opaque)
        assert code == 67 and "SYS/TEMP" in said, said
        assert smtp_code(world, signed) == 235
        assert smtp_code(world, ".".join(unknown)) == 454
    finally:
        if how == "paused":
            world.provider.go_on()
        else:
            world.provider.start("again")
    proc.wait_for("logins again", lambda: status(world, "post", world.token("post")) == "OK")
    assert smtp_code(world, "wrong") == 535


def test_rotated_keys(world):
    old = world.token("jwks")
    world.server.kill_workers()  # the keys that "slowjwks" has may be older than the provider's last start
    assert status(world, "slowjwks", old) == "OK" and status(world, "jwks", old) == "OK"
    with open(world.server.dir + "/jwks.json", "wb") as f:
        f.write(world.provider.jwks())
    world.provider.stop()
    world.provider.start("rotated")
    new = world.token("jwks")
    proc.wait_for("the new key", lambda: status(world, "jwks", new) == "OK")
    assert status(world, "jwks", old) == "invalid_token"  # its key is not there any more
    # asked for again at most so often
    assert status(world, "slowjwks", new) == "invalid_token"
    assert status(world, "slowjwks", old) == "OK"
    assert status(world, "file", old) == "OK" and status(world, "file", new) == "invalid_token"
    with open(world.server.dir + "/new", "wb") as f:
        f.write(world.provider.jwks())
    os.rename(world.server.dir + "/new", world.server.dir + "/jwks.json")
    with world.server.client() as c:  # all lanes at once: no one is judged by the old file
        asked = [c.start("XOAUTH2", "final-resp-ok", resp=response("XOAUTH2", "tim", new), service="file")
                 for _ in range(32)]
        assert {c.reply().cmd for _ in asked} == {"OK"}
    assert status(world, "file", old) == "invalid_token"


# ---- the cache ----


def test_the_cache(world):
    """A yes is kept for its token alone, and no longer than that is good."""
    world.server.write_config("auth_cache_size = 1M\nauth_cache_ttl = 1 hour\n"
                              "auth_cache_negative_ttl = 1 hour\n" + world.text())
    world.server.reload()
    proc.wait_for("the cache", lambda: status(world, "post", world.token("post")) == "OK" and
                  "(cache)" in cached_path(world, world.token("post", expires_in=600)))
    token, short = world.token("post"), world.token("post", expires_in=2)
    until = time.monotonic() + 2  # in both forms: exp, and expires_in
    assert status(world, "post", token, user="bob") == "invalid_token"
    assert status(world, "post", token) == "OK" and status(world, "post", short) == "OK"
    assert status(world, "tokeninfo", short) == "OK"
    bob = world.token("post", user="bob")
    assert status(world, "post", bob, user="bob") == "OK"  # "not bob's" is not kept as "no such user"
    assert "(cache)" in cached_path(world, token)
    time.sleep(max(0, until + 1 - time.monotonic()))
    assert status(world, "post", short) == "invalid_token"
    assert status(world, "tokeninfo", short) == "invalid_token"


def cached_path(world, token):
    for _ in range(2):
        assert status(world, "post", token) == "OK"
    return [line for line in world.server.logs().split("\n") if "path=oauth2:" in line][-1]


# ---- with XOAUTH2 only: the last ones of this file ----


@pytest.fixture(scope="module")
def xoauth2_world(world):
    world.without_oauthbearer()
    return world


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_curl_xoauth2(xoauth2_world, protocol):
    check_curl(xoauth2_world, protocol, "XOAUTH2", "403")
