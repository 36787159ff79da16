"""The cache of answers, seen from outside. The backend is a scripted one, which logs what it is asked."""

import os
import re
import time

import pytest

from lib import authserver, proc, users
from lib.authproto import plain
from lib.scripted import Script, asked, modules

pytestmark = pytest.mark.authd_only("the cache's own rules")

SHORT = authserver.Listener("auth-short", 0o600, "root", extra="    client_deadline = 1s\n")


@pytest.fixture
def start(start_server):
    """start(chain, setting=value...): a server with a cache; %(a)s in the chain is the first script's dir..."""

    def run(chain, *scripts, listeners=authserver.STANDARD + [SHORT], **settings):
        settings.setdefault("auth_cache_size", "1M")
        dirs = {letter: script.dir for letter, script in zip("abc", scripts)}
        for letter, path in dirs.items():
            chain = chain.replace("@%s@" % letter, path)
        text = "auth_mechanisms = plain login\nauth_verbose = yes\nauth_master_user_separator = *\n"
        text += "driver_dir = %s\n" % modules()
        text += "".join("%s = %s\n" % one for one in settings.items())
        return start_server(text=text + chain, listeners=listeners)

    return run


ONE = """
passdb {
  driver = scripted
  args = dir=@a@
}
userdb {
  driver = scripted
  args = dir=@a@
}
"""


def keyed(key, driver="scripted"):
    return "passdb {\n  driver = %s\n  args = dir=@a@ key=%s\n}\n" % (driver, key)


def login(server, user, password, *params, name="auth-client", **kw):
    """OK, FAIL or temp_fail"""
    with server.client(name) as c:
        reply = c.login(user, password, *params, **kw)
    return "temp_fail" if reply.get("code") == "temp_fail" else reply.cmd


def status(server, *args):
    with server.master() as m:
        reply = m.ask("CACHE-STATUS", *args)
    assert reply.cmd == "OK"
    return {name: int(value) for name, _, value in (arg.partition("=") for arg in reply.args)}


def flush(server, *masks):
    with server.master() as m:
        reply = m.ask("CACHE-FLUSH", *masks)
    assert reply.cmd == "OK"
    return int(reply.args[0])


def wait_asked(server, count, **what):
    proc.wait_for("question %d" % count, lambda: asked(server, **what) >= count)


# ---- hits ----


def test_the_second_login_is_answered_from_the_cache(start):
    script = Script(tim=("good", {"quota": "7"}))
    server = start(ONE, script)
    for _ in range(3):
        with server.client() as c:
            reply = c.login("tim", "good")
        assert (reply.cmd, reply.get("user"), reply.get("quota")) == ("OK", "tim", "7")
    assert asked(server) == 1
    server.wait_log("path=scripted:ok(cache), verdict=ok")


def test_without_a_size_there_is_no_cache(start):
    script = Script(tim="good")
    server = start(ONE, script, auth_cache_size=0)
    assert [login(server, "tim", "good") for _ in range(2)] == ["OK", "OK"]
    assert asked(server) == 2
    assert status(server) == {}
    assert flush(server) == 0


def test_mechanisms_share_an_answer(start):
    server = start(ONE, Script(tim="good"))
    assert login(server, "tim", "good") == "OK"
    with server.client() as c:
        id = c.start("LOGIN", "no-penalty")
        assert c.reply_to(id).cmd == "CONT"
        assert c.cont(id, "dGlt").cmd == "CONT"
        assert c.cont(id, "Z29vZA==").cmd == "OK"
    assert asked(server) == 1


def test_userdb_and_passdb_lookups_are_cached_each_by_itself(start):
    server = start(ONE, Script(tim=("good", {"uid": "5000"})))
    with server.master() as m:
        for _ in range(2):
            assert m.user("tim").get("uid") == "5000"
            assert m.user("nobody").cmd == "NOTFOUND"
            assert m.passdb("tim").cmd == "PASS"
    assert asked(server, kind="userdb") == 2
    assert asked(server, kind="passdb") == 1
    assert login(server, "tim", "wrong") == "FAIL"  # none of these was about a password
    assert login(server, "tim", "good") == "OK"
    assert asked(server, kind="passdb") == 3


