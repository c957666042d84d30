#!/usr/bin/env python3
"""What thousands of small commits cost readers, before and after `compact`.

Usage: python3 benches/small_commits.py [--commits 5000] [--ratio-min RATIO]

Builds the release binary and syncs trades as often as there are to be commits: at each poll one trade is new and the one before
it has completed, as with a sync every quarter of an hour. Then DuckDB, from PyPI into an environment under the target folder,
sums what a month's trades came to, through the views that `ddl duckdb` prints: each time in a session of its own, before and
after `compact`, in turns. Exits with 1 if the sums differ, or one view is not so much faster after it.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

from compare.run import ROOT, TARGET, measure

ROUNDS = 5
# The months over which the trades are spread: two thirds of them, as after fifty days, lie in the first.
MONTHS = ["2026-03", "2026-03", "2026-04"]
DUCKDB = "duckdb==1.5.5"

# Runs in a process of its own: prints the seconds of one query in a session that is begun anew, and its result.
SESSION = """
import duckdb, pathlib, sys, time
connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute(pathlib.Path(sys.argv[1]).read_text())
began = time.perf_counter()
rows = connection.execute(sys.argv[2]).fetchall()
print(time.perf_counter() - began, rows, sep="\\t")
"""

SUM = "SELECT sum(from_amount), count(*) FROM {view} WHERE event_month = '2026-03'"
QUERIES = {
    "trades_changes": SUM.format(view="trades_changes"),
    "trades_history": SUM.format(view="trades_history") + " AND is_current",
    "trades_as_of": SUM.format(view="trades_as_of('2100-01-01')"),
}


class Trades(http.server.BaseHTTPRequestHandler):
    """Serves the trades that there are, the last of which is open."""

    total = 1
    completed = []

    def do_GET(self):
        trades = [*self.completed, self.trade(len(self.completed), "PENDING")]
        body = f"[{','.join(trades)}]".encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @classmethod
    def trade(cls, number, status):
        day = f"{MONTHS[number * len(MONTHS) // cls.total]}-{number % 28 + 1:02}"
        amount = f"{number % 9973}.{number % 89 + 10}"
        completed = f'"{day}T10:16:30Z"' if status == "COMPLETED" else "null"
        return (
            f'{{"transactionId":"trd_{number:010}","fromCurrency":"EUR","toCurrency":"NGN","fromAmount":{amount},'
            f'"toAmount":{amount}1,"rate":1655.{number % 997},"isRateInverted":false,"isRfq":true,"status":"{status}",'
            f'"createdAt":"{day}T10:15:30.123Z","completedAt":{completed},"fills":[{{"transactionId":'
            f'"fil_{number:010}","fromCurrency":"EUR","fromCurrencyAmount":{amount},"toCurrency":"NGN",'
            f'"toCurrencyAmount":{amount}1,"status":"{status}","createdAt":"{day}T10:15:31Z",'
            f'"modifiedAt":"{day}T10:16:30Z"}}]}}'
        )

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--ratio-min", type=float, default=0, help="how many times faster each view must be after it")
    args = parser.parse_args()

    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    binary, python = TARGET / "release" / "lumetrade-export", environment()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lumetrade-commits-"))
    try:
        lake = folder / "lake"
        commit(binary, lake, args.commits)
        plain = views(binary, lake, folder / "before.sql")
        # The same views in a lake without a snapshot: links to the same commits.
        before_lake = folder / "before"
        shutil.copytree(lake, before_lake, copy_function=os.link)
        plain.write_text(plain.read_text().replace(str(lake), str(before_lake)))
        compacted, report = measure([binary, "compact", "--lake", lake, "--resource", "trades", "--json"])
        report = json.loads(report.splitlines()[0])
        print(
            f"{report['commits']:,} commits copied in {compacted.wall:.2f} s ({compacted.cpu:.2f} s CPU, "
            f"{compacted.peak_mib:.0f} MiB at most) into {report['snapshots']} snapshots of {report['bytes']:,} bytes\n"
        )
        fast = views(binary, lake, folder / "after.sql")
        ratios = [compare(python, view, plain, fast) for view in QUERIES]
    finally:
        shutil.rmtree(folder)
    sys.exit(min(ratios) < args.ratio_min)


def environment():
    """A Python that has DuckDB."""
    folder = TARGET / "small-commits"
    python = folder / "bin" / "python"
    if subprocess.run([python, "-c", "import duckdb"], capture_output=True).returncode if python.exists() else True:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", DUCKDB]
        subprocess.run([python, *pip], check=True)
    return python


def commit(binary, lake, count):
    """Makes a lake of so many commits."""
    Trades.total = count
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trades)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    credentials = {"LUMETRADE_API_KEY": "k", "LUMETRADE_API_SECRET": "s"}
    command = [binary, "sync", "--base-url", url, "--lake", lake, "--resource", "trades", "--json"]
    commits = 0
    while commits < count:
        _, output = measure(command, env={**os.environ, **credentials})
        commits = json.loads(output.splitlines()[0])["head"]
        Trades.completed.append(Trades.trade(len(Trades.completed), "COMPLETED"))
    server.shutdown()


def views(binary, lake, file):
    """A file with the views of a lake."""
    _, sql = measure([binary, "ddl", "duckdb", "--lake", lake, "--resource", "trades"])
    file.write_text(sql)
    return file


def compare(python, view, plain, fast):
    """How many times faster a view is after than before; the sums must be equal."""
    seconds, sums = {plain: [], fast: []}, set()
    for _ in range(ROUNDS):
        for file in (plain, fast):
            _, output = measure([python, "-c", SESSION, file, QUERIES[view]])
            took, rows = output.strip().split("\t")
            seconds[file].append(float(took))
            sums.add(rows)
    if len(sums) != 1:
        sys.exit(f"{view}: {sums}")
    before, after = (statistics.median(seconds[file]) for file in (plain, fast))
    print(f"{view}: {before * 1000:,.0f} ms before, {after * 1000:,.0f} ms after: {before / after:.1f} times faster", flush=True)
    return before / after


if __name__ == "__main__":
    main()
