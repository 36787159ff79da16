"""What an outage does to logins: faults are made under load, and every answer is judged.

A Site is one backend with its servers; a Fault breaks and mends them. In a Lab one authd serves all
sites, for a real Postfix and a real Dovecot, and after each of them comes a passdb that is well.
"""

import imaplib
import os
import threading
import time
import traceback

from . import authproto, authserver, maildovecot, postfix, proc, users

DEADLINE = 4  # seconds, of every client
LATE = 2  # what a busy machine may add
RECOVERY = 30  # a bound for the wait, no promise
WRONG = users.WRONG
WELL = "well-Amethyst8"
CLIENT = "    type = auth\n    client_deadline = %d secs\n" % DEADLINE


class Fault:
    """scope "one": another server is left; "all": nobody can answer. breaks() has returned when the
    fault is there for every new question."""

    def __init__(self, name, scope, breaks, mends, domain=None, opens=True):
        self.name, self.scope, self.breaks, self.mends = name, scope, breaks, mends
        self.domain = domain  # of the users it concerns; None: the site's
        self.opens = opens  # the breaker; not where others may still be answered


class Site:
    """One backend. Its passdbs are for the users of its domains; .user has .password."""

    name = kind = module = None
    password = users.PASSWORDS["sue"]

    def domains(self):
        return [self.kind + ".example"]

    def passdb(self, domain):
        """The section's lines."""
        raise NotImplementedError

    def faults(self):
        raise NotImplementedError

    def stop(self):
        pass


class Load:
    """Logs in all the time: right, wrong and unknown ones, and those whom another passdb knows."""

    PAUSE = {"right": 0.04, "wrong": 0.1, "unknown": 0.1, "well": 0.06}

    def __init__(self, server, domain, password, kinds=("right", "right", "wrong", "unknown", "well")):
        self.server, self.domain, self.password = server, domain, password
        self.answers = []  # (begin, end, kind, result)
        self.end = False
        self.threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds]
        for t in self.threads:
            t.start()

    def who(self, kind):
        name = {"unknown": "nobody", "well": "well"}.get(kind, "sue")
        password = {"right": self.password, "well": WELL}.get(kind, WRONG)
        return name + "@" + self.domain, password

    def _run(self, kind):
        user, password = self.who(kind)
        client = None
        while not self.end:
            begin = time.monotonic()
            try:
                client = client or self.server.client("load", timeout=DEADLINE + 10)
                reply = client.login(user, password)
                result = "closed" if reply is None else reply.get("code") or reply.cmd
            except OSError as e:
                result = "error: %s" % e
            if result not in ("OK", "FAIL", "temp_fail") and client:
                client.close()
                client = None
            self.answers.append((begin, time.monotonic(), kind, result))
            time.sleep(self.PAUSE[kind])
        if client:
            client.close()

    def stop(self):
        self.end = True
        for t in self.threads:
            t.join()

    def wait(self, kind, result, since, count=1):
        """Until that was answered to some that began after since; when the last of them came."""
        def found():
            ends = sorted(a[1] for a in list(self.answers) if a[0] >= since and a[2:] == (kind, result))
            return ends[count - 1] if len(ends) >= count else None
        try:
            return proc.wait_for("%s for %s" % (result, kind), found, RECOVERY)
        except TimeoutError as e:
            raise AssertionError("%s; the last ones: %s" % (e, self.answers[-10:])) from None


def judge(load, scope="one", window=(0, 0)):
    """The answers that mislead somebody, and those that others' users should not have got.
    window: when the fault was there for sure, and nobody could know."""
    wrong, others = [], []
    for answer in load.answers:
        begin, end, kind, result = answer
        allowed = {"right": ("OK", "temp_fail"), "well": ("OK",)}.get(kind, ("FAIL", "temp_fail"))
        if scope == "all" and kind != "well" and window[0] < begin and end < window[1]:
            allowed = ("temp_fail",)
        if result not in allowed or end - begin > DEADLINE + LATE:
            (others if kind == "well" else wrong).append(answer)
    return wrong, others


