"""Every string of injections.json as name, domain and password, against real servers in every mode that makes
quoting differ. Nobody may be found who is not there; who is there under such a name is found, and gets in
with his own password only; nothing is changed; and not one question ends in an error of the server."""

import os
import re
import unicodedata

import pytest

import injections
import kit
from lib import authserver, ldap, proc, sql

pytestmark = pytest.mark.authd_only("it is about authd's drivers")
CORPUS = injections.all()
TIM = b"tim-Own-Quartz"
TEXT = """auth_mechanisms = plain login
auth_username_chars =
auth_username_format =
auth_cache_size = 0
passdb {
  driver = %(driver)s
  args = %(args)s
}
userdb {
  driver = %(driver)s
  args = %(args)s
}
"""
TEXT_24 = """auth_mechanisms = plain login
auth_username_chars =
auth_username_format =
auth_cache_size = 0
"""


def held_users(ascii_only=True, longest=1400):
    """{name: (number, password)}: Tim, and some whose names are such strings."""
    names = [b"tim", b"tim@example.com"]
    names += [s for s in CORPUS if b"\0" not in s and len(s) <= longest and (s.isascii() or not ascii_only)
              and kit.is_utf8(s) and s.strip()][::9]
    return {n: (i, TIM if i < 2 else b"held-%d" % i) for i, n in enumerate(dict.fromkeys(names))}


HELD = held_users()


class Attack(kit.Asker):
    """A server on one configuration. same(a, b): the backend takes two names for one."""

    def __init__(self, driver, conf, held=None, same=None):
        self.held = HELD if held is None else held
        self.same = same or (lambda a, b: a == b)
        where = proc.new_dir("x")
        args = conf
        if driver is None:  # in the form of Dovecot 2.4, which has no files of drivers
            self.server = authserver.Authd(TEXT_24 + conf, listeners=kit.LISTENERS)
            self.server.form_24 = True
            return
        if "\n" in conf:
            args = os.path.join(where, "conf.ext")
            kit.write(args, conf.encode())
        self.server = authserver.Authd(TEXT % {"driver": driver, "args": args}, listeners=kit.LISTENERS)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *exc):
        self.server.stop()

    def owner(self, name):
        """The number and password of the user that this name may be taken for."""
        return [self.held[h] for h in ([name] if name in self.held else self.held) if self.same(name, h)]

    def check_logins(self, pairs):
        wrong = []
        for (name, password), told in zip(pairs, self.logins(pairs)):
            may = [p for _, p in self.owner(name)]
            if told != ("OK" if password in may and name in self.held else "FAIL"):
                if told != "OK" or password not in may:
                    wrong.append((name, password, told))
        assert not wrong, (len(wrong), wrong[:5], self.server.logs()[-1500:])

    def check_lookups(self, names):
        wrong = []
        for name, reply in zip(names, self.lookups(names)):
            homes = [b"/held/%d" % number for number, _ in self.owner(name)]
            found = kit.values(reply, "home")
            if not (found[0] in homes if reply.cmd == "USER" else reply.cmd == "NOTFOUND" and name not in self.held):
                wrong.append((name, reply))
        assert not wrong, (len(wrong), wrong[:5], self.server.logs()[-1500:])

    def run(self, every=1):
        """every: only each so many of the names."""
        assert self.logins([(n, p) for n, (_, p) in list(self.held.items())[:1]]) in (["OK"], [])
        names = [n for n in CORPUS if b"\0" not in n][::every]
        names += [b"tim@" + n for n in names[::3]] + [n + b"@example.com" for n in names[::3]]
        self.check_logins([(n, TIM) for n in names] + [(n, n) for n in names[::4]]
                          + [(n, p) for n, (_, p) in self.held.items()]
                          + [(n, b"held-9999") for n in self.held])
        self.check_logins([(b"tim", s) for s in CORPUS if every == 1 or b"'" in s or b"\\" in s])
        self.check_lookups([n for n in CORPUS if len(n) < 4000] + [b"tim@" + n for n in CORPUS[::3] if len(n) < 4000])


def test_the_corpus_is_what_its_generator_makes():
    with open(injections.PATH) as f:
        assert f.read() == injections.text(), "run tests/conformance/injections.py"
    assert len(CORPUS) > 1000


# ---- SQL ----

