"""The examples of the documentation: compiled as the reader would, and logged in with."""

import base64
import hashlib
import hmac
import os
import re
import shutil
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from lib import authserver, proc

pytestmark = pytest.mark.authd_only("the documents are about authd")
ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-I", str(ROOT)]
LIBS = ["drivers", "mechs", "schemes", "conf", "base"]


def code_of(document, language="c"):
    text = (ROOT / "docs" / document).read_text()
    blocks = re.findall(r"```%s\n(.*?)```" % language, text, re.S)
    assert len(blocks) == 1, "%s should hold exactly one block of %s" % (document, language)
    return blocks[0]


def gcc(*args):
    run = subprocess.run(["gcc", *FLAGS, *map(str, args)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def module(source, where):
    """Builds a module with the words of the documentation, which must not warn."""
    line = re.search(r"^    (gcc -shared .*) -o \S+ \S+$", (ROOT / "docs/WRITING-A-DRIVER.md").read_text(), re.M)[1]
    words = line.replace("/path/to/authd", str(ROOT)).split()
    run = subprocess.run([*words, "-Wall", "-Wextra", "-Werror", "-o", str(where), str(source)],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def pkg_config(*args):
    return subprocess.run(["pkg-config", *args], check=True, capture_output=True, text=True).stdout.split()


def test_the_driver_of_the_tutorial():
    """userdir, as a loadable module that authd has never heard of."""
    work = Path(proc.new_dir("doc"))
    modules = work / "modules"
    users = work / "users"
    modules.mkdir()
    users.mkdir()
    source = work / "userdir.c"
    source.write_text(code_of("WRITING-A-DRIVER.md"))
    module(source, modules / "userdir.so")
    (users / "tim").write_text("{PLAIN}tims password\nuid=5000\ngid=5001\nhome=/home/tim\n")
    os.chmod(users / "tim", 0o644)
    for directory in (work, users, modules):
        directory.chmod(0o755)
    server = authserver.Authd("""
driver_dir = %s
passdb {
  driver = userdir
  args = %s
}
userdb {
  driver = userdir
  args = %s
}
""" % (modules, users, users)).start()
    try:
        with server.client() as c:
            assert c.login("tim", "tims password").cmd == "OK"
            assert c.login("tim", "wrong").cmd == "FAIL"
            assert c.login("../users/tim", "tims password").cmd == "FAIL"
            assert c.login("nobody", "x").cmd == "FAIL"
        with server.master() as m:
            reply = m.user("tim")
            assert (reply.get("uid"), reply.get("home")) == ("5000", "/home/tim")
            assert m.user("nobody").cmd == "NOTFOUND"
        shutil.rmtree(users)
        users.write_text("")  # no directory any more: not "no such user"
        with server.client() as c:
            assert c.login("tim", "tims password").get("code") == "temp_fail"
    finally:
        server.stop()


def indented(document, beginning):
    """The block of the document that begins so, for a machine that has neither authd's user nor its own files."""
    text = (ROOT / document).read_text()
    blocks = [re.sub(r"^    ", "", b, flags=re.M) for b in re.findall(r"(?:^    .*\n)+", text, re.M)]
    found = [b for b in blocks if b.startswith(beginning)]
    assert len(found) == 1, "%s should have one block that begins with %s" % (document, beginning)
    return found[0]


def settings(where, text, *options):
    """What authctl makes of a file of that text."""
    where.write_text(text)
    run = proc.run([authserver.AUTHCTL, *options, "-c", str(where), "config", "-n"])
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_files_of_the_readme_and_of_dovecot_with_authd():
    """Each is good as it is to be copied, and Dovecot's, with its sockets taken away, serves when it is included."""
    work = Path(proc.new_dir("doc"))
    readme = settings(work / "readme.conf", indented("README.md", "auth_mechanisms"))
    assert "/var/spool/postfix/private/auth" in readme
    document = "docs/dovecot-with-authd.md"
    beside = indented(document, "# Dovecot's processes look here")
    assert "default_internal_user = dovecot" in settings(work / "beside.conf", beside)
    passdb = beside[beside.index("passdb {"):beside.index("service auth {")]
    (work / "dovecot.conf").write_text(
        passdb + indented(document, "service auth {") + indented(document, "service imap-login {"))
    without = proc.run([authserver.AUTHCTL, "config", "check", "--dovecot", str(work / "dovecot.conf")])
    assert without.returncode == 78 and "a file for authd that includes this one" in without.stderr
    include = indented(document, "!include ").replace("/etc/dovecot/dovecot.conf", str(work / "dovecot.conf"))
    listeners = beside[beside.index("service auth {"):]
    both = settings(work / "including.conf", include + listeners, "--dovecot")
    paths = re.findall(r"unix_listener /run/dovecot/(\S+)", listeners)
    served = re.findall(r"unix_listener (?:/run/dovecot/)?(\S+)", both)
    assert len(paths) == 6 and sorted(paths) == sorted(served), both
    assert "base_dir = /run/dovecot" in both and "driver = passwd-file" in both


def run_conformance(work, *args):
    """The last line of the suite's output, and all of it."""
    run = proc.run([str(ROOT / "tests/conformance/run"), *map(str, args)], cwd=work, timeout=120)
    return run.stdout.strip().splitlines()[-1], run.stdout + run.stderr


def test_the_adapter_of_the_tutorial():
    """The conformance suite passes with the tutorial's driver, and notices when it is wrong."""
    work = Path(proc.new_dir("doc"))
    source = code_of("WRITING-A-DRIVER.md")
    (work / "userdir.c").write_text(source)
    (work / "userdir.py").write_text(code_of("WRITING-A-DRIVER.md", "python"))
    gcc("-shared", "-o", work / "userdir.so", work / "userdir.c")
    last, out = run_conformance(work, "--driver", "userdir.so", "--adapter", "userdir.py")
    assert re.match(r"\d\d passed", last), out
    careless = source.replace("|| span_find(user, '/') >= 0 ", "").replace("user.ptr[0] == '.' ||", "")
    careless = careless.replace("|| errno == ENAMETOOLONG", "")
    assert len(source) - len(careless) > 60, "the driver of the tutorial looks otherwise"
    (work / "userdir.c").write_text(careless)
    gcc("-shared", "-o", work / "userdir.so", work / "userdir.c")
    last, out = run_conformance(work, "--driver", "userdir.so", "--adapter", "userdir.py")
    assert " failed" in last and "test_who_is_not_there" in out, out


def build_with_mechanism(work, name, symbol):
    """The program once more, with one file and one line in the table added."""
    source = work / "mechanism.c"
    source.write_text(code_of("WRITING-A-MECHANISM.md"))
    table = (ROOT / "mechanisms/table.c").read_text()
    table = table.replace("extern const struct mech ", "extern const struct mech %s, " % symbol, 1)
    table = table.replace("    NULL,\n", "    &%s,\n    NULL,\n" % symbol, 1)
    assert table.count(symbol) == 2, "the table no longer looks as the tutorial says"
    (work / "table.c").write_text(table)
    build = Path(authserver.BUILD)
    libs = [build / ("lib%s.a" % one) for one in ["authd", *LIBS]]
    out = work / "authd"
    gcc("-pthread", "-rdynamic", "-o", out, source, work / "table.c", build / "obj/authd/main.o", *libs,
        *pkg_config("--libs", "libevent_core", "libseccomp", "libsodium", "nettle", "libxcrypt"), "-lunistring", "-ldl")
    out.chmod(out.stat().st_mode | stat.S_IXUSR)
    return str(out)


def test_the_mechanism_of_the_tutorial(monkeypatch):
    """X-HMAC-SHA256, logged in with over the client protocol."""
    work = Path(proc.new_dir("doc"))
    program = build_with_mechanism(work, "X-HMAC-SHA256", "mech_x_hmac_sha256")
    monkeypatch.setattr(authserver, "AUTHD", program)
    users = work / "users"
    users.write_text("tim:{PLAIN}tims password\nhash:{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n")
    work.chmod(0o755)
    server = authserver.Authd("""
auth_mechanisms = plain x-hmac-sha256
passdb {
  driver = passwd-file
  args = %s
}
""" % users).start()

    def login(client, user, password):
        reply = client.auth("X-HMAC-SHA256")
        assert reply.cmd == "CONT"
        nonce = base64.b64decode(reply.line.split(b"\t")[2])
        digest = hmac.new(password.encode(), nonce, hashlib.sha256).hexdigest()
        answer = base64.b64encode(("%s %s" % (user, digest)).encode()).decode()
        return client.cont(reply.id, answer)

    try:
        with server.client() as c:
            assert c.mechs["X-HMAC-SHA256"] == ["dictionary", "active"]
            assert login(c, "tim", "tims password").cmd == "OK"
            assert login(c, "tim", "wrong").cmd == "FAIL"
            assert login(c, "hash", "test").cmd == "FAIL"
            assert login(c, "nobody", "x").cmd == "FAIL"
    finally:
        server.stop()


def test_installed_elsewhere(monkeypatch):
    """"make", and then "make install PREFIX=..." with another one: the programs look for their parts there."""
    work = Path(proc.new_dir("doc"))
    work.chmod(0o755)
    build = work / "build"
    shutil.copytree(authserver.BUILD, build)  # copies keep their times: nothing is built but what must be
    make = ["make", "-s", "-C", str(ROOT), "install", "B=%s" % build, "PREFIX=%s" % (work / "prefix")]
    run = proc.run(make, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    shutil.rmtree(build)
    monkeypatch.setattr(authserver, "AUTHD", str(work / "prefix/sbin/authd"))
    db = work / "users.sqlite"
    with sqlite3.connect(db) as c:
        c.execute("CREATE TABLE users (username, domain, password)")
        c.execute("INSERT INTO users VALUES ('tim', '', '{PLAIN}x')")
    db.chmod(0o644)
    conf = work / "sql.conf"
    conf.write_text("driver = sqlite\nconnect = %s\n" % db)
    server = authserver.Authd("passdb {\n driver = sql\n args = %s\n}\n" % conf).start()
    try:
        with server.client() as c:
            assert c.login("tim", "x").cmd == "OK", server.logs()
            assert c.login("tim", "y").cmd == "FAIL"
    finally:
        server.stop()
