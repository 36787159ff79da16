"""auth_username_precis and auth_password_precis: the same name and password however they were typed."""

import base64
import unicodedata

import pytest

from lib import authserver
from lib.sasl import Scram

pytestmark = pytest.mark.authd_only("RFC 8265 is authd's own")

NAME, PASSWORD = "ren\u00e9", "cr\u00e8me br\u00fbl\u00e9e"
CONFIG = """
auth_mechanisms = plain login scram-sha-256
auth_username_chars =
auth_username_format =
%s
passdb {
  driver = passwd-file
  args = @passwd@
}
"""


def nfd(text):
    return unicodedata.normalize("NFD", text)


def start(start_server, settings):
    server = authserver.Authd(CONFIG % settings)
    with open(server.passwd, "w") as f:
        f.write("%s:{PLAIN}%s\n%s@example.com:{PLAIN}%s\n" % (NAME, PASSWORD, NAME, PASSWORD))
    return server.start()


@pytest.fixture(scope="module")
def prepared():
    server = start(None, "auth_username_precis = case-mapped\nauth_password_precis = yes\n")
    yield server
    server.stop()


def cmd(server, user, password):
    with server.client() as c:
        return c.login(user, password).cmd


@pytest.mark.parametrize("user", [NAME, nfd(NAME), NAME.upper(), "\uff52\uff45\uff4e\u00e9",
                                  nfd(NAME) + "@EXAMPLE.com"])
@pytest.mark.parametrize("password", [PASSWORD, nfd(PASSWORD), PASSWORD.replace(" ", "\u00a0")])
def test_prepared(prepared, user, password):
    assert cmd(prepared, user, password) == "OK"


@pytest.mark.parametrize("user, password", [
    (NAME, "creme brulee"), (NAME, PASSWORD.upper()), ("rene", PASSWORD), (NAME + "\u00ad", PASSWORD),
    (NAME, PASSWORD + "\u00ad"), ("ren\u2163", PASSWORD), ("\u05d0" + NAME, PASSWORD), (NAME, "")])
def test_refused(prepared, user, password):
    assert cmd(prepared, user, password) == "FAIL"
    assert PASSWORD not in prepared.logs()


def test_bytes_that_are_no_text(prepared):
    with prepared.client() as c:
        for message in (b"\0\xff\xfe\0x", b"\0tim\0\xc3", b"\0\xed\xa0\x80\0x"):
            assert c.auth("PLAIN", resp=base64.b64encode(message).decode()).cmd == "FAIL"


def test_off_is_byte_exact(start_server):
    server = start(start_server, "")
    try:
        assert cmd(server, NAME, PASSWORD) == "OK"
        assert cmd(server, nfd(NAME), PASSWORD) == "FAIL"
        assert cmd(server, NAME, nfd(PASSWORD)) == "FAIL"
    finally:
        server.stop()


def scram(c, user, password):
    client = Scram("SHA-256", user, password)
    id = c.start("SCRAM-SHA-256", resp=base64.b64encode(client.first()).decode())
    challenge = base64.b64decode(c.reply_to(id).args[0])
    return c.cont(id, base64.b64encode(client.final(challenge)).decode())


def test_scram_from_a_stored_plaintext():
    """Clients prepare the password; the verifier must be made from the prepared one."""
    server = authserver.Authd(CONFIG % "auth_password_precis = yes\n")
    with open(server.passwd, "w") as f:
        f.write("rene:{PLAIN}%s\n" % nfd(PASSWORD))
    server.start()
    try:
        with server.client() as c:
            assert scram(c, "rene", PASSWORD).cmd == "CONT"  # the server's proof
        with server.client() as c:
            assert scram(c, "rene", nfd(PASSWORD)).cmd == "FAIL"
    finally:
        server.stop()
