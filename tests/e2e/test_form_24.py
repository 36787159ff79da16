"""Files in the form of Dovecot 2.4, whole: what they become, what is passed over, what the tools say of them."""

import os
import re

import pytest

from lib import authserver, proc, sql, users

pytestmark = pytest.mark.authd_only("it is about authd's configuration")

# as an administrator's own, with what a mail server has besides; parts stand in files of their own
DOVECOT_CONF = """dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = %(dir)s/run
default_internal_user = nobody
default_internal_group = nogroup
log_path = /dev/stderr
protocols {
  imap = yes
  lmtp = yes
}
mail_driver = maildir
mail_home = /var/vmail/%%{user | domain | lower}/%%{user | username | lower}
mail_path = ~/Maildir
@mailbox_defaults = english
namespace inbox {
  inbox = yes
  mailbox Trash {
    auto = create
  }
}
ssl_server {
  cert_file = /etc/ssl/cert.pem
}
!include conf.d/*.conf
!include_try local.conf
service auth {
  unix_listener auth-client {
    mode = 0600
    user = $SET:default_internal_user
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
protocol lmtp {
  mail_plugins {
    quota = yes
  }
  auth_username_format = %%{user | username}
}
"""
AUTH_CONF = """auth_mechanisms {
  plain = yes
  login = yes
}
auth_allow_cleartext = yes
auth_username_format = %%{user | lower}
auth_failure_delay = 0
group @users plain {
  passwd_file_path = %(dir)s/users
}
passdb passwd-file {
  @users = plain
  fields {
    greeting = %%{user | username | upper} of %%{user | domain | default("nowhere")}
  }
}
userdb passwd-file {
  @users = plain
}
userdb static {
  fields {
    uid = 5000
    home:default = /var/vmail/%%{user}
  }
}
"""
USERS = """tim@example.com:%s:1000:1000::/home/tim::userdb_mail=maildir:~/%%{user|domain|reverse} tag=%%{service|hexlify(4)} odd=%%u
weak@example.com:{MD5-CRYPT}$1$GgvxyNz8$OjZhLh4P.gF1lxYEbLZ3e/:1000:1000::/home/weak
""" % users.HASHES["tim"]


class Whole(authserver.Authd):
    """authd --dovecot on a dovecot.conf that is written as it is here."""

    def write_config(self, text=None):
        os.makedirs(os.path.join(self.dir, "conf.d"), exist_ok=True)
        for name, content in (("auth.conf", DOVECOT_CONF), ("conf.d/10-auth.conf", AUTH_CONF)):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(content % {"dir": self.dir})
        with open(os.path.join(self.dir, "users"), "w") as f:
            f.write(USERS)
        os.chmod(os.path.join(self.dir, "users"), 0o644)


def ctl(*argv):
    return proc.run([authserver.AUTHCTL, *argv])


@pytest.fixture(scope="module")
def whole():
    server = Whole("", listeners=[authserver.Listener(name) for name in ("auth-client", "auth-master", "login/login",
                                                                         "token-login/tokenlogin")])
    server.options = ["--dovecot"]
    yield server.start()
    server.stop()


def test_logins_and_lookups(whole):
    with whole.client() as c:
        reply = c.login("Tim@Example.com", users.PASSWORDS["tim"])
    assert reply.cmd == "OK", whole.logs()
    assert reply.get("greeting") == "TIM of example.com"
    assert reply.get("tag") == b"smtp".hex()[:4] and reply.get("odd") == "%u"
    assert whole.login_result("tim@example.com", users.WRONG) == "FAIL"
    assert whole.login_result("nobody@example.com", users.WRONG) == "FAIL"
    with whole.master() as m:
        reply = m.user("tim@example.com")
        assert reply.get("mail") == "maildir:~/moc.elpmaxe" and reply.get("home") == "/home/tim"
        assert m.user("new@example.com").cmd == "NOTFOUND"


def test_weak_schemes_are_not_taken(whole):
    """The default of 2.4, also for a whole dovecot.conf; 2.3 takes them."""
    assert whole.login_result("weak@example.com", "test") == "temp_fail"
    whole.wait_log("MD5-CRYPT")


def test_check_and_print(whole):
    done = ctl("config", "check", "--dovecot", whole.config)
    assert done.returncode == 0, done.stderr
    for name in ("mail_driver", "namespace inbox", "ssl_server", "service lmtp", "@mailbox_defaults"):
        assert name in done.stdout, done.stdout
    assert "passdb" not in done.stdout
    done = ctl("config", "check", whole.config)
    assert done.returncode != 0 and "auth.conf:11: mail_driver" in done.stdout + done.stderr
    done = ctl("config", "-n", "--dovecot", "-c", whole.config)
    assert done.returncode == 0, done.stderr
    printed = os.path.join(whole.dir, "printed.conf")
    with open(printed, "w") as f:
        f.write(done.stdout)
    assert "mail_driver" not in done.stdout and "passwd_file_path = %s/users" % whole.dir in done.stdout
    assert "greeting" in done.stdout and "user = nobody" in done.stdout
    again = ctl("config", "-n", "-c", printed)
    assert again.returncode == 0 and again.stdout == done.stdout, again.stderr


def test_driver_test_shows_what_was_written():
    db = sql.SQLite().init()
    server = authserver.new("passdb sql {\n%s  query = SELECT password FROM users WHERE email = '%%{user | lower}'\n}\n"
                            % sql.settings_24(db))
    server.form_24 = True
    server.write_config()
    try:
        done = ctl("driver", "test", "-c", server.config, "-u", "tim@example.com", "sql")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not re.search("[\x01-\x08\x0e-\x1f]", done.stdout)
    finally:
        db.stop()
