"""authctl driver test: what works and what does not, in words that say what to do, and never a secret."""

import os
import re
import shutil
import time

import pytest

from lib import authserver, ldap, proc, sql, users

pytestmark = pytest.mark.authd_only("a command of authctl")

OK, NO_USER, DOWN, WRONG_PASSWORD, CONFIG, USAGE = 0, 67, 75, 77, 78, 64
HEADER = """base_dir = %s/run
default_internal_user = nobody
default_internal_group = nogroup
"""
SERVICE = "service auth {\n  unix_listener auth-client {\n    mode = 0600\n  }\n}\n"
QUERY = "SELECT email AS user_name, password, quota AS pass_code FROM users WHERE email = '%u'"
SECRETS = ["mailpassword", ldap.SERVICE_PW, *sql.TABLE.values(), *sql.PASSWORD.values(), *ldap.PASSWORDS.values()]


def run(text, *args, stdin=None):
    """(exit status, standard output); no secret is in what it says."""
    where = proc.new_dir("t")
    path = os.path.join(where, "authd.conf")
    with open(path, "w") as f:
        f.write(HEADER % where + text + SERVICE)
    with open(os.path.join(where, "in"), "w") as f:
        f.write(stdin or "")
    with open(f.name) as given:
        done = proc.run([authserver.AUTHCTL, "driver", "test", "-c", path, *args], stdin=given)
    for secret in SECRETS + [str(sql.QUOTA)]:
        assert secret not in done.stdout + done.stderr, done.stdout
    return done.returncode, done.stdout + done.stderr


def section(driver, args, kind="passdb"):
    return "%s {\n  driver = %s\n  args = %s\n}\n" % (kind, driver, args)


def file_of(text):
    path = os.path.join(proc.new_dir("f"), "conf.ext")
    with open(path, "w") as f:
        f.write(text)
    return path


def sql_file(db, query=QUERY, **words):
    return file_of("driver = %s\nconnect = %s\ndefault_pass_scheme = SHA512-CRYPT\npassword_query = %s\n"
                   "user_query = SELECT '/srv' AS home, 5000 AS uid, 5000 AS gid FROM users WHERE email = '%%u'\n"
                   % (db.kind, db.connect(**words), query))


@pytest.fixture(scope="module")
def certificates():
    """The authority, and (certificate, key) that are right, expired, and for another name."""
    ca = ldap.Authority(proc.new_dir("ca"))
    found = {"right": ca.issue("127.0.0.1"), "other": ca.issue("mail.example.org", "DNS")}
    os.mkdir(os.path.join(ca.dir, "old"))
    old = ldap.Authority.__new__(ldap.Authority)
    old.dir, old.cert, old.key = os.path.join(ca.dir, "old"), ca.cert, ca.key
    found["expired"] = old.issue("127.0.0.1", days=0)
    for root, _, names in os.walk(ca.dir):
        os.chmod(root, 0o755)
        for name in names:
            os.chmod(os.path.join(root, name), 0o644)
    stranger = ldap.Authority(proc.new_dir("stranger"))
    os.chmod(stranger.cert, 0o644)
    found["ca"], found["stranger"] = ca.cert, stranger.cert
    return found


@pytest.fixture(scope="module")
def mariadb(certificates):
    cert, key = certificates["right"]
    db = sql.MariaDB(options=["--ssl-ca=" + certificates["ca"], "--ssl-cert=" + cert, "--ssl-key=" + key]).init()
    yield db
    db.stop()


@pytest.fixture(scope="module")
def postgresql(certificates):
    cert, key = certificates["right"]
    where = proc.new_dir("pg")
    mine = shutil.copy(key, where)
    os.chmod(mine, 0o600)  # PostgreSQL insists
    shutil.chown(mine, "postgres", "postgres")
    db = sql.PostgreSQL(options=["ssl=on", "ssl_cert_file=" + cert, "ssl_key_file=" + mine]).init()
    yield db
    db.stop()


@pytest.fixture(scope="module")
def sqlite():
    db = sql.SQLite().init()
    yield db
    db.stop()


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def db(request):
    return request.getfixturevalue(request.param)


# ---- sql ----

