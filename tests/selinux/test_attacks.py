"""Code inside an installed service, as tests/sandbox/ has it: in place of the daemon, as its user, in its domain, with its sockets and
the machine's real card, frames and processes. Once in its own unit with everything on, and again so that each layer is alone:
without SELinux, and with SELinux alone."""

import errno
import re
import subprocess

import pytest

from sandbox.daemon import BITS
from sandbox.test_promises import NO

from .machine import ConfinedMachine

pytestmark = pytest.mark.vm

PROCESSES = tuple(BITS)
# Whoever is started, or connects, when this one is.
OTHERS = {"capd": ("brokerd", "uploadd"), "uploadd": (), "brokerd": ("uploadd",)}
SOCKET = {"capd": "broker", "uploadd": "control", "brokerd": "frame"}  # each is not for it
# Of the attacks of tests/sandbox/attack.c those that a machine makes more real. Where each has to enter its sandbox first, it costs a second.
EACH = ("open_victim", "write_file", "exec", "trace", "do_mount", "bpf", "connect_ssh", "terminal_extended", "dial_path", "poison_memory", "speak_to_systemd")
TRIED = {"capd": (*EACH, "many_descriptors", "set_master", "set_master_extended", "set_mode_extended", "speak_on_stderr"),
         "uploadd": (*EACH, "many_sockets", "udp", "map_given"), "brokerd": (*EACH, "many_sockets", "map_given")}
# What a domain stops with nothing else there, and what it does not: docs/selinux.md
ALONE = ("raise_limit", "exec", "open_victim", "open_own_memory", "create", "write_file", "remove_file", "make_node", "change_mode", "change_root", "packet",
         "raw", "connect_ssh", "dial_path", "trace", "be_traced", "do_kill", "map_code", "make_code", "do_mount", "add_key", "bpf", "load_module", "load_kernel",
         "become_root", "do_reboot", "read_log", "set_priority")
DOMAIN = {"capd": (*ALONE, "netlink", "inet", "udp", "set_master", "set_master_extended", "set_mode", "set_mode_extended", "commit", "lease"),
          "uploadd": (*ALONE, "netlink", "udp", "poison_memory", "speak_to_systemd"), "brokerd": (*ALONE, "poison_memory", "speak_to_systemd")}
EVERYWHERE = ("many_sockets", "be_dumpable", "do_fork", "open_at", "unshare_user", "uring", "change_filter", "change_personality")
NOT_ALONE = {"capd": (*EVERYWHERE, "poison_memory", "speak_to_systemd", "speak_on_stderr"), "uploadd": EVERYWHERE, "brokerd": EVERYWHERE}
FOLDER = "/attack"  # with what everybody may change; in no folder that a unit hides

# The installed unit, with room for a process for each attack
CONFINED = """[Service]
EnvironmentFile=-/run/attack/environment
Restart=no
TasksMax=8
WatchdogSec=0
TimeoutStartSec=300
"""
# In its place: the same user, sockets and domain, every capability, and nothing that confines
PLAIN = """[Unit]
Requires={sockets}
[Service]
Type=notify
User=streamsight-{process}
ExecStart=/usr/lib/streamsight/streamsight-{process}
Sockets={sockets}
AmbientCapabilities=~
LimitCORE=0
LimitNOFILE=8192
LimitMEMLOCK=infinity
TimeoutStartSec=300
EnvironmentFile=/run/attack/environment
Environment=STREAMSIGHT_STEP=enter:lie
{more}
"""
SOCKETS = {"capd": "streamsight-capd-frame.socket streamsight-capd-control.socket", "uploadd": "", "brokerd": "streamsight-broker.socket"}
MORE = {"capd": "SupplementaryGroups=video", "uploadd": "",
        "brokerd": "StateDirectory=streamsight\nLoadCredentialEncrypted=wrapping-key:/etc/credstore.encrypted/streamsight.wrapping-key"}
KILLED, SIGSYS = 2, 31
REFUSED = NO | {errno.EROFS}  # ProtectSystem=


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
        machine.run("systemd-run --quiet -u attack-sibling /usr/bin/sleep 36000", check=True)
        for process in PROCESSES:
            machine.vm.put(build / "tests/sandbox" / f"attacked-{process}", f"/root/attacked/{process}")
        yield machine


