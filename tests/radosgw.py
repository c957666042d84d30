"""A real S3 server for the tests: Ceph's object gateway on loopback, with everything in memory.

    python3 tests/radosgw.py
    {"endpoint": "http://127.0.0.1:40123", "region": "us-east-1", "access_key": …, "secret_key": …, "bucket": "lake"}

That line is printed when the server answers and its bucket is there. It runs until standard input ends, so it goes with
whoever started it; then its daemons are killed and its folder is removed. What is missing is installed with apt-get.

    monitor ◂── one OSD, objects in memory ◂── radosgw ◂── S3
"""

import base64
import ctypes
import datetime
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

PACKAGES = ["ceph-mon", "ceph-osd", "radosgw"]
PROGRAMS = ["ceph-mon", "ceph-osd", "ceph", "monmaptool", "radosgw", "radosgw-admin"]
REGION = "us-east-1"
BUCKET = "lake"
# A start may lose its ports to another process between choosing and binding them.
STARTS_MAX = 3
# On a machine with much else to do.
START_SECONDS = 120
PR_SET_PDEATHSIG = 1

CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_port}/0]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc secure
run_dir = {folder}
admin_socket = {folder}/$cluster-$name.$pid.asok
log_file = {folder}/$name.log
crash_dir = {folder}/crash
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 4294967296

[mon]
mon_data = {folder}/mon
mon_data_avail_crit = 0
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_cluster_log_file = {folder}/cluster.log

[osd]
osd_data = {folder}/osd

[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{rgw_port} tcp_nodelay=1
rgw_data = {folder}/rgw
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_dns_name = localhost
"""


class StartFailed(Exception):
    pass


class Server:
    """The daemons of one instance, and the folder they live in."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="radosgw-"))
        self.daemons = []
        self.access_key = secrets.token_hex(10).upper()
        self.secret_key = secrets.token_hex(20)
        self.mon_port, self.rgw_port = free_ports(2)
        self.fsid = str(uuid.uuid4())
        self.deadline = time.monotonic() + START_SECONDS

    def start(self):
        values = {"fsid": self.fsid, "mon_port": self.mon_port, "rgw_port": self.rgw_port, "folder": self.folder}
        self.path("ceph.conf").write_text(CONFIGURATION.format(**values))
        for name in ["mon", "osd", "rgw", "crash"]:
            self.path(name).mkdir()
        self.start_monitor()
        self.start_osd()
        self.make_user()
        self.daemon("radosgw", "--name", "client.rgw")
        self.make_bucket()

    def start_monitor(self):
        address = f"[v2:127.0.0.1:{self.mon_port}/0]"
        self.run("monmaptool", "--create", "--addv", "a", address, "--fsid", self.fsid, str(self.path("monmap")))
        self.run("ceph-mon", "--id", "a", "--mkfs", "--monmap", str(self.path("monmap")))
        self.daemon("ceph-mon", "--id", "a")
        self.ceph("mon", "stat")

    def start_osd(self):
        osd = str(uuid.uuid4())
        self.ceph("osd", "new", osd)
        self.run("ceph-osd", "--id", "0", "--mkfs", "--osd-uuid", osd)
        self.ceph("osd", "crush", "add", "osd.0", "1.0", "host=localhost", "root=default")
        self.daemon("ceph-osd", "--id", "0")

    def make_user(self):
        user = ["--uid", "tests", "--display-name", "tests", "--access-key", self.access_key]
        self.run("radosgw-admin", "--name", "client.rgw", "user", "create", *user, "--secret", self.secret_key)

    def make_bucket(self):
        while True:
            try:
                status, body = self.request("PUT", f"/{BUCKET}")
            except OSError as error:
                status, body = None, error
            if status == 200:
                return
            self.check()
            if time.monotonic() > self.deadline:
                raise StartFailed(f"the bucket cannot be made: {status} {body}")
            time.sleep(0.1)

    def ceph(self, *arguments):
        self.run("ceph", "--connect-timeout", str(START_SECONDS), *arguments)

    def run(self, program, *arguments):
        left = max(1, self.deadline - time.monotonic())
        command = [program, "--conf", str(self.path("ceph.conf")), *arguments]
        if program == "monmaptool":
            command = [program, *arguments]
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=left, preexec_fn=die_with_us
            )
        except subprocess.TimeoutExpired:
            self.check()
            raise StartFailed(f"{program} {arguments[0]} has not ended within {START_SECONDS} s")
        if ended.returncode != 0:
            self.check()
            raise StartFailed(f"{command} failed:\n{ended.stdout}{ended.stderr}")

    def daemon(self, program, *arguments):
        output = self.path(f"{program}.out").open("wb")
        command = [program, "--conf", str(self.path("ceph.conf")), "--foreground", *arguments]
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=die_with_us
        )
        self.daemons.append((program, started))

    def check(self):
        for program, daemon in self.daemons:
            if daemon.poll() is not None:
                told = self.path(f"{program}.out").read_text(errors="replace")
                raise StartFailed(f"{program} has ended with {daemon.returncode}:\n{told}")

    def request(self, method, path):
        """One signed request: its status and body."""
        now = datetime.datetime.now(datetime.timezone.utc)
        connection = http.client.HTTPConnection("127.0.0.1", self.rgw_port, timeout=60)
        date = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        signed = hmac.new(self.secret_key.encode(), f"{method}\n\n\n{date}\n{path}".encode(), hashlib.sha1).digest()
        authorization = f"AWS {self.access_key}:{base64.b64encode(signed).decode()}"
        connection.request(method, path, headers={"Date": date, "Authorization": authorization})
        response = connection.getresponse()
        return response.status, response.read()

    def path(self, name):
        return self.folder / name

    def describe(self):
        return {
            "endpoint": f"http://127.0.0.1:{self.rgw_port}",
            "region": REGION,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "bucket": BUCKET,
        }

    def stop(self):
        for _, daemon in self.daemons:
            daemon.kill()
        for _, daemon in self.daemons:
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def die_with_us():
    """A daemon does not outlive this process, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def install():
    """Installs what is missing. Of two processes that want to, one does and the other waits."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    with open(pathlib.Path(tempfile.gettempdir()) / "radosgw-install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if any(shutil.which(program) is None for program in PROGRAMS):
            apt_get("update")
            apt_get("install", "--yes", "--no-install-recommends", *PACKAGES)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        sys.exit(f"{' '.join(missing)} not found although {' '.join(PACKAGES)} are installed")


def apt_get(*arguments):
    command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=600", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        told = "" if ended.returncode == 0 else ended.stdout + ended.stderr
    except OSError as error:
        ended, told = None, str(error)
    if told:
        sys.exit(f"cannot install an S3 server with `{' '.join(command)}`\n"
                 f"hint: the tests need the Debian packages {' '.join(PACKAGES)}\n{told}")


def started():
    """A server that answers."""
    for attempt in range(1, STARTS_MAX + 1):
        server = Server()
        try:
            server.start()
            return server
        except BaseException as error:
            server.stop()
            if not isinstance(error, StartFailed) or attempt == STARTS_MAX:
                raise
            print(f"starting again: {error}", file=sys.stderr)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    install()
    server = started()
    try:
        print(json.dumps(server.describe()), flush=True)
        sys.stdin.read()
    finally:
        server.stop()


main()
