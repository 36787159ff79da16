"""What every driver has to get right, whatever its backend is; what an adapter says that it cannot do
must be refused in clear words."""

import base64
import hmac
import os

import pytest

import kit
from lib import authserver, proc

pytestmark = pytest.mark.authd_only("it is about authd's drivers")
REFUSED = ("FAIL", "user_disabled", "pass_expired")  # a no, not an outage


def names(service):
    """Names that nobody has, of every kind."""
    strange = [b"nobody-here", b"nobody@example.com", b"x" * 1024, b"x" * 8000,
               b"\\", b"'", b'"', b"%", b"*", b"(", b"\xff",
               b"tim'", b"tim\\", b"tim/*", b"ti_", b"ti%", b"t*", b"TIM@", b"\x7f", b"../tim", b"/",
               b"tim/../tim", b"tim/", b".", b"..", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"$(id)", b"`id`", b"%n%s%x",
               b"tim:x", b"tim,", b"tim+", b" ", b"\t", b"NULL", b"undefined", b"root\n"]
    there = {u.name for u in service.users}
    return [n for n in strange + [u.name for u in service.missing] if n not in there]


def test_the_right_password(service):
    if not service.adapter.can("passdb"):
        assert "cannot be used in a passdb" in refusal(service, "passdb")
        return
    users = [u for u in service.users if u.password is not None and u.what != "double"]
    assert len(users) >= 3
    replies = service.login_replies([(u.name, u.password) for u in users])
    for u, reply in zip(users, replies):
        assert reply.cmd == "OK", (u.what, reply, service.server.logs()[-2000:])
        assert kit.values(reply, "user") == [u.name], u.what
        assert kit.values(reply, "color") == color(service.adapter, u), (u.what, reply)


def color(adapter, user, lookup=False):
    return [b"%d" % user.uid] if adapter.can("fields") or (lookup and adapter.lookup_fields) else []


def wrong_passwords(user, all_of_them):
    right = user.password or b"x"
    found = [kit.WRONG, b"", right + b"x", right[:-1]]
    if all_of_them:
        found += [b"x" * 1024, b"x" * 8000, right + b"\0", right + b"\0x", b"\0" + right, right + b" ", b" " + right,
                  right + b"\n", right.swapcase(), right * 2, right + b"x" * 1024, right[:8], right[:72], right[:500],
                  b"{PLAIN}" + right, b"*", b"!", b"%w", b"' OR '1'='1", user.name]
    return [w for w in found if w != user.password]


def test_wrong_passwords(service):
    if not service.adapter.can("passdb"):
        return
    cases = [(u, w) for i, u in enumerate(service.users) for w in wrong_passwords(u, i % 4 == 0)
             if u.what != "double"]
    told = service.logins([(u.name, w) for u, w in cases])
    let_in = [(u.what, w, t) for (u, w), t in zip(cases, told) if t not in REFUSED]
    assert not let_in


def test_the_passwords_of_others(service):
    if not service.adapter.can("passdb"):
        return
    users = [u for u in service.users if u.password and u.what != "double"]
    pairs = [(u.name, other.password) for u, other in zip(users, users[1:] + users[:1])]
    assert set(service.logins(pairs)) == {"FAIL" if service.adapter.can("own") else "OK"}


def test_who_is_not_there(service):
    if not service.adapter.can("passdb"):
        return
    nobody = names(service)
    passwords = [b"", service.users[0].password]
    pairs = [(n, p) for n in nobody for p in passwords]
    told = service.logins(pairs)
    if service.adapter.can("unknown"):
        wrong = [(p, t) for p, t in zip(pairs, told) if t != "FAIL"]
        assert not wrong, service.server.logs()[-2000:]
    else:
        assert [t == "OK" for t in told] == [p == service.users[0].password for _, p in pairs]


def test_names_that_are_nearly_right(service):
    """They are nobody, or the very user that the backend takes them for, under his one name."""
    if not service.adapter.can("passdb") or not service.adapter.can("unknown"):
        return
    one_name = service.adapter.can("spelling")
    users = {u.name: u for u in service.users if u.password and u.what != "double"}
    pairs = []
    for u in list(users.values())[:12]:
        for near in (u.name.swapcase(), u.name + b" ", b" " + u.name, u.name + b"\t", u.name + b"\n",
                     b"\xc2\xa0" + u.name, u.name + b"\xe2\x80\x8b",
                     u.name.replace(b"i", b"\xc4\xb1"), u.name.replace(b"t", b"\xef\xbd\x94")):
            if near not in users:
                pairs.append((near, u.password))
    for (near, password), reply in zip(pairs, service.login_replies(pairs)):
        assert reply.cmd == "OK" or reply.get("code") is None, (near, reply)
        if reply.cmd == "OK" and one_name:
            assert users[kit.values(reply, "user")[0]].password == password, (near, reply)
    others = service.logins([(near, kit.WRONG) for near, _ in pairs])
    assert set(others) == {"FAIL"}