CREATE = """CREATE TABLE people (name varchar(1400)%(exact)s, local varchar(1400)%(exact)s,
 domain varchar(1400)%(exact)s, password varchar(100), clear varchar(100)%(exact)s, home varchar(100));
"""
QUERY = """driver = %s
connect = %s
password_query = SELECT name AS username, password FROM people WHERE name = %s
user_query = SELECT 5000 AS uid, 5000 AS gid, home, %s AS mail FROM people WHERE name = %s
"""
PARTS = """driver = %s
connect = %s
password_query = SELECT name AS username, password FROM people WHERE local = '%%n' AND domain = '%%d'
user_query = SELECT 5000 AS uid, 5000 AS gid, home FROM people WHERE local = '%%n' AND domain = '%%d'
"""
# the database compares the password, too
BY_PASSWORD = """driver = %s
connect = %s
password_query = SELECT name AS username, NULL AS password, 'Y' AS nopassword FROM people \
 WHERE name = '%%u' AND clear = '%%w'
user_query = SELECT 5000 AS uid, 5000 AS gid, home FROM people WHERE name = '%%u'
"""


QUERIES = {PARTS: {"same": lambda a, b: a.partition(b"@")[::2] == b.partition(b"@")[::2]},
           BY_PASSWORD: {"every": 5}}  # nobody has a hash: unknown users cost as much as one of SHA512-CRYPT


def fill(hexadecimal, held, exact=""):
    out = [CREATE % {"exact": exact}]
    for name, (number, password) in held.items():
        local, _, domain = name.partition(b"@")
        out.append("INSERT INTO people VALUES (%s, '{PLAIN}%s', '%s', '/held/%d');\n" % (
            ", ".join(hexadecimal % s.hex() if s else "''" for s in (name, local, domain)), password.decode(),
            password.decode(), number))
    return "".join(out)


def state(db):
    """All that is there, tables and rows."""
    tables = {"mysql": "SHOW TABLES",
              "pgsql": "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
              "sqlite": "SELECT name FROM sqlite_master"}[db.kind]
    return db.sql(tables), db.sql("SELECT * FROM people ORDER BY home")


def attack_sql(db, conf, same=None, mail=None, every=1, driver="sql"):
    before = state(db)
    with Attack(driver, conf, same=same) as attack:
        attack.run(every)
        if mail:
            assert kit.values(attack.lookups([b"tim"])[0], "mail") == [mail]
        log = attack.server.logs()
        assert "auth-worker(sql): Error" not in log and "syntax" not in log, log[-2000:]
    assert state(db) == before
    assert not os.path.exists(injections.FILE)


@pytest.fixture(scope="module")
def mariadb():
    db = sql.MariaDB(options=["--plugin-load-add=sql_errlog"]).init()
    db.sql("GRANT ALL ON maildb.* TO mailuser@'%'; GRANT FILE ON *.* TO mailuser@'%'; DROP USER mailuser@localhost;")
    db.sql(fill("convert(x'%s' using utf8mb4)", HELD, " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"))
    yield db
    errors = os.path.join(db.data, "sql_errors.log")
    # but for 1158, which is authd leaving, and 1267: no name in that character set can be in the table
    said = [line for line in open(errors, errors="replace").read().splitlines()
            if "mailuser" in line and "ERROR 1158" not in line and "ERROR 1267" not in line]
    db.stop()
    assert not said, said[:5]


