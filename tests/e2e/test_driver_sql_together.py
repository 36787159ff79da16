"""Questions that go to MariaDB as one statement: each is answered as it would be alone, whatever the query."""

import pytest

from lib import sql
from test_driver_sql import MASTER, start

pytestmark = pytest.mark.authd_only("the driver's own tests")

USERS = 60
COUNT = 240  # in one burst
CONF = """driver = mysql
connect = %s
default_pass_scheme = PLAIN
user_query = %s
password_query = %s
"""
USERDB = "userdb {\n  driver = sql\n  args = %(conf)s\n}\npassdb {\n  driver = sql\n  args = %(conf)s\n}\n"
PASSWORD_QUERY = "SELECT email AS user, concat(note, '{}') AS password FROM odd WHERE email = '%u'"
# (query, whether it can be asked together)
QUERIES = {
    "columns": ("SELECT small, note, c10, day, amount FROM odd WHERE email = '%u'", True),
    "values": ("SELECT '/home/%d/%n' AS home, 5000 AS uid, '%u' AS a, NULL AS b FROM odd WHERE email = '%u'", True),
    "blanks at an end": ("SELECT '%u ' AS home, cast('%n ' AS char) AS a, concat(note, ' ') AS b FROM odd WHERE email = '%u'", True),
    "no table": ("SELECT '/home/%d/%n' AS home", True),
    "end": ("SELECT note FROM odd WHERE email = '%u' ; ", True),
    "comment": ("SELECT note FROM odd WHERE email = '%u' -- so", True),
    "limit": ("SELECT note, concat('x', '%u') AS x FROM odd WHERE email = '%u' ORDER BY note LIMIT 1", False),
    "union": ("SELECT note FROM odd WHERE email = '%u' UNION SELECT c10 FROM odd WHERE small < 0 AND email = '%u'", False),
    "group": ("SELECT count(*) AS uid, max(note) AS note FROM odd WHERE email = '%u' GROUP BY email", False),
    "sub-query": ("SELECT (SELECT note FROM odd o WHERE o.small = odd.small) AS note FROM odd WHERE email = '%u'", True),
    "enum": ("SELECT e, note FROM odd WHERE email = '%u'", True),
    "types": ("SELECT small, n, f, amount, e, c10, day, bits + 0 AS bits, note FROM odd WHERE email = '%u'", True),
    "everything": ("SELECT * FROM odd WHERE email = '%u'", None),
    "leading zeros": ("SELECT zeros FROM odd WHERE email = '%u'", False),
    "float": ("SELECT f, f * 3 AS g FROM odd WHERE email = '%u'", None),
    "bits": ("SELECT hex(bits) AS bits, bits + 0 AS n FROM odd WHERE email = '%u'", None),
    "one name twice": ("SELECT note, note FROM odd WHERE email = '%u'", False),
    "variable": ("SELECT @x := small AS small, @x + 1 AS y FROM odd WHERE email = '%u'", False),
}


def fill():
    rows = []
    for i in range(USERS):
        if i % 7 != 6:  # does not exist
            rows.append("('u%d@example.com', %d, %d, %d.5, %d.25, '%s', '%s', 'c%d', '2024-01-%02d 10:00:00', %s, b'%s')"
                        % (i, i, i, i, i, "yes" if i % 2 else "no", "n" * (i * 17 % 700 + 1), i, i % 28 + 1,
                           i if i % 3 else "NULL", "01" if i % 2 else "10"))
    return ("CREATE TABLE odd (email varchar(190) PRIMARY KEY, small smallint, zeros int(6) zerofill, f float, "
            "amount decimal(8,2), e enum('yes','no'), note text, c10 char(10), day datetime, n int unsigned, bits bit(2));"
            "INSERT INTO odd VALUES %s;" % ",".join(rows))


@pytest.fixture(scope="module")
def mariadb():
    db = sql.MariaDB().init()
    db.sql(fill())
    yield db
    db.stop()


