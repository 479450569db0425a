"""kmspaint in the guest, under a test's command."""

import collections

# Nanoseconds of the guest's clocks. Between the two moments the old picture, the new one or a mix is up.
Shown = collections.namedtuple("Shown", "n paint_boottime paint_realtime shown_boottime shown_realtime")


class PainterError(Exception):
    """kmspaint ended; the message has what it said."""


class Painter:
    """Shows known pictures (pattern.py) on every output. Use as a context manager, or call quit().

    options: as for kmspaint, e.g. "--front" (draws into the visible buffer), "--rate=5" (counts by itself; then use
    next()), "--size=800x600", "--scene=ball". outputs: [(connector name, width, height)], by output number.
    """

    def __init__(self, vm, n=0, options=()):
        self._process = vm.spawn(" ".join(["exec kmspaint", f"--show={n}", *options]))
        self.outputs = []
        self._paint = self._first = None
        while (line := self._line()) != "ready":
            words = line.split()
            if words[0] == "output":
                self.outputs.append((words[2], *map(int, words[3].split("x"))))
            else:
                self._first = self._take(words) or self._first

    def _line(self, timeout=60):
        line = self._process.read_line(timeout)
        if line is None:
            raise PainterError(f"kmspaint ended with status {self._process.wait().rc}")
        if line.startswith("kmspaint:"):
            raise PainterError(line)
        return line

    def _take(self, words):
        times = tuple(map(int, words[1:]))
        if words[0] == "paint":
            self._paint = times
        elif words[0] == "shown":
            return Shown(*self._paint, *times[1:])
        return None

    def next(self, timeout=60):
        """The next picture that is up, as Shown."""
        if self._first:
            shown, self._first = self._first, None
            return shown
        while not (shown := self._take(self._line(timeout).split())):
            pass
        return shown

    def show(self, n):
        """Puts up picture n and waits until it is. Returns Shown."""
        self._first = None
        self._process.write(f"show {n}\n")
        while (shown := self.next()).n != n:
            pass
        return shown

    def off(self, output=None):
        """Turns the outputs off, until show(); or one, until on()."""
        self._process.write("off\n" if output is None else f"off {output}\n")
        while not self._line().startswith("off "):
            pass

    def on(self, output):
        """Turns an output on again, with what it showed."""
        self._process.write(f"on {output}\n")
        while not self._line().startswith("on "):
            pass

    def mode(self, width, height, n):
        """Shows picture n in another mode, on all outputs."""
        self._process.write(f"mode {width}x{height}\n")
        return self.show(n)

    def cursor(self, x=None, y=None):
        """Puts the cursor (pattern.cursor()) on the first output, its top left corner there; without a place: hides it."""
        self._process.write("cursor off\n" if x is None else f"cursor {x} {y}\n")
        while not self._line().startswith("cursor "):
            pass

    def quit(self):
        if self._process.rc is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.quit()
