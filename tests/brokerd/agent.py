"""brokerd as systemd would run it, on a private bus, with the tests in the place of capd and uploadd."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from services.process import Process

from . import wire

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/>
    <allow receive_type="error"/><allow receive_type="signal"/>
  </policy>
</busconfig>
"""

_CONFIG = """[ControlPlane]
URL={url}
CAFile={ca}
[Bucket]
Hosts={hosts}
[Capture]
Recording={recording}
MaxFramesPerSecond={fps}
"""

# The names that stand in the services' certificates, for this process alone.
_HOSTS = "127.0.0.1 localhost api.streamsight.test s3.streamsight.test\n"


# systemd's part: the socket as descriptor 3, announced to the process that gets it (sd_listen_fds(3)).
_LAUNCH = """
mount --bind "$1" /etc/hosts
if [ "$2" != 3 ]; then eval "exec 3<&$2 $2<&-"; fi
shift 2
LISTEN_PID=$$ exec "$@"
"""


class Agent:
    """Context manager. run() starts brokerd, stop() and kill() end it; its state directory and sockets stay."""

    def __init__(self, build, *, url="", ca="", hosts="", recording="automatic", fps=5):
        self._build = pathlib.Path(build)
        self._directory = tempfile.TemporaryDirectory(prefix="streamsight-brokerd-")
        self.dir = pathlib.Path(self._directory.name)
        self.dir.chmod(0o755)
        self.config = dict(url=url, ca=ca, hosts=hosts, recording=recording, fps=fps)
        self.state = self.dir / "state"
        self.state.mkdir(mode=0o700)
        # As LoadCredentialEncrypted= of the unit leaves it.
        self.credentials = self.dir / "credentials"
        self.credentials.mkdir(mode=0o700)
        (self.credentials / "wrapping-key").write_bytes(os.urandom(32))
        self.bus_address = f"unix:path={self.dir}/bus"
        self.broker_path, self.control_path = self.dir / "broker.sock", self.dir / "control.sock"
        self._broker, self._control = self._listen(self.broker_path), self._listen(self.control_path)
        os.chmod(self.broker_path, 0o666)  # so that it is brokerd that refuses, not the file's mode
        self.limits = []  # a command that starts another one, before brokerd
        self._notify, self._watchdog = None, {}
        self._bus = self._process = None

    @staticmethod
    def _listen(path):
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(str(path))
        listening.listen(4)
        return listening

    def __enter__(self):
        (self.dir / "bus.conf").write_text(_BUS.format(path=self.dir / "bus"))
        self._bus = Process("dbus-daemon", ["dbus-daemon", "--nofork", f"--config-file={self.dir}/bus.conf"],
                            log=self.dir / "bus.log")
        self._bus.wait_for_socket(self.dir / "bus")
        return self

    def __exit__(self, *_):
        self.stop()
        self._bus.stop()
        if self._notify:
            self._notify.close()
        self._broker.close()
        self._control.close()
        self._directory.cleanup()

    def watch(self, seconds):
        """Has the next start think that systemd watches (sd_watchdog_enabled(3)); fed() listens."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.dir / "notify"))
        self._watchdog = {"NOTIFY_SOCKET": str(self.dir / "notify"), "WATCHDOG_USEC": str(int(seconds * 1e6))}

    def fed(self, seconds):
        """Whether it feeds its watchdog within so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._notify.settimeout(left)
            try:
                if b"WATCHDOG=1" in self._notify.recv(4096):
                    return True
            except TimeoutError:
                pass
        return False

    def hear(self):
        """Takes what it has told systemd by now: with a few datagrams unheard its next one would wait."""
        while self.fed(0.01):
            pass

    def launch(self, program=None):
        """Starts brokerd, or a program in its place, without waiting for anything."""
        (self.dir / "agent.conf").write_text(_CONFIG.format(**self.config))
        (self.dir / "hosts").write_text(_HOSTS)
        fd = self._broker.fileno()
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", "unshare", "--mount", "/bin/bash", "-c", _LAUNCH, "launch",
                 self.dir / "hosts", str(fd), *self.limits, program or self._build / "brokerd" / "streamsight-brokerd",
                 f"--config={self.dir}/agent.conf", f"--control-socket={self.control_path}", "--uploadd-user=root"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[fd],
                env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.bus_address, STATE_DIRECTORY=str(self.state),
                         CREDENTIALS_DIRECTORY=str(self.credentials),
                         LISTEN_FDS="1", LISTEN_FDNAMES="broker", STREAMSIGHT_LOG_LEVEL="7", **self._watchdog))
        return self._process

    @property
    def log_path(self):
        return self.dir / "brokerd.log"

    def run(self, program=None):
        self.launch(program)
        end = time.monotonic() + 20
        while self.cli("status").returncode != 0:
            assert self._process.poll() is None and time.monotonic() < end, f"brokerd does not answer:\n{self.log()}"
            time.sleep(0.02)
        return self

    def _end(self, how):
        if self._process:
            self._process.send_signal(how)
            status = self._process.wait(20)
            self._process = None
            return status

    def stop(self):
        return self._end(signal.SIGTERM)

    def kill(self):
        return self._end(signal.SIGKILL)

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def cli(self, *arguments, user=None, **options):
        who = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"] if user else []
        return subprocess.run([*who, self._build / "cli" / "streamsight", *arguments], capture_output=True, text=True,
                              timeout=60, env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.bus_address), **options)

    def busctl(self, *arguments):
        return subprocess.run(["busctl", f"--address={self.bus_address}", *arguments], check=True, capture_output=True,
                              text=True, timeout=30).stdout

    def status(self):
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def wait(self, condition, what, timeout=20):
        end = time.monotonic() + timeout
        while True:
            status = self.status()
            if condition(status):
                return status
            assert time.monotonic() < end, f"not in {timeout} s: {what}\n{json.dumps(status, indent=2)}\n{self.log()}"
            time.sleep(0.05)

    def wait_log(self, text, timeout=20):
        end = time.monotonic() + timeout
        while text not in self.log():
            assert time.monotonic() < end, f"not logged: {text}\n{self.log()}"
            time.sleep(0.05)

    def enrol(self, code):
        done = self.cli("enroll", input=code + "\n")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1].rstrip(".")

    def uploadd(self, another=False):
        """Connects in uploadd's place; another: as another process of it."""
        return wire.Peer.connect(self.broker_path, another)

    def capd(self, timeout=20):
        """Accepts brokerd's connection in capd's place."""
        self._control.settimeout(timeout)
        return wire.Peer(self._control.accept()[0])
