"""Names that try to be more than a value. Whoever finds a user with one of them has a hole."""

import itertools

CONDITIONS = ["1=1", "'1'='1'", "'1'='1", "1", "true", "email IS NOT NULL", "email LIKE '%'", "1 LIKE 1",
              "ascii(email)>0", "sleep(0)=0", "exists(select 1)", "email=email"]
QUOTES = ["'", '"', "`", "\\'", "''", "\\\\'", "'''", "\\\"", "$$", "$1", "?", "\xbf'".encode("latin-1"),
          b"\xbf\x5c'", b"\xe0\x5c'", b"\x81\x27", b"\xc0\xa7", "\u2019", "\u02bc", "\uff07", "%27", "%%27", "&#39;",
          "\x1a'", "\b'", "\r'", "\n'", "E'\\'", "q'[", "N'", "_utf8'", "x'27'", "$a$"]
ENDS = ["", "-- ", "--", "#", "/*", ";-- ", ";#", "\x00"]
UNIONS = ["UNION SELECT 'tim@example.com','x'", "UNION ALL SELECT email,password FROM users",
          "UNION SELECT 1,2,3,4,5", "LIMIT 1", "LIMIT 1 OFFSET 1", "INTO OUTFILE '/tmp/authd-test-x'", "PROCEDURE ANALYSE()",
          "ORDER BY 1", "HAVING 1", "RLIKE '.'"]
STATEMENTS = ["DROP TABLE users", "DELETE FROM users", "UPDATE users SET password=''",
              "INSERT INTO users VALUES('x@example.com','{PLAIN}x',1)", "SHUTDOWN", "SELECT pg_sleep(5)",
              "ATTACH DATABASE '/tmp/authd-test-x' AS y", "COPY users TO '/tmp/authd-test-x'",
              "SET GLOBAL sql_mode=''", "VACUUM"]
PLAIN = ["tim@example.com' -- ", "tim@example.com'#", "tim@example.com'/*", "tim@example.com\\", "tim@example.com\\'",
         "tim@example.com' and '1'='1", "tim@example.com'||'", "'||'tim@example.com", "tim@example.com'+'",
         "tim@example.com\x00", "tim@example.com\x00'", "tim@example.com\t", "tim@example.com\n", "\ttim@example.com",
         "(tim@example.com)", "0x74696d406578616d706c652e636f6d", "char(116,105,109)", "concat('tim','@example.com')",
         "CONCAT(0x74696d,0x406578616d706c652e636f6d)", "%", "_", "%@example.com", "tim%", "t_m@example.com", "*", "?",
         "$1", ":1", "@a", "@@version", "NULL", "null", "0", "1", "-1", "1e0", "true", "DEFAULT", "email", "users.email",
         "`email`", "\"email\"", "[email]", "(select email from users limit 1)", "%u", "%{user}", "%%u", "{{user}}",
         "${user}", "\\0", "\\x00", "\\%", "\\_", "'", "''", "\"", "\\", "\\\\", ";", "--", "/**/", "#", "x" * 1024, "'" * 1024,
         "\\" * 1023, "\xff\xfe", b"\xff\xfe\xfd", b"\xc3\x28", b"\xed\xa0\x80", b"tim@example.com\xff", b"\xf0\x9f\x98\x80",
         b"\x00", b"a\x00b", b"' OR 1=1 -- \xff"]


def all():
    """Every one of them as bytes, none twice."""
    found = {}
    for quote, condition, end in itertools.product(QUOTES, CONDITIONS[:4], ENDS[:4]):
        found[_join(quote, " OR ", condition, end)] = 1
    for quote, condition in itertools.product(QUOTES[:6], CONDITIONS):
        found[_join("tim@example.com", quote, " AND ", condition)] = 1
        found[_join("x", quote, ") OR (", condition)] = 1
    for quote, rest, end in itertools.product(QUOTES[:4], UNIONS, ENDS[1:4]):
        found[_join("x", quote, " ", rest, " ", end)] = 1
    for quote, rest in itertools.product(QUOTES[:6], STATEMENTS):
        found[_join("x", quote, "; ", rest, "; -- ")] = 1
    for text in PLAIN:
        found[_join(text)] = 1
    return list(found)


def _join(*parts):
    return b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)
