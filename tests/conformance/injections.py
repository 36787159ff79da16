#!/usr/bin/python3
"""Strings that try to be more than a value, by categories. Whoever finds a user with one of them has a hole.

They stand in injections.json, where each character is one byte (latin-1). "injections.py" writes that file
anew; a test compares. all() reads it.
"""

import itertools
import json
import os

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "injections.json")
TRUE = ["1=1", "'1'='1'", "'1'='1", "1", "true", "name IS NOT NULL", "name LIKE '%'", "ascii(name)>0",
        "exists(select 1)", "name=name", "1 LIKE 1", "sleep(0)=0"]
ENDS = ["", "-- ", "--", "#", "/*", ";-- ", ";%00", "\0", "'-- -", ") -- ", "\n-- "]
QUOTES = ["'", '"', "`", "\\'", "''", "\\\\'", "'''", '\\"', "$$", "$a$", "q'[", "E'\\'", "N'", "_utf8'", "x'27'",
          "%27", "%%27", "%2527", "&#39;", "\\u0027", "\\x27", "\\047", "\x1a'", "\b'", "\r'", "\n'", "\0'", "{fn '",
          "[", "\xe2\x80\x99", "\xca\xbc", "\xef\xbc\x87"]
STATEMENTS = ["DROP TABLE people", "DELETE FROM people", "UPDATE people SET password='{PLAIN}x'",
              "INSERT INTO people(name,password) VALUES('x','{PLAIN}x')", "SHUTDOWN", "SELECT pg_sleep(9)",
              "SELECT sleep(9)", "ATTACH DATABASE '@file@' AS y", "COPY people TO '@file@'", "SET GLOBAL sql_mode=''",
              "CREATE TABLE pwned(x int)", "TRUNCATE people", "ALTER TABLE people RENAME TO y",
              "PRAGMA writable_schema=1", "COMMIT", "LOCK TABLES people WRITE"]
FILE = "/tmp/authd-test-injected"
# the second byte of a character in GBK, Big5 or SJIS may be a quote's escape, or swallow one
LEADS = ["\xbf", "\xe0", "\x81", "\x95", "\xfe", "\xa1", "\x8f", "\xc0", "\xf0\x9f", "\xef\xbc", "\xbf\x5c",
         "\x95\x5c", "\x83\x5c", "\xc0\xa7", "\xe0\x80\xa7", "\xed\xa0\x80"]
LDAP = ["*", "(", ")", "\\", "&", "|", "!", "=", "~", "<", ">", "/", ",", "+", '"', ";", "#", "\x7f", "\\2a", "\\00",
        "\\28", "*)(uid=*", "*))(|(uid=*", ")(objectClass=*", "*)(|(uid=tim", "\\29\\28uid=\\2a",
        "*)(uid=*))(|(uid=*", ")(&", "))(|(cn=*", "*)(&)", "(&(uid=tim))", ":=", ":dn:=", ":2.5.13.2:=tim", "~=tim",
        ">=a", "\xe2\x80\xa8", "\xc2\xad"]
VARIABLES = ["%u", "%n", "%d", "%w", "%%", "%%u", "%%%u", "%", "% u", "%{user}", "%{password}", "%{env:PATH}",
             "%{if;1;==;1;tim;x}", "%{sha256:user}", "%Lu", "%32Nu", "%-1.5u", "%{", "%}", "%{user", "%{user|lower}",
             "%{user | upper | base64}", "%{userdb:home}", "%{passdb:password}", "{{user}}", "${user}", "$ENV:PATH",
             "%{ldap:uid}", "%$", "%{ldap_dn:x}", "%1Mu"]
FORMATS = ["%s", "%n", "%x", "%p", "%s%s%s%s%n", "%1$s", "%08x.%08x", "%9999999d", "%.*s", "%hhn", "%*d", "%lld%%n",
           "{0}", "{}", "$1", "?", ":1", "@a", "@@version", "$(id)", "`id`", "|id", "; id", "&& id", "\n.\n", "!x",
           "~root"]
PATHS = ["../", "../../etc/passwd", "/etc/passwd", "./", ".", "..", "...", "a/../b", "a/./b", "//", "users/../users",
         "..\\", "..%2f", "%2e%2e%2f", "\xc0\xae\xc0\xae/", "tim/../tim", "tim/", "/tim", "tim/.", "../users/tim",
         "....//", "/dev/stdin", "/proc/self/fd/3", "~/x", "file:///etc/passwd", "x\0/../tim", "CON", "tim.",
         "a" * 254 + "/", "a" * 256, "../" * 200]
CONTROL = ["\0", "\1", "\x01t", "\x01" + "0", "\x01n", "\t", "\n", "\r", "\r\n", "\x1b[2J", "\x7f", "\x85", "\b" * 4,
           "\x0b", "\x0c", "\x1f", "\xff", "\xfe\xff", "\tuser=tim", "\nOK\t1\tuser=tim", "\r\nUSER\t1\ttim",
           "\x01tuser=tim", "\nAUTH\t9\tPLAIN", "\0tim", "tim\0", "\xef\xbb\xbf", "\xe2\x80\xae", "\xe2\x80\x8b",
           "\xc2\xa0"]
