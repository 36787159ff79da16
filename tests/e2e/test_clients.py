"""Other people's clients, through real Postfix and Dovecot: client x mechanism x server, right and
wrong password. docs/CLIENTS.md holds the table that the last test checks."""

import base64
import json
import os
import time

import pytest

from lib import authserver, clients, clienttable, kdc, maildovecot, oidc, postfix

pytestmark = pytest.mark.authd_only("authd's mechanisms")

USER, OTHER, PASSWORD, WRONG = "tim", "anna", "tim-Tanstaaf8", "wrong-Zeppelin2"
CONFIG = """
auth_mechanisms = plain login cram-md5 digest-md5 ntlm scram-sha-1 scram-sha-256 scram-sha-512 apop oauthbearer xoauth2 gssapi
auth_krb5_keytab = %s
auth_gssapi_hostname = localhost
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = @dir@/oauth2.conf.ext
}
passdb {
  driver = passwd-file
  args = @passwd@
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=@dir@/mail/%%u
}
"""

CASES = [(client, mech, protocol) for client, (_, can) in sorted(clients.ALL.items())
         for protocol, mechs in can.items() for mech in mechs]
results = {}

OAUTH = """
local_validation_key_dict = fs:posix:prefix={dir}/keys/
issuers = https://id.example.com
audience = mail
username_attribute = email
"""
KEY = b"0123456789abcdef0123456789abcdef"


def write_oauth(where):
    keys = os.path.join(where, "keys", "shared", "default", "HS256")
    os.makedirs(keys)
    with open(os.path.join(keys, "default"), "wb") as f:
        f.write(base64.b64encode(KEY))
    with open(os.path.join(where, "oauth2.conf.ext"), "w") as f:
        f.write(OAUTH.format(dir=where))


def token(user, audience="mail"):
    now = int(time.time())
    return oidc.hs256({"iss": "https://id.example.com", "aud": audience, "email": user, "iat": now,
                       "exp": now + 600}, KEY)




@pytest.fixture(scope="module")
def servers():
    """{protocol: Server}: a Postfix and a Dovecot that ask one authd."""
    mail, mta = maildovecot.MailDovecot("same"), postfix.Postfix()
    socket = authserver.Listener(mta.socket, 0o660, "postfix", "postfix")
    realm = kdc.Kdc().start()
    for user in (USER, OTHER):
        realm.add_user(user, PASSWORD)
    for service in ("imap", "smtp", "pop"):
        realm.add_service(service + "/localhost")
    os.environ["KRB5_CONFIG"] = realm.env["KRB5_CONFIG"]
    auth = authserver.Authd(CONFIG % realm.keytab, listeners=mail.listeners() + [socket])
    with open(auth.passwd, "w") as f:
        f.write("%s:{PLAIN}%s\n" % (USER, PASSWORD))
    write_oauth(auth.dir)
    home = os.path.join(auth.mail, USER)
    os.mkdir(home)
    os.chown(home, 65534, 65534)
    mail.start()
    auth.start()
    mta.start()
    yield {"logs": auth.logs,
           "tickets": {user: realm.ticket(user, PASSWORD) for user in (USER, OTHER)},
           "smtp": clients.Server("Postfix", "smtp", mta.port),
           "imap": clients.Server("Dovecot IMAP", "imap", mail.imap),
           "pop3": clients.Server("Dovecot POP3", "pop3", mail.pop3)}
    mta.stop()
    auth.stop()
    mail.stop()
    del os.environ["KRB5_CONFIG"]
    realm.stop()


def proofs(servers, mech):
    """What lets USER in, and what does not: passwords, tokens, tickets."""
    if mech in ("OAUTHBEARER", "XOAUTH2"):
        return (token(USER), None), (token(USER, "another application"), None)
    if mech == "GSSAPI":
        return tuple((PASSWORD, {"KRB5CCNAME": "FILE:" + servers["tickets"][user]})
                     for user in (USER, OTHER))
    return (PASSWORD, None), (WRONG, None)


@pytest.mark.parametrize("client, mech, protocol", CASES)
def test_login(servers, client, mech, protocol):
    speak, server = clients.ALL[client][0], servers[protocol]
    right, wrong = proofs(servers, mech)
    assert speak(server, mech, USER, *right) is True, servers["logs"]()[-1500:]
    assert speak(server, mech, USER, *wrong) is False
    results.setdefault(client, {}).setdefault(mech, []).append(server.name)


@pytest.mark.parametrize("client, protocol", [("GNU SASL (gsasl)", "smtp"), ("msmtp", "smtp"),
                                              ("swaks", "smtp"), ("Cyrus SASL", "imap")])
def test_ntlm_1_is_refused(servers, client, protocol):
    """These know no version 2, or do not use it unless told to."""
    assert clients.ALL[client][0](servers[protocol], "NTLM", USER, PASSWORD) is False


def test_table():
    """What docs/CLIENTS.md says is what was seen in this run."""
    if set(results) != set(clients.ALL):
        pytest.skip("only some of the clients ran")
    path = os.path.join(authserver.BUILD, "clients.json")
    with open(path, "w") as f:
        json.dump(results, f, indent=1, sort_keys=True)
    assert clienttable.committed() == clienttable.table(results), \
        "run /usr/bin/python3 tests/e2e/lib/clienttable.py %s" % path