def test_sql_works(db):
    code, said = run(section("sql", sql_file(db)), "passdb", "sql")
    assert code == OK and "there is no such user, as it should be" in said, said
    assert "WHERE email = " + {"pgsql": "$1"}.get(db.kind, "?") in said


def test_sql_user(db):
    text = section("sql", sql_file(db)) + section("sql", sql_file(db), "userdb")
    user = "tim@example.com"
    code, said = run(text, "-u", user, "passdb", "1")
    assert code == OK and user + ": found" in said and "SHA512-CRYPT (the default scheme), hidden" in said, said
    assert "pass_code=<hidden>" in said
    code, said = run(text, "-u", user, "userdb", "sql")
    assert code == OK and "home=/srv" in said, said
    assert re.search(r"^note  iterate_query .* is not tried", said, re.M), said
    code, said = run(text, "-u", "nobody@example.com", "sql")
    assert code == NO_USER and "there is no such user" in said


@pytest.mark.parametrize("password, why", [
    ("{NOSUCH}unsaid-Beryl3", "{NOSUCH}, hidden: Unknown scheme"),
    ("{SHA256}unsaid-Beryl3", "{SHA256}, hidden: "),
    ("{CRYPT}$1$unsaid$kImF6.9MAFQNHe23kq5vI/", "MD5-CRYPT is weak and refused without auth_allow_weak_schemes"),
    ("$6$unsaid$kImF6.9MAFQNHe23kq5vI", "SHA512-CRYPT (the default scheme), hidden"),
])
def test_a_password_that_lets_nobody_in(sqlite, password, why):
    code, said = run(section("sql", sql_file(sqlite, "SELECT '%s' AS password" % password)), "-u", "tim", "sql")
    assert why in said and said.count("unsaid") == 1, said  # in the query
    assert code == (OK if "default" in why else CONFIG), said


def test_sql_password(db):
    user = "tim@example.com"
    text = section("sql", sql_file(db))
    code, said = run(text, "-u", user, "-p", "sql", stdin=sql.PASSWORD[user] + "\n")
    assert code == OK and "the password is right" in said, said
    code, said = run(text, "-u", user, "-p", "sql", stdin="wrong\n")
    assert code == WRONG_PASSWORD and "Password mismatch" in said, said


def test_sql_missing_table(db):
    code, said = run(section("sql", sql_file(db, QUERY.replace("FROM users", "FROM usres"))), "sql")
    assert code == CONFIG and "FAIL" in said and "check the queries" in said, said


@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
def test_sql_wrong_password(server, request):
    path = sql_file(request.getfixturevalue(server), password="no-Basalt0")
    code, said = run(section("sql", path), "sql")
    assert code == CONFIG and "check user= and password= in " + path in said, said
    assert "no-Basalt0" not in said


def test_sql_wrong_database(mariadb, postgresql):
    for db in (mariadb, postgresql):
        code, said = run(section("sql", sql_file(db, dbname="nix")), "sql")
        assert code == CONFIG and "check dbname= in" in said, said


def test_sql_closed_port(mariadb):
    code, said = run(section("sql", sql_file(mariadb, port=proc.free_port())), "sql")
    assert code == DOWN and "Connection refused" in said and "is MariaDB or MySQL running there?" in said, said


def test_sql_no_such_host(mariadb):
    code, said = run(section("sql", sql_file(mariadb, host="no-such-host.invalid")), "sql")
    assert code == DOWN and "DOWN  resolve" in said, said


def test_sqlite_no_file(sqlite):
    path = file_of("driver = sqlite\nconnect = /nowhere/users.db\npassword_query = %s\n" % QUERY)
    code, said = run(section("sql", path), "sql")
    assert code == CONFIG and "is the path in " + path + " right" in said, said


def test_mariadb_certificate(mariadb, certificates):
    good = sql_file(mariadb, ssl_ca=certificates["ca"], ssl_verify_server_cert="yes")
    code, said = run(section("sql", good), "sql")
    assert code == OK and "for 127.0.0.1, from authd test CA ca, until 20" in said, said
    code, said = run(section("sql", sql_file(mariadb, ssl_ca=certificates["stranger"],
                                             ssl_verify_server_cert="yes")), "sql")
    assert code == CONFIG and "is its authority in " + certificates["stranger"] in said, said


