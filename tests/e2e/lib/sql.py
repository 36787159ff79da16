"""Database servers of the tests, each in a directory of its own, stopped by its own pid."""

import glob
import os
import shutil
import signal
import subprocess

from . import proc, users

QUOTA = 1000000
# user: (password hash, NULL columns), the same in every database
TABLE = {
    "tim@example.com": users.HASHES["tim"].replace("{SHA512-CRYPT}", ""),
    "anna@example.com": users.HASHES["anna@example.com"],
    "o'brien@example.com": users.HASHES["bob"],
    "back\\slash@example.com": users.HASHES["sue"],
    "j\u00fcrgen@example.com": users.HASHES["bob"],
}
PASSWORD = {
    "tim@example.com": users.PASSWORDS["tim"],
    "anna@example.com": users.PASSWORDS["anna@example.com"],
    "o'brien@example.com": users.PASSWORDS["bob"],
    "back\\slash@example.com": users.PASSWORDS["sue"],
    "j\u00fcrgen@example.com": users.PASSWORDS["bob"],
}
CREATE = ("CREATE TABLE users (email varchar(190) PRIMARY KEY, password varchar(250), quota int);"
          "CREATE TABLE domains (domain varchar(190) PRIMARY KEY);"
          "CREATE TABLE apps (email varchar(190), password varchar(250), label varchar(50));")


def literal(text, backslashes=False):
    if backslashes:
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "''") + "'"


def fill(backslashes=False):
    out = [CREATE]
    for email, password in TABLE.items():
        out.append("INSERT INTO users VALUES (%s, %s, %d);"
                   % (literal(email, backslashes), literal(password, backslashes), QUOTA))
    for label, password in (("phone", users.HASHES["prox"]), ("laptop", users.HASHES["bob"]),
                            ("old", users.HASHES["sue"])):
        out.append("INSERT INTO apps VALUES ('tim@example.com', %s, '%s');"
                   % (literal(password, backslashes), label))
    return "\n".join(out)


class MariaDB:
    """A server on 127.0.0.1 with the database "maildb" and its service user."""

    kind = "mysql"

    def __init__(self, port=None, options=(), address="127.0.0.1"):
        self.address = address
        self.dir = proc.new_dir("m")
        self.data = os.path.join(self.dir, "data")
        self.socket = os.path.join(self.dir, "s")
        self.port = port or proc.free_port()
        self.options = list(options)
        self.log = os.path.join(self.dir, "log")
        self.daemon = None

    def init(self):
        done = proc.run(["mariadb-install-db", "--no-defaults", "--user=root", "--datadir=" + self.data,
                         "--auth-root-authentication-method=normal", "--skip-test-db",
                         "--skip-name-resolve", "--innodb-log-file-size=4M", "--tmpdir=" + self.dir])
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()
        self.sql("CREATE DATABASE maildb; CREATE USER mailuser@'%' IDENTIFIED BY 'mailpassword';"
                 "CREATE USER mailuser@localhost IDENTIFIED BY 'mailpassword';"
                 "GRANT SELECT ON maildb.* TO mailuser@'%', mailuser@localhost;", "mysql")
        self.sql(fill(backslashes="NO_BACKSLASH_ESCAPES" not in " ".join(self.options)))
        return self

    def start(self):
        self.daemon = proc.Daemon(
            ["mariadbd", "--no-defaults", "--user=root", "--datadir=" + self.data,
             "--socket=" + self.socket, "--port=%d" % self.port, "--bind-address=" + self.address,
             # one that starts removes the temporary tables of others in the same directory
             "--tmpdir=" + self.dir, "--pid-file=" + os.path.join(self.dir, "pid"), "--skip-name-resolve",
             "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=2",
             "--character-set-server=utf8mb4", "--skip-log-bin", "--performance-schema=OFF"] + self.options, self.log)
        proc.wait_for("MariaDB\n" + self.tail(), self.up, 40)
        return self

    def tail(self):
        try:
            return open(self.log).read()[-2000:]
        except FileNotFoundError:
            return ""

    def up(self):
        assert self.daemon.running(), self.tail()
        return os.path.exists(self.socket) and proc.port_open(self.port, self.address) and self.client("SELECT 1", "mysql").returncode == 0

    def client(self, sql, db="maildb"):
        return proc.run(["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-u", "root", "--socket=" + self.socket, "-N", "-B", db,
                         "-e", sql])

    def sql(self, sql, db="maildb"):
        done = self.client(sql, db)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pid(self):
        return self.daemon.pid

    def kill(self):
        self.daemon.stop(signal.SIGKILL)

    def stop(self):
        if self.daemon:
            self.daemon.stop(signal.SIGTERM if self.daemon.running() else signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, **more):
        words = {"host": "127.0.0.1", "port": self.port, "dbname": "maildb", "user": "mailuser",
                 "password": "mailpassword"}
        words.update(more)
        return " ".join("%s=%s" % w for w in words.items())


