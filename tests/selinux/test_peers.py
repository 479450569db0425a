"""A peer of the right user in the wrong domain is refused by the process itself, whether SELinux enforces or not."""

import pytest

from .machine import NO_DOMAIN, ConfinedMachine

pytestmark = pytest.mark.vm

DOMAINS = ("capd", "uploadd", "brokerd", NO_DOMAIN)
GREETED = r"""
sub greeted { dial($_[0]) or return 0; recv(SOCK, my $hello, 100, 0); $! = 104; return length($hello) == 8 }
report("greeted", greeted("PATH"));
"""


@pytest.fixture(scope="module")
def probed(machine_image, stack, tmp_path_factory):
    with ConfinedMachine(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.make_probes()
        yield machine


@pytest.fixture(scope="module", params=["enforcing", "permissive"])
def machine(request, probed):
    probed.run(f"setenforce {request.param}", check=True)
    return probed


@pytest.mark.parametrize("socket, client, server", [("frame", "uploadd", "capd"), ("control", "brokerd", "capd"), ("broker", "uploadd", "brokerd")])
def test_only_its_domain_is_greeted(machine, socket, client, server):
    script = GREETED.replace("PATH", f"/run/streamsight/{socket}.sock")
    greeted = {domain for domain in DOMAINS
               if machine.probe(domain, script, user=f"streamsight-{client}")["greeted"] == 0}
    assert greeted == {client}
    if machine.run("getenforce").output.strip() == b"Permissive":
        journal = machine.run(f"journalctl --sync; journalctl -q --no-pager -o cat -u streamsight-{server}").output.decode()
        refused = [line for line in journal.splitlines() if "Refused a connection" in line]
        assert any(f"streamsight_{next(d for d in DOMAINS if d != client)}_t" in line for line in refused), journal


def test_the_processes_know_each_other(machine):
    """In their own domains they go on as ever."""
    machine.run("systemctl restart streamsight-uploadd streamsight-brokerd streamsight-capd", check=True)
    machine.run("for i in $(seq 100); do journalctl -q -o cat -b -u streamsight-capd | tail -n 4 | grep -q 'uploadd connected' && exit 0; sleep 0.3; done; exit 1",
                timeout=120, check=True)
