"""A step-by-step progress display: lines that are rewritten on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
import time


class Progress:
    """Steps may overlap: each has a line of its own while it runs, and its final line with the time it took.

    numbers: of the first step and of the last, if they are to be shown.
    """

    def __init__(self, numbers=None, out=sys.stderr):
        self._next, self._last = numbers or (0, 0)
        self._out = out
        self._tty = out.isatty()
        self._lock = threading.Lock()
        self._running = {}
        self._drawn = 0
        self._begin = time.monotonic()
        if self._tty:
            threading.Thread(target=self._tick, daemon=True).start()

    @contextlib.contextmanager
    def step(self, what):
        self.begin(what)
        try:
            yield
        except BaseException:
            self.end(what, failed=True)
            raise
        self.end(what)

    def begin(self, what):
        with self._lock:
            number = f"[{self._next}/{self._last}] " if self._last else ""
            self._running[what] = number + what, time.monotonic()
            self._next += 1
            if not self._tty:
                print(f"  …  {self._running[what][0]}", file=self._out, flush=True)
            self._draw()

    def end(self, what, failed=False):
        with self._lock:
            text, since = self._running.pop(what)
            self._erase()
            mark = "\033[31m✗\033[0m" if failed and self._tty else "✗" if failed else "\033[32m✓\033[0m" if self._tty else "✓"
            print(f"  {mark}  {text} ({time.monotonic() - since:.1f} s)", file=self._out, flush=True)
            self._draw()

    def note(self, text):
        with self._lock:
            self._erase()
            print(f"     {text}", file=self._out, flush=True)
            self._draw()

    @property
    def seconds(self):
        return time.monotonic() - self._begin

    def _erase(self):
        if self._tty and self._drawn:
            self._out.write(f"\033[{self._drawn}A\033[J")
            self._drawn = 0

    def _draw(self):
        if not self._tty:
            return
        self._erase()
        for text, since in self._running.values():
            self._out.write(f"  ⠿  {text} … {time.monotonic() - since:.0f} s\n")
        self._drawn = len(self._running)
        self._out.flush()

    def _tick(self):
        while True:
            time.sleep(1)
            with self._lock:
                self._draw()