def test_case_of_names(start):
    server = start(ONE, Script(tim="good"))
    assert login(server, "tim", "good") == "OK"
    assert login(server, "TIM", "good") == "OK"
    assert asked(server) == 1
    assert login(server, "TIM", "wrong") == "FAIL"


def test_secret_fields_come_from_the_cache_too(start):
    server = start(ONE, Script(tim=("good", {"proxy": "y", "host": "192.0.2.1", "pass": "master-Key7"})))
    for _ in range(2):
        with server.client() as c:
            assert c.login("tim", "good").get("pass") == "master-Key7"
    assert asked(server) == 1
    assert login(server, "tim", "wrong") == "FAIL"


# ---- passwords ----


def test_wrong_passwords_are_never_answered_from_the_cache(start):
    server = start(ONE, Script(tim="good"))
    assert login(server, "tim", "good") == "OK"
    for wrong in ("wrong", "wrong", "goo", "good2", ""):
        assert login(server, "tim", wrong) == "FAIL"
    assert asked(server) == 6
    assert login(server, "tim", "good") == "OK"  # and they took nothing away
    assert asked(server) == 6


def test_a_changed_password_works_at_once_and_ends_the_old_one(start):
    script = Script(tim="old")
    server = start(ONE, script)
    assert login(server, "tim", "old") == "OK"
    script.set("tim", "new")
    assert login(server, "tim", "old") == "OK"  # nobody has said anything yet
    assert login(server, "tim", "new") == "OK"
    assert login(server, "tim", "old") == "FAIL"
    assert login(server, "tim", "new") == "OK"


@pytest.mark.parametrize("driver", ["scripted", "scripted-judge"])
def test_a_new_password_ends_the_old_one_for_all_services(start, driver):
    script = Script(**{"tim/imap": "old", "tim/smtp": "old"})
    server = start(keyed("%u/%s", driver), script)
    for service in ("imap", "smtp"):
        assert login(server, "tim", "old", service=service) == "OK"
    script.set("tim/imap", "new")
    script.set("tim/smtp", "new")
    assert login(server, "tim", "new", service="imap") == "OK"
    assert login(server, "tim", "old", service="smtp") == "FAIL"
    assert login(server, "tim", "new", service="smtp") == "OK"


def test_a_password_for_each_service(start):
    server = start(keyed("%u/%s"), Script(**{"tim/imap": "one", "tim/smtp": "two"}))
    for _ in range(3):
        assert login(server, "tim", "one", service="imap") == "OK"
        assert login(server, "tim", "two", service="smtp") == "OK"
        assert login(server, "tim", "two", service="imap") == "FAIL"
        assert login(server, "tim", "one", service="smtp") == "FAIL"
    # two first questions, one that makes sure, and the wrong ones
    assert asked(server) == 3 + 6


def test_a_driver_that_judges(start):
    script = Script(tim="good")
    server = start(keyed("%u", "scripted-judge"), script)
    assert [login(server, "tim", p) for p in ("good", "good", "wrong", "good")] == ["OK", "OK", "FAIL", "OK"]
    assert asked(server, kind="verify") == 2


def test_a_query_that_compares_the_password(start):
    """As SELECT NULL AS password, 'y' AS nopassword ... WHERE user = '%u' AND password = MD5('%w')."""
    server = start(keyed("%u/%w"), Script(**{"tim/good": ("-", {"nopassword": "y"})}))
    for _ in range(2):
        assert login(server, "tim", "wrong") == "FAIL"
        assert login(server, "tim", "good") == "OK"
    assert asked(server) == 3


def test_nopassword(start):
    script = Script(free=("-", {"nopassword": "y"}))
    server = start(ONE, script)
    assert [login(server, "free", p) for p in ("a", "a", "b")] == ["OK"] * 3
    script.set("free", "secret")
    assert login(server, "free", "c") == "FAIL"
    assert login(server, "free", "secret") == "OK"
    assert login(server, "free", "b") == "FAIL"


