"""Mechanisms that compute for themselves, through the client protocol: right, wrong, unknown, outage."""

import base64
import hashlib
import hmac

import pytest

from lib import authserver, users
from lib.authproto import b64

TEXT = """
auth_mechanisms = plain cram-md5
auth_verbose = yes
passdb {
  driver = passwd-file
  args = @passwd@
}
"""
SECRET = "tanstaaftanstaaf"


@pytest.fixture(scope="module")
def plain_server():
    """alice's and prox's passwords are stored as plaintext, tim's is not."""
    server = authserver.standard(text=TEXT)
    with open(server.passwd, "a") as f:
        f.write("alice:{PLAIN}%s\n" % SECRET)
    server.start()
    yield server
    server.stop()


def cram(c, user, password, upper=False):
    id = c.start("CRAM-MD5", "no-penalty")
    challenge = c.reply_to(id)
    assert challenge.cmd == "CONT"
    text = base64.b64decode(challenge.args[0])
    digest = hmac.new(password.encode(), text, hashlib.md5).hexdigest()
    return c.cont(id, b64("%s %s" % (user, digest.upper() if upper else digest)))


def test_cram_md5(plain_server):
    with plain_server.client() as c:
        reply = cram(c, "alice", SECRET)
        assert (reply.cmd, reply.get("user")) == ("OK", "alice")
        assert cram(c, "alice", "wrong").cmd == "FAIL"


@pytest.mark.authd_only("hex in either case")
def test_cram_md5_hex_in_upper_case(plain_server):
    with plain_server.client() as c:
        assert cram(c, "alice", SECRET, upper=True).cmd == "OK"


def test_cram_md5_unknown_user_or_no_credential_as_a_wrong_password(plain_server):
    with plain_server.client() as c:
        wrong = cram(c, "alice", "wrong").line.split(b"\t", 2)[2]
        for user in ("nobody-here", "tim"):
            reply = cram(c, user, SECRET)
            assert reply.cmd == "FAIL"
            assert reply.line.split(b"\t", 2)[2] == wrong.replace(b"alice", user.encode())
