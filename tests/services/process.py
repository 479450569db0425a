"""Child processes that never outlive us, free loopback ports, and the check that nothing listens elsewhere."""

import concurrent.futures
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

# The kernel sends PR_SET_PDEATHSIG when the *thread* that forked ends, not the process (prctl(2)). Services are
# started from short-lived worker threads, so every fork happens on this one thread, which lasts as long as we do.
_forker = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")

_ports_lock = threading.Lock()
_ports_claimed = []


class ServiceError(Exception):
    """A service could not be started; the message says which, why, and where its log is."""


def find_program(name):
    """Server programs live in sbin, which is not in every user's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise ServiceError(f"{name} is not installed: run tools/setup as root")
    return path


def free_port():
    """A loopback TCP port nobody listens on, below the range the kernel takes for outgoing connections.

    It is ours, among all test runs on the machine, until we end: an abstract socket says so.
    """
    with _ports_lock:
        for _ in range(200):
            port = random.randint(20000, 32000)
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with socket.socket() as s:
                try:
                    claim.bind(f"\0streamsight-test-port-{port}")
                    s.bind(("127.0.0.1", port))
                except OSError:
                    claim.close()
                    continue
            _ports_claimed.append(claim)
            return port
    raise ServiceError("no free TCP port between 20000 and 32000 on 127.0.0.1")


def as_user(user):
    """The account a daemon runs under: the named one if we are root, else our own (None)."""
    return user if os.geteuid() == 0 else None


def private_dir(path, user=None, mode=0o700):
    """Makes an own directory, for a user's eyes alone unless a mode says more."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if user:
        shutil.chown(path, user, user)
    return path


def require_traversable(path):
    """Daemons with their own account must be able to reach path: say so now, not through their 'permission denied'."""
    for part in [path, *path.parents]:
        if not part.stat().st_mode & 0o001:
            raise ServiceError(f"{part} is closed to other users, so the servers' accounts cannot reach {path}: "
                               f"choose another run directory or 'chmod o+x {part}'")


class Process:
    """A daemon in the foreground, our direct child, killed with us.

    user: run as this account (needs root). stop_signal: the one that makes it stop fast.
    """

    def __init__(self, name, argv, *, log, user=None, env=None, stop_signal=signal.SIGTERM):
        self.name = name
        self.log = pathlib.Path(log)
        self._stop_signal = stop_signal
        # setpriv(1) changes the account first and sets the death signal last: the kernel clears it on a uid change.
        prefix = [find_program("setpriv"), f"--pdeathsig={stop_signal.name.removeprefix('SIG')}"]
        if user:
            prefix += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        with open(self.log, "ab") as out:
            self._child = _forker.submit(
                subprocess.Popen, [*prefix, "--", *map(str, argv)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, start_new_session=True).result()

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child.poll() is None

    def fail(self, why):
        """Raises ServiceError with the end of the log."""
        try:
            tail = "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-15:])
        except OSError:
            tail = ""
        raise ServiceError(f"{self.name} {why} (log: {self.log})\n{tail}".rstrip())

    def wait_until(self, ready, what, timeout=60, needs=()):
        """Polls ready() until true. ServiceError if the process, or one that it needs, ends or the time is over."""
        end = time.monotonic() + timeout
        while not ready():
            for process in (self, *needs):
                if not process.running():
                    process.fail(f"ended with status {process._child.returncode} before {self.name} {what}")
            if time.monotonic() > end:
                self.fail(f"has not {what} within {timeout} s")
            time.sleep(0.02)

    def wait_for_port(self, port, timeout=60, needs=()):
        self.wait_until(lambda: accepts(socket.AF_INET, ("127.0.0.1", port)), f"listened on 127.0.0.1:{port}", timeout, needs)

    def wait_for_socket(self, path, timeout=60):
        """A Unix socket's file is there a moment before it accepts."""
        self.wait_until(lambda: accepts(socket.AF_UNIX, str(path)), f"listened at {path}", timeout)

    def signal(self, sig):
        self._child.send_signal(sig)

    def stop(self, timeout=10):
        """Asks, waits, then kills. Returns the exit status; harmless when already stopped."""
        if self.running():
            self._child.send_signal(self._stop_signal)
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self._child.kill()
        return self._child.wait()


def accepts(family, address):
    """Whether something accepts stream connections there."""
    with socket.socket(family) as s:
        s.settimeout(1)
        return s.connect_ex(address) == 0


def listening_addresses(pid):
    """The (address, port) pairs on which process pid listens for TCP, from /proc (proc_net_tcp.txt)."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A" or fields[9] not in inodes:  # 0A = TCP_LISTEN
                continue
            address, port = fields[1].split(":")
            # Printed as host-order 32-bit words.
            words = [bytes.fromhex(address[i:i + 8])[::-1] for i in range(0, len(address), 8)]
            found.append((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found


def require_loopback_only(process):
    """A test server reachable from the network would be a hole in the developer's machine: stop rather than go on."""
    outside = [f"{a}:{p}" for a, p in listening_addresses(process.pid) if a not in ("127.0.0.1", "::1")]
    if outside:
        process.stop()
        raise ServiceError(f"{process.name} listened on {', '.join(outside)}, not on loopback alone; stopped it")
