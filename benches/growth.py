#!/usr/bin/env python3
"""What a sync costs as the records grow: time, memory, and what is asked of the store.

Usage: python3 benches/growth.py [--records 10000 --records 100000 ...] [--limit-mib MIB]

Builds the release binary, makes trades with a fill each while they are served over loopback, and runs for each number of
records a first load, a quiet poll, polls with one in a thousand and one in ten records changed, and one of a body in another
order, and what is refused: a list of nothing, and one in which no record fits; each as a process of its own. Time and peak
memory are the operating system's own accounting of the process (wait4); the time in which `curl` receives such a body, which
is mostly that of making it, stands beside them. Exits with 1 if a peak is above the limit, or a poll did not find exactly
what was changed.
"""

import argparse
import ctypes
import http.server
import json
import math
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from compare.run import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDS = [10_000, 100_000, 1_000_000, 10_000_000]
# Records made at a time.
BATCH = 10_000
# Coprime to the numbers of records: multiples of it visit each once.
STRIDE = 7_368_787
MONTHS = [f"{year}-{month:02}" for year in (2024, 2025) for month in range(1, 13)]


class Answer(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_int64),
        # One record in so many has another status than at first; 0 for none.
        ("changed_every", ctypes.c_int64),
        ("shuffled", ctypes.c_bool),
        # Whether rates are numbers.
        ("fits", ctypes.c_bool),
    ]


class Trades(http.server.BaseHTTPRequestHandler):
    """Serves trades, whatever is asked for."""

    # An `Answer`, shared with the process that serves it: what makes a body takes memory, which the system would add to what
    # is measured of the processes that this one starts.
    answer = multiprocessing.Array(Answer, 1)

    def do_GET(self):
        answer = self.answer[0]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        try:
            self.wfile.write(b"[")
            for start in range(0, answer.count, BATCH):
                batch = ",".join(record(answer, place) for place in range(start, min(start + BATCH, answer.count)))
                self.wfile.write((batch if start == 0 else "," + batch).encode())
            self.wfile.write(b"]")
        except (BrokenPipeError, ConnectionResetError):
            # It has been refused half-way.
            self.close_connection = True

    def log_message(self, *_):
        pass


def record(answer, place):
    number = place * STRIDE % answer.count if answer.shuffled else place
    changed = answer.changed_every and number % answer.changed_every == 0
    status = "REVERSED" if changed else "COMPLETED"
    day = f"{MONTHS[number * len(MONTHS) // answer.count]}-{number % 28 + 1:02}"
    amount = f"{number % 9973}.{number % 89 + 10}"
    rate = f"1655.{number % 997}" if answer.fits else "true"
    return (
        f'{{"transactionId":"trd_{number:010}","fromCurrency":"EUR","toCurrency":"NGN","fromAmount":{amount},'
        f'"toAmount":{amount}1,"rate":{rate},"isRateInverted":false,"isRfq":true,"status":"{status}",'
        f'"createdAt":"{day}T10:15:30.123Z","completedAt":"{day}T10:16:30Z","fills":[{{"transactionId":'
        f'"fil_{number:010}","fromCurrency":"EUR","fromCurrencyAmount":{amount},"toCurrency":"NGN",'
        f'"toCurrencyAmount":{amount}1,"status":"COMPLETED","createdAt":"{day}T10:15:31Z",'
        f'"modifiedAt":"{day}T10:16:30Z"}}]}}'
    )


# Polls that find something new, or nothing: by how many records one is changed, and whether they are in another order.
POLLS = [
    ("first load", 0, False),
    ("quiet poll", 0, False),
    ("0.1 % changed", 1000, False),
    ("10 % changed", 10, False),
    ("the same, shuffled", 10, True),
]
# Answers that are refused: whether anything is listed, and whether it fits.
REFUSED = [("nothing listed", False, True), ("no record fits", True, False)]
REFUSED_CODE = 65


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, action="append", help=f"default: {RECORDS}")
    parser.add_argument("--limit-mib", type=float, default=float("inf"), help="the highest peak that is no failure")
    args = parser.parse_args()

    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = target / "release" / "lumetrade-export"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trades)
    multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    print("| records | poll | body MB | receiving s | wall s | CPU s | peak MiB | objects written | store requests |")
    print("|---|---|---|---|---|---|---|---|---|")
    worst = max(poll_each(binary, url, count) for count in args.records or RECORDS)
    sys.exit(worst > args.limit_mib)


def poll_each(binary, url, count):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lumetrade-growth-"))
    peaks, before = [], 0
    try:
        Trades.answer[0] = Answer(count, 0, False, True)
        receiving, _ = measure(["curl", "--silent", "--fail", "--output", "/dev/null", f"{url}/x"])
        for name, changed_every, shuffled in POLLS:
            Trades.answer[0] = Answer(count, changed_every, shuffled, True)
            run, report, store = sync(binary, url, folder / "lake")
            found = (report["added"], report["changed"])
            if found != (count if name == "first load" else 0, differing(count, before, changed_every)):
                sys.exit(f"{name} of {count} records: found {found}")
            before = changed_every
            peaks.append(run.peak_mib)
            show(count, name, f"{report['body_bytes'] / 1e6:,.0f} | {receiving.wall:.2f}", run, store)
        for name, lists, fits in REFUSED:
            Trades.answer[0] = Answer(count if lists else 0, 0, False, fits)
            run, _, store = sync(binary, url, folder / "lake", code=REFUSED_CODE)
            peaks.append(run.peak_mib)
            show(count, name, "| ", run, store)
        return max(peaks)
    finally:
        shutil.rmtree(folder)


def differing(count, before, after):
    """Records that are changed in one of two answers and not in the other, from what each has changed one of."""
    both = multiples(count, math.lcm(before, after))
    return multiples(count, before) + multiples(count, after) - 2 * both


def multiples(count, every):
    return -(-count // every) if every else 0


def show(count, name, body, run, store):
    print(
        f"| {count:,} | {name} | {body} | {run.wall:.2f} | {run.cpu:.2f} | {run.peak_mib:.0f} "
        f"| {store['objects']:,} | {store['requests']:,} |",
        flush=True,
    )


def sync(binary, url, lake, code=0):
    credentials = {"LUMETRADE_API_KEY": "k", "LUMETRADE_API_SECRET": "s", "NO_COLOR": "1"}
    command = [binary, "-v", "sync", "--base-url", url, "--lake", lake, "--resource", "trades", "--json"]
    run, output = measure(command, code, stderr=subprocess.STDOUT, env={**os.environ, **credentials})
    report = next(line for line in output.splitlines() if line.startswith("{"))
    store = dict(re.findall(r"(requests|objects)=(\d+)", output))
    return run, json.loads(report), {name: int(value) for name, value in store.items()}


if __name__ == "__main__":
    main()
