"""Rows of the table: contenders measured in turns, round after round."""

import statistics
import sys

from contenders import Server


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


class Target:
    """What is asked for, in words and as a function of the row's medians."""

    def __init__(self, text, met):
        self.text, self.met = text, met


class Bench:
    def __init__(self, rounds, scale):
        self.rounds, self.scale = rounds, scale
        self.rows, self.growth, self.curves = [], [], []

    def seconds(self, full):
        return max(0.2, full * self.scale)

    def n(self, full):
        return max(20, int(full * self.scale))

    def rounds_of(self, share):
        return max(1, round(self.rounds * share))

    def turns(self, measure, rounds):
        """measure: {contender: function}. Who begins changes from round to round."""
        got = {k: [] for k in measure}
        order = list(measure)
        for i in range(rounds):
            at = i % len(order)
            for k in order[at:] + order[:at]:
                got[k].append(measure[k]())
                for server in Server.all:
                    server.empty_logs()
        return got

    def row(self, name, unit, measure, *, target=None, note=None, share=1.0, into=None):
        """One row; the contender "floor" is no contender but stands beside."""
        rounds = self.rounds_of(share)
        row = {"name": name, "unit": unit, "rounds": rounds, "note": note}
        for k, values in self.turns(measure, rounds).items():
            row[k] = spread(values)
        self.finish(row, target, into)
        return row

    def finish(self, row, target=None, into=None):
        if target:
            row["target"] = target.text
            row["met"] = bool(target.met(row))
        (self.rows if into is None else into).append(row)
        value = row.get("authd", {}).get("median")
        print("  %-62s %s %s%s" % (row["name"], "%.4g" % value if value is not None else "-", row["unit"],
                                   "" if row.get("met") is not False else "   (target missed)"),
              file=sys.stderr, flush=True)


def median(row, who):
    return row[who]["median"]


def against_dovecot(row):
    return median(row, "authd") / max(1e-9, median(row, "dovecot-auth"))


def against_floor(row):
    return median(row, "authd") / max(1e-9, median(row, "floor"))
