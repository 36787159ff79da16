"""Drivers without a server: passwd-file, static, checkpassword."""

import os

from kit import Adapter, escaped, stored, write


class PasswdFile(Adapter):
    name = "passwd-file"
    driver = "passwd-file"
    args = "@dir@/users"
    bad_in_names = b":\r\n"
    double = b"double-One"

    def start(self, users):
        lines = []
        for u in users:
            extra = b" ".join([b"color=%d" % u.uid] + [b"userdb_mail=" + m for m in u.mail])
            lines.append(b":".join([escaped(u.name), stored(u).encode(), b"%d" % u.uid, b"%d" % u.gid, b"",
                                    u.home or b"", b"", extra]) + b"\n")
        write(os.path.join(self.dir, "users"), b"".join(lines))


class Static(Adapter):
    name = "static"
    driver = "static"
    args = "password=static-Basalt12 color=5000"
    userdb_args = "uid=5000 gid=6000 home=/srv/static mail=first mail=last"
    cannot = {
        "unknown": "everybody is there",
        "own": "all users have the same password and fields",
        "list": "there is no list of everybody",
        "no password": "it has one user for all",
        "no home": "it has one user for all",
        "double": "it has one user for all",
    }
    password = b"static-Basalt12"

    def start(self, users):
        for u in users:
            u.password, u.uid, u.gid, u.home = self.password, 5000, 6000, b"/srv/static"
            u.mail = (b"first", b"last")


class Checkpassword(Adapter):
    """The program looks names and passwords up in a file of hexadecimal numbers."""

    name = "checkpassword"
    driver = "checkpassword"
    args = "@dir@/program"
    cannot = {
        "list": "the program is asked about one user at a time",
        "credential": "the program judges, it shows no password",
        "no password": "the program judges, it shows no password",
        "twice": "an environment has no name twice",
        "double": "the program decides who is meant",
    }
    bad_in_names = b"\0"
    bad_in_passwords = b"\0"

    def start(self, users):
        lines = [" ".join([u.name.hex(), (u.password or b"").hex() or "-", str(u.uid), str(u.gid),
                           (u.home or b"").hex() or "-", b",".join(u.mail).hex() or "-"]) for u in users]
        write(os.path.join(self.dir, "users"), "\n".join(lines).encode() + b"\n")
        write(os.path.join(self.dir, "program"), PROGRAM.replace("@dir@", self.dir).encode(), 0o755)


PROGRAM = """#!/usr/bin/python3 -IS
import os, sys
data = b""
while chunk := os.read(3, 65536):
    data += chunk
name, password = data.split(b"\\0")[:2]
for line in open("@dir@/users"):
    user, right, uid, gid, home, mail = line.split()
    if bytes.fromhex(user) == name:
        break
else:
    sys.exit(3)
if os.environ.get("AUTHORIZED") == "1":
    os.environ["AUTHORIZED"] = "2"
elif right != (password.hex() or "-"):
    sys.exit(1)
os.environ["userdb_uid"], os.environ["userdb_gid"], os.environ["color"] = uid, gid, uid
extra = ["userdb_uid", "userdb_gid", "color"]
os.environ.pop("HOME", None)
if home != "-":
    os.environb[b"HOME"] = bytes.fromhex(home)
if mail != "-":
    os.environb[b"userdb_mail"] = bytes.fromhex(mail)
    extra.append("userdb_mail")
os.environ["EXTRA"] = " ".join(extra)
os.execv(sys.argv[1], sys.argv[1:])
"""
