"""The session of somebody at the screen: its bus, the notifier, and a notification service on an X display."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import tempfile

from services.process import Process

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


class Session:
    """Context manager: the bus. notify() runs the notifier, desktop() a notification service, each a context manager too."""

    def __init__(self, build, system_bus):
        self._build = pathlib.Path(build)
        self._directory = tempfile.TemporaryDirectory(prefix="streamsight-session-")
        self.dir = pathlib.Path(self._directory.name)
        self.address = f"unix:path={self.dir}/bus"
        self._environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=system_bus, DBUS_SESSION_BUS_ADDRESS=self.address,
                                 HOME=str(self.dir), XDG_CONFIG_HOME=str(self.dir), XDG_RUNTIME_DIR=str(self.dir), TZ="UTC")
        self._logs = 0

    def __enter__(self):
        (self.dir / "bus.conf").write_text(_BUS.format(path=self.dir / "bus"))
        self.bus = Process("dbus-daemon", ["dbus-daemon", "--nofork", f"--config-file={self.dir}/bus.conf"],
                           log=self.dir / "bus.log")
        self.bus.wait_until(lambda: self.owns("org.freedesktop.DBus"), "answered")
        return self

    def __exit__(self, *_):
        self.bus.stop()
        self._directory.cleanup()

    def owns(self, name):
        answer = subprocess.run(["busctl", f"--address={self.address}", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                 "org.freedesktop.DBus", "NameHasOwner", "s", name], capture_output=True, text=True)
        return answer.stdout.strip() == "b true"  # else also: the bus does not answer yet

    def _log(self, name):
        self._logs += 1
        return self.dir / f"{name}-{self._logs}.log"

    def notifier(self, ready=True):
        """Starts the notifier and, unless ready is false, waits until it is on both buses and has asked the agent.

        Returns its Process and its log.
        """
        log = self._log("notifier")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notified:
            notified.bind(str(log.with_suffix(".notify")))
            process = Process("streamsight-notifier", [self._build / "notifier" / "streamsight-notifier"], log=log,
                              env=dict(self._environment, NOTIFY_SOCKET=notified.getsockname()))
            if ready:
                process.wait_until(lambda: _is_ready(notified), "said that it is ready")
        return process, log

    @contextlib.contextmanager
    def notify(self):
        """The notifier; yields its log."""
        process, log = self.notifier()
        try:
            yield log
        finally:
            process.stop()

    @contextlib.contextmanager
    def desktop(self):
        """dunst, a notification service; yields the function that reads what it has shown so far."""
        display = self._log("display")
        display.touch()
        xvfb = Process("Xvfb", ["/bin/sh", "-c", f"exec Xvfb -displayfd 3 -screen 0 640x480x24 -nolisten tcp 3>{display}"],
                       log=self._log("xvfb"))
        try:
            xvfb.wait_until(lambda: display.read_text().endswith("\n"), "opened a display")
            shown = self._log("dunst")
            dunst = Process("dunst", ["dunst", "-print", "-conf", "/dev/null"], log=shown,
                            env=dict(self._environment, DISPLAY=f":{display.read_text().strip()}"))
            try:
                dunst.wait_until(lambda: self.owns("org.freedesktop.Notifications"), "took its name")
                yield lambda: _parse(shown.read_text())
            finally:
                dunst.stop()
        finally:
            xvfb.stop()


def _is_ready(notified):
    with contextlib.suppress(BlockingIOError):
        return b"READY=1" in notified.recv(4096)
    return False


def _parse(text):
    """dunst -print: blocks of "  name: 'value'" in braces. Whole blocks alone."""
    return [dict(re.findall(r"^\s*(\w+): '?(.*?)'?$", block, re.M)) for block in re.findall(r"^\{(.*?)^\}", text, re.M | re.S)]
