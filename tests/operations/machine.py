"""A fresh Debian in the virtual machine with PostgreSQL, Redis and nginx as Debian brings them, and the control plane's files."""

import pathlib
import re
import subprocess

from vm.vm import Vm, build_image

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "OPERATIONS.md"


def image(build, run_dir):
    payload = pathlib.Path(run_dir) / "payload"
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--tags", "control-plane", "--destdir", payload],
                   check=True, stdout=subprocess.DEVNULL)
    return build_image(build, payload=payload, server=True)


def blocks():
    """(the guide's section, the commands) of each block that is to be run, in order."""
    section, found, lines = "", [], None
    for line in GUIDE.read_text().splitlines():
        if lines is None and (heading := re.match(r"#+ (.*)", line)):
            section = heading[1]
        elif lines is None and line == "```sh":
            lines = []
        elif lines is not None and line == "```":
            found.append((section, "\n".join(lines)))
            lines = None
        elif lines is not None:
            lines.append(line)
    return found


class Server:
    """The machine; run() as root, like an operator's shell that stops at the first error."""

    def __init__(self, image_dir, run_dir):
        self.vm = Vm(image_dir, run_dir)

    def __enter__(self):
        self.vm.start()
        return self

    def __exit__(self, *exc):
        self.vm.quit()

    def run(self, commands, timeout=300):
        result = self.vm.run("exec bash -euo pipefail", timeout, input="cd /\n" + commands + "\n")
        assert result.rc == 0, f"{commands}\n{result.output.decode(errors='replace')}\n{self.journal()}"
        return result.output.decode(errors="replace")

    def fails(self, commands):
        """What it says, when it must not succeed."""
        result = self.vm.run("exec bash -euo pipefail", 300, input=commands + "\n")
        assert result.rc != 0, result.output
        return result.output.decode(errors="replace")

    def journal(self):
        return self.vm.run("journalctl --no-pager -q -o short-monotonic -n 60 -u streamsight-apid -u redis-server -u nginx "
                           "-u 'postgresql@*'").output.decode(errors="replace")