def test_names_that_are_too_long_or_hold_a_NUL(service):
    """The front's business: no driver ever sees them, and they are refused."""
    if not service.adapter.can("passdb"):
        return
    user = service.users[0]
    # (with PLAIN the name would end at the NUL)
    replies = []
    with service.server.client() as c:
        for name in (user.name + b"\0", user.name + b"\0x", b"\0", b"\0" + user.name):
            id = c.start("LOGIN", resp=base64.b64encode(name).decode())
            replies.append(c.reply_to(id))
    assert [r.cmd for r in replies] == ["FAIL"] * 4
    with service.server.client() as c:
        c.start("PLAIN", resp=base64.b64encode(b"\0" + b"x" * 65536 + b"\0x").decode())
        assert c.closed()
    assert service.logins([(user.name, user.password)]) == ["OK"]


def test_user_entries(service):
    if not service.adapter.can("userdb"):
        assert "cannot be used in a userdb" in refusal(service, "userdb")
        return
    users = [u for u in service.users if u.what != "double"]
    for u, reply in zip(users, service.lookups([u.name for u in users])):
        assert reply.cmd == "USER", (u.what, reply, service.server.logs()[-2000:])
        assert kit.values(reply, "uid") == [b"%d" % u.uid], (u.what, reply)
        assert kit.values(reply, "gid") == [b"%d" % u.gid], (u.what, reply)
        assert kit.values(reply, "home") == ([u.home] if u.home else []), (u.what, reply)
        if service.adapter.can("twice"):
            assert kit.values(reply, "mail") == mail(service.adapter, u), (u.what, reply)
        assert not kit.values(reply, "password"), reply


def mail(adapter, user):
    if len(user.mail) < 2:
        return list(user.mail)
    return [user.mail[0 if adapter.twice == b"first" else 1]]


def test_entries_of_nobody(service):
    if not service.adapter.can("userdb"):
        return
    nobody = [n for n in names(service) if len(n) < 4000]
    want = "NOTFOUND" if service.adapter.can("unknown") else "USER"
    wrong = [(n, r) for n, r in zip(nobody, service.lookups(nobody)) if r.cmd != want]
    assert not wrong, service.server.logs()[-2000:]


def test_passdb_lookups(service):
    if not service.adapter.can("passdb"):
        return
    users = [u for u in service.users if u.what not in ("double", "no password")]
    replies = service.lookups([u.name for u in users], "PASS")
    if not service.adapter.can("show"):
        assert {(r.cmd, r.get("reason")) for r in replies} == {
            ("FAIL", "Configured passdbs don't support credentials lookups")}
        return
    for u, reply in zip(users, replies):
        assert reply.cmd == "PASS", (u.what, reply, service.server.logs()[-2000:])
        assert kit.values(reply, "user") == [u.name]
        assert kit.values(reply, "color") == color(service.adapter, u, lookup=True), (u.what, reply)
        assert not kit.values(reply, "password")
    nobody = [n for n in names(service) if len(n) < 4000]
    want = "NOTFOUND" if service.adapter.can("unknown") else "PASS"
    wrong = [(n, r) for n, r in zip(nobody, service.lookups(nobody, "PASS")) if r.cmd != want]
    assert not wrong, service.server.logs()[-2000:]


def cram_md5(server, name, password):
    with server.client("auth-client") as c:
        reply = c.auth("CRAM-MD5")
        if reply.cmd == "CONT":
            digest = hmac.new(password, base64.b64decode(reply.line.split(b"\t")[2]), "md5").hexdigest()
            reply = c.cont(reply.id, base64.b64encode(name + b" " + digest.encode()).decode())
    return reply.get("code") or reply.cmd