def executed(db):
    return int(db.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").split()[1])


def names():
    # short ones and long ones after each other, each several times
    return ["u%d@example.com" % (i * 37 % USERS) for i in range(COUNT)]


def answer(reply):
    return reply.cmd, [a for a in reply.args if not a.startswith("reason=")]


def alone(server):
    with server.master("auth-master") as c:
        return {name: answer(c.user(name)) for name in set(names())}


def burst(server, command="USER"):
    """The answers to all of them at once, by name."""
    got = []
    with server.master("auth-master") as c:
        for _ in range(2):  # the first ones are asked alone
            asked = dict(enumerate(names(), 1))
            c.raw("".join("%s\t%d\t%s\tservice=imap\n" % (command, i, name) for i, name in asked.items()))
            for _ in range(COUNT):
                reply = c.reply()
                got.append((asked.pop(int(reply.id)), answer(reply)))
    return got


@pytest.mark.parametrize("kind", QUERIES)
def test_query(mariadb, kind):
    query, together = QUERIES[kind]
    server = start(CONF % (mariadb.connect(), query, PASSWORD_QUERY), text=USERDB, listeners=[MASTER])
    try:
        want = alone(server)
        before = executed(mariadb)
        for name, got in burst(server):
            assert got == want[name], name
        count = executed(mariadb) - before
        assert together is None or (count < 2 * COUNT) == together, count
        if "WHERE" in query:
            assert {cmd for cmd, _ in want.values()} == {"USER", "NOTFOUND"}
    finally:
        server.stop()


def test_what_changes_something_is_done_once(mariadb):
    """As often as it was asked, whatever the statement looks like."""
    mariadb.sql("CREATE TABLE log (name varchar(190)); DROP FUNCTION IF EXISTS logged; GRANT EXECUTE ON maildb.* TO mailuser@'%'")
    mariadb.sql("DELIMITER //\nCREATE FUNCTION logged(u varchar(190)) RETURNS varchar(190) MODIFIES SQL DATA"
                " BEGIN INSERT INTO log VALUES (u); RETURN u; END//")
    server = start(CONF % (mariadb.connect(), "SELECT logged('%u') AS home", PASSWORD_QUERY), text=USERDB, listeners=[MASTER])
    try:
        got = burst(server)
        assert all(answer == ("USER", [name, "home=" + name]) for name, answer in got)
        assert mariadb.sql("SELECT count(*) FROM log").strip() == str(2 * COUNT)
    finally:
        server.stop()


def test_a_limit_of_the_server(mariadb):
    """sql_select_limit is for one question's rows, not for those of all together."""
    mariadb.sql("SET GLOBAL sql_select_limit = 1")
    try:
        test_query(mariadb, "columns")
        test_query(mariadb, "limit")
    finally:
        mariadb.sql("SET GLOBAL sql_select_limit = DEFAULT")


def test_it_can_be_switched_off(mariadb):
    conf = CONF % (mariadb.connect(), QUERIES["columns"][0], PASSWORD_QUERY)
    server = start(conf + "ask_together = no\n", text=USERDB, listeners=[MASTER])
    try:
        before = executed(mariadb)
        burst(server)
        assert executed(mariadb) - before == 2 * COUNT
    finally:
        server.stop()


def test_one_that_fails(mariadb):
    """Two rows of a sub-query for one user: an error for that one, and nobody else."""
    query = ("SELECT (SELECT x.note FROM odd x WHERE x.email = '%u' OR (x.small = 5 AND '%u' = 'u1@example.com')) AS note"
             " FROM odd WHERE email = '%u'")
    server = start(CONF % (mariadb.connect(), query, PASSWORD_QUERY), text=USERDB, listeners=[MASTER])
    try:
        want = alone(server)
        assert [name for name, (cmd, _) in want.items() if cmd == "FAIL"] == ["u1@example.com"]
        before = executed(mariadb)
        for name, got in burst(server):
            assert got == want[name], name
        assert executed(mariadb) - before < 2 * COUNT
    finally:
        server.stop()


def test_both_queries_at_once(mariadb):
    """A passdb and a userdb on one file share connections."""
    server = start(CONF % (mariadb.connect(), QUERIES["values"][0], PASSWORD_QUERY), text=USERDB, listeners=[MASTER])
    try:
        with server.master("auth-master") as c:
            for _ in range(2):
                lines, asked = [], {}
                for i, name in enumerate(names()):
                    command = "PASS" if i % 2 else "USER"
                    asked[i + 1] = (command, name)
                    lines.append("%s\t%d\t%s\tservice=imap\n" % (command, i + 1, name))
                c.raw("".join(lines))
                for _ in range(COUNT):
                    reply = c.reply()
                    command, name = asked.pop(int(reply.id))
                    if int(name[1:].split("@")[0]) % 7 == 6:
                        assert reply.cmd == "NOTFOUND"
                    elif command == "USER":
                        assert reply.get("home") == "/home/example.com/" + name.split("@")[0]
                    else:
                        assert reply.cmd == "PASS" and reply.get("user") == name
    finally:
        server.stop()
