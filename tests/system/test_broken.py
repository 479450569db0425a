"""The checks of pictures find a capd that gives out old or black frames: they are run against one (tests/capd/broken.c)."""

import pytest

from .checks import judge_exact, judge_fresh, judge_present, painted

pytestmark = pytest.mark.vm

DROP_IN = "/run/systemd/system/streamsight-capd.service.d/broken.conf"
PROGRAM = "/usr/lib/streamsight/broken-capd"

# As in test_recording.py
CHECKS = {
    "flips": ((judge_exact, judge_fresh), range(20, 26), 1.5, ()),
    "front": ((judge_present,), (3, 4), 1, ("--front",)),
}


@pytest.fixture(scope="module")
def break_machine(_shared_machine, build):
    """break_machine(fault): the shared machine, with a new capd that has it. Afterwards it has its own again."""
    machine = _shared_machine
    machine.vm.put(build / "tests" / "capd" / "broken-capd", PROGRAM)
    machine.run(f"chcon -t streamsight_capd_exec_t {PROGRAM}", check=True)

    def start(fault):
        machine.vm.write(DROP_IN, f"[Service]\nEnvironment=STREAMSIGHT_FAULT={fault}\nExecStart=\nExecStart={PROGRAM}\n")
        machine.run("systemctl daemon-reload && systemctl stop streamsight-capd", check=True)
        return machine

    yield start
    machine.run(f"rm {DROP_IN} {PROGRAM}; systemctl daemon-reload && systemctl stop streamsight-capd", check=True)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("fault", ["none", "kept", "frozen", "black"])
def test_no_fault_is_overlooked(machine, break_machine, viewer, tmp_path, fault, check):
    judges, *painting = CHECKS[check]
    shown, frames = painted(break_machine(fault), viewer, tmp_path, *painting)
    assert frames, "nothing was recorded at all, which is another fault"
    for judge in judges:
        # Of what is drawn into the visible buffer, the first framebuffer is the right one for ever
        if fault == "none" or (fault, check) == ("kept", "front"):
            judge(shown, frames)
        else:
            with pytest.raises((AssertionError, ValueError)) as found:
                judge(shown, frames)
            print(f"{fault} is found: {found.value}")
