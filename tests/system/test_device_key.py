"""The device key at rest: under a wrapping key that is bound to the machine, with a TPM and without."""

import base64

import pytest

from .machine import Machine, image

pytestmark = pytest.mark.vm

CREDENTIAL = "/etc/credstore.encrypted/streamsight.wrapping-key"
KEY = "/var/lib/streamsight/device.key"
# How each begins: systemd's src/shared/creds-util.h, CRED_AES256_GCM_BY_…
BOUND_TO = {"tpm": "93a894094874449090caf2fc93cab553", "host": "5a1c6a86df9d4096b1d5a65e0862f19a"}


@pytest.fixture(scope="module")
def agent_image(build, tmp_path_factory):
    return image(build, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module", params=["tpm", "host"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def machine(kind, agent_image, stack, tmp_path_factory):
    with Machine(agent_image, tmp_path_factory.mktemp("vm"), stack, tpm=kind == "tpm") as machine:
        machine.configure()
        machine.settle_enrolled()
        yield machine


def sha256(machine, path):
    return machine.run(f"sha256sum {path}", check=True).output.split()[0]


def restart(machine):
    """brokerd, started anew: what its unit says of that."""
    machine.run("systemctl restart streamsight-brokerd", timeout=120)
    return machine.run("systemctl is-active streamsight-brokerd").output.decode().strip()


def test_what_it_is_bound_to(machine, kind):
    """Nothing is readable in either file; the TPM is part of it where there is one."""
    assert (machine.run("systemd-creds has-tpm2 --quiet").rc == 0) == (kind == "tpm")
    assert machine.run(f"stat -c '%a %U' {CREDENTIAL}", check=True).output.split() == [b"600", b"root"]
    blob = base64.b64decode(machine.run(f"cat {CREDENTIAL}", check=True).output)
    journal = machine.run("journalctl -q --no-pager -u streamsight-brokerd-key").output.decode()
    assert blob[:16].hex() == BOUND_TO[kind], journal
    assert machine.vm.read(KEY).startswith(b"SSKEY")
    assert machine.run(f"grep -rl 'PRIVATE KEY' /var/lib/streamsight {CREDENTIAL}").rc == 1


def test_a_restart_and_another_boot_keep_it(machine):
    before = machine.status()["DeviceId"], sha256(machine, KEY), sha256(machine, CREDENTIAL)
    assert before[0] and restart(machine) == "active"
    machine.run("systemctl start streamsight-brokerd-key", check=True)
    assert (machine.status()["DeviceId"], sha256(machine, KEY), sha256(machine, CREDENTIAL)) == before


def test_another_or_no_wrapping_key_is_an_error_and_no_loss(machine):
    key, device = sha256(machine, KEY), machine.status()["DeviceId"]
    machine.run(f"mv {CREDENTIAL} /root/kept", check=True)
    assert restart(machine) == "activating", "it makes another one, and brokerd refuses it"
    assert "under another wrapping key" in machine.journal()
    machine.run(f"systemctl stop streamsight-brokerd; echo damaged >{CREDENTIAL}", check=True)
    assert restart(machine) == "activating"
    assert "credentials" in machine.journal().lower()
    assert sha256(machine, KEY) == key
    machine.run(f"mv -f /root/kept {CREDENTIAL}", check=True)
    assert restart(machine) == "active"
    assert machine.status()["DeviceId"] == device and sha256(machine, KEY) == key


def test_a_plain_key_of_before_is_stored_anew(machine):
    device = machine.status()["DeviceId"]
    machine.run("systemctl stop streamsight-brokerd && "
                f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {KEY} && "
                f"chown streamsight-brokerd {KEY} && chmod 600 {KEY} && systemctl start streamsight-brokerd", check=True, timeout=120)
    assert machine.status()["DeviceId"] == device
    assert machine.vm.read(KEY).startswith(b"SSKEY")