@pytest.mark.parametrize("end", ["!disabled", "!expired"])
def test_other_refusals_are_not_cached(start, end):
    script = Script(tim=end)
    server = start(ONE, script)
    assert login(server, "tim", "good") == "FAIL"
    script.set("tim", "good")
    assert login(server, "tim", "good") == "OK"
    script.set("tim", end)
    assert login(server, "tim", "other") == "FAIL"
    assert login(server, "tim", "good") == "FAIL"  # it ended what was known


# ---- what an answer depends on ----


def test_allow_nets_is_looked_at_each_time(start):
    server = start(ONE, Script(tim=("good", {"allow_nets": "192.0.2.0/24"})))
    assert login(server, "tim", "good", "rip=192.0.2.7") == "OK"
    assert login(server, "tim", "good", "rip=198.51.100.7") == "FAIL"
    assert login(server, "tim", "good") == "FAIL"
    assert login(server, "tim", "good", "rip=192.0.2.8") == "OK"
    assert asked(server) == 1


@pytest.mark.parametrize("key,params,other", [
    ("%u/%r", ["rip=192.0.2.7"], ["rip=192.0.2.8"]),
    ("%u/%l", ["lip=192.0.2.7"], ["lip=192.0.2.8"]),
    ("%u/%a", ["lport=25"], ["lport=587"]),
    ("%u/%c", ["secured=tls"], ["secured"]),
    ("%u/%{session}", ["session=a"], ["session=b"]),
    ("%u/%{local_name}", ["local_name=a"], ["local_name=b"]),
])
def test_what_the_backend_looks_at_is_in_the_key(start, key, params, other):
    first = {"%c": "TLS"}.get(key[3:], params[0].split("=")[-1])
    server = start(keyed(key), Script(**{"tim/" + first: "good"}))
    for _ in range(2):
        assert login(server, "tim", "good", *params) == "OK"
        assert login(server, "tim", "good", *other) == "FAIL"
    assert asked(server) == 2


def test_fields_of_the_passdb_before(start):
    first = Script(tim=("good", {"tenant": "one"}))
    second = Script(**{"tim/one": ("-", {"quota": "1"}), "tim/two": ("-", {"quota": "2"})})
    server = start(ONE.split("userdb")[0].replace("driver", "result_success = continue\n  driver") +
                   keyed("%u/%{passdb:tenant}").replace("@a@", "@b@"), first, second)

    def quota():
        with server.client() as c:
            return c.login("tim", "good").get("quota")

    assert [quota(), quota()] == ["1", "1"]
    assert asked(server) == 2
    first.set("tim", "good", tenant="two")
    flush(server, "tim")
    assert [quota(), quota()] == ["2", "2"]
    assert asked(server) == 4
    first.set("tim", "changed", tenant="two")
    flush(server)
    assert login(server, "tim", "good") == "FAIL"


MASTER = """
passdb {
  driver = scripted
  args = dir=@b@
  master = yes
  result_success = continue
}
""" + ONE


def test_master_users(start):
    server = start(MASTER, Script(tim="good"), Script(chief="chiefs"))
    for _ in range(2):
        assert login(server, "tim*chief", "chiefs") == "OK"
        assert login(server, "tim*chief", "good") == "FAIL"
        assert login(server, "tim*chief", "wrong") == "FAIL"
        assert login(server, "tim", "chiefs") == "FAIL"
        assert login(server, "tim", "good") == "OK"
        assert login(server, "chief", "chiefs") == "FAIL"
        assert login(server, "nobody*chief", "chiefs") == "FAIL"
        assert login(server, "chief*tim", "good") == "FAIL"
    # as a target, as himself, with the master's password each time, and as a master
    assert asked(server, user="tim", kind="passdb") == 1 + 1 + 2 + 1


