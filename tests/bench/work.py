"""The work of the table in the README: each function adds its rows to the bench."""

import os
import threading
import time

from contenders import (CACHE, CONFIG, CORES, Floor, Idle, Server, end_load, hash_rate, load, memory_kib,
                        proc, start_load, user_line)
from rows import Target, against_dovecot, against_floor, median, spread

BOTH = ("authd", "dovecot-auth")
MANY = ("-c", 8, "-f", 16)
MASS_USERS = 1000000
IDLE = 10000


def pair(users, config=CONFIG):
    return {kind: Server(kind, users, config).start() for kind in BOTH}


def stop(servers):
    for one in servers.values():
        one.stop()


def warm_up(servers, user="plain"):
    for one in servers.values():
        load(one.client, "-u", user, "-c", 8, "-f", 16, "-n", 2000)


def measure(servers, key, *args, **of):
    """A function for each server that runs the load client and takes one number of its report."""
    kind = of.get("socket", "client")
    return {k: (lambda s=s: load(getattr(s, kind), *args)[key]) for k, s in servers.items()}


# ---- cheap work: the broker's own speed ----

def cheap(b, hashes, floors):
    servers = pair(hashes)
    warm_up(servers)
    t = b.seconds(1)
    floor = {"floor": floors["login"]}
    as_plain, one = ("-u", "plain", *MANY, "-t", t), ("-u", "plain", "-t", b.seconds(0.6))
    base = b.row("PLAIN, cheap scheme, 8 connections x 16 in flight", "logins/s",
                 {**measure(servers, "per_second", *as_plain), **measure(floor, "per_second", *MANY, "-t", t)},
                 target=Target(">= 10 x dovecot-auth, >= 40% of the floor",
                               lambda r: against_dovecot(r) >= 10 and against_floor(r) >= 0.4))
    b.row("the same: CPU time in all server processes", "us/login",
          {**{k: (lambda s=s: cpu_per_request(s, *as_plain)) for k, s in servers.items()},
           "floor": lambda: cpu_per_request(floors["login"], *MANY, "-t", t)}, share=0.4)
    b.row("one connection, one at a time, median latency", "us",
                    {**measure(servers, "p50_us", *one), **measure(floor, "p50_us", "-t", b.seconds(0.6))},
                    target=Target("<= dovecot-auth's", lambda r: against_dovecot(r) <= 1))
    stop(servers)
    return base


def cpu_per_request(server, *args):
    before = server.cpu_ns()
    done = load(server.client, *args)["requests"]
    return (server.cpu_ns() - before) / 1000 / done


def cached(b, hashes, floors, base):
    servers = pair(hashes, CACHE + CONFIG)
    warm_up(servers)
    load(servers["authd"].client, "-u", "bcrypt12", "-n", 20)
    t = b.seconds(1)
    b.row("the same, cache hits, bcrypt-12 user", "logins/s",
          {**measure(servers, "per_second", "-u", "bcrypt12", *MANY, "-t", t),
           **measure({"floor": floors["login"]}, "per_second", *MANY, "-t", t)},
          target=Target(">= 10 x dovecot-auth's cheap rate, >= 40% of the floor",
                        lambda r: median(r, "authd") >= 10 * median(base, "dovecot-auth")
                        and against_floor(r) >= 0.4),
          note="dovecot-auth does not cache passwd-file; where it caches, it hashes again for each hit. "
               "Here it hashes.", share=0.6)
    one = ("-u", "plain", "-t", b.seconds(0.6))
    b.row("one at a time with the cache, median latency", "us",
          {**measure(servers, "p50_us", *one),
           **measure({"floor": floors["login"]}, "p50_us", "-t", b.seconds(0.6))},
          target=Target("<= 0.7 of dovecot-auth's", lambda r: against_dovecot(r) <= 0.7),
          note="The floor crosses its boundary; a cache hit does not have to.")
    stop(servers)


