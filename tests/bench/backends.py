"""Work that needs a database, a directory or PAM: authd beside dovecot-auth with the same files, and beside a
bare client of the same library in a loop. Each function adds its rows to the bench."""

import json
import os
import signal
import subprocess
import time

from contenders import CORES, PASSWORD, Server, TOOLS, end_load, hash_rate, load, proc, start_load, user_line
from lib import ldap, pam, sql
from rows import Target, against_dovecot, against_floor, spread

BOTH = ("authd", "dovecot-auth")
USERS = 1000
LANES = 8  # connections that a worker of authd has
MANY = ("-c", 8, "-f", 16, "-u", "user", "-U", USERS)
SECTIONS = """
auth_mechanisms = plain
passdb {
  driver = %(driver)s
  args = %(file)s
}
userdb {
  driver = %(driver)s
  args = %(file)s
}
"""
SQL_CONF = """driver = %s
connect = %s
password_query = %s
user_query = %s
"""
PASSWORD_QUERY = "SELECT email AS user_name, password FROM users WHERE email = %s"
USER_QUERY = "SELECT home, uid, gid FROM users WHERE email = %s"


def sections(driver, text):
    """The configuration with a driver whose file has this text."""
    path = os.path.join(proc.new_dir("c"), driver + ".conf.ext")
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o644)  # dovecot-auth is not root
    return SECTIONS % {"driver": driver, "file": path}


def start_pair(config, users=None):
    return {kind: Server(kind, users, config).start() for kind in BOTH}


def stop(servers):
    for one in servers.values():
        one.stop()


