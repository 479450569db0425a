"""One test for each promise of policy/sandbox/promises.h: the forbidden thing is tried in the process's own image, after it
has confined itself."""

import errno
import os
import pathlib
import re
import signal
import subprocess

import pytest

from .daemon import BITS, PROCESSES, Place, end, landlock_abi, read_status

SOURCE = pathlib.Path(__file__).parents[2]
HEADER = (SOURCE / "policy/sandbox/promises.h").read_text()
PROMISES = [int(number) for number in re.findall(r"PROMISE\((\d+),", HEADER)]
BY_OTHER_TESTS = {1, 28}  # below, and test_steps.py
NO = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTTY, errno.EMFILE, errno.EAFNOSUPPORT}
NEEDED_ABI = {"paths": 1, "ports": 4, "scopes": 6}
SYS_ADMIN = 1 << 21


@pytest.fixture(scope="module")
def place(build):
    if os.geteuid() != 0:
        pytest.fail("these tests need root, to give every capability and see what is left")
    if not (build / "tests/sandbox/attacks").exists():
        pytest.skip("not built: under the sanitizers the filter is not what it is")
    with Place(build) as made:
        yield made


@pytest.fixture(scope="module")
def listed(place):
    """The lines of the program that knows the attacks: ({promise: processes}, [(promise, name, process, outcome)])."""
    lines = [line.split() for line in
             subprocess.run([place.build / "tests/sandbox/attacks"], check=True, capture_output=True, text=True).stdout.splitlines()]
    promises = {int(number): int(bits) for kind, number, bits in (w for w in lines if w[0] == "promise")}
    return promises, [(int(w[1]), *w[2:]) for w in lines if w[0] == "attack"]


def judge(status, log, name):
    """killed, refused, or done."""
    if status == -signal.SIGSYS:
        return "killed"
    assert status == 0, f"{name} ended with {status}\n{log}"
    result = int(re.search(rf"attack {name} ended with (-?\d+)", log)[1])
    return "refused" if -result in NO else "done"


@pytest.fixture(scope="module")
def untried(place):
    """Of the attacks those that this kernel has no way to: int $0x80, where it is built or booted without that ABI."""
    status, _ = place.run("uploadd", STREAMSIGHT_ATTACK="compat_abi", STREAMSIGHT_STEP="enter:lie")
    return {"compat_abi"} if status == -signal.SIGSEGV else set()


def attack(place, process, name, outcome):
    """None, or what is wrong."""
    if landlock_abi() < NEEDED_ABI.get(outcome, 0):
        return None  # tests/sandbox/README.md says which kernels have it
    place.restore()
    status, log = place.run(process, STREAMSIGHT_ATTACK=name)
    judged = judge(status, log, f"{name}")
    expected = "refused" if outcome in NEEDED_ABI else outcome
    if judged != expected:
        return f"{process}: {name} was {judged}, not {expected}: {log.strip()[-200:]}"
    if expected != "done" and not place.intact():
        return f"{process}: {name} has changed a file"
    return None


def test_they_are_numbered_and_complete(listed):
    promises, attacks = listed
    assert sorted(promises) == PROMISES == list(range(1, 30))
    for number, bits in promises.items():
        tried = {process for promise, _, process, _ in attacks if promise == number}
        if number not in BY_OTHER_TESTS:
            assert tried == {process for process in PROCESSES if bits & BITS[process]}, f"promise {number}"
    names = [(process, name) for _, name, process, _ in attacks]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("number", [n for n in PROMISES if n not in BY_OTHER_TESTS])
def test_promise(place, listed, untried, number):
    wrong = [attack(place, process, name, outcome) for promise, name, process, outcome in listed[1] if promise == number and name not in untried]
    assert wrong and not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("process", PROCESSES)
def test_promise_1_nothing_else_is_open(place, process):
    """A descriptor that nobody meant to pass on ends it."""
    with open(place.dir / "passwd", "rb") as stray:
        status, log = place.run(process, attacked=False, extra_fds=[stray.fileno()])
    assert status == 1 and re.search(r"descriptor \d+ is open, which is none of its own: .*passwd", log), log


def test_promise_29_a_socket_to_systemd_is_where_the_filter_looks(place):
    """capd ends where it could not move that to."""
    status, log = place.run("capd", attacked=False, limit=100)
    assert status == 1 and re.search(r"descriptor \d+ is open, which is none of its own: socket:unix-datagram", log), log


@pytest.mark.parametrize("process", PROCESSES)
def test_what_the_kernel_says_of_it(place, process):
    """Promises 2 to 7, of a process that was started with every capability."""
    started = place.confined(process, attacked=False)
    try:
        status = read_status(started.pid)
        limits = pathlib.Path(f"/proc/{started.pid}/limits").read_text()
    finally:
        end(started)
    kept = f"{SYS_ADMIN if process == 'capd' else 0:016x}"
    assert (status["CapPrm"], status["CapEff"]) == (kept, kept)
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert int(status["CapBnd"], 16) & ~int(kept, 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
    assert re.search(r"Max core file size +0 +0 ", limits)
    n = {"capd": 256, "uploadd": 512, "brokerd": 1024}[process]
    assert re.search(rf"Max open files +{n} +{n} ", limits)


@pytest.mark.parametrize("process", PROCESSES)
def test_systemd_still_hears_from_it(place, process):
    """Over the socket that it had before it entered."""
    started = place.confined(process, attacked=False, WATCHDOG_USEC="2000000")
    try:
        assert place.heard(b"READY=1") and place.heard(b"WATCHDOG=1") and place.heard(b"WATCHDOG=1")
    finally:
        end(started)


@pytest.mark.parametrize("process", PROCESSES)
def test_its_own_user_cannot_look_into_it(place, process):
    """Promise 3, of a process of an ordinary user with what its unit gives."""
    started = place.confined(process, attacked=False, user="nobody")
    try:
        assert read_status(started.pid)["Uid"].split()[0] != "0"
        for name in ("fd", "environ", "maps", "mem"):
            tried = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--bounding-set=-all",
                                    "/bin/bash", "-c", '[ -d "$1" ] && exec ls "$1"; exec head -c 1 "$1"', "look",
                                    f"/proc/{started.pid}/{name}"], capture_output=True, text=True)
            assert tried.returncode != 0 and "Permission denied" in tried.stderr, (name, tried)
    finally:
        end(started)