def lookups(b, hashes, floors):
    servers = pair(hashes)
    t = b.seconds(1)
    args = ("-m", "userdb", *MANY, "-t", t)
    b.row("userdb lookups, 8 connections x 16 in flight", "lookups/s",
          {**measure(servers, "per_second", "-u", "plain", *args, socket="userdb"),
           **measure({"floor": floors["userdb"]}, "per_second", *args, socket="userdb")},
          target=Target(">= 8 x dovecot-auth", lambda r: against_dovecot(r) >= 8))
    stop(servers)


# ---- hashes ----

def hashing(b, hashes):
    servers = pair(hashes)
    for user, label in (("sha512", "SHA512-CRYPT"), ("bcrypt10", "bcrypt, cost 10"),
                        ("argon2", "ARGON2ID, 64 MiB")):
        t = b.seconds(2)
        warm_up(servers)
        b.row("PLAIN, %s, 8 connections" % label, "logins/s",
              {**measure(servers, "per_second", "-u", user, "-c", 8, "-t", t),
               "floor": lambda: hash_rate(hashes[user], t)},
              target=Target(">= 95%% of %d x the bare hash, about %d x dovecot-auth" % (CORES, CORES),
                            lambda r: against_floor(r) >= 0.95 and against_dovecot(r) >= 0.9 * CORES))
    b.row("p99 of cheap logins during a bcrypt-12 storm", "ms",
          {k: (lambda s=s: storm(s, b.seconds(4))) for k, s in servers.items()},
          target=Target("< 20 ms, < 1/50 of dovecot-auth's",
                        lambda r: median(r, "authd") < 20 and against_dovecot(r) < 1 / 50),
          note="%d bcrypt-12 logins always in flight; 100 cheap ones a second, on time." % (4 * CORES), share=0.6)
    stop(servers)


def storm(server, seconds):
    # the cheap ones have shaken hands before it begins: in a storm dovecot-auth accepts nobody
    cheap_ones = start_load(server.client, "-u", "plain", "-c", 4, "-f", 256, "-r", 100, "-t", seconds, "-d", 1)
    time.sleep(0.3)
    heavy = start_load(server.client, "-u", "bcrypt12", "-c", 4 * CORES, "-t", seconds + 1)
    result = end_load(cheap_ones)
    end_load(heavy)
    return result["p99_us"] / 1000


def unknown_users(b, hashes):
    # all users have the same scheme, as a site's have
    server = Server("authd", {"known%d" % i: hashes["sha512"] for i in range(20)}).start()
    wrong = ("-p", "wrong", "-e", "fail", "-n", b.n(200))

    def ratio():
        """The two in turns, so that what else the machine does hits both."""
        known, unknown = [], []
        for _ in range(5):
            known.append(load(server.client, "-u", "known0", *wrong)["p50_us"])
            unknown.append(load(server.client, "-u", "nobody", *wrong)["p50_us"])
        return sorted(unknown)[2] / sorted(known)[2]

    load(server.client, "-u", "known1", "-n", 20)
    b.row("unknown user: time / time of a wrong password", "ratio", {"authd": ratio},
          target=Target("0.9 to 1.1", lambda r: 0.9 <= median(r, "authd") <= 1.1),
          note="SHA512-CRYPT, medians one at a time; near 1: nobody can tell who exists. dovecot-auth is left "
               "out: it sends refusals each half second.", share=0.6)
    server.stop()


# ---- size ----

def write_mass_file(path, hashes, users=MASS_USERS, mark="a"):
    """Lines as SHA512-CRYPT makes them; the user who logs in is the last."""
    abc = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    values = ["{SHA512-CRYPT}$6$%s$%s" % ("".join(abc[(i * 7 + j * 13) % 64] for j in range(16)),
                                         "".join(abc[(i * 31 + j * j) % 64] for j in range(86)))
              for i in range(997)]
    with open(path, "w") as f:
        for i in range(users):
            f.write("user%d:%s:5000:5000::/home/user%d::\n" % (i, values[i % 997], i))
        f.write(user_line("last-" + mark, hashes["plain"]))
        f.write(user_line("plain", hashes["plain"]))
    os.chmod(path, 0o644)