def bare(kind, seconds, *arguments, connections=LANES):
    out = subprocess.run([TOOLS / ("backend-" + kind), str(connections), str(seconds), str(USERS),
                          *map(str, arguments)], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["per_second"]


def login_row(b, name, servers, floor, of_floor=0.6):
    """floor: the bare client's rate in so many seconds."""
    for one in servers.values():
        load(one.client, *MANY, "-n", 2000)
    t = b.seconds(1)
    b.row(name, "logins/s",
          {**{k: (lambda s=s: load(s.client, *MANY, "-t", t)["per_second"]) for k, s in servers.items()},
           "floor": lambda: floor(t)},
          target=Target(">= %d%% of the floor, >= 3 x dovecot-auth" % (100 * of_floor),
                        lambda r: against_floor(r) >= of_floor and against_dovecot(r) >= 3), share=0.6)


def lookup_row(b, name, servers, floor):
    t = b.seconds(1)
    b.row(name, "lookups/s",
          {**{k: (lambda s=s: load(s.userdb, "-m", "userdb", *MANY, "-t", t)["per_second"])
              for k, s in servers.items()}, "floor": lambda: floor(t)},
          target=Target(">= 3 x dovecot-auth", lambda r: against_dovecot(r) >= 3), share=0.6)


# ---- sql ----

def fill():
    rows = ",".join("('user%d', '{PLAIN}%s', '/home/user%d', 5000, 5000)" % (i, PASSWORD, i) for i in range(USERS))
    return ("DROP TABLE users; CREATE TABLE users (email varchar(190) PRIMARY KEY, password varchar(250),"
            "home varchar(250), uid int, gid int); INSERT INTO users VALUES %s,('x@hung', '{PLAIN}%s', '/', 1, 1);"
            % (rows, PASSWORD))


def mariadb():
    db = sql.MariaDB(options=["--max-connections=200"]).init()
    db.sql(fill())
    return db, (db.socket, "mailuser", "mailpassword", "maildb"), {"host": db.socket}


def postgresql():
    db = sql.PostgreSQL(options=["max_connections=200"]).init()
    db.sql(fill() + "GRANT SELECT ON users TO mailuser")
    db.sql("ANALYZE users")
    return db, (db.connect(host=db.dir),), {"host": db.dir}


def sqlite():
    db = sql.SQLite().init()
    db.sql(fill())
    return db, (db.path,), {}


def sql_conf(db, **words):
    return SQL_CONF % (db.kind, db.connect(**words), PASSWORD_QUERY % "'%u'", USER_QUERY % "'%u'")


def databases(b, _):
    for name, kind, make in (("MariaDB", "mysql", mariadb), ("PostgreSQL", "pgsql", postgresql),
                             ("SQLite", "sqlite", sqlite)):
        db, where, words = make()
        mark = "$1" if kind == "pgsql" else "?"
        servers = start_pair(sections("sql", sql_conf(db, **words)))
        try:
            login_row(b, "%s, PLAIN, cheap scheme, 8 connections x 16" % name, servers,
                      lambda t: bare(kind, t, *where, PASSWORD_QUERY % mark))
            if kind != "sqlite":
                lookup_row(b, "%s, userdb lookups, 8 connections x 16" % name, servers,
                           lambda t: bare(kind, t, *where, USER_QUERY % mark))
        finally:
            stop(servers)
            db.stop()


# ---- ldap ----

FILTER = "(&(objectClass=posixAccount)(uid=%s))"
PASS_ATTRS = "uid=user,userPassword=password"
USER_ATTRS = "homeDirectory=home,uidNumber=uid,gidNumber=gid"


def people():
    return "".join(ldap.entry("uid=user%d,ou=people,%s" % (i, ldap.BASE), ["account", "posixAccount"],
                              uid="user%d" % i, cn="x", uidNumber="5000", gidNumber="5000",
                              homeDirectory="/home/user%d" % i, userPassword=PASSWORD)
                   for i in range(USERS))


def directory(b, _):
    slapd = ldap.Slapd(ldif=ldap.tree() + people()).start()
    common = {"uris": slapd.ldapi, "dn": ldap.SERVICE_DN, "dnpass": ldap.SERVICE_PW, "base": ldap.BASE,
              "pass_attrs": PASS_ATTRS, "pass_filter": FILTER % "%u", "user_attrs": USER_ATTRS,
              "user_filter": FILTER % "%u", "default_pass_scheme": "PLAIN"}

    def floor(attrs, password=""):
        return lambda t: bare("ldap", t, slapd.ldapi, ldap.SERVICE_DN, ldap.SERVICE_PW, ldap.BASE, FILTER, attrs,
                              password)

    for how, attrs, password in (("no", "uid,userPassword", ""), ("yes", "uid", PASSWORD)):
        servers = start_pair(sections("ldap", ldap.settings(auth_bind=how, **common)))
        try:
            login_row(b, "LDAP, PLAIN, %s, 8 connections x 16" % ("auth_bind" if password else "compared here"),
                      servers, floor(attrs, password))
            if not password:
                lookup_row(b, "LDAP, userdb lookups, 8 connections x 16", servers,
                           floor("homeDirectory,uidNumber,gidNumber"))
        finally:
            stop(servers)
    slapd.stop()


# ---- pam ----

def system(b, _):
    users, stack = pam.SystemUsers(), pam.Pam()
    try:
        value = pam.crypt_hash(PASSWORD)
        user = users.add("bench", value).pw_name
        service = stack.service("bench", "auth required pam_unix.so\naccount required pam_unix.so\n")
        servers = start_pair("auth_mechanisms = plain\npassdb {\n  driver = pam\n  args = %s\n}\n"
                             "userdb {\n  driver = passwd\n}\n" % service)
        t = b.seconds(2)
        args = ("-u", user, "-c", 8, "-f", 4)
        b.row("PAM, pam_unix, SHA512-CRYPT, 8 connections x 4", "logins/s",
              {**{k: (lambda s=s: load(s.client, *args, "-t", t)["per_second"]) for k, s in servers.items()},
               "floor": lambda: hash_rate("{SHA512-CRYPT}" + value, t)},
              target=Target(">= 80%% of %d x the bare hash" % CORES, lambda r: against_floor(r) >= 0.8), share=0.6,
              note="Debian 12's pam_unix computes each hash twice (a macro of its source evaluates crypt_r() twice). In authd the "
                   "second call gets the first one's result; dovecot-auth computes both.")
        stop(servers)
    finally:
        stack.close()
        users.close()


# ---- one that hangs ----

HANGING = """
auth_mechanisms = plain
passdb {
  driver = sql
  args = %s
  username_filter = *@hung
}
passdb {
  driver = passwd-file
  args = @passwd@
}
"""


def healthy_p99(server, seconds):
    """Of logins that have nothing to do with the database, while others ask for it."""
    others = start_load(server.client, "-R", "-u", "x@hung", "-c", 4, "-f", 4, "-r", 50, "-t", seconds)
    p99 = load(server.client, "-u", "plain", "-c", 8, "-t", seconds)["p99_us"]
    end_load(others)
    return p99


def wait_until_it_answers(server):
    proc.wait_for("the database to be asked again",
                  lambda: load(server.client, "-R", "-u", "x@hung", "-n", 1)["lost"] == 0, 60)


def hang(server, db, seconds):
    """p99 in the first seconds and later, each over p99 before."""
    before = healthy_p99(server, seconds)
    os.kill(db.pid(), signal.SIGSTOP)
    try:
        first = healthy_p99(server, seconds)
        later = healthy_p99(server, seconds)
    finally:
        os.kill(db.pid(), signal.SIGCONT)
    wait_until_it_answers(server)
    return first / before, later / before


def hanging(b, hashes):
    db, _, words = mariadb()
    config = HANGING % sections("sql", sql_conf(db, **words)).split("args = ", 1)[1].split("\n", 1)[0]
    servers = start_pair(config, {"plain": hashes["plain"]})
    for one in servers.values():
        load(one.client, "-u", "plain", "-c", 8, "-n", 2000)
        load(one.client, "-u", "x@hung", "-c", 4, "-n", 200)
    got = b.turns({k: (lambda s=s: hang(s, db, b.seconds(1))) for k, s in servers.items()}, b.rounds_of(0.6))
    stop(servers)
    db.stop()
    for i, when in enumerate(("in the first seconds", "later")):
        row = {"name": "a passdb hangs: p99 of the other's logins / before, %s" % when, "unit": "ratio",
               "rounds": b.rounds_of(0.6), "note": None}
        if i == 0:
            row["note"] = ("MariaDB is stopped (SIGSTOP) while 50 logins a second need it; the logins that count "
                           "are for a passwd-file, one at a time on each of 8 connections.")
        row.update({k: spread([r[i] for r in v]) for k, v in got.items()})
        b.finish(row, Target("<= 1.2", lambda r: r["authd"]["median"] <= 1.2))


def run(b, hashes):
    databases(b, hashes)
    directory(b, hashes)
    system(b, hashes)
    hanging(b, hashes)
