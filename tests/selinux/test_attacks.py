"""Code inside an installed service, as tests/sandbox/ has it: in place of the daemon, in its own unit, as its user, in its domain, with
its sockets and the machine's real card, frames and processes. SELinux is enforcing."""

import re
import subprocess

import pytest

from sandbox.test_promises import NO

from .machine import ConfinedMachine

pytestmark = pytest.mark.vm

# Of the attacks of tests/sandbox/attack.c those that a machine makes more real: each costs the start of a service.
EACH = ("open_at", "exec", "trace", "do_mount", "bpf", "connect_ssh", "terminal_extended", "many_descriptors")
TRIED = {
    "capd": (*EACH, "set_master", "set_master_extended", "set_mode_extended"),
    "uploadd": (*EACH, "udp"),
}
# Whoever is started, or connects, when this one is.
OTHERS = {"capd": ("brokerd", "uploadd"), "uploadd": ()}

DROPIN = """[Service]
EnvironmentFile=-/run/attack/environment
Restart=no
"""

# Prints "NAME CODE STATUS" for each of its arguments, as waitid(2) has them. A service that goes on is waited for.
LOOP = r"""
sibling=$(systemctl show -P MainPID dbus)
for name in "$@"; do
    printf 'STREAMSIGHT_ATTACK=%s\nSTREAMSIGHT_SIBLING=%s\n' $name $sibling >/run/attack/environment
    if systemctl start $unit 2>/dev/null; then
        streamsight start
        for i in $(seq 300); do systemctl is-active -q $unit || break; sleep 0.2; done
    fi
    echo $name $(systemctl show --value -p ExecMainCode -p ExecMainStatus $unit)
done
"""
KILLED, EXITED, SIGSYS = 2, 1, 31


@pytest.fixture(scope="module")
def listed(build):
    """{(process, name): outcome}, and {name: outcome} of those on frames."""
    if not (build / "tests/sandbox/attacks").exists():
        pytest.skip("not built: under the sanitizers the filter is not what it is")
    lines = [line.split() for line in
             subprocess.run([build / "tests/sandbox/attacks"], check=True, capture_output=True, text=True).stdout.splitlines()]
    return {(w[3], w[2]): w[4] for w in lines if w[0] == "attack"}, {w[1]: w[2] for w in lines if w[0] == "frame"}


@pytest.fixture(scope="module")
def machine(build, listed, machine_image, stack, tmp_path_factory):
    with ConfinedMachine(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.run("setsebool streamsight_connect_any_port on", check=True)
        machine.configure()
        machine.settle_enrolled()
        for process in TRIED:
            machine.vm.put(build / "tests/sandbox" / f"attacked-{process}", f"/root/attacked/{process}")
        yield machine


class Attacked:
    """Context manager: a service whose program is the one that attacks."""

    def __init__(self, machine, process):
        self.machine, self.process = machine, process
        self.unit, self.program = f"streamsight-{process}", f"/usr/lib/streamsight/streamsight-{process}"

    def __enter__(self):
        others = " ".join(f"streamsight-{name}.service" for name in OTHERS[self.process])
        self.machine.vm.write(f"/run/systemd/system/{self.unit}.service.d/attack.conf", DROPIN)
        self.machine.run(f"mkdir -p /run/attack; systemctl stop {others} {self.unit}.service; mv {self.program} /root/; "
                         f"cp /root/attacked/{self.process} {self.program}; restorecon {self.program}; "
                         + (f"systemctl mask --runtime --quiet {others}" if others else "systemctl daemon-reload"), timeout=120, check=True)
        return self

    def __exit__(self, *exc):
        others = " ".join(f"streamsight-{name}.service" for name in OTHERS[self.process])
        self.machine.run(f"rm -r /run/systemd/system/{self.unit}.service.d /run/attack; mv /root/streamsight-{self.process} {self.program}; "
                         f"restorecon {self.program}; " + (f"systemctl unmask --runtime --quiet {others}; " if others else "") +
                         f"systemctl daemon-reload; systemctl restart {others} {self.unit}.service", timeout=120, check=True)

    def run(self, names):
        """{name: killed, refused or done}, as it ended."""
        output = self.machine.run(f"unit={self.unit}.service; set -- {' '.join(names)}; {LOOP}", timeout=600, check=True).output.decode()
        ends = {name: (int(code), int(status)) for name, code, status in re.findall(r"^(\w+) (\d+) (\d+)$", output, re.M)}
        said = self.machine.run(f"journalctl --sync; journalctl -q --no-pager -o cat -u {self.unit}").output.decode(errors="replace")
        judged = {}
        for name in names:
            if ends.get(name) == (KILLED, SIGSYS):
                judged[name] = "killed"
            elif ends.get(name) == (EXITED, 0) and (results := re.findall(rf"^attack {name} ended with (-?\d+)$", said, re.M)):
                judged[name] = "refused" if -int(results[-1]) in NO else "done"
            else:
                judged[name] = f"{ends.get(name)}\n{said[-1500:]}"
        return judged

    def filter_hits(self):
        """The lines in which the kernel tells that its filter ended it: of this program, in its domain."""
        said = self.machine.run("journalctl --sync; journalctl -q --no-pager -o cat _TRANSPORT=kernel + _TRANSPORT=audit").output.decode(errors="replace")
        return re.findall(rf"subj=system_u:system_r:streamsight_{self.process}_t:s0 .*exe=\"{self.program}\" sig={SIGSYS}", said)


@pytest.mark.parametrize("process", TRIED)
def test_from_inside_a_service(machine, listed, process):
    def expected(name):
        outcome = listed[0][process, name]
        # Ports: where Landlock does not know them, the domain does
        return "refused" if outcome in ("paths", "ports") else outcome
    machine.run("setsebool streamsight_connect_any_port off", check=True)
    try:
        with Attacked(machine, process) as attacked:
            before = len(attacked.filter_hits())
            assert attacked.run(TRIED[process]) == {name: expected(name) for name in TRIED[process]}
            assert len(attacked.filter_hits()) > before
    finally:
        machine.run("setsebool streamsight_connect_any_port on", check=True)


def test_frames_from_inside_uploadd(machine, listed):
    """A dma-buf that the real capd has given it, for a grant of the real brokerd's."""
    with Attacked(machine, "uploadd") as attacked:
        assert attacked.run(listed[1]) == listed[1]
    machine.run("streamsight stop", check=True)
    machine.wait("nothing records", lambda s: s["State"] == "idle")