def test_deny(start):
    denied = Script(bob="-")
    deny = "passdb {\n  driver = scripted\n  args = dir=@b@\n  deny = yes\n}\n"
    server = start(deny + ONE, Script(tim="good", bob="bobs"), denied)
    for _ in range(2):
        assert login(server, "bob", "bobs") == "FAIL"
        assert login(server, "tim", "good") == "OK"
    denied.set("tim", "-")
    flush(server, "tim")
    for _ in range(2):
        assert login(server, "tim", "good") == "FAIL"


def test_two_backends_do_not_share(start):
    chain = ONE.split("userdb")[0]
    server = start(chain + chain.replace("@a@", "@b@"), Script(tim="one"), Script(tim="two"))
    for _ in range(2):
        assert login(server, "tim", "one") == "OK"
        assert login(server, "tim", "two") == "OK"
        assert login(server, "tim", "three") == "FAIL"


# ---- unknown users ----


def test_unknown_users(start):
    script = Script()
    server = start(ONE, script)
    assert login(server, "tim", "good") == "FAIL"
    assert login(server, "tim", "other") == "FAIL"
    assert asked(server) == 1
    script.set("tim", "good")
    assert login(server, "tim", "good") == "FAIL"
    assert flush(server, "tim") == 1
    assert login(server, "tim", "good") == "OK"


def test_how_long_a_user_stays_unknown(start):
    script = Script()
    server = start(ONE, script, auth_cache_negative_ttl="1s")
    assert login(server, "tim", "good") == "FAIL"
    script.set("tim", "good")
    proc.wait_for("the end of the negative TTL", lambda: login(server, "tim", "good") == "OK")


def test_unknown_users_need_not_be_cached(start):
    server = start(ONE, Script(), auth_cache_negative_ttl=0)
    assert [login(server, "tim", "good") for _ in range(2)] == ["FAIL"] * 2
    assert asked(server) == 2
    assert status(server)["neg_entries"] == 0


# ---- how long, how much ----


def test_ttl(start):
    script = Script(tim="old")
    server = start(ONE, script, auth_cache_ttl="1s")
    assert login(server, "tim", "old") == "OK"
    script.set("tim", "new")
    proc.wait_for("the end of the TTL", lambda: login(server, "tim", "old") == "FAIL")
    assert login(server, "tim", "new") == "OK"


def test_a_passwd_file_that_changes(start):
    server = start(authserver.STANDARD_TEXT.split("auth_master_user_separator = *\n")[1])
    assert login(server, "bob", users.PASSWORDS["bob"]) == "OK"
    assert login(server, "bob", users.PASSWORDS["bob"]) == "OK"
    server.wait_log("passwd-file:ok(cache)")
    line = users.line("bob", "/home/bob").replace(users.HASHES["bob"], "{PLAIN}another-Kelvin3")
    users.write_lines(server.passwd, [line])
    proc.wait_for("the new file", lambda: login(server, "bob", users.PASSWORDS["bob"]) == "FAIL", 5)
    assert login(server, "bob", "another-Kelvin3") == "OK"


def test_memory_is_bounded(start):
    names = {"user%d" % i: "p" for i in range(200)}
    server = start(ONE, Script(**names), auth_cache_size="8k")
    for name in names:
        assert login(server, name, "p") == "OK"
        assert login(server, name, "p") == "OK"
    s = status(server)
    assert s["hits"] == 200
    assert s["max_size"] == 8192 and 4096 < s["used_size"] <= 8192
    assert 8 <= s["pos_entries"] < 100


@pytest.mark.parametrize("size", [1, 1023])
def test_sizes_that_are_a_mistake(start, size):
    with pytest.raises(RuntimeError, match="auth_cache_size"):
        start(ONE, Script(), auth_cache_size=size)


def test_a_reload_makes_a_new_cache(start):
    script = Script(tim="good")
    server = start(ONE, script)
    assert login(server, "tim", "good") == "OK"
    assert status(server)["pos_entries"] == 1
    server.reload()
    proc.wait_for("the reload", lambda: status(server)["pos_entries"] == 0)
    script.set("tim", "new")
    assert login(server, "tim", "good") == "FAIL"


# ---- flush and status ----


