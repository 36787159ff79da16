"""OAUTHBEARER and XOAUTH2 on the wire: how a refusal is told, and that an outage is not one."""

import base64
import json

import pytest

from lib import authserver
from lib.authproto import b64

pytestmark = pytest.mark.authd_only("dovecot-auth 2.3.19 wants an oauth2 passdb, and says less")

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
TEXT = """
auth_mechanisms = plain oauthbearer xoauth2
auth_verbose = yes
passdb {
  driver = passwd-file
  args = @passwd@.tokens
  mechanisms = oauthbearer xoauth2
}
passdb {
  driver = static
  args = password=pencil
  mechanisms = plain
}
"""


def bearer(user="tim", token=TOKEN):
    return b64("n,a=%s,\1host=localhost\1port=143\1auth=Bearer %s\1\1" % (user, token))


def xoauth2(user="tim", token=TOKEN):
    return b64("user=%s\1auth=Bearer %s\1\1" % (user, token))


FORMS = [("OAUTHBEARER", bearer, {"status": "invalid_token", "scope": "mail"}),
         ("XOAUTH2", xoauth2, {"status": "401", "schemes": "bearer", "scope": "mail"})]


@pytest.fixture(scope="module")
def server():
    one = authserver.new(TEXT)
    with open(one.passwd + ".tokens", "w") as f:
        f.write("tim:{PLAIN}%s\nbad:{NO-SUCH-SCHEME}x\n" % TOKEN)
    one.start()
    yield one
    one.stop()


def words(text):
    return json.loads(base64.b64decode(text))


@pytest.mark.parametrize("mech, response, refusal", FORMS)
def test_logins(server, mech, response, refusal):
    with server.client() as c:
        assert c.mechs[mech] == ["plaintext"]
        for params in ((), ("final-resp-ok",)):
            assert c.auth(mech, *params, resp=response()).cmd == "OK"
        id = c.start(mech, "no-penalty")
        assert c.reply_to(id).line == b"CONT\t%d\t" % id
        assert c.cont(id, response()).get("user") == "tim"
        # the passdb for tokens does not take passwords, nor the other way round
        assert c.login("tim", TOKEN).cmd == "FAIL"
        assert c.login("tim", "pencil").cmd == "OK"
        assert c.auth(mech, "final-resp-ok", resp=response(token="pencil")).cmd == "FAIL"


@pytest.mark.parametrize("mech, response, refusal", FORMS)
def test_a_refusal_comes_with_the_failure_or_before_it(server, mech, response, refusal):
    with server.client() as c:
        for user, token in (("tim", "wrong"), ("nobody", TOKEN)):
            with_it = c.auth(mech, "final-resp-ok", resp=response(user, token))
            assert with_it.cmd == "FAIL" and with_it.get("user") == user
            assert words(with_it.get("resp")) == refusal
            for answer in ("", b64("\1"), b64("anything")):
                before = c.auth(mech, resp=response(user, token))
                assert before.cmd == "CONT" and words(before.args[0]) == refusal
                after = c.cont(before.id, answer)
                assert after.cmd == "FAIL" and after.get("user") == user
                assert after.get("resp") is None and after.get("code") is None
        # a client may give up instead
        before = c.auth(mech, resp=response(token="wrong"))
        c.send("CANCEL", before.id)
        assert c.auth(mech, resp=response()).cmd == "OK"


@pytest.mark.parametrize("mech, response, refusal", FORMS)
def test_a_message_that_is_none(server, mech, response, refusal):
    with server.client() as c:
        for data in (b64("\1"), b64("x"), "=", b64("n,a=tim,\1auth=Basic x\1\1")):
            reply = c.auth(mech, "final-resp-ok", resp=data)
            assert reply.cmd == "FAIL" and reply.get("user") is None
            assert words(reply.get("resp"))["status"] in ("invalid_request", "400")


@pytest.mark.parametrize("mech, response, refusal", FORMS)
def test_an_outage_is_not_about_the_token(server, mech, response, refusal):
    """Clients throw away a token that is said to be invalid."""
    with server.client() as c:
        for params in ((), ("final-resp-ok",)):
            reply = c.auth(mech, *params, resp=response("bad", "x"))
            assert reply.cmd == "FAIL" and reply.get("code") == "temp_fail"
            assert reply.get("resp") is None
    assert TOKEN not in server.logs()
