"""The daemons as systemd would start them, but for their confinement: as root with every capability there is, so that what
they lack afterwards they have given up themselves. They reach their sandbox and need nobody at their sockets."""

import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from brokerd.agent import _BUS
from services.process import Process

PROCESSES = ("capd", "uploadd", "brokerd")
BITS = {"capd": 1, "uploadd": 2, "brokerd": 4}  # as in policy/sandbox/promises.h
MORE = "+sys_admin,+dac_override,+dac_read_search,+sys_ptrace,+kill,+setuid,+net_admin,+setpcap"
PINNED_PORT = 4443  # also the control plane's
LANDLOCK_CREATE_RULESET, LANDLOCK_VERSION = 444, 1

# systemd's part: sockets from descriptor 3 on (sd_listen_fds(3)), and the users that the package brings.
_LAUNCH = """
mount --bind "$1" /etc/passwd
shift
LISTEN_PID=$$ exec "$@"
"""

_CONFIG = """[ControlPlane]
URL=https://localhost:{port}
[Bucket]
Hosts=localhost:{port}
"""


def landlock_abi():
    """0: this kernel has no Landlock."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION))


def _listen(path):
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(path))
    listening.listen(4)
    return listening


class Place:
    """A folder with what the three need to start; a context manager."""

    def __init__(self, build):
        self.build = build
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sandbox-"))
        self.dir.chmod(0o777)
        self.victim = self.dir / "victim"
        self.state = self.dir / "state"
        self.state.mkdir(mode=0o777)
        self.state.chmod(0o777)
        (self.dir / "credentials").mkdir(mode=0o755)
        (self.dir / "credentials" / "wrapping-key").write_bytes(os.urandom(32))
        # In a folder of its own, which brokerd may read again
        (self.dir / "etc").mkdir(mode=0o755)
        (self.dir / "etc" / "agent.conf").write_text(_CONFIG.format(port=PINNED_PORT))
        users = [line for line in open("/etc/passwd") if not line.startswith("streamsight-")]
        users += [f"streamsight-{name}:x:{64000 + i}:65534::/:/usr/sbin/nologin\n" for i, name in enumerate(PROCESSES)]
        (self.dir / "passwd").write_text("".join(users))
        self._sockets = {name: _listen(self.dir / name) for name in ("frame", "control", "broker")}
        (self.dir / "bus.conf").write_text(_BUS.format(path=self.dir / "bus"))
        self._bus = Process("dbus-daemon", ["dbus-daemon", "--nofork", f"--config-file={self.dir}/bus.conf"], log=self.dir / "bus.log")
        self._bus.wait_for_socket(self.dir / "bus")
        # Somebody to connect to where only Landlock could forbid it: a name has room for both
        self._abstract = [socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)]
        for listening in self._abstract:
            listening.bind("\0" + self.dir.name)
            listening.listen(64)
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.bind(str(self.dir / "notify"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bus.stop()
        for open_socket in (*self._sockets.values(), *self._abstract, self._systemd):
            open_socket.close()
        shutil.rmtree(self.dir)

    def restore(self):
        """What an attack may have done away with."""
        self.victim.write_text("still here\n")
        self.victim.chmod(0o666)

    def heard(self, message, timeout=30):
        """Whether it comes to systemd's socket in time."""
        self._systemd.settimeout(timeout)
        try:
            while self._systemd.recv(4096) != message:
                pass
        except TimeoutError:
            return False
        return True

    def intact(self):
        return self.victim.exists() and self.victim.read_text() == "still here\n" and \
            [path.name for path in self.dir.glob("victim*")] == ["victim"]

    def start(self, process, *, attacked=True, user=None, passable=True, extra_fds=(), limit=None, **environment):
        """A running process; of root, it has every capability, and those that it could pass on, if passable, are some of them. Its
        standard error goes to a file of its own: see log(). limit: how many descriptors it may have before it says so itself."""
        passed = {"capd": ("frame", "control"), "brokerd": ("broker",), "uploadd": ()}[process]
        program = self.build / "tests" / "sandbox" / f"attacked-{process}" if attacked else \
            self.build / process / f"streamsight-{process}"
        arguments = {
            "capd": [],
            "uploadd": [f"--config={self.dir}/etc/agent.conf", f"--frame-socket={self.dir}/frame", f"--broker-socket={self.dir}/broker"],
            "brokerd": [f"--config={self.dir}/etc/agent.conf", f"--control-socket={self.dir}/control"],
        }[process]
        if user:
            kept = "-all,+sys_admin" if process == "capd" else "-all"
            privileges = [f"--reuid={user}", "--regid=nogroup", "--clear-groups", f"--inh-caps={kept}",
                          f"--ambient-caps={kept}", f"--bounding-set={kept}"]
        else:
            more = MORE if passable else "-all"
            privileges = [f"--inh-caps={more}", f"--ambient-caps={more}"]
        fds = [self._sockets[name].fileno() for name in passed] + list(extra_fds)

        # bash keeps what it is given: high numbers first, then from 3 on
        moves = "".join(f"exec {100 + i}<&{fd}; " for i, fd in enumerate(fds)) + "".join(f"exec {fd}<&-; " for fd in fds)
        moves += "".join(f"exec {3 + i}<&{100 + i} {100 + i}<&-; " for i in range(len(fds)))
        moves += f"ulimit -Sn {limit}; " if limit else ""
        self._systemd.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while self._systemd.recv(4096):
                pass  # nobody is to wait for room
        log = open(self.dir / f"{process}.log", "w+b")
        started = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "--", "unshare", "--mount", "/bin/bash", "-c", moves + _LAUNCH, "launch",
             self.dir / "passwd", "setpriv", *privileges, "--", program, *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds,
            env={"PATH": os.environ["PATH"], "LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(passed),
                 "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/bus", "STATE_DIRECTORY": str(self.state),
                 "NOTIFY_SOCKET": str(self.dir / "notify"),
                 "CREDENTIALS_DIRECTORY": str(self.dir / "credentials"),
                 "STREAMSIGHT_VICTIM": str(self.victim), "STREAMSIGHT_ABSTRACT": self.dir.name, **environment})
        started.log = lambda: pathlib.Path(log.name).read_text(errors="replace")
        return started

    def run(self, process, **options):
        """Waits for its end. Returns (status, log)."""
        started = self.start(process, **options)
        try:
            status = started.wait(60)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            status = None
        return status, started.log()

    def confined(self, process, **options):
        """A running process that has entered its sandbox and waits."""
        started = self.start(process, **options)
        deadline = time.monotonic() + 60
        while True:
            status = read_status(started.pid)
            # Its filter is the last that it takes on.
            if int(status.get("Seccomp_filters", 0)) > int(read_status("self").get("Seccomp_filters", 0)):
                return started
            assert started.poll() is None and time.monotonic() < deadline, f"{process} does not confine itself:\n{started.log()}"
            time.sleep(0.02)


def read_status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def end(started):
    started.send_signal(signal.SIGKILL)
    started.wait()
