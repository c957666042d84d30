#!/usr/bin/env python3
"""Syncs of a million records against what people use today, side by side on the same work.

Usage: python3 benches/compare/run.py [--records 1000000] [--rounds 3] [--peer NAME ...]

Makes two bodies of trades in the sandbox, the second some hours after the first, serves them as files over loopback, and
runs each program as a process of its own, in turns. Time and peak memory are the operating system's own accounting of
each process (wait4). The peers read a local file where they can, which spares them the network. What the programs have
written is compared by DuckDB, value by value.

The peers come from PyPI into an environment under the target folder; one that cannot be had is left out, and said so.
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
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
WORK = TARGET / "compare"
# The sandbox makes 35 % of its transactions trades.
TRADES_SHARE = 0.35
# Lets about one in two hundred trades change, and one in a thousand be new.
HOURS_LATER = 17


class Run:
    """What one process took."""

    def __init__(self, wall, usage):
        self.wall, self.cpu, self.peak_mib = wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(command, code=0, **options):
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, **options)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != code:
        raise RuntimeError(f"{command[0]} ended with {status}: {output}")
    return Run(wall, usage), output


class Files(http.server.BaseHTTPRequestHandler):
    """Serves one file, whatever is asked for, as the kernel sends it."""

    protocol_version = "HTTP/1.1"
    path_served = None

    def do_GET(self):
        with open(Files.path_served, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            sent = 0
            while sent < size:
                sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, size - sent)

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def make_bodies(binary, records):
    """Two bodies of trades, the second some hours after the first."""
    folder = WORK / f"bodies-{records}"
    bodies = [folder / "first.json", folder / "second.json"]
    if all(body.is_file() for body in bodies):
        return bodies
    folder.mkdir(parents=True, exist_ok=True)
    total = int(records / TRADES_SHARE) + 1
    sandbox = subprocess.Popen(
        [binary, "sandbox", "--port", "0", "--records", str(total)], stdout=subprocess.PIPE, text=True
    )
    try:
        url = sandbox.stdout.readline().split()[2].rstrip(",")
        for body in bodies:
            headers = {"X-API-KEY": "sandbox-key", "X-API-SECRET": "sandbox-secret"}
            request = urllib.request.Request(f"{url}/api/v1/trades", headers=headers)
            part = body.with_suffix(".part")
            with urllib.request.urlopen(request) as answer, open(part, "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            part.rename(body)
            advance = f"{url}/control/advance?hours={HOURS_LATER}"
            urllib.request.urlopen(urllib.request.Request(advance, method="POST")).read()
    finally:
        sandbox.kill()
        sandbox.wait()
    return bodies


def environment():
    """The Python of an environment with the peers."""
    python = WORK / "environment" / "bin" / "python"
    wanted = (HERE / "requirements.txt").read_text()
    stamp = WORK / "environment" / "requirements.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", WORK / "environment"], check=True)
        lines = [line for line in wanted.splitlines() if line and not line.startswith("#")]
        for line in lines:
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", line]
            if subprocess.run(pip, check=False).returncode != 0:
                print(f"{line} cannot be installed here: left out", file=sys.stderr)
        stamp.write_text(wanted)
    return python


def ours(binary, url, lake):
    credentials = {"LUMETRADE_API_KEY": "k", "LUMETRADE_API_SECRET": "s"}
    command = [binary, "sync", "--json", "--base-url", url, "--lake", lake, "--resource", "trades"]
    run, output = measure(command, env={**os.environ, **credentials})
    return run, json.loads(output.splitlines()[0])


def peer(python, name, *arguments):
    return measure([python, HERE / "peers.py", name, *arguments])


class Table:
    """Runs of several programs on one work, and their medians against the first."""

    def __init__(self, title):
        self.title, self.runs = title, {}

    def add(self, name, run, records=1.0):
        """Notes a run; `records` is the share of the records that it was given."""
        self.runs.setdefault(name, []).append((run.wall / records, run.cpu / records, run.peak_mib))

    def print(self):
        medians = {
            name: [statistics.median(column) for column in zip(*runs, strict=True)]
            for name, runs in self.runs.items()
        }
        first = next(iter(medians.values()))
        print(f"\n### {self.title}\n")
        print("| who | wall s | CPU s | peak MiB | wall, × ours | CPU, × ours |")
        print("|---|---|---|---|---|---|")
        for name, (wall, cpu, peak) in medians.items():
            ratios = f"{wall / first[0]:.1f} | {cpu / first[1]:.1f}"
            print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:,.0f} | {ratios} |", flush=True)


def fresh(name):
    folder = WORK / "lakes" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="trades in a body")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program; slow peers run once")
    parser.add_argument("--peer", action="append", help="only these (duckdb, polars, dlt)")
    args = parser.parse_args()
    peers = args.peer or ["duckdb", "polars", "dlt"]

    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    binary = TARGET / "release" / "lumetrade-export"
    first, second = make_bodies(binary, args.records)
    # Slow peers get a tenth of the records, and their times are multiplied.
    few, few_later = make_bodies(binary, max(args.records // 10, 1))
    python = environment()
    url = serve()

    load = Table(f"First load: {args.records:,} trades, {first.stat().st_size / 1e6:,.0f} MB")
    quiet = Table("Quiet poll: the same body again")
    changed = Table("Poll of the second body")
    for _ in range(args.rounds):
        Files.path_served = first
        lake = fresh("ours")
        run, report = ours(binary, url, lake)
        assert report["added"] >= args.records, report
        load.add("lumetrade-export, over HTTP, both layers and flat fills, exact", run)
        run, report = ours(binary, url, lake)
        assert report["outcome"] == "unchanged", report
        quiet.add("lumetrade-export", run)
        curl = ["curl", "--silent", "--show-error", "--output", "/dev/null", f"{url}/api/v1/trades"]
        quiet.add("curl to nowhere: receiving the bytes", measure(curl)[0])
        for name, title in [
            ("duckdb-load-exact", "DuckDB 2.0, local file, the same work, exact"),
            ("duckdb-load", "DuckDB 2.0, local file, trades alone and once, amounts rounded"),
            ("polars-load", "polars 2.1, local file, trades alone and once, amounts as doubles"),
        ]:
            peer_of = name.split("-")[0]
            if peer_of in peers:
                load.add(title, peer(python, name, first, fresh(name))[0])
        if "duckdb" in peers:
            peer(python, "compare", lake, WORK / "lakes/duckdb-load-exact")
        Files.path_served = second
        run, report = ours(binary, url, lake)
        found = f"{report['changed']:,} changed and {report['added']:,} new"
        changed.title = f"Poll of the second body: {found}"
        changed.add("lumetrade-export, over HTTP, exact", run)
        if "duckdb" in peers:
            for name, known, title in [
                ("duckdb-changes-exact", "duckdb-load-exact/current/trades", "exact"),
                ("duckdb-changes", "duckdb-load", "amounts rounded"),
            ]:
                run, _ = peer(python, name, second, WORK / "lakes" / known, fresh(name))
                changed.add(f"DuckDB 2.0, anti-join of the local file, {title}", run)
            peer(python, "duckdb-load-exact", second, fresh("duckdb-later"))
            peer(python, "compare", lake, WORK / "lakes/duckdb-later")
    if "dlt" in peers:
        pipeline = fresh("dlt")
        load.add("dlt, as documented (a tenth, × 10)", peer(python, "dlt", few, pipeline)[0], 0.1)
        changed.add("dlt, merge (a tenth, × 10)", peer(python, "dlt", few_later, pipeline)[0], 0.1)
    for table in [load, quiet, changed]:
        table.print()
    if "duckdb" in peers:
        lakes = [WORK / "lakes/duckdb-load-exact/current/trades", WORK / "lakes/duckdb-load"]
        rounded = int(peer(python, "count-rounded", *lakes)[1])
        print(f"\nThe same rows and digits in both; where DuckDB is not made exact, {rounded:,} trades have a rounded amount.")


if __name__ == "__main__":
    main()