def test_credentials(service):
    """A mechanism that computes gets a password in the clear, and none out of a hash."""
    if not service.adapter.can("passdb"):
        return
    user, hashed = service.find("credential"), service.users[0]
    if service.adapter.can("credential"):
        assert cram_md5(service.server, user.name, user.password) == "OK"
        assert cram_md5(service.server, user.name, kit.WRONG) == "FAIL"
        assert cram_md5(service.server, hashed.name, hashed.password) == (
            "FAIL" if service.adapter.can("own") else "OK")
        if service.adapter.can("unknown"):
            assert cram_md5(service.server, b"nobody-here", b"x") == "FAIL"
        return
    server = service.new_server(computing=True)
    try:
        server.start()
    except RuntimeError as error:
        assert "CRAM-MD5" in str(error)
        return
    try:
        assert cram_md5(server, user.name, user.password) == "FAIL"
    finally:
        server.stop()


def test_the_list(service):
    found, complete = service.listed()
    if not service.adapter.can("list") or not service.adapter.can("userdb"):
        assert (found, complete) == ([], False)
        service.server.wait_log("users cannot be listed")
        run = proc.run([authserver.AUTHCTL, "user", "-a", service.server.path("auth-master"), "*"])
        assert run.returncode != 0 and "not complete" in run.stderr, run
        return
    assert complete, service.server.logs()[-2000:]
    want = {u.name for u in service.users}
    assert want <= set(found), want - set(found)
    assert service.adapter.others or set(found) == want
    again = [n for n in set(found) if found.count(n) > 1]
    assert set(again) <= {b"double"}, again  # two entries may be two names


def test_a_user_without_a_password(service):
    """Nobody gets in there, and least of all with an empty password."""
    user = service.find("no password")
    held = user in service.users
    assert held or service.adapter.cannot["no password"]
    if service.adapter.can("passdb") and service.adapter.can("own"):
        told = service.logins([(user.name, p) for p in (b"", b"x", b"*", b"!", b"x" * 1024, b"NULL")])
        assert set(told) == {"FAIL"}
    if held and service.adapter.can("userdb"):
        assert service.lookups([user.name])[0].cmd == "USER"


def test_two_entries_of_one_name(service):
    """Neither is taken for the other: it is refused to choose, or the first counts everywhere."""
    user = service.find("double")
    pairs = [(user.name, p) for p in (b"double-One", b"double-Two", kit.WRONG, b"")]
    if not service.adapter.can("double"):
        told = service.logins(pairs) if service.adapter.can("passdb") else []
        assert "OK" not in told
        return
    told = service.logins(pairs)
    if service.adapter.double == "refused":
        assert "OK" not in told and told[:2] == ["temp_fail"] * 2
        assert service.lookups([user.name])[0].cmd == service.adapter.double_lookup
        return
    assert told == ["OK" if p == service.adapter.double else "FAIL" for _, p in pairs]
    reply = service.lookups([user.name])[0]
    assert kit.values(reply, "home") == [b"/srv/one" if service.adapter.double == b"double-One" else b"/srv/two"]


def test_a_hundred_at_once(service):
    """Right and wrong ones mixed: each gets its own answer."""
    if not service.adapter.can("passdb"):
        return
    users = [u for u in service.users if u.password and u.what != "double"][:10]
    pairs = [(u.name, u.password if i % 2 else kit.WRONG) for i in range(10) for u in users]
    want = ["OK" if p != kit.WRONG else "FAIL" for _, p in pairs]
    assert service.logins(pairs) == want


def test_nothing_died_and_nothing_leaked(service):
    """Runs after the others: no worker was lost over any of this, no password stands in the log."""
    log = service.server.logs()
    assert "killed by" not in log and "channel to a" not in log and "AddressSanitizer" not in log, log[-3000:]
    for user in service.users:
        if user.password and len(user.password) > 8 and b"\n" not in user.password:
            assert user.password.decode("latin-1") not in log and user.password.decode(errors="replace") not in log
    assert kit.WRONG.decode() not in log
    if service.adapter.can("passdb"):
        user = next(u for u in service.users if u.password)
        assert service.logins([(user.name, user.password)]) == ["OK"]


def refusal(service, kind):
    """What authctl says about a section of this kind with the driver."""
    other = service.adapter.section("passdb", "static", "password=x") if kind == "userdb" else ""
    path = os.path.join(service.adapter.dir, "refused.conf")
    with open(path, "w") as f:
        f.write(service.in_place(service.head() + other + service.adapter.section(kind)))
    run = proc.run([authserver.AUTHCTL, "config", "check", path])
    assert run.returncode != 0, run
    return run.stdout + run.stderr