CHARSET = "@@character_set_client"
MARIADB = {
    "default": ("", "", "", "'%u'"),
    "no escapes": ("NO_BACKSLASH_ESCAPES", "", "", "'%u'"),
    "double quotes": ("", "", "", '"%u"'),
    "no escapes, ANSI quotes": ("NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "", "", '"%u"'),
    "bare": ("", "", "", "%u"),
    "gbk": ("", "", "gbk", "'%u'"),
    "sjis": ("", "", "sjis", "'%u'"),
    "sjis, no escapes": ("NO_BACKSLASH_ESCAPES", "", "sjis", "'%u'"),
    "gbk by the server": ("", "SET NAMES gbk", "", "'%u'"),
}


@pytest.mark.parametrize("mode", MARIADB)
def test_mariadb(mariadb, mode):
    sql_mode, at_connect, charset, value = MARIADB[mode]
    more = {}
    if charset:
        options = b"[client]\ndefault-character-set=%s\n" % charset.encode()
        more["option_file"] = kit.write(os.path.join(proc.new_dir("o"), "my.cnf"), options)
    default = mariadb.sql("SELECT @@GLOBAL.sql_mode").strip()
    mariadb.sql("SET GLOBAL sql_mode='%s', GLOBAL init_connect='%s'" % (sql_mode, at_connect))
    try:
        conf = QUERY % ("mysql", mariadb.connect(**more), value, CHARSET, value)
        attack_sql(mariadb, conf, mail=(charset or at_connect.rpartition(" ")[2]).encode())
    finally:
        mariadb.sql("SET GLOBAL sql_mode='%s', GLOBAL init_connect=''" % default)


@pytest.mark.parametrize("query", QUERIES, ids=["parts", "password"])
def test_mariadb_queries(mariadb, query):
    attack_sql(mariadb, query % ("mysql", mariadb.connect()), **QUERIES[query])


@pytest.fixture(scope="module")
def postgresql():
    db = sql.PostgreSQL().init()
    db.sql(fill("convert_from('\\x%s', 'UTF8')", HELD))
    db.sql("ALTER TABLE people OWNER TO mailuser; GRANT CREATE ON SCHEMA public TO mailuser;"
           "GRANT pg_write_server_files TO mailuser")
    yield db
    log = open(db.log, errors="replace").read()
    db.stop()
    said = set(re.findall(r"ERROR:.*", log))
    assert not [s for s in said if "invalid byte sequence" not in s and "has no equivalent" not in s], said


POSTGRESQL = {
    "default": ("", "", "'%u'"),
    "strings with escapes": ("standard_conforming_strings = off", "", "'%u'"),
    "E": ("backslash_quote = on", "", "E'%u'"),
    "dollar": ("", "", "$q$%u$q$"),
    "bare": ("", "", "%u"),
    "gbk": ("backslash_quote = on", "GBK", "'%u'"),
    "sjis": ("standard_conforming_strings = off", "SJIS", "E'%u'"),
}


@pytest.mark.parametrize("mode", POSTGRESQL)
def test_postgresql(postgresql, mode):
    setting, charset, value = POSTGRESQL[mode]
    postgresql.sql("ALTER ROLE mailuser RESET ALL")
    if setting:
        postgresql.sql("ALTER ROLE mailuser SET " + setting)
    more = {"client_encoding": charset} if charset else {}
    conf = QUERY % ("pgsql", postgresql.connect(**more), value, "current_setting('client_encoding')", value)
    attack_sql(postgresql, conf, mail=(charset or "UTF8").encode())


@pytest.mark.parametrize("query", QUERIES, ids=["parts", "password"])
def test_postgresql_queries(postgresql, query):
    postgresql.sql("ALTER ROLE mailuser RESET ALL")
    attack_sql(postgresql, query % ("pgsql", postgresql.connect()), **QUERIES[query])


@pytest.fixture(scope="module")
def sqlite():
    db = sql.SQLite().init()
    db.sql(fill("CAST(x'%s' AS text)", HELD))
    os.chmod(db.path, 0o666)
    os.chmod(db.dir, 0o777)
    yield db
    db.stop()


@pytest.mark.parametrize("value", ["'%u'", "%u"])
def test_sqlite(sqlite, value):
    attack_sql(sqlite, QUERY % ("sqlite", sqlite.connect(), value, "1", value))


@pytest.mark.parametrize("query", QUERIES, ids=["parts", "password"])
def test_sqlite_queries(sqlite, query):
    attack_sql(sqlite, query % ("sqlite", sqlite.connect()), **QUERIES[query])


# variables of Dovecot 2.4 through filters that give the same again, and one marked as safe, which it is not
SQL_24 = """passdb sql {
  query = SELECT name AS username, password FROM people WHERE name = '%{user | reverse | reverse | safe}'
}
userdb sql {
  query = SELECT 5000 AS uid, 5000 AS gid, home FROM people WHERE name = %{user | base64 | unbase64 | text} \
    AND '%{user}' = '%{user | hexlify | unhexlify | text | safe}'
}
"""


@pytest.mark.parametrize("name", ["mariadb", "postgresql", "sqlite"])
def test_form_24_sql(request, name):
    db = request.getfixturevalue(name)
    if name == "postgresql":
        db.sql("ALTER ROLE mailuser RESET ALL")
    attack_sql(db, sql.settings_24(db) + SQL_24, driver=None, every=3)


# ---- LDAP ----

LDAP_HELD = held_users(longest=200)


def prepared(name):
    """A name as the matching rule caseIgnoreMatch sees it, roughly."""
    text = unicodedata.normalize("NFKC", name.decode(errors="surrogateescape")).casefold()
    text = "".join(" " if c in "\t\n\v\f\r\x85" else c for c in text
                   if c in "\t\n\v\f\r\x85" or unicodedata.category(c) not in ("Cc", "Cf"))
    return " ".join(text.split())


def same_prepared(a, b):
    return prepared(a) == prepared(b)


@pytest.fixture(scope="module")
def slapd():
    held, seen = {}, set()
    for name, value in LDAP_HELD.items():
        if prepared(name) and prepared(name) not in seen:
            seen.add(prepared(name))
            held[name] = value
    people = "".join(ldap.entry(ldap.user_dn(name.decode()), ["inetOrgPerson", "posixAccount"], uid=name.decode(),
                                cn="x", sn="x", uidNumber="5000", gidNumber="5000", homeDirectory="/held/%d" % number,
                                userPassword=ldap.ssha(password)) for name, (number, password) in held.items())
    server = ldap.Slapd(ldif=ldap.base() + people).start()
    server.held = held
    yield server
    server.stop()


LDAP = {
    "search": {},
    "auth_bind": {"auth_bind": "yes"},
    "auth_bind_userdn": {"auth_bind": "yes", "auth_bind_userdn": "uid=%u,ou=people," + ldap.BASE},
    "base": {"base": "ou=%d," + ldap.BASE, "pass_filter": "(uid=%n)", "user_filter": "(uid=%n)"},
}


@pytest.mark.parametrize("mode", LDAP)
def test_ldap(slapd, mode):
    settings = dict(uris=slapd.uri, dn=ldap.SERVICE_DN, dnpass=ldap.SERVICE_PW, base=ldap.BASE)
    settings.update(LDAP[mode])
    held, same = slapd.held, same_prepared
    if mode == "base":  # nobody has a name with the right domain but this one
        held = {b"tim@people": held[b"tim"]}
    before = slapd.dump()
    with Attack("ldap", ldap.settings(**settings), held, same) as attack:
        attack.run()
        log = attack.server.logs()
        assert "refused by libldap" not in log and "auth-worker(ldap): Error" not in log, log[-2000:]
    assert slapd.dump() == before


LDAP_24 = """ldap_uris = %s
ldap_auth_dn = %s
ldap_auth_dn_password = %s
ldap_base = %s
passdb ldap {
  bind = %s
  filter = (&(uid=%%{user | reverse | reverse | safe})(!(uid=%%{user | concat('x')})))
  fields {
    user = %%{ldap:uid}
    password = %%{ldap:userPassword}
  }
}
userdb ldap {
  filter = (uid=%%{user | base64 | unbase64 | text | safe})
  fields {
    home = %%{ldap:homeDirectory}
    uid = %%{ldap:uidNumber}
    gid = %%{ldap:gidNumber}
  }
}
"""


@pytest.mark.parametrize("bind", ["no", "yes"])
def test_form_24_ldap(slapd, bind):
    before = slapd.dump()
    conf = LDAP_24 % (slapd.uri, ldap.SERVICE_DN, ldap.SERVICE_PW, ldap.BASE, bind)
    with Attack(None, conf, slapd.held, same_prepared) as attack:
        attack.run(every=3)
        log = attack.server.logs()
        assert "refused by libldap" not in log and "auth-worker(ldap): Error" not in log, log[-2000:]
    assert slapd.dump() == before


# ---- paths ----

@pytest.mark.parametrize("path", ["by-domain/%d", "by-name/%u", "by-domain/%d/../%d", "by-name/%{user}"])
def test_passwd_file_with_variables_in_its_path(path):
    where = proc.new_dir("w")
    line = b"tim:{PLAIN}%s:5000:5000::/held/1::\ntim@example.com:{PLAIN}%s:5000:5000::/held/1::\n" % (TIM, TIM)
    for name in ("by-domain", "by-name"):
        os.mkdir(os.path.join(where, name), 0o755)
    for name in ("by-domain/example.com", "by-name/tim", "by-name/tim@example.com", "users", "x"):
        kit.write(os.path.join(where, name), line)
    held = {b"tim@example.com": (1, TIM)}
    if path.startswith("by-name"):
        held[b"tim"] = (1, TIM)
    if ".." in path:
        held = {}
    with Attack("passwd-file", os.path.join(where, path), held) as attack:
        attack.run(1 if held else 5)  # without a user each of them costs a hash of SHA512-CRYPT
        traps = [b"../users", b"../x", b"tim@../users", b"tim@../by-name/tim", b"tim@/etc/passwd",
                 b"../by-name/tim", b"tim@."]
        attack.check_logins([(n, TIM) for n in traps])
