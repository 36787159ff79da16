"""The users of the tests. Each password is unlike any other text, so that logs can be searched."""

import os

# uid and gid of all of them; Dovecot's first_valid_uid is 500
UID = GID = 65534

PASSWORDS = {
    "tim": "tim-Tanstaaf8",
    "anna@example.com": "anna-Argonaut9",
    "bob": "bob-Hyphen31",
    "sue": "sue-Sapphire5",
    "prox": "prox-Quartz77",
    "nets": "nets-Meridian4",
    "free": "",
    "chief": "chief-Obsidian6",  # a master user

}
WRONG = "wrong-Zeppelin2"  # nobody's
STATIC = "static-Basalt12"  # of a static passdb

HASHES = {
    "tim": "{SHA512-CRYPT}$6$7WuQ7eZ8FXnsqxx5$KRv4XCYlcYxntRknEZqUd78ciWqWngmlqCF2JP7X94E"
           "/0ff./4Cwyf5RETJtBwgozj630X4F4U0EzmXJo9U2Y.",
    "anna@example.com": "{ARGON2ID}$argon2id$v=19$m=8192,t=2,p=1$4CY6ZVeK9pze5zN560v6Zg"
                        "$yfwzkKLOLYVb0FJXw/H+MbM3H6gQcjUiqvNIgcKDJDQ",
    "bob": "{BLF-CRYPT}$2y$05$iK08tvkBYtxYSF4/4uYsTeWTY/xoX664AvaLBIS9OH73rNMSciUwK",
    "sue": "{SSHA256}gyeby1YVkKLF0cuXrBEYD5+wt4LAPDuSIuIK0YlKkL4Il5Bf",
    "prox": "{PLAIN}prox-Quartz77",
    "nets": "{PLAIN}nets-Meridian4",
    "free": "",
    "chief": "{PLAIN}chief-Obsidian6",
}

EXTRA = {
    "sue": "userdb_mail=maildir:~/Maildir userdb_quota_rule=*:storage=1G",
    "prox": "proxy=y host=192.0.2.1 port=143 destuser=other nologin=y",
    "nets": "allow_nets=192.0.2.0/24,10.0.0.1",
    "free": "nopassword=y",
}


def secrets():
    """What no log may contain: passwords, and the parts of the hashes that tell them."""
    found = [p for p in PASSWORDS.values() if p] + [WRONG, STATIC]
    for text in HASHES.values():
        if "$" in text:
            found.append(text.rsplit("$", 1)[1])
    return found


def line(name, home):
    return ":".join([name, HASHES[name], str(UID), str(GID), "", home, "", EXTRA.get(name, "")])


def write(path, mail_root, names=None):
    """A passwd-file of all users but the master user; their homes are made."""
    lines = []
    for name in names or [n for n in PASSWORDS if n != "chief"]:
        home = os.path.join(mail_root, name)
        os.makedirs(home, exist_ok=True)
        os.chown(home, UID, GID)
        lines.append(line(name, home))
    write_lines(path, lines)


def write_lines(path, lines):
    """Replaces the file in one step, readable for every unprivileged worker of a test."""
    with open(path + ".new", "w") as f:
        f.write("".join(text + "\n" for text in lines))
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)