class Lab:
    """authd with all sites, asked by a Postfix, a Dovecot and the load."""

    def __init__(self, sites):
        self.sites = sites
        self.postfix, self.dovecot = postfix.Postfix(), maildovecot.MailDovecot("apart")
        self.dovecot.make_directories()
        listeners = [authserver.Listener("load", extra=CLIENT),
                     authserver.Listener(self.postfix.socket, 0o660, "postfix", "postfix", CLIENT)]
        for one in self.dovecot.listeners():
            one.extra = "    client_deadline = %d secs\n" % DEADLINE
            listeners.append(one)
        domains = [(site, domain) for site in sites for domain in site.domains()]
        text = "auth_mechanisms = plain login\n" + "".join(
            "passdb {\n%s  username_filter = *@%s\n}\n" % (site.passdb(domain), domain) for site, domain in domains)
        text += ("passdb {\n  driver = passwd-file\n  args = @passwd@\n}\n"
                 "userdb {\n  driver = static\n  args = uid=%d gid=%d home=@dir@/mail\n}\n" % (users.UID, users.GID))
        self.server = authserver.new(text, listeners=listeners)
        os.chown(self.server.mail, users.UID, users.GID)
        users.write_lines(self.server.passwd, ["well@%s:{PLAIN}%s" % (d, WELL) for _, d in domains])
        self.rows, self.errors = {}, {}

    def __enter__(self):
        self.server.start()
        self.postfix.start()
        self.dovecot.start()
        return self

    def __exit__(self, *exc):
        for one in (self.dovecot, self.postfix, self.server):
            one.stop()

    # ---- what it holds ----

    def workers(self, site):
        """Those that have loaded the site's module; without one, by the driver's name."""
        pids = self.server.pids("worker")
        if site.module is None:
            return self.server.pids("worker " + site.kind)
        return [pid for pid in pids if site.module in read("/proc/%d/maps" % pid)]

    def holds(self, site):
        """(descriptors, KiB) of the site's workers"""
        pids = self.workers(site)
        return sum(descriptors(pid) for pid in pids), sum(proc.rss_kib(pid) for pid in pids if proc.alive(pid))

    def burst(self, site, domain):
        """All lanes are in use once, so that there is something to compare with."""
        for user, password in (("sue", site.password), ("nobody", WRONG)):
            with self.server.client("load") as c:
                ids = [c.start("PLAIN", resp=authproto.plain(user + "@" + domain, password)) for _ in range(32)]
                for _ in ids:
                    c.reply()

    # ---- what the mail servers say ----

    def smtp_code(self, user, password):
        with self.postfix.smtp() as smtp:
            return smtp.docmd("AUTH PLAIN " + authproto.plain(user, password))[0]

    def imap_answer(self, user, password):
        with imaplib.IMAP4("127.0.0.1", self.dovecot.imap, timeout=60) as c:
            try:
                return c.login(user, password)[0]
            except imaplib.IMAP4.error as e:
                return "[UNAVAILABLE]" if "[UNAVAILABLE]" in str(e) else str(e)

    # ---- one fault ----

    def run(self, site, fault):
        domain = fault.domain or site.domains()[0]
        self.burst(site, domain)
        before = self.holds(site)
        load = Load(self.server, domain, site.password)
        try:
            load.wait("right", "OK", 0, 5)
            log = len(self.server.logs())
            row = self.in_fault(site, fault, load, domain)
            if fault.scope == "all" and fault.opens:
                new = self.server.logs()[log:]
                for text in ("the backend is down, logins are put off", "is back after", "): down for "):
                    assert text in new, (text, new[-2000:])
        finally:
            load.stop()
        wrong, others = judge(load, fault.scope, row.pop("window"))
        assert not wrong and not others, (wrong, others)
        self.burst(site, domain)
        proc.wait_for("what %s took (%s before, %s)" % (site.name, before, self.holds(site)),
                      lambda: is_back(before, self.holds(site)))
        row.update(backend=site.name, fault=fault.name, wrong=len(wrong), others=len(others), back="yes",
                   logins=len(load.answers))
        return row

    def in_fault(self, site, fault, load, domain):
        heard = "OK" if fault.scope == "one" else "temp_fail"
        try:
            fault.breaks()
            began = time.monotonic()
            first = load.wait("right", heard, began)
            load.wait("right", heard, began, 20)
            for kind in ("wrong", "unknown"):
                load.wait(kind, "FAIL" if fault.scope == "one" else "temp_fail", began, 3)
            load.wait("well", "OK", began, 3)
            said = self.ask_servers(fault, "sue@" + domain, site.password)
            ended = time.monotonic()
        finally:
            fault.mends()
        mended = time.monotonic()
        again = load.wait("right", "OK", mended)
        for kind, result in (("wrong", "FAIL"), ("unknown", "FAIL"), ("well", "OK")):
            load.wait(kind, result, again)
        return dict(said, heard="yes" if heard == "OK" else "try again", seconds=round(again - mended, 1),
                    window=(first, ended))

    def ask_servers(self, fault, user, password):
        """With one server left a login may just once meet the one that is gone."""
        want = (235, "OK") if fault.scope == "one" else (454, "[UNAVAILABLE]")
        code, answer = self.smtp_code(user, password), self.imap_answer(user, password)
        if fault.scope == "all":
            assert self.smtp_code(user, WRONG) == 454 and self.smtp_code("nobody@" + user.split("@")[1], WRONG) == 454
        assert (code, answer) == want, (code, answer)
        return {"postfix": str(code), "dovecot": answer}

    # ---- all faults ----

    def run_site(self, site):
        for fault in site.faults():
            try:
                self.rows[site.kind, fault.name] = self.run(site, fault)
            except Exception:
                self.errors[site.kind, fault.name] = traceback.format_exc() + self.server.logs()[-3000:]

    def run_all(self):
        """The sites beside each other, the faults of each one after the other."""
        front = self.server.front_pid()
        before = descriptors(front), proc.rss_kib(front)
        threads = [threading.Thread(target=self.run_site, args=(site,)) for site in self.sites]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert self.server.front_pid() == front, "the front died"
        proc.wait_for("what the front took", lambda: is_back(before, (descriptors(front), proc.rss_kib(front))))


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors(pid):
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_back(before, now):
    """Connections come and go, and the allocator keeps some; what leaks does not stay below this."""
    return now[0] <= before[0] + 12 and now[1] <= before[1] + 8192 + proc.RSS_SLACK