NUMBERS = ["0", "1", "-1", "00", "0.0", "1e0", "0x0", "0x74696d", "NULL", "null", "true", "false", "DEFAULT",
           "CURRENT_USER", "name", "people.name", "`name`", '"name"', "[name]", "(select name from people limit 1)",
           "char(116,105,109)", "concat('t','im')", "CONCAT(0x7469,0x6d)", "'t'||'im'", "'ti' 'm'", "b'0'", "NaN",
           "Infinity", "9" * 40, "_", "%", "t_m", "ti%", "t*", "t?m", "^tim$", "[t]im"]
LONG = ["x" * 4000, "'" * 1023, "'" * 1024, "\\" * 1023, "\\" * 1024, "%" * 1000, "*" * 500, "(" * 500,
        ")" * 300 + "(" * 300, "\xbf'" * 300, "\\'" * 500, "tim" + "\\2a" * 50, "tim" + " " * 300, " " * 1000,
        "\xf0\x9f\x98\x80" * 200]


def make():
    """{category: strings}"""
    product = itertools.product
    return {
        "SQL quoting": [q + " OR " + t + e for q, t, e in product(QUOTES, TRUE[:4], ENDS[:4])]
        + ["tim" + q + " AND " + t for q, t in product(QUOTES[:6], TRUE)]
        + ["x" + q + ") OR (" + t for q, t in product(QUOTES[:6], TRUE)],
        "SQL comments": ["tim" + q + e for q, e in product(QUOTES[:8], ENDS)] + ["tim/**/", "tim/*", "/*!00000 tim*/",
        "ti/**/m", "--tim"],
        "SQL unions": ["x" + q + " " + u + e for q, u, e in product(
            QUOTES[:4], ["UNION SELECT 'tim','{PLAIN}x'", "UNION ALL SELECT name,password FROM people",
            "UNION SELECT 1,2,3,4,5",
                         "LIMIT 1 OFFSET 1", "INTO OUTFILE '@file@'", "PROCEDURE ANALYSE()", "ORDER BY 1",
                         "RLIKE '.'"],
            ENDS[1:4])],
        "SQL statements": ["x" + q + "; " + s + "; -- " for q, s in product(QUOTES[:6], STATEMENTS)],
        "SQL backslashes": ["\\" * n + "'" + t for n, t in product(range(1, 6), (" OR 1=1 -- ", " OR '1'='1",
        "; DROP TABLE people; -- "))]
        + ["tim\\", "tim\\\\", "tim\\'", "\\tim", "\\0", "\\x00", "\\%", "\\_", "\\Z", "'||'tim", "tim'||'",
        "tim'+'"],
        "multi-byte": [lead + q + t for lead, q, t in product(LEADS, ("'", '"', "\\'", "\\"), (" OR 1=1 -- ", "",
        "; DROP TABLE people; -- "))]
        + ["tim" + lead for lead in LEADS],
        "numbers and words": NUMBERS,
        "format strings": FORMATS + ["tim" + f for f in FORMATS[:12]],
        "variables": VARIABLES + ["tim" + v for v in VARIABLES] + [v + "'" for v in VARIABLES],
        "LDAP": [p + m + s for m, (p, s) in product(LDAP, (("", ""), ("tim", ""), ("", "tim"), ("t", "im"), ("nobody",
        ")(uid=tim"),
                                                        ("nobody)(", "(uid=tim"), ("nobody", "(|(uid=tim")))],
        "DN": ["tim,ou=people", "tim+cn=x", "x,uid=tim", "tim,dc=example,dc=org", "#74696d", "#0403", "uid=tim",
        "tim\\", "\\74im", "\\2c", "tim\\,",
               "\\#tim", "tim;x", "tim<x>", "tim=x", ' "tim"', "tim ", " tim", "tim\\20", "cn=admin",
               "tim,uid=tim,ou=people,dc=example,dc=org",
               "x\\00tim"],
        "paths": PATHS + ["tim@" + p for p in PATHS],
        "control": CONTROL + [c + "tim" for c in CONTROL] + ["t" + c + "im" for c in CONTROL],
        "long": LONG,
    }


def text():
    found = {key: list(dict.fromkeys(s.replace("@file@", FILE) for s in strings)) for key, strings in make().items()}
    return json.dumps(found, indent=0) + "\n"


def all():
    """Every one of them as bytes, none twice."""
    with open(PATH) as f:
        found = json.load(f)
    return list(dict.fromkeys(s.encode("latin-1") for strings in found.values() for s in strings))


if __name__ == "__main__":
    with open(PATH, "w") as f:
        f.write(text())
