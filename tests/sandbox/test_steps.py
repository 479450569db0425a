"""Promise 28: each step of entering fails, or says that it worked and did nothing; the process ends, and says why."""

import os
import re

import pytest

from .daemon import PROCESSES, Place, landlock_abi

STEPS = ("no_new_privs", "core", "dumpable", "bounding", "capabilities", "descriptors", "landlock", "rules", "restrict", "filter",
         "load")
# A lie that makes the process more confined, or that it cannot survive anyway, is none.
LIES = ("no_new_privs", "core", "dumpable", "bounding", "capabilities", "descriptors", "restrict", "load")


@pytest.fixture(scope="module")
def place(build):
    if os.geteuid() != 0:
        pytest.fail("these tests need root, to give every capability and see what is left")
    if not (build / "tests/sandbox/attacks").exists():
        pytest.skip("not built: under the sanitizers the filter is not what it is")
    with Place(build) as made:
        yield made


@pytest.mark.parametrize("step", [f"{name}:fail" for name in STEPS] + [f"{name}:lie" for name in LIES])
@pytest.mark.parametrize("process", PROCESSES)
def test_a_step_that_is_not_taken_ends_it(place, process, step):
    if step.startswith(("rules", "restrict")) and landlock_abi() == 0:
        pytest.skip("this kernel has no Landlock")
    status, log = place.run(process, STREAMSIGHT_STEP=step)
    assert status == 1, f"{step}: {process} ended with {status}\n{log}"
    assert re.search(r"cannot confine itself, ending: .|Cannot forbid new privileges and core files: .", log), log


@pytest.mark.parametrize("process", PROCESSES)
def test_capabilities_that_are_not_given_up_end_it(place, process):
    """Though it could pass none on, which would end it too."""
    status, log = place.run(process, passable=False, STREAMSIGHT_STEP="capabilities:lie")
    assert status == 1 and "its capabilities are not what they should be" in log, log


@pytest.mark.parametrize("process", PROCESSES)
def test_another_filter_is_not_its_own(place, process):
    """As its unit's, which is there already."""
    status, log = place.run(process, STREAMSIGHT_FILTERED="1", STREAMSIGHT_STEP="load:lie")
    assert status == 1 and "its system call filter is not in force" in log, log


@pytest.mark.parametrize("process", PROCESSES)
def test_with_every_step_it_goes_on(place, process):
    """Else the test above would pass whatever it made fail."""
    started = place.confined(process)
    started.terminate()
    assert started.wait(60) == 0, started.log()
