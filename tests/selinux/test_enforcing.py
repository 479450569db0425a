"""SELinux enforcing: the agent works, each process in its domain, and a domain alone stops what it should."""

import errno
import json
import re

import pytest

from system.recording import Recording
from vm.painter import Painter

from .machine import NO_DOMAIN, ConfinedMachine
from .test_policy import drm_requests

pytestmark = pytest.mark.vm

REFUSED = {errno.EACCES, errno.EPERM}
DOMAINS = ("capd", "uploadd", "brokerd")


@pytest.fixture(scope="module")
def machine(machine_image, stack, tmp_path_factory):
    """Enrolled and recording allowed; the services of the tests listen at ports that are no web server's."""
    with ConfinedMachine(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.run("setsebool streamsight_connect_any_port on", check=True)
        machine.configure()
        machine.vm.write("/etc/streamsight/agent.conf.d/fps.conf", "[Capture]\nMaxFramesPerSecond=4\n")
        machine.run("systemctl restart streamsight-uploadd streamsight-brokerd", check=True)
        assert machine.enrol("not-a-code").rc != 0
        machine.settle_enrolled()
        yield machine


@pytest.fixture(scope="module")
def probed(machine_image, stack, tmp_path_factory):
    """As installed, with probes."""
    with ConfinedMachine(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        assert machine.run("getenforce").output.strip() == b"Enforcing"
        machine.make_probes()
        yield machine


# --- it works

def test_the_processes_run_in_their_domains(machine):
    machine.run("systemctl start streamsight-capd", check=True)
    for name in DOMAINS:
        pid = machine.run(f"systemctl show -P MainPID streamsight-{name}", check=True).output.decode().strip()
        label = machine.run(f"cat /proc/{pid}/attr/current", check=True).output.decode().strip("\0\n")
        assert label == f"system_u:system_r:streamsight_{name}_t:s0"


@pytest.mark.parametrize("path, type", [
    ("/run/streamsight", "runtime_t"),
    ("/run/streamsight/frame.sock", "frame_sock_t"),
    ("/run/streamsight/control.sock", "control_sock_t"),
    ("/run/streamsight/broker.sock", "broker_sock_t"),
    ("/var/lib/streamsight", "var_lib_t"),
    ("/var/lib/streamsight/device.key", "var_lib_t"),
    ("/var/lib/streamsight/device.json", "var_lib_t"),
    ("/etc/streamsight", "conf_t"),
    ("/etc/streamsight/agent.conf", "conf_t"),
])
def test_files_have_their_types(machine, path, type):
    assert machine.run(f"stat -c %C {path}", check=True).output.decode().split(":")[2] == f"streamsight_{type}"


def test_a_recording_comes_back_and_nothing_was_denied(machine, viewer, tmp_path):
    with Painter(machine.vm) as painter, Recording(machine, viewer, tmp_path) as recording:
        for n in (7, 8, 1000):
            painter.show(n)
            recording.until_shows(n, 0)
    assert json.loads(machine.run("streamsight diagnostics", check=True).output)["counters"]["recordings"] >= 1
    for command in "reload", "rotate-key":
        machine.run(f"streamsight {command}", check=True)
    for name in DOMAINS:
        machine.run(f"systemctl restart streamsight-{name}", check=True)
    machine.wait("the agent answers again", lambda s: s["State"] in ("idle", "recording"))
    assert machine.denials() == []


@pytest.mark.parametrize("process", ["uploadd", "brokerd"])
def test_certificates_that_a_service_cannot_read(machine, process):
    """Though they are there, and everybody may read them: it says so and does not start."""
    section = {"uploadd": "Bucket", "brokerd": "ControlPlane"}[process]
    unit, path = f"streamsight-{process}", "/var/lib/certificates.pem"
    machine.vm.write("/etc/streamsight/agent.conf.d/ca.conf", f"[{section}]\nCAFile={path}\n")
    machine.run(f"cp /etc/streamsight/ca.pem {path} && chmod 644 {path}; ! systemctl restart {unit}", check=True)
    journal = machine.run(f"journalctl --sync; journalctl -q --no-pager -o cat -u {unit}").output.decode()
    machine.run(f"rm /etc/streamsight/agent.conf.d/ca.conf {path}; systemctl restart {unit}", check=True)
    assert re.search(rf"Cannot read certificates from {path}, for \[{section}\] CAFile=.*keep the file below /etc/streamsight", journal)


# --- a domain alone: as root with every capability, without seccomp, namespaces and the unit's other settings

ATTEMPTS = r"""
report("shadow", open(my $f, "<", "/etc/shadow"));
report("home", opendir(my $d, "/root"));
report("write-configuration", open(my $f, ">>", "/etc/streamsight/agent.conf"));
report("write-shared-memory", open(my $f, ">", "/dev/shm/probe"));
report("write-tmp", open(my $f, ">", "/tmp/probe"));
report("executable-memory", syscall(9, 0, 4096, 5, 0x22, -1, 0) != -1);
my ($what, $where, $type) = ("none", "/mnt", "tmpfs");  # constants would be read-only to Perl
report("mount", syscall(165, $what, $where, $type, 0, 0) != -1);
my $map = "\0" x 128;
report("bpf", syscall(321, 0, $map, 128) != -1);
report("ptrace", syscall(101, 16, PID, 0, 0) != -1);
report("signal", kill(23, PID));
report("packet-socket", socket(my $s, 17, 3, 0));
report("raw-socket", socket(my $s, 2, 3, 1));
report("audit-socket", socket(my $s, 16, 3, 9));
report("listen", socket(SOCK, 2, 1, 0) && bind(SOCK, pack("Sna4x8", 2, 8081, "\0\0\0\0")) && listen(SOCK, 1));
report("device-memory", open(my $f, "<", "/dev/mem"));
report("setuid", ($> = 65534) == 65534 && $> == 65534);
$> = 0;
exec("/usr/bin/true");
report("exec", 0);
"""


def names(script):
    """Of the attempts in it; one that ended the program does not answer."""
    return set(re.findall(r'report\("([\w-]+)"', script))


ONLY_SOME = {
    "dri": (r'report("dri", sysopen(my $f, "/dev/dri/card0", 0));', {"capd"}),
    "dri-write": (r'report("dri-write", sysopen(my $f, "/dev/dri/card0", 2));', set()),
    "web": (r'report("web", dial_tcp(443));', {"uploadd", "brokerd"}),
    "any-port": (r'report("any-port", dial_tcp(22));', set()),
    "dns": (r'report("dns", dial_tcp(53));', {"brokerd"}),
    "udp": (r'report("udp", socket(my $s, 2, 2, 0));', {"brokerd"}),
    "bus": (r'report("bus", dial_stream("/run/dbus/system_bus_socket"));', {"brokerd"}),
    "configuration": (r'report("configuration", open(my $f, "<", "/etc/streamsight/agent.conf"));', {"uploadd", "brokerd"}),
}


def sibling(machine):
    """A process that no domain of ours is to touch, root's and dumpable. Returns its pid."""
    unit = "probe-sibling.service"
    machine.run(f"systemctl is-active {unit} || systemd-run --quiet -u {unit} /usr/bin/sleep 3600", check=True)
    return machine.run(f"systemctl show -P MainPID {unit}", check=True).output.decode().strip()


@pytest.fixture(scope="module")
def without_domain(probed):
    """The same attempts by the same program in no domain of ours: what there is to be refused."""
    return probed.probe(NO_DOMAIN, ATTEMPTS.replace("PID", sibling(probed)))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_refuses_what_the_machine_does_not(probed, without_domain, domain):
    answers = probed.probe(domain, ATTEMPTS.replace("PID", sibling(probed)))
    assert answers.keys() == names(ATTEMPTS)
    assert {name: error for name, error in answers.items() if error not in REFUSED} == {}
    assert without_domain.keys() == names(ATTEMPTS) - {"exec"}, "true(1) has no answer for us"
    # Debian's policy allows that to nobody
    assert {name for name, error in without_domain.items() if error in REFUSED} <= {"executable-memory"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_what_only_some_domains_may(probed, domain):
    answers = probed.probe(domain, "\n".join(script for script, _ in ONLY_SOME.values()))
    may = {name for name, error in answers.items() if error not in REFUSED}
    assert answers.keys() == ONLY_SOME.keys()
    assert may == {name for name, (_, domains) in ONLY_SOME.items() if domain in domains}


@pytest.mark.parametrize("socket, client", [("frame", "uploadd"), ("control", "brokerd"), ("broker", "uploadd")])
def test_a_socket_is_for_one_domain(probed, socket, client):
    """Tried as the user who owns the socket, so that nothing but the domain decides."""
    path = f"/run/streamsight/{socket}.sock"
    may = {domain for domain in DOMAINS
           if probed.probe(domain, f'report("connect", dial("{path}"));', user=f"streamsight-{client}")["connect"] == 0}
    assert may == {client}


def test_the_key_is_for_one_domain(probed):
    """Tried as the user who owns it."""
    probed.run("install -o streamsight-brokerd -m 600 /dev/null /var/lib/streamsight/device.key && "
               "restorecon /var/lib/streamsight/device.key", check=True)
    script = 'report("key", open(my $f, "<", "/var/lib/streamsight/device.key"));'
    answers = {domain: probed.probe(domain, script, user="streamsight-brokerd")["key"] for domain in DOMAINS}
    assert answers == {"capd": errno.EACCES, "uploadd": errno.EACCES, "brokerd": 0}


IOCTLS = r"""
sysopen(my $f, "/dev/dri/card0", 0) or die "card0: $!";
# in and out, 8 bytes, at an address that cannot be read: nothing gets further than that
report("d-$_", syscall(16, fileno($f), 0xc0086400 | $_, 1) != -1) for 0 .. 255;
report("terminal", syscall(16, fileno($f), 0x5401, 1) != -1);
report("terminal-extended", syscall(16, fileno($f), 0xffffffff00005401, 1) != -1);
report("mode-extended", syscall(16, fileno($f), 0xffffffff00000000 | 0xc06864a2, 1) != -1);
"""


def test_the_cards_take_the_tables_ioctls_and_no_other(probed, tmp_path):
    def refused(domain):
        answers = probed.probe(domain, IOCTLS)
        assert len(answers) == 259
        return {name for name, error in answers.items() if error == errno.EACCES}
    serving, opening = drm_requests(tmp_path)
    allowed = {f"d-{request & 0xff}" for request in serving | opening}
    assert refused(NO_DOMAIN) <= {"d-48", "d-49"}  # AGP_ACQUIRE and AGP_RELEASE, by DRM: for the master alone
    assert refused("capd") == {f"d-{n}" for n in range(256)} - allowed | {"terminal", "terminal-extended", "mode-extended"}


def test_the_boolean_opens_other_ports(probed):
    script = 'report("port", dial_tcp(7480));'
    assert probed.probe("uploadd", script)["port"] == errno.EACCES
    probed.run("setsebool streamsight_connect_any_port on", check=True)
    assert probed.probe("uploadd", script)["port"] == errno.ECONNREFUSED
    assert probed.probe("capd", script)["port"] == errno.EACCES
    probed.run("setsebool streamsight_connect_any_port off", check=True)


def test_a_refusal_is_in_the_journal(probed):
    before = len(probed.denials())
    probed.probe("uploadd", 'report("dri", sysopen(my $f, "/dev/dri/card0", 0));')
    new = probed.denials()[before:]
    assert any(re.search(r"streamsight_uploadd_t.*dri_device_t", line) for line in new), new
