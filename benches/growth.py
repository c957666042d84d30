#!/usr/bin/env python3
"""What a sync costs as the records grow: time, memory, and what is asked of the store.

Usage: python3 benches/growth.py [--records 10000 --records 100000 ...] [--limit-mib MIB]

Builds the release binary, makes trades with a fill each while they are served over loopback, and runs for each number of
records a first load, a quiet poll, polls with one in a thousand and one in ten records changed, and one of a body in another
order, each as a process of its own. Time and peak memory are the operating system's own accounting of the process (wait4);
the time in which `curl` receives such a body, which is mostly that of making it, stands beside them. Exits with 1 if a peak
is above the limit, or a poll did not find exactly what was changed.
"""

import argparse
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from compare.run import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDS = [10_000, 100_000, 1_000_000, 10_000_000]
# Records made at a time.
BATCH = 10_000
# Coprime to the numbers of records: multiples of it visit each once.
STRIDE = 7_368_787
MONTHS = [f"{year}-{month:02}" for year in (2024, 2025) for month in range(1, 13)]


class Trades(http.server.BaseHTTPRequestHandler):
    """Serves trades, whatever is asked for."""

    count = 0
    # One record in so many has another status than at first; 0 for none.
    changed_every = 0
    shuffled = False

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"[")
        for start in range(0, self.count, BATCH):
            batch = ",".join(self.record(place) for place in range(start, min(start + BATCH, self.count)))
            self.wfile.write((batch if start == 0 else "," + batch).encode())
        self.wfile.write(b"]")

    def record(self, place):
        number = place * STRIDE % self.count if self.shuffled else place
        changed = self.changed_every and number % self.changed_every == 0
        status = "REVERSED" if changed else "COMPLETED"
        day = f"{MONTHS[number * len(MONTHS) // self.count]}-{number % 28 + 1:02}"
        amount = f"{number % 9973}.{number % 89 + 10}"
        return (
            f'{{"transactionId":"trd_{number:010}","fromCurrency":"EUR","toCurrency":"NGN","fromAmount":{amount},'
            f'"toAmount":{amount}1,"rate":1655.{number % 997},"isRateInverted":false,"isRfq":true,"status":"{status}",'
            f'"createdAt":"{day}T10:15:30.123Z","completedAt":"{day}T10:16:30Z","fills":[{{"transactionId":'
            f'"fil_{number:010}","fromCurrency":"EUR","fromCurrencyAmount":{amount},"toCurrency":"NGN",'
            f'"toCurrencyAmount":{amount}1,"status":"COMPLETED","createdAt":"{day}T10:15:31Z",'
            f'"modifiedAt":"{day}T10:16:30Z"}}]}}'
        )

    def log_message(self, *_):
        pass


POLLS = [
    ("first load", 0, False),
    ("quiet poll", 0, False),
    ("0.1 % changed", 1000, False),
    ("10 % changed", 10, False),
    ("the same, shuffled", 10, True),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, action="append", help=f"default: {RECORDS}")
    parser.add_argument("--limit-mib", type=float, default=float("inf"), help="the highest peak that is no failure")
    args = parser.parse_args()

    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = target / "release" / "lumetrade-export"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trades)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    print("| records | poll | body MB | receiving s | wall s | CPU s | peak MiB | objects written | store requests |")
    print("|---|---|---|---|---|---|---|---|---|")
    worst = max(poll_each(binary, url, count) for count in args.records or RECORDS)
    sys.exit(worst > args.limit_mib)


def poll_each(binary, url, count):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lumetrade-growth-"))
    peaks, before = [], set()
    try:
        Trades.count, Trades.changed_every, Trades.shuffled = count, 0, False
        receiving, _ = measure(["curl", "--silent", "--fail", "--output", "/dev/null", f"{url}/x"])
        for name, changed_every, shuffled in POLLS:
            Trades.changed_every, Trades.shuffled = changed_every, shuffled
            run, report, store = sync(binary, url, folder / "lake")
            changed = set(range(0, count, changed_every)) if changed_every else set()
            found = (report["added"], report["changed"])
            if found != (count if name == "first load" else 0, len(changed ^ before)):
                sys.exit(f"{name} of {count} records: found {found}")
            before = changed
            peaks.append(run.peak_mib)
            body = report["body_bytes"] / 1e6
            print(
                f"| {count:,} | {name} | {body:,.0f} | {receiving.wall:.2f} | {run.wall:.2f} | {run.cpu:.2f} "
                f"| {run.peak_mib:.0f} | {store['objects']:,} | {store['requests']:,} |",
                flush=True,
            )
        return max(peaks)
    finally:
        shutil.rmtree(folder)


def sync(binary, url, lake):
    credentials = {"LUMETRADE_API_KEY": "k", "LUMETRADE_API_SECRET": "s", "NO_COLOR": "1"}
    command = [binary, "-v", "sync", "--base-url", url, "--lake", lake, "--resource", "trades", "--json"]
    run, output = measure(command, stderr=subprocess.STDOUT, env={**os.environ, **credentials})
    report = next(line for line in output.splitlines() if line.startswith("{"))
    store = dict(re.findall(r"(requests|objects)=(\d+)", output))
    return run, json.loads(report), {name: int(value) for name, value in store.items()}


if __name__ == "__main__":
    main()