def test_postgresql_certificate(postgresql, certificates):
    code, said = run(section("sql", sql_file(postgresql, sslmode="verify-full",
                                             sslrootcert=certificates["ca"])), "sql")
    assert code == OK and "for 127.0.0.1, from authd test CA ca, until 20" in said, said
    code, said = run(section("sql", sql_file(postgresql, sslmode="verify-full", host="localhost",
                                             sslrootcert=certificates["ca"])), "sql")
    assert code == CONFIG and "it is for 127.0.0.1, not for localhost" in said, said


@pytest.mark.parametrize("more,code,want", [
    ({}, OK, "note  certificate     it is not trusted"),
    ({"sslrootcert": "stranger"}, CONFIG, "FAIL  certificate     it is not trusted"),
    ({"sslrootcert": "ca", "host": "localhost"}, OK, "note  certificate     it is for 127.0.0.1, not for localhost"),
    ({"sslrootcert": "ca", "host": "localhost", "sslmode": "verify-ca"}, OK, "note  certificate     it is for")])
def test_postgresql_certificate_as_it_is_verified(postgresql, certificates, more, code, want):
    """What libpq does not look at is worth a note, and what it does is no less than before."""
    words = {"sslmode": "require", **more}
    if "sslrootcert" in words:
        words["sslrootcert"] = certificates[words["sslrootcert"]]
    got, said = run(section("sql", sql_file(postgresql, **words)), "sql")
    assert got == code and want in said, said
    assert ("ok    login" in said) == (code == OK), said


def test_mariadb_certificate_as_it_is_verified(mariadb, certificates):
    cert, key = certificates["right"]
    got, said = run(section("sql", sql_file(mariadb, ssl_cert=cert, ssl_key=key)), "sql")
    assert got == OK and "note  certificate     it is not trusted" in said, said
    for authority, code, want in (("stranger", CONFIG, "FAIL  certificate     it is not trusted"),
                                  ("ca", OK, "note  certificate     it is for")):
        # 127.1 is the same address by another name
        path = sql_file(mariadb, host="127.1", ssl_verify_server_cert="no", ssl_ca=certificates[authority])
        got, said = run(section("sql", path), "sql")
        assert got == code and want in said, said


# ---- ldap ----

def slapd_with(certificates, which):
    return ldap.Slapd(tls=(certificates["ca"], *certificates[which])).start()


@pytest.fixture(scope="module")
def slapd(certificates):
    server = slapd_with(certificates, "right")
    yield server
    server.stop()


def ldap_section(server, **more):
    found = dict(uris=server.uri, dn=ldap.SERVICE_DN, dnpass=ldap.SERVICE_PW, base=ldap.BASE)
    found.update(more)
    return section("ldap", file_of(ldap.settings(**found)))


def test_ldap_works(slapd, certificates):
    text = ldap_section(slapd, tls="yes", tls_ca_cert_file=certificates["ca"])
    code, said = run(text, "-u", "alice", "ldap")
    assert code == OK and "alice: found" in said and "{SSHA}, hidden" in said, said
    assert "for 127.0.0.1, from authd test CA ca, until 20" in said and "(uid=%u)" in said
    assert run(text, "-u", "nobody", "ldap")[0] == NO_USER


def test_ldap_auth_bind(slapd):
    text = ldap_section(slapd, auth_bind="yes")
    code, said = run(text, "-u", "alice", "-p", "ldap", stdin=ldap.PASSWORDS["alice"])
    assert code == OK and "the password is right" in said, said
    assert run(text, "-u", "alice", "-p", "ldap", stdin="wrong")[0] == WRONG_PASSWORD


def test_ldap_wrong_service_password(slapd):
    code, said = run(ldap_section(slapd, dnpass="no-Basalt0"), "ldap")
    assert code == CONFIG and "check dn and dnpass in" in said and "no-Basalt0" not in said, said


def test_ldap_who_may_not_search(slapd):
    code, said = run(ldap_section(slapd, dn="", dnpass=""), "ldap")
    assert code == CONFIG and "check dn in" in said, said


def test_ldap_wrong_authority(slapd, certificates):
    uri = "ldaps://127.0.0.1:%d" % slapd.tls_port
    code, said = run(ldap_section(slapd, uris=uri, tls_ca_cert_file=certificates["stranger"]), "ldap")
    assert code == CONFIG and "it is not trusted" in said and "issued by authd test CA ca" in said, said


