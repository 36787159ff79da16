"""Users of this machine: passwd, shadow, pam."""

import ctypes
import fcntl
import os
import pwd

from kit import Adapter, write
from lib import pam

SIMPLE = bytes(b for b in range(256) if not chr(b).isalnum() or b > 127)


LIBCRYPT = ctypes.CDLL("libcrypt.so.1")
LIBCRYPT.crypt.restype = ctypes.c_char_p


def hashed(password):
    return LIBCRYPT.crypt(password, b"$6$rounds=1000$abcdefgh").decode() if password is not None else "*"


class SystemUsers(Adapter):
    """Real users, made with useradd; their names begin with letters that nobody else's have."""

    names_max = 8
    bad_in_names = SIMPLE
    bad_in_passwords = b"\0"
    password_max = 511  # of crypt(3)
    others = True

    def holds_name(self, name):
        return super().holds_name(name) and name != b"0"

    def start(self, users):
        self.system = pam.SystemUsers()
        for u in users:
            plain = u.name.decode()
            options = ["-u", str(self.free_uid()), "-d", (u.home or b"").decode()]
            entry = self.system.add(plain, hashed(u.password), *options)
            u.name = entry.pw_name.encode()
            u.uid, u.gid = entry.pw_uid, entry.pw_gid

    @staticmethod
    def free_uid():
        taken = {p.pw_uid for p in pwd.getpwall()}
        return next(uid for uid in range(20000, 60000) if uid not in taken)

    def stop(self):
        self.system.close()


class Shadow(SystemUsers):
    name = "shadow"
    driver = "shadow"
    cannot = {
        "userdb": "the file has passwords only",
        "fields": "the file has passwords only",
        "credential": "there are hashes of crypt(3) only",
        "list": "the file has passwords only",
        "no home": "the file has passwords only",
        "twice": "a line has a fixed form",
        "double": "useradd refuses it",
    }


class Passwd(SystemUsers):
    """The hashes stand in /etc/passwd itself."""

    name = "passwd"
    driver = "passwd"
    cannot = {
        "fields": "a line has a fixed form",
        "credential": "there are hashes of crypt(3) only",
        "no home": "useradd always sets one",
        "twice": "a line has a fixed form",
        "double": "useradd refuses it",
    }
    settings = "first_valid_uid = 500\n"

    def start(self, users):
        super().start(users)
        hashes = {u.name: hashed(u.password) for u in users if u.password is not None}
        with open("/etc/.pwd.lock", "w") as lock:  # as lckpwdf(3)
            fcntl.lockf(lock, fcntl.LOCK_EX)
            with open("/etc/passwd", "rb") as f:
                lines = f.read().splitlines(True)
            for i, line in enumerate(lines):
                name, _, rest = line.split(b":", 2)
                if name in hashes:
                    lines[i] = b":".join([name, hashes[name].encode(), rest])
            write("/etc/passwd.authd-test", b"".join(lines))
            os.rename("/etc/passwd.authd-test", "/etc/passwd")


class Pam(Adapter):
    """pam_pwdfile, which knows other users than the machine does."""

    name = "pam"
    driver = "pam"
    cannot = {
        "show": "PAM judges, it shows nothing",
        "fields": "PAM judges, it shows nothing",
        "credential": "PAM judges, it shows nothing",
        "userdb": "PAM judges, it shows nothing",
        "list": "PAM judges, it shows nothing",
        "no home": "PAM judges, it shows nothing",
        "twice": "PAM judges, it shows nothing",
        "double": "pam_pwdfile takes the first",
    }
    bad_in_names = b":\r\n\0"
    bad_in_passwords = b"\0"
    password_max = 511

    def start(self, users):
        path = os.path.join(self.dir, "pwdfile")
        write(path, b"".join(b"%s:%s\n" % (u.name, hashed(u.password).encode())
                             for u in users))
        self.pam = pam.Pam()
        self.args = self.pam.service("conformance", (
            "auth required pam_pwdfile.so pwdfile=%s\naccount required pam_permit.so\n" % path))

    def stop(self):
        self.pam.close()
