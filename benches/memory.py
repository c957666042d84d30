#!/usr/bin/env python3
"""Peak memory and time of syncs whose bodies hold a million records.

Usage: python3 benches/memory.py [--records 1000000] [--limit-mib 256]

Builds the release binary, serves records from the sandbox while they are generated, and runs three syncs of one
resource as processes of their own: a first load, a quiet poll, and one after a week of changes. Peak memory is the
operating system's own accounting of each process (ru_maxrss). Exits with 1 if one of them is above the limit.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The sandbox makes 40 % of its transactions deposits and 35 % trades.
SHARE = {"deposits": 0.40, "withdrawals": 0.25, "trades": 0.35}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="records in the body")
    parser.add_argument("--resource", choices=sorted(SHARE), action="append", help="default: all three")
    parser.add_argument("--limit-mib", type=float, default=256)
    args = parser.parse_args()

    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = target / "release" / "lumetrade-export"

    print(f"{'resource':<13}{'run':<14}{'records':>10}{'body MB':>9}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}")
    peaks = []
    for resource in args.resource or sorted(SHARE):
        peaks += measure(binary, resource, args.records)
    worst = max(peaks)
    print(f"worst peak: {worst:.1f} MiB, limit {args.limit_mib:g} MiB")
    sys.exit(worst > args.limit_mib)


def measure(binary, resource, records):
    total = int(records / SHARE[resource]) + 1
    lake = pathlib.Path(tempfile.mkdtemp(prefix="lumetrade-memory-"))
    sandbox = subprocess.Popen(
        [binary, "sandbox", "--port", "0", "--records", str(total)], stdout=subprocess.PIPE, text=True
    )
    try:
        url = sandbox.stdout.readline().split()[2].rstrip(",")
        peaks = []
        for run in ["first load", "quiet poll", "a week later"]:
            if run == "a week later":
                urllib.request.urlopen(urllib.request.Request(f"{url}/control/advance?days=7", method="POST")).read()
            peaks.append(sync(binary, url, lake, resource, run))
        return peaks
    finally:
        sandbox.kill()
        sandbox.wait()
        shutil.rmtree(lake)


def sync(binary, url, lake, resource, run):
    environment = {
        **os.environ,
        "LUMETRADE_API_KEY": "sandbox-key",
        "LUMETRADE_API_SECRET": "sandbox-secret",
    }
    command = [binary, "sync", "--base-url", url, "--lake", lake, "--resource", resource, "--json"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        sys.exit(f"the sync failed: {output}")
    report = json.loads(output.splitlines()[0])
    records = report["added"] + report["changed"] + report["unchanged"]
    peak = usage.ru_maxrss / 1024
    print(
        f"{resource:<13}{run:<14}{records:>10}{report['body_bytes'] / 1e6:>9.0f}{wall:>8.2f}"
        f"{usage.ru_utime + usage.ru_stime:>8.2f}{peak:>10.1f}",
        flush=True,
    )
    return peak


if __name__ == "__main__":
    main()