def test_flush(start):
    people = ["tim@a.example", "tom@a.example", "tim@b.example", "bob"]
    server = start(keyed("%u"), Script(**{p: "x" for p in people}))

    def fill():
        for p in people:
            assert login(server, p, "x") == "OK"

    fill()
    assert flush(server, "tim") == 0
    assert flush(server, "nobody", "bob") == 1
    assert flush(server, "BOB") == 0
    fill()
    assert asked(server, user="bob") == 2 and asked(server) == 5
    assert flush(server, "*@a.example") == 2
    assert flush(server, "t?m@b.example", "bob") == 2
    fill()
    assert flush(server) == 4
    assert flush(server) == 0
    assert status(server)["used_size"] == 0


def test_flush_of_the_name_behind_an_alias(start):
    script = Script(alias=("old", {"user": "real"}))
    server = start(ONE, script)
    assert login(server, "alias", "old") == "OK"
    script.set("alias", "new", user="real")
    assert flush(server, "real") == 1
    assert login(server, "alias", "old") == "FAIL"


def test_what_is_under_way_at_a_flush_is_not_kept(start):
    script = Script(tim="old")
    server = start(ONE, script)
    script.mode("hang")
    with server.client() as c, server.client() as late:
        id = c.start("PLAIN", resp=plain("tim", "old"))
        wait_asked(server, 1)
        script.set("tim", "new")
        flush(server, "tim")
        late_id = late.start("PLAIN", resp=plain("tim", "old"))
        wait_asked(server, 2)  # it does not share the answer either
        script.mode("")
        assert c.reply_to(id).cmd == "OK"
        assert late.reply_to(late_id).cmd == "FAIL"
    assert login(server, "tim", "old") == "FAIL"


def test_status(start):
    server = start(ONE, Script(tim="good"))
    login(server, "tim", "good")
    login(server, "tim", "good")
    login(server, "nobody", "x")
    s = status(server)
    assert list(s) == ["hits", "misses", "pos_entries", "neg_entries", "pos_size", "neg_size", "used_size",
                       "max_size"]
    assert (s["hits"], s["misses"], s["pos_entries"], s["neg_entries"]) == (1, 2, 1, 1)
    assert s["pos_size"] > 0 and s["neg_size"] > 0
    assert s["used_size"] == s["pos_size"] + s["neg_size"]
    assert s["max_size"] == 1024 * 1024
    assert status(server, "reset")["hits"] == 1
    after = status(server)
    assert (after["hits"], after["misses"], after["pos_entries"]) == (0, 0, 1)


@pytest.mark.parametrize("line", ["CACHE-STATUS\t1", "CACHE-FLUSH\t1"])
def test_only_the_master_socket_has_these_commands(server, line):
    with server.master("auth-userdb") as m:
        m.raw(line + "\n")
        assert m.closed()


@pytest.mark.parametrize("line", ["CACHE-STATUS", "CACHE-STATUS\tx", "CACHE-FLUSH", "CACHE-FLUSH\t-1"])
def test_broken_commands_close(server, line):
    with server.master() as m:
        m.raw(line + "\n")
        assert m.closed()


# ---- one question for equal logins ----


def test_equal_logins_in_flight_are_one_question(start):
    script = Script(tim=("good", {"quota": "7"}))
    server = start(ONE, script)
    script.mode("hang")
    with server.client() as one, server.client() as two:
        ids = [(c, c.start("PLAIN", resp=plain("tim", "good"))) for c in [one, two] * 20]
        ids.append((one, one.start("PLAIN", resp=plain("tim", "wrong"))))
        wait_asked(server, 2)
        script.mode("")
        answers = {}
        for c, _ in ids:
            reply = c.reply()
            answers[(c, int(reply.id))] = (reply.cmd, reply.get("quota"))
    assert [answers[i] for i in ids] == [("OK", "7")] * 40 + [("FAIL", None)]
    assert asked(server) == 2