class Attacked:
    """Context manager: a service whose program is the one that attacks. confine() first."""

    def __init__(self, machine, process):
        self.machine, self.process = machine, process
        self.unit, self.program = f"streamsight-{process}.service", f"/usr/lib/streamsight/streamsight-{process}"
        self.others = " ".join(f"streamsight-{name}.service" for name in OTHERS[process])

    def __enter__(self):
        self.machine.run(f"mkdir -p /run/attack; "
                         + (f"systemctl stop {self.others}; systemctl mask --runtime --quiet {self.others}; " if self.others else "") +
                         f"systemctl stop {self.unit}; mv {self.program} /root/; cp /root/attacked/{self.process} {self.program}; restorecon {self.program}; "
                         "setsebool streamsight_connect_any_port off", timeout=120, check=True)
        return self

    def __exit__(self, *exc):
        self.machine.run(f"rm -r /run/systemd/system/{self.unit}* /run/attack; mv /root/streamsight-{self.process} {self.program}; restorecon {self.program}; "
                         + (f"systemctl unmask --runtime --quiet {self.others}; " if self.others else "") +
                         "setenforce 1; setsebool streamsight_connect_any_port on; "
                         f"systemctl daemon-reload; systemctl restart {self.others} {self.unit}", timeout=120, check=True)

    def confine(self, *, itself, selinux):
        """By its unit and itself, or not; by SELinux, or not."""
        self.machine.run(f"rm -rf /run/systemd/system/{self.unit}*")
        self.machine.vm.write(f"/run/systemd/system/{self.unit}" + (".d/attack.conf" if itself else ""),
                              CONFINED if itself else PLAIN.format(process=self.process, sockets=SOCKETS[self.process], more=MORE[self.process]))
        self.machine.run(f"systemctl daemon-reload; setenforce {int(selinux)}", check=True)
        return self

    def start(self, names, meanwhile=""):
        """Tries them, with what is there for them to change made anew. Returns how it ended, as waitid(2) has it, and what it said."""
        # Its sockets too: who waits in them, because it takes nobody in while it attacks, would have it started at once
        self.machine.run(f"systemctl stop {self.unit} {SOCKETS[self.process]}; rm -rf {FOLDER}; mkdir -m 777 {FOLDER} && echo here >{FOLDER}/victim && chmod 666 {FOLDER}/victim && "
                         f"chcon -R -t shadow_t {FOLDER} && printf '%s\\n' 'STREAMSIGHT_ATTACK={' '.join(names)}' "
                         f"STREAMSIGHT_SIBLING=$(systemctl show -P MainPID attack-sibling) STREAMSIGHT_VICTIM={FOLDER}/victim "
                         f"STREAMSIGHT_ABSTRACT=attack STREAMSIGHT_SOCKET=/run/streamsight/{SOCKET[self.process]}.sock >/run/attack/environment", check=True)
        end, text = self.machine.run(
            f"cursor=$(journalctl -q -n 0 --show-cursor | sed 's/^-- cursor: //'); systemctl start --wait {self.unit} 2>/dev/null & {meanwhile} wait; "
            f"echo $(systemctl show -P ExecMainCode -P ExecMainStatus {self.unit}); journalctl --sync; "
            f"journalctl -q --no-pager -o cat --after-cursor=\"$cursor\" -u {self.unit}",
            timeout=400, check=True).output.decode(errors="replace").split("\n", 1)
        return tuple(int(word) for word in end.split()), text

    def run(self, names):
        """{name: killed, refused or done}, each by a process of its own."""
        end, text = self.start(names)
        judged = dict.fromkeys(names, "done")
        for name, signal in re.findall(r"^attack (\w+) was ended by signal (\d+)$", text, re.M):
            judged[name] = "killed" if int(signal) == SIGSYS else f"ended by signal {signal}"
        ended = re.findall(r"^attack (\w+) ended with (-?\d+)$", text, re.M)
        judged |= {name: "refused" for name, result in ended if -int(result) in REFUSED}
        silent = set(names) - {name for name, _ in ended} - {name for name in names if judged[name] != "done"}
        assert end == (1, 0) and not silent, (end, silent, text[-3000:], self.machine.journal())
        return judged

    def filter_hits(self):
        """The lines in which the kernel tells that its filter ended it: of this program, in its domain."""
        said = self.machine.run("journalctl --sync; journalctl -q --no-pager -o cat _TRANSPORT=kernel + _TRANSPORT=audit").output.decode(errors="replace")
        return re.findall(rf"subj=system_u:system_r:streamsight_{self.process}_t:s0 .*exe=\"{self.program}\" sig={SIGSYS}", said)


@pytest.mark.parametrize("process", PROCESSES)
def test_from_inside_a_service(machine, listed, process):
    def expected(name, selinux):
        outcome = "refused" if name == "dial_path" and process != "capd" else listed[0][process, name]
        # The machine's kernel has Landlock's paths, and not its ports: those are for the domain alone
        return {"paths": "refused", "ports": "refused" if selinux else "done"}.get(outcome, outcome)
    with Attacked(machine, process) as attacked:
        for selinux in (True, False):
            before = len(attacked.filter_hits())
            ended = attacked.confine(itself=True, selinux=selinux).run(TRIED[process])
            assert ended == {name: expected(name, selinux) for name in TRIED[process]}, f"SELinux enforcing: {selinux}"
            assert len(attacked.filter_hits()) > before
        names = (*DOMAIN[process], *NOT_ALONE[process])
        assert attacked.confine(itself=False, selinux=False).run(names) == dict.fromkeys(names, "done"), "with nothing to stop it"
        alone = attacked.confine(itself=False, selinux=True).run(names)
        assert alone == dict.fromkeys(DOMAIN[process], "refused") | dict.fromkeys(NOT_ALONE[process], "done"), "SELinux alone"


def test_frames_from_inside_uploadd(machine, listed):
    """A dma-buf that the real capd has given it, for a grant of the real brokerd's."""
    def tried(attacked, name):
        end, text = attacked.start([name], f"systemctl start {attacked.unit} && streamsight start;")
        results = re.findall(rf"^attack {name} ended with (-?\d+)$", text, re.M)
        assert (end == (KILLED, SIGSYS)) != bool(results), (end, text[-3000:])
        return "done" if results else "killed"
    with Attacked(machine, "uploadd") as attacked:
        attacked.confine(itself=True, selinux=True)
        assert {name: tried(attacked, name) for name in listed[1]} == listed[1]
    machine.run("streamsight stop", check=True)
    machine.wait("nothing records", lambda s: s["State"] == "idle")
