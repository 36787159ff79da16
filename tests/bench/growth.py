"""How cost grows: with connections (the plot), requests in flight, passdbs in a chain, and users."""

import os

from contenders import CONFIG, Floor, Server, hash_rate, load, make_hash, proc
from work import BOTH, pair, stop, warm_up, write_mass_file

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def curves(b, hashes):
    """Throughput and percentiles against connections, one request at a time on each."""
    contenders = {**pair(hashes), "floor": Floor("login")}
    warm_up({k: contenders[k] for k in BOTH})
    for count in CONNECTIONS:
        point = {"connections": count}
        got = b.turns({k: (lambda k=k, s=s: load(s.client, "-c", count, "-t", b.seconds(0.6),
                                                 *(() if k == "floor" else ("-u", "plain"))))
                       for k, s in contenders.items()}, b.rounds_of(0.4))
        for k, runs in got.items():
            runs.sort(key=lambda r: r["per_second"])
            point[k] = runs[len(runs) // 2]
        b.curves.append(point)
    stop(contenders)


def one_row(b, name, unit, server, *args):
    load(server.client, "-u", "plain", "-n", 500)
    return b.row(name, unit, {"authd": lambda: load(server.client, *args)["per_second"]}, share=0.6,
                 into=b.growth)


def in_flight(b, hashes):
    server = Server("authd", hashes).start()
    for f in (1, 4, 16, 64, 256):
        one_row(b, "one connection, %d in flight" % f, "logins/s", server, "-u", "plain", "-f", f,
                "-t", b.seconds(0.5))
    server.stop()


def chain(b, hashes):
    """The user is in the last of so many passdbs; the others hold somebody else."""
    for length in (1, 2, 4, 8):
        passdbs = "".join("passdb {\n  driver = passwd-file\n  args = @passwd@.%d\n}\n" % i
                          for i in range(length - 1))
        head, tail = CONFIG.split("passdb {", 1)
        server = Server("authd", hashes, head + passdbs + "passdb {" + tail)
        for i in range(length - 1):
            path = "%s.%d" % (server.passwd, i)
            with open(path, "w") as f:
                f.write("somebody-else:{PLAIN}x:5000:5000::/::\n")
            os.chmod(path, 0o644)
        server.start()
        one_row(b, "the user is in passdb %d of %d" % (length, length), "logins/s", server,
                "-u", "plain", "-c", 8, "-f", 16, "-t", b.seconds(0.5))
        server.stop()


def users(b, hashes):
    for count in (1000, 100000, 1000000):
        server = Server("authd")
        write_mass_file(server.passwd, hashes, count)
        server.start()
        b.row("lookups all over %s users" % "{:,}".format(count), "lookups/s",
              {"authd": lambda: load(server.userdb, "-m", "userdb", "-u", "user", "-U", count, "-c", 8, "-f", 16,
                                     "-t", b.seconds(0.5))["per_second"]}, share=0.6, into=b.growth)
        server.stop()
        os.unlink(server.passwd)


SCHEMES = {
    "SHA256-CRYPT": ["-s", "SHA256-CRYPT"],
    "SHA512-CRYPT": ["-s", "SHA512-CRYPT"],
    "bcrypt, cost 5": ["-s", "BLF-CRYPT", "-r", "5"],
    "bcrypt, cost 10": ["-s", "BLF-CRYPT", "-r", "10"],
    "bcrypt, cost 12": ["-s", "BLF-CRYPT", "-r", "12"],
    "ARGON2ID, 64 MiB": ["-s", "ARGON2ID"],
}


def hash_rates(b):
    """For the arithmetic of machines: one core, then all of them."""
    return {name: {"one_core": hash_rate(value, b.seconds(0.6), 1), "all_cores": hash_rate(value, b.seconds(0.6))}
            for name, value in ((n, make_hash(how)) for n, how in SCHEMES.items())}


def run(b, hashes):
    curves(b, hashes)
    in_flight(b, hashes)
    chain(b, hashes)
    users(b, hashes)
    return hash_rates(b)