def test_equal_lookups_in_flight_are_one_question(start):
    script = Script(tim=("good", {"uid": "7"}))
    server = start(ONE, script)
    script.mode("hang")
    with server.master() as m:
        for id in range(1, 11):
            m.send("USER", id, "tim", "service=imap")
        wait_asked(server, 1)
        script.mode("")
        assert sorted(int(m.reply().id) for _ in range(10)) == list(range(1, 11))
    assert asked(server) == 1


def test_an_outage_is_shared_too(start):
    script = Script(tim="good")
    server = start(ONE, script)
    script.mode("hang")
    with server.client() as c:
        # in one piece: all of them are there when the first one is asked
        c.raw("".join("AUTH\t%d\tPLAIN\tservice=imap\tresp=%s\n" % (id, plain("tim", "good"))
                      for id in range(1, 6)))
        wait_asked(server, 1)
        script.mode("fail")
        assert [c.reply().get("code") for _ in range(5)] == ["temp_fail"] * 5
    assert asked(server) == 1


def test_the_first_asker_goes_away(start):
    script = Script(tim="good")
    server = start(ONE, script)
    script.mode("hang")
    first = server.client()
    with server.client() as c:
        for _ in range(3):
            first.start("PLAIN", resp=plain("tim", "good"))
        wait_asked(server, 1)
        for _ in range(20):
            c.start("PLAIN", resp=plain("tim", "good"))
        assert c.silent(0.1)
        first.close()
        wait_asked(server, 2)
        script.mode("")
        assert [c.reply().cmd for _ in range(20)] == ["OK"] * 20
    assert asked(server) == 2


def test_the_first_askers_deadline(start):
    script = Script(tim="good")
    server = start(ONE, script)
    script.mode("hang")
    with server.client("auth-short") as first, server.client() as c:
        first.start("PLAIN", resp=plain("tim", "good"))
        wait_asked(server, 1)
        for _ in range(5):
            c.start("PLAIN", resp=plain("tim", "good"))
        assert first.reply().get("code") == "temp_fail"
        wait_asked(server, 2)
        script.mode("")
        assert [c.reply().cmd for _ in range(5)] == ["OK"] * 5
    assert asked(server) == 2


def test_a_followers_deadline(start):
    script = Script(tim="good")
    server = start(ONE, script)
    script.mode("hang")
    with server.client() as first, server.client("auth-short") as c:
        id = first.start("PLAIN", resp=plain("tim", "good"))
        wait_asked(server, 1)
        c.start("PLAIN", resp=plain("tim", "good"))
        assert c.reply().get("code") == "temp_fail"
        script.mode("")
        assert first.reply_to(id).cmd == "OK"
    assert asked(server) == 1


def test_a_worker_that_dies_over_the_question(start):
    script = Script(tim="good", bob="bobs")
    server = start(ONE, script)
    assert login(server, "bob", "bobs") == "OK"
    script.mode("die")
    with server.client() as c:
        for _ in range(5):
            c.start("PLAIN", resp=plain("tim", "good"))
        assert login(server, "bob", "bobs") == "OK"  # known, whoever is dead
        assert [c.reply(30).get("code") for _ in range(5)] == ["temp_fail"] * 5
    assert asked(server, user="tim") == 2
    script.mode("")
    proc.wait_for("a new worker", lambda: login(server, "tim", "good") == "OK", 30)


# ---- outages ----


def test_in_an_outage_only_what_is_fresh_is_answered(start):
    script = Script(tim="good")
    server = start(ONE, script, auth_cache_ttl="2s")
    assert login(server, "tim", "good") == "OK"
    script.mode("fail")
    assert login(server, "tim", "good") == "OK"
    assert login(server, "tim", "wrong") == "temp_fail"
    proc.wait_for("the end of the TTL", lambda: login(server, "tim", "good") != "OK")
    assert login(server, "tim", "good") == "temp_fail"
    assert "Falling back" not in server.logs()


def expired(start, **settings):
    """A server that has known tim for longer than the TTL."""
    script = Script(tim=("good", {"quota": "7"}))
    server = start(ONE, script, auth_cache_ttl="1s", auth_cache_negative_ttl="1s", **settings)
    assert login(server, "tim", "good") == "OK"
    assert login(server, "nobody", "x") == "FAIL"
    time.sleep(1.1)
    return script, server


