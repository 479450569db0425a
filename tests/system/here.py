"""The agent on this very machine, for a while: tools/lib/here."""

import os
import pathlib
import subprocess

from services import names
from vm.guest import CommandFailed, Result

from .machine import Workstation

SCRIPT = pathlib.Path(__file__).parents[2] / "tools" / "lib" / "here"
PLACE = "/usr/local/lib/streamsight-demo"


class Here(Workstation):
    """tree: from machine.install(). CommandFailed says why this machine will not do. down() belongs to every up(), also to
    one that failed or was interrupted."""

    def __init__(self, tree, run_dir, stack):
        super().__init__(stack)
        self._tree, self._run_dir = pathlib.Path(tree), pathlib.Path(run_dir)

    @staticmethod
    def _script(*arguments):
        # In a session of its own: a Ctrl-C is for us, and it is told below.
        script = subprocess.Popen([SCRIPT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output, _ = script.communicate()
        except BaseException:
            script.terminate()
            script.wait()
            raise
        if script.returncode != 0:
            raise CommandFailed(output.decode(errors="replace").strip())

    def up(self):
        conf, hosts = self._run_dir / "agent.conf", self._run_dir / "hosts"
        conf.write_text(self.agent_conf(ca_file=f"{PLACE}/ca.pem"))
        hosts.write_text(f"127.0.0.1 localhost {names.API} {names.S3}\n")
        self._script("up", str(self._tree), str(conf), str(self._stack.ca.cert_file), str(hosts))

    def down(self):
        self._script("down")

    def run(self, command, timeout=60, *, check=False, input=None):
        done = subprocess.run(["bash", "-c", command], input=None if input is None else input.encode(), timeout=timeout,
                              stdin=subprocess.DEVNULL if input is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=os.environ | {"PATH": f"{self._tree}/usr/bin:{os.environ['PATH']}"})
        if check and done.returncode != 0:
            raise CommandFailed(f"'{command}' ended with status {done.returncode}: {done.stdout.decode(errors='replace')}")
        return Result(done.returncode, done.stdout)
