"""The checks of pictures find a capd that gives out old or black frames: they are run against one (tests/capd/broken.c)."""

import pytest

from .checks import judge_exact, judge_fresh, judge_present, painted
from .machine import Machine, image

pytestmark = pytest.mark.vm

DROP_IN = "/run/systemd/system/streamsight-capd.service.d/broken.conf"
PROGRAM = "/usr/lib/streamsight/broken-capd"

# As in test_recording.py
CHECKS = {
    "flips": ((judge_exact, judge_fresh), range(20, 26), 0.7, ()),
    "front": ((judge_present,), (3, 4), 1, ("--front",)),
}


@pytest.fixture(scope="module")
def plain_machine(build, stack, tmp_path_factory):
    """Without SELinux, whose policy is for capd and not for its faults."""
    with Machine(image(build, tmp_path_factory.mktemp("image")), tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.configure()
        machine.settle_enrolled()
        yield machine


@pytest.fixture(scope="module")
def break_machine(plain_machine, build):
    """break_machine(fault): the machine, with a new capd that has it."""
    machine = plain_machine
    machine.vm.put(build / "tests" / "capd" / "broken-capd", PROGRAM)

    def start(fault):
        machine.wait("the machine is idle", lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)
        machine.vm.write(DROP_IN, f"[Service]\nEnvironment=STREAMSIGHT_FAULT={fault}\nExecStart=\nExecStart={PROGRAM}\n")
        machine.run("systemctl daemon-reload && systemctl stop streamsight-capd", check=True)
        return machine

    return start


@pytest.mark.parametrize("fault, check", [("none", "flips"), ("kept", "flips"), ("frozen", "flips"), ("black", "flips"),
                                          ("none", "front"), ("kept", "front")])
def test_no_fault_is_overlooked(break_machine, viewer, tmp_path, fault, check):
    judges, *painting = CHECKS[check]
    shown, frames = painted(break_machine(fault), viewer, tmp_path, *painting)
    assert frames, "nothing was recorded at all, which is another fault"
    for judge in judges:
        # Of what is drawn into the visible buffer, the first framebuffer is the right one for ever
        if fault == "none" or check == "front":
            judge(shown, frames)
        else:
            with pytest.raises((AssertionError, ValueError)) as found:
                judge(shown, frames)
            print(f"{fault} is found: {found.value}")