def mass(b, hashes):
    files = [os.path.join(proc.new_dir("m"), "users") for _ in range(2)]
    for age, path, mark in zip((200, 100), files, "ab"):
        write_mass_file(path, hashes, mark=mark)
        # dovecot-auth knows a new file by its size and its second
        os.utime(path, (time.time() - age,) * 2)
    mib = os.path.getsize(files[0]) / 2 ** 20
    results = {k: [] for k in BOTH}
    rounds = b.rounds_of(0.6)
    for i in range(rounds):
        for kind in BOTH if i % 2 == 0 else BOTH[::-1]:
            results[kind].append(one_mass(kind, files, b.seconds(3)))
    for path in files:
        os.unlink(path)

    def add(name, unit, key, target=None, note=None):
        row = {"name": name, "unit": unit, "rounds": rounds, "note": note}
        row.update({k: spread([r[key] for r in v]) for k, v in results.items()})
        b.finish(row, target)

    add("1,000,000 users: from exec to the first login", "s", "start",
        Target("< 0.7 s", lambda r: median(r, "authd") < 0.7), "A passwd-file of %.0f MiB." % mib)
    add("1,000,000 users: memory of all processes (PSS)", "MB", "memory",
        Target("< 200 MB", lambda r: median(r, "authd") < 200))
    add("1,000,000 users: longest login while the file is replaced", "ms", "longest",
        Target("<= 20 ms", lambda r: median(r, "authd") <= 20))
    add("1,000,000 users: memory after that", "MB", "memory_after")


def place(path, passwd):
    os.link(path, passwd + ".new")
    os.rename(passwd + ".new", passwd)


def one_mass(kind, files, seconds):
    server = Server(kind)
    place(files[0], server.passwd)
    first = start_load(server.client, "-w", "-u", "plain", "-n", 1)
    time.sleep(0.1)
    began = time.monotonic_ns()
    server.start()
    out = {"start": (end_load(first)["first_answer_ns"] - began) / 1e9}
    load(server.client, "-u", "plain", "-n", 100)
    out["memory"] = server.pss_kib() * 1024 / 1e6
    # one at a time on two connections, for the second before it and until the new file answers
    clients = start_load(server.client, "-u", "plain", "-c", 2, "-t", max(3, seconds))
    time.sleep(0.5)
    place(files[1], server.passwd)
    out["longest"] = end_load(clients)["max_us"] / 1000
    load(server.client, "-u", "last-b", "-n", 1)  # the new one is in use
    time.sleep(0.5)
    out["memory_after"] = server.pss_kib() * 1024 / 1e6
    server.stop()
    return out


# ---- connections, and a long life ----

def idle(b, hashes):
    servers = pair(hashes)
    warm_up(servers)
    t = b.seconds(1)
    args = ("-u", "plain", *MANY, "-t", t)
    results = {k: {"bytes": [], "without": [], "with": []} for k in BOTH}
    for _ in range(b.rounds_of(0.6)):
        for k, s in servers.items():
            results[k]["without"].append(load(s.client, *args)["per_second"])
            before = memory_kib(s.front_pid(), "Anonymous:")
            with Idle(s.client, IDLE):
                results[k]["bytes"].append((memory_kib(s.front_pid(), "Anonymous:") - before) / IDLE)
                results[k]["with"].append(load(s.client, *args)["per_second"])
            results[k]["without"].append(load(s.client, *args)["per_second"])
            s.empty_logs()
    row = {"name": "10,000 idle connections: memory of each in the front", "unit": "KiB",
           "rounds": b.rounds_of(0.6), "note": "The kernel's part of a socket is not counted."}
    # what the first round took is there to be used again: it is the one that counts
    row.update({k: spread([max(r["bytes"])]) for k, r in results.items()})
    b.finish(row, Target("< 4 KiB", lambda r: median(r, "authd") < 4))
    row = {"name": "10,000 idle connections: rate of the active ones / without", "unit": "ratio",
           "rounds": b.rounds_of(0.6), "note": None}
    for k, r in results.items():
        row[k] = spread([w / ((x + y) / 2) for w, x, y in
                         zip(r["with"], r["without"][::2], r["without"][1::2])])
    b.finish(row, Target(">= 0.9", lambda r: median(r, "authd") >= 0.9))
    stop(servers)