class PostgreSQL:
    """The same in PostgreSQL, which runs as the user postgres."""

    kind = "pgsql"

    def __init__(self, options=(), port=None, address="127.0.0.1"):
        """options: of the server's configuration, "name=value"."""
        self.address = address
        self.options = [word for one in options for word in ("-c", one)]
        self.dir = proc.new_dir("p")
        self.data = os.path.join(self.dir, "data")
        self.port = port or proc.free_port()
        self.log = os.path.join(self.dir, "log")
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.daemon = None
        shutil.chown(self.dir, "postgres", "postgres")

    def as_postgres(self, *argv, **kw):
        return proc.run(["runuser", "-u", "postgres", "--"] + list(argv), cwd=self.dir, **kw)

    def init(self):
        done = self.as_postgres(self.bin + "/initdb", "-D", self.data, "-A", "scram-sha-256",
                                "--auth-local=trust", "-E", "UTF8", "--locale=C", "--no-sync", "-U", "postgres")
        assert done.returncode == 0, done.stderr
        self.start()
        self.sql("CREATE ROLE mailuser LOGIN PASSWORD 'mailpassword'", "postgres")
        self.sql("CREATE DATABASE maildb", "postgres")
        self.sql(fill() + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailuser")
        return self

    def start(self):
        self.daemon = proc.Daemon(
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
             self.bin + "/postgres", "-D", self.data, "-p", str(self.port), "-k", self.dir,
             "-c", "listen_addresses=" + self.address, "-c", "fsync=off", "-c", "shared_buffers=8MB",
             "-c", "max_connections=20"] + self.options, self.log)
        proc.wait_for("PostgreSQL", self.up, 40)
        return self

    def up(self):
        assert self.daemon.running(), open(self.log).read()[-2000:]
        return proc.port_open(self.port, self.address) and self.client("SELECT 1", "postgres").returncode == 0

    def client(self, sql, db="maildb"):
        return proc.run([self.bin + "/psql", "-X", "-q", "-t", "-A", "-h", self.dir, "-p", str(self.port),
                         "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql, db])

    def sql(self, sql, db="maildb"):
        done = self.client(sql, db)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pid(self):
        return self.daemon.pid

    def kill(self):
        self.daemon.stop(signal.SIGKILL)

    def stop(self):
        if self.daemon:
            self.daemon.stop(signal.SIGQUIT if self.daemon.running() else signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, **more):
        words = {"host": "127.0.0.1", "port": self.port, "dbname": "maildb", "user": "mailuser",
                 "password": "mailpassword"}
        words.update(more)
        return " ".join("%s=%s" % w for w in words.items())


class SQLite:
    kind = "sqlite"

    def __init__(self):
        self.dir = proc.new_dir("l")
        self.path = os.path.join(self.dir, "users.db")

    def init(self):
        self.sql(fill())
        os.chmod(self.path, 0o644)
        return self

    def sql(self, sql):
        done = subprocess.run(["sqlite3", self.path], input=".timeout 5000\n" + sql, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout

    def stop(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, **more):
        return " ".join([self.path] + ["%s=%s" % w for w in more.items()])


def settings_24(db, **more):
    """The driver and the server in the form of Dovecot 2.4, for the top level or a section."""
    if db.kind == "sqlite":
        return "sql_driver = sqlite\nsqlite_path = %s\n" % db.path
    words = {"port": db.port, "dbname": "maildb", "user": "mailuser", "password": "mailpassword"}
    words.update(more)
    lines = "".join('%s = "%s"\n' % word for word in words.items())
    if db.kind == "pgsql":
        lines = "parameters {\n%s}\n" % lines
    return "sql_driver = %s\n%s 127.0.0.1 {\n%s}\n" % (db.kind, db.kind, lines)
