"""A recording, looked at while it goes on."""

import contextlib
import functools
import time

import numpy

from vm import pattern

from .checks import MEAN
from .machine import TimedOut
from .pictures import ALL, decode, gaps, outputs, pictures

CLOCK = 40  # weston's panel, in which the time goes on


class Recording:
    """Context manager: begins one, as an administrator, and ends it. Until then it is the same one, and systemd has not started
    one of the processes anew more than so many times."""

    def __init__(self, machine, viewer, folder, restarts=0):
        self._machine, self._viewer, self._folder, self._restarts = machine, viewer, folder, restarts

    def __enter__(self):
        self._before = self._restarted()
        self._machine.run("streamsight start", check=True)
        self.id = self._machine.wait("it records", lambda s: s["State"] == "recording")["Recording"]
        return self

    def __exit__(self, exception_type, *_):
        recording = self._machine.status()["Recording"]
        self._machine.run("streamsight stop", check=True)
        if exception_type:
            return
        assert recording == self.id, "another recording was begun"
        self._viewer.wait_finished(self.id)
        self._machine.wait("nothing waits for upload", lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)
        assert self._restarted() - self._before <= self._restarts, self._machine.journal()

    def _restarted(self):
        return sum(map(int, self._machine.run(
            "for unit in capd uploadd brokerd; do systemctl show -P NRestarts streamsight-$unit; done", check=True).output.split()))

    def until(self, what, condition, timeout=120, pause=0.5):
        """Waits until condition(the segments that there are) is true; returns them. Each time a segment ends, then come so many seconds."""
        end = time.monotonic() + timeout
        while True:
            self._machine.run("streamsight flush", check=True)
            # one without a display is announced some seconds late
            known = any(recording["id"] == self.id for recording in self._viewer.recordings())
            segments = self._viewer.download(self.id, self._folder) if known else []
            if condition(segments):
                return segments
            if time.monotonic() > end:
                raise TimedOut(f"not within {timeout} s: {what}; gaps {gaps(segments)}, outputs {outputs(segments)}, shown "
                               f"{[[entry[0] for entry in shown(segments, i)] for i in (0, 1)]}\n{self._machine.journal()}")
            time.sleep(pause)

    def until_shows(self, n, *displays, size=(1024, 768)):
        """Waits until these displays' last picture is the painter's picture n."""
        return self.until(f"displays {displays} show {n}", lambda segments: all(
            shown(segments, display)[-1:] == [(n, display, *size)] for display in displays))

    def until_gap(self, reason, display):
        return self.until(f"a gap {reason} of display {display}", lambda segments: any(
            gap.reason == reason and gap.output in (display, ALL) for gap in gaps(segments)))

    def until_like_the_screen(self, expected):
        """Waits until the first display's last picture is what QEMU says is on the screen, and that is as expected; returns it."""
        def like(segments):
            found = [picture.image for picture in pictures(segments) if picture.output == 0]
            self._screen = self._machine.vm.screendump()
            return (found and expected(self._screen) and found[-1].shape == self._screen.shape
                    and numpy.abs(found[-1][CLOCK:].astype(int) - self._screen[CLOCK:]).mean() <= MEAN)
        self.until("the picture is the screen's", like)
        return self._screen


def shown(segments, display):
    """(number, painter's output, width, height) of a display's pictures of the painter."""
    return [entry[1:] for path in segments for entry in _shown_in(path.read_bytes()) if entry[0] == display]


@functools.cache
def _shown_in(segment):
    """The same of one segment, with the display before it."""
    found = []
    for picture in decode(segment):
        with contextlib.suppress(ValueError):
            found.append((picture.output, *pattern.read(picture.image), *picture.image.shape[1::-1]))
    return found