def long_life(b, hashes):
    servers = pair(hashes)
    row = {"name": "%s logins, then idle: memory / memory at the start" % "{:,}".format(b.n(1000000)),
           "unit": "ratio", "rounds": 1,
           "note": "Anonymous memory of all processes. At the start: after 2,000 logins. dovecot-auth: a tenth of the "
                   "logins."}
    for k, s in servers.items():
        warm_up({k: s})
        time.sleep(1)
        before = s.anonymous_kib()
        load(s.client, "-u", "plain", *MANY, "-n", b.n(1000000 if k == "authd" else 100000))
        time.sleep(2)
        row[k] = spread([s.anonymous_kib() / before])
    b.finish(row, Target("within 5%", lambda r: 0.95 <= median(r, "authd") <= 1.05))
    stop(servers)


def reloads_seen(server):
    """How many times it says that it has taken a new configuration; None: it does not say."""
    try:
        with open(server.inner.path("authd.status")) as f:
            return int(dict(line.rstrip("\n").split("=", 1) for line in f)["generation"])
    except FileNotFoundError:
        return None


def reload_many(server, count, done):
    """Adds one to done for each that is in use (dovecot-auth: each that was asked for)."""
    for _ in range(count):
        before = reloads_seen(server)
        if server.inner.daemon is None:
            return  # the run has ended
        server.inner.reload()
        end = time.monotonic() + (0.05 if before is None else 10)
        while time.monotonic() < end:
            time.sleep(0.005)
            if before is not None and reloads_seen(server) > before:
                break
        else:
            if before is not None:
                return
        done.append(1)


def reloads(b, hashes):
    servers = pair(hashes)
    warm_up(servers)
    count = max(10, b.n(100))
    failed, p99, rounds = {k: [] for k in BOTH}, {k: [] for k in BOTH}, b.rounds_of(0.2)
    for _ in range(rounds):
        for k, s in servers.items():
            done = []
            thread = threading.Thread(target=reload_many, args=(s, count, done))
            thread.start()
            lost, worst = 0, []
            while thread.is_alive():
                out = load(s.client, "-R", "-u", "plain", "-c", 8, "-t", 1)
                lost += out["lost"]
                worst.append(out["p99_us"] / 1000)
                s.empty_logs()
            thread.join()
            if len(done) != count:
                raise RuntimeError("%s: only %d of %d reloads" % (k, len(done), count))
            failed[k].append(lost)
            p99[k].append(max(worst))
    name = "%d reloads during load (8 connections): " % count
    note = "The next one when the last one is in use; dovecot-auth does not tell, and gets one each 50 ms."
    for what, unit, got, target in (("logins lost", "logins", failed, Target("0", lambda r: r["authd"]["max"] == 0)),
                                    ("p99, worst second", "ms", p99,
                                     Target("< 50 ms", lambda r: median(r, "authd") < 50))):
        row = {"name": name + what, "unit": unit, "rounds": rounds, "note": note}
        note = None
        row.update({k: spread(v) for k, v in got.items()})
        b.finish(row, target)
    stop(servers)


def run(b, hashes):
    floors = {mode: Floor(mode) for mode in ("login", "userdb")}
    base = cheap(b, hashes, floors)
    cached(b, hashes, floors, base)
    lookups(b, hashes, floors)
    for floor in floors.values():
        floor.stop()
    hashing(b, hashes)
    unknown_users(b, hashes)
    mass(b, hashes)
    idle(b, hashes)
    long_life(b, hashes)
    reloads(b, hashes)