def test_expired_answers_in_an_outage(start):
    script, server = expired(start, auth_cache_expired_limit="1h")
    script.mode("fail")
    with server.client() as c:
        reply = c.login("tim", "good")
    assert (reply.cmd, reply.get("quota")) == ("OK", "7")
    server.wait_log("scripted(tim): Falling back to expired data from cache: the backend is down")
    assert login(server, "tim", "wrong") == "temp_fail"
    assert login(server, "nobody", "x") == "temp_fail"  # perhaps he is somebody by now
    script.mode("")
    script.set("tim", "new")
    proc.wait_for("the end of the outage", lambda: login(server, "nobody", "x") == "FAIL")
    assert login(server, "tim", "good") == "FAIL"
    script.mode("fail")
    assert login(server, "tim", "good") == "temp_fail"  # the backend has said no to it


@pytest.mark.parametrize("how", ["the driver", "the worker"])
def test_expired_answers_are_for_outages_only(start, how):
    """Nobody can decide, as this user's entry is broken: the backend is well, so what it said before is past."""
    script, server = expired(start, auth_cache_expired_limit="1h")
    if how == "the driver":
        script.mode("odd")
    else:
        script.set("tim", "{NO-SUCH-SCHEME}x")
    for _ in range(5):  # nor is the backend taken for one that is down
        assert login(server, "tim", "good") == "temp_fail"
    script.mode("")
    assert login(server, "nobody", "x") == "FAIL"
    assert "Falling back" not in server.logs() and "the backend is down" not in server.logs()


def test_expired_answers_have_an_end(start):
    script, server = expired(start, auth_cache_expired_limit="2s")
    script.mode("fail")
    assert login(server, "tim", "good") == "OK"
    proc.wait_for("the end of the limit", lambda: login(server, "tim", "good") == "temp_fail")


def test_expired_answers_when_the_backend_hangs(start):
    script, server = expired(start, auth_cache_expired_limit="1h")
    script.mode("hang")
    before = asked(server)
    with server.client("auth-short") as c:
        for password in ("good", "good", "wrong"):
            c.start("PLAIN", resp=plain("tim", password))
        replies = sorted((c.reply() for _ in range(3)), key=lambda r: int(r.id))
    assert [r.get("code") or r.cmd for r in replies] == ["OK", "OK", "temp_fail"]
    assert asked(server) == before + 2
    script.mode("")


def test_expired_answers_when_no_worker_lives(start):
    script, server = expired(start, auth_cache_expired_limit="1h")
    script.mode("die")
    assert login(server, "tim", "good") == "OK"
    script.mode("")
    # a new process of a driver that tells no versions has not forgotten anything
    proc.wait_for("a new worker", lambda: login(server, "nobody", "x") == "FAIL", 30)
    script.mode("fail")
    assert login(server, "tim", "good") == "OK"


# ---- secrets ----


def memory_of(pid):
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb") as mem:
        for line in maps:
            start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
            size = int(end, 16) - int(start, 16)
            if rights.startswith("rw") and size < 1 << 28:  # not a sanitizer's shadow
                mem.seek(int(start, 16))
                try:
                    yield mem.read(size)
                except OSError:
                    pass


def test_the_front_remembers_no_password(start):
    server = start(ONE, Script(tim=("tim-Tanstaaf8", {"proxy": "y", "pass": "proxy-Zenith5"})))
    with server.client() as c:
        for _ in range(3):
            assert c.login("tim", "tim-Tanstaaf8").cmd == "OK"
            assert c.login("tim", "tim-Wrong-Tundra1").cmd == "FAIL"

    def found(what):
        return sum(block.count(what) for block in memory_of(server.front_pid()))

    assert found(b"tim-Tanstaaf8") == 0
    assert found(b"tim-Wrong-Tundra1") == 0
    assert found(b"proxy-Zenith5") > 0  # a field, which the cache must know
    flush(server)
    proc.wait_for("the field to be forgotten", lambda: found(b"proxy-Zenith5") == 0)