@pytest.mark.parametrize("which,want", [
    ("other", "it is for mail.example.org, not for 127.0.0.1"), ("expired", "it expired on 20")])
def test_ldap_bad_certificate(certificates, which, want):
    server = slapd_with(certificates, which)
    time.sleep(1.1)  # until a certificate of no days has expired
    uri = "ldaps://127.0.0.1:%d" % server.tls_port
    code, said = run(ldap_section(server, uris=uri, tls_ca_cert_file=certificates["ca"]), "ldap")
    server.stop()
    assert code == CONFIG and want in said, said


@pytest.mark.parametrize("require", ["never", "allow"])
def test_ldap_certificate_that_nobody_verifies(slapd, require):
    """What is wrong with it is said, but it is no fault of a configuration that asks for this."""
    text = ldap_section(slapd, uris="ldaps://localhost:%d" % slapd.tls_port, tls_require_cert=require)
    code, said = run(text, "-u", "alice", "ldap")
    assert code == OK and "alice: found" in said and "note  certificate" in said, said


def test_ldap_without_tls():
    server = ldap.Slapd().start()
    code, said = run(ldap_section(server, tls="yes"), "ldap")
    server.stop()
    assert code == CONFIG and "the server does not offer it" in said, said


def test_ldap_tls_at_a_port_without(slapd, certificates):
    """The server closes while TLS is still being spoken to it."""
    text = ldap_section(slapd, uris="ldaps://127.0.0.1:%d" % slapd.port, tls_ca_cert_file=certificates["ca"])
    code, said = run(text, "ldap")
    assert code in (CONFIG, DOWN) and "bind" in said, said


def test_ldap_closed_port(slapd):
    code, said = run(ldap_section(slapd, uris="ldap://127.0.0.1:%d" % proc.free_port()), "ldap")
    assert code == DOWN and "is the LDAP server running there?" in said, said


def test_one_of_two_servers(slapd):
    """One is down; the other one is asked, and the exit status says that not all is well."""
    uris = "ldap://127.0.0.1:%d %s" % (proc.free_port(), slapd.uri)
    code, said = run(ldap_section(slapd, uris=uris), "-u", "alice", "ldap")
    assert code == DOWN and "alice: found" in said, said


# ---- the others ----

def test_passwd_file_and_static():
    path = file_of("tim:%s::::::\n" % users.HASHES["tim"])
    os.chmod(path, 0o644)
    text = section("passwd-file", path) + section("static", "uid=5000 gid=5000 home=/srv/%u", "userdb")
    code, said = run(text, "-u", "tim", "passwd-file")
    assert code == OK and "{SHA512-CRYPT}, hidden" in said, said
    code, said = run(text, "-u", "tim", "userdb", "static")
    assert code == OK and "home=/srv/tim" in said, said


def test_a_file_that_the_worker_may_not_read():
    path = file_of("tim:x::::::\n")
    os.chmod(path, 0o600)
    code, said = run(section("passwd-file", path), "passwd-file")
    assert code == CONFIG and "the worker may not read it" in said and path in said, said
    os.unlink(path)
    code, said = run(section("passwd-file", path), "passwd-file")
    assert code == CONFIG and "is the path in" in said, said


def test_pam_service():
    code, said = run(section("pam", "no-such-service"), "pam")
    assert code == CONFIG and "there is no /etc/pam.d/no-such-service" in said, said
    code, said = run(section("pam", "other"), "pam")
    assert code == OK and "/etc/pam.d/other" in said and "only judges passwords" in said, said
    code, said = run(section("pam", "*"), "pam")
    assert code == OK and "that which its variables name" in said, said


def test_imap_closed_port():
    code, said = run(section("imap", "host=127.0.0.1 port=%d" % proc.free_port()), "imap")
    assert code == DOWN and "is the IMAP server running there?" in said, said


def test_no_such_section():
    code, said = run(section("passwd-file", "/nowhere"), "userdb", "3")
    assert code == USAGE and "passdb 1 (passwd-file)" in said, said
    assert run(section("no-such-driver", "x"), "passdb", "1")[0] == CONFIG
