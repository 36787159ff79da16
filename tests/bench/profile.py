"""Where each microsecond of one login goes: samples the front and the worker with perf while the cheap row's
load runs, and shares out the processor time that the kernel counted.

usage: tests/bench/profile.py [--seconds N] [--doc FILE]     (as root, after "make bench" has built its tools;
needs Debian's linux-perf; --doc rewrites the <!-- bench-login --> block of a Markdown file)
"""

import argparse
import os
import subprocess
import time

from contenders import Helpers, PASSWORD, Server, cpu_ns, end_load, proc, start_load
from report import markdown

# A sample belongs to the first group that has one of the functions of its stack, looked at from the inside
# outwards. System calls first: all that the kernel does is theirs.
FRONT = [
    ("system calls: wait for something to do", ("epoll_wait",)),
    ("system calls: write to clients", ("conn_write",)),
    ("system calls: write to workers", ("link_write", "pool_flush", "pool_flush_full")),
    ("system calls: write the log", ("log_flush",)),
    ("system calls: read", ("take_messages", "pump", "on_readable")),
]
FRONT_WORK = [
    ("log line", ("login_log_end", "emit", "log_info", "log_line")),
    ("base64, SASL mechanism", ("base64_decode", "take_initial", "step", "plain_step")),
    ("user name", ("username_set_login", "username_normalise")),
    ("channel: encode the question", ("send_question", "channel_put_ask", "channel_put_inputs", "pool_question",
                                      "put_vars")),
    ("chain", ("passdb_start", "ask_passdbs", "ask_next", "passdb_answered", "request_path_add", "pool_ask")),
    ("reply", ("client_reply", "reply_ok", "conn_flush")),
    ("request: make, find, end, wipe", ("request_new", "request_free", "request_finish", "request_find")),
    ("parse the line and its fields", ("take_params", "take_user", "request_param", "take_auth", "client_input",
                                       "feed")),
    ("channel: decode the answer", ("get_answer_head", "got_answer", "take_messages", "pump")),
    ("event loop and the rest", ("front_turn", "main")),
]
WORKER = [
    ("system calls: wait for something to do", ("poll", "__GI___poll")),
    ("system calls: read", ("read_channel", "read")),
    ("system calls: write", ("write_channel",)),
    ("system calls: has the file changed? (stat)", ("passwd_file_ask",)),
]
WORKER_WORK = [
    ("channel: decode the question", ("channel_get_ask",)),
    ("channel: encode the answer", ("channel_put_answer", "job_answer")),
    ("parse and compare the password", ("verify", "compare", "scheme_verify", "asker_hash", "scheme_parse",
                                        "hash_here_or_later", "parse_hash")),
    ("lookup in the passwd-file", ("asker_driver", "passwd_file_ask", "find_line", "pf_table_find")),
    ("job: make, time limit, wipe", ("handle_ask", "start", "job_recycle", "asker_ask")),
    ("the rest", ("worker_run", "main")),
]


def group_of(stack, in_kernel, work):
    if any("entry_SYSCALL" in f for f in stack):
        for name, functions in in_kernel:
            if any(f in functions for f in stack):
                return name
        return "system calls: others"
    for function in stack:
        for name, functions in work:
            if function in functions:
                return name
    return "not known"


def stacks_of(data):
    """(command, [innermost function, ...]) of each sample"""
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym"], capture_output=True,
                          text=True, check=True).stdout
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if lines[0].strip():
            frames = [line.split()[1] for line in lines[1:] if len(line.split()) > 1]
            yield lines[0].strip(), [f.split(".")[0] for f in frames]


def share_out(data):
    got = {"front": {}, "worker": {}}
    for command, stack in stacks_of(data):
        role = "front" if "front" in command else "worker"
        tables = (FRONT, FRONT_WORK) if role == "front" else (WORKER, WORKER_WORK)
        name = group_of(stack, *tables)
        got[role][name] = got[role].get(name, 0) + 1
    return got


def sample(seconds):
    """({role: {group: samples}}, {role: microseconds a login}, logins a second)"""
    data = os.path.join(proc.new_dir("perf"), "data")
    server = Server("authd", {"plain": "{PLAIN}" + PASSWORD}).start()
    args = (server.client, "-u", "plain", "-c", 8, "-f", 16)
    pids = {"front": server.front_pid(), "worker": server.inner.pids("worker")[0]}
    # the time first, without perf in the way
    before = {k: cpu_ns(pid) for k, pid in pids.items()}
    plain = end_load(start_load(*args, "-t", seconds))
    cost = {k: (cpu_ns(pid) - before[k]) / 1000 / plain["requests"] for k, pid in pids.items()}
    clients = start_load(*args, "-t", seconds + 1)
    time.sleep(0.5)
    subprocess.run(["perf", "record", "-q", "-F", "4000", "--call-graph", "dwarf,4096", "-o", data, "-p",
                    "%d,%d" % (pids["front"], pids["worker"]), "--", "sleep", str(seconds)],
                   check=True, stderr=subprocess.DEVNULL)
    end_load(clients)
    server.stop()
    return share_out(data), cost, plain["per_second"]


def block(groups, cost, rate):
    lines = []
    for role, counts in groups.items():
        total = sum(counts.values())
        for name, count in sorted(counts.items(), key=lambda i: -i[1]):
            lines.append((role, name, "%.2f" % (cost[role] * count / total), "%.0f%%" % (100 * count / total)))
        lines.append((role, "**all**", "**%.2f**" % cost[role], "100%"))
    head = "%s logins a second while it was measured; processor time of one login:" % "{:,.0f}".format(rate)
    return head + "\n\n" + markdown(("process", "what", "us", "share"), lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--doc", metavar="FILE")
    args = parser.parse_args()
    try:
        text = block(*sample(args.seconds))
    finally:
        Helpers.end_all()
        Server.stop_all()
    print(text)
    if args.doc:
        with open(args.doc) as f:
            head, rest = f.read().split("<!-- bench-login -->\n", 1)
        with open(args.doc, "w") as f:
            f.write(head + "<!-- bench-login -->\n" + text + "\n<!-- /bench-login -->" +
                    rest.split("<!-- /bench-login -->", 1)[1])


if __name__ == "__main__":
    main()
