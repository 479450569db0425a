"""What pictures of the painter, recorded and fetched from the bucket, must be. Each pair records, and judges what was recorded."""

import contextlib

from vm import pattern
from vm.painter import Painter

from .pictures import pictures

# What JPEG at 4:4:4 and quality 85 may change of the painter's picture, in steps of 255 (tests/vm/pattern.py).
WORST, MEAN = 40, 3.0


def record(machine, viewer, while_recording):
    """Starts a recording, runs while_recording(), stops, and waits until all of it is in the bucket. Returns its id."""
    machine.run("streamsight start", check=True)
    status = machine.wait("the recording has begun", lambda s: s["State"] == "recording" and s["Outputs"])
    while_recording()
    machine.run("streamsight stop", check=True)
    viewer.wait_finished(status["Recording"])
    return status["Recording"]


def painted(machine, viewer, folder, numbers, seconds, options=()):
    """Records while the painter shows the numbers, each for so many seconds. Returns what was shown, and the pictures."""
    shown = []

    def paint():
        for n in numbers:
            shown.append(painter.show(n))
            machine.run(f"sleep {seconds}")

    with Painter(machine.vm, options=options) as painter:
        recording = record(machine, viewer, paint)
    return shown, pictures(viewer.download(recording, folder))


def judge_exact(shown, frames):
    """Every picture is one that was painted, exactly but for JPEG; and all of them are there, in their order."""
    assert frames, "the recording holds no picture"
    seen = []
    for frame in frames:
        n, output = pattern.read(frame.image)  # refuses a black, torn, turned or foreign picture
        worst, mean = pattern.error(frame.image, n, output)
        assert worst <= WORST and mean <= MEAN, f"picture {n}: differs by up to {worst}, {mean:.2f} on average"
        if not seen or seen[-1] != n:
            seen.append(n)
    numbers = [this.n for this in shown]
    assert seen[-len(numbers):] == numbers, f"shown {numbers}, recorded {seen}"


def judge_fresh(shown, frames):
    """Each picture is recorded before another takes its place and none after its end."""
    times = [(frame.realtime, pattern.read(frame.image)[0]) for frame in frames]
    for this, following in zip(shown, shown[1:]):
        recorded = [time for time, n in times if n == this.n]
        assert recorded, f"picture {this.n} was not recorded"
        assert this.paint_realtime <= recorded[0] * 1e9 <= following.paint_realtime, f"picture {this.n} came late"
        assert recorded[-1] <= following.shown_realtime / 1e9 + 0.3, f"picture {this.n} was recorded after it had gone"


def judge_present(shown, frames):
    """What was painted is there. Who draws into the visible buffer is recorded while drawing too: what is not whole shows nothing."""
    seen = set()
    for frame in frames:
        with contextlib.suppress(ValueError):
            seen.add(pattern.read(frame.image)[0])
    assert {this.n for this in shown} <= seen, f"recorded {seen}"
