"""tools/bench record: real programs on an X server without a screen, recorded losslessly, for tools/bench encoder."""

import argparse
import contextlib
import html
import itertools
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from progress import Progress

WIDTH, HEIGHT, FPS = 1920, 1080, 5
FRAMES = 150
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
PHOTOGRAPHS = pathlib.Path("/usr/share/backgrounds/mate/nature")


class Screen:
    """An X server of its own with a window manager, and the programs on it; all end with it."""

    def __init__(self, folder):
        self.folder, self._ends = folder, contextlib.ExitStack()

    def __enter__(self):
        read, write = os.pipe()
        self._environment = {**os.environ, "HOME": str(self.folder), "SDL_RENDER_DRIVER": "software", "SDL_AUDIODRIVER": "dummy"}
        self._environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        with self._ends:
            self.run("Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp", pass_fds=[write])
            os.close(write)
            with open(read, "rb") as number:
                self.display = ":" + number.readline().decode().strip()
            self._environment["DISPLAY"] = self.display
            self.run("openbox")
            self.wait(2)
            self.call("feh", "--bg-fill", "--no-fehbg", PHOTOGRAPHS / "Storm.jpg")
            self._ends = self._ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def run(self, *command, **options):
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=self._environment, cwd=self.folder, **options)
        self._ends.callback(self._end, process)
        return process

    @staticmethod
    def _end(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def call(self, *command):
        return subprocess.run([str(c) for c in command], env=self._environment, cwd=self.folder, check=True, capture_output=True,
                              text=True).stdout

    def do(self, *what):
        """What a person does, by xdotool."""
        return self.call("xdotool", *what)

    def wait(self, seconds):
        time.sleep(seconds)

    def window(self, name, x=0, y=0, width=None, height=None):
        """The window of this name, put there once it is shown."""
        end = time.monotonic() + 120
        while True:
            # It fails when there is none, and when some other window goes away while it looks.
            search = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", name], env=self._environment, capture_output=True,
                                    text=True)
            found = search.stdout.split()
            if search.returncode == 0 and found:
                break
            if time.monotonic() > end:
                raise TimeoutError(f"no window {name} after two minutes\n{(self.folder / 'log').read_text()[-2000:]}")
            self.wait(0.3)
        self.do("windowmove", found[0], x, y)
        if width:
            self.do("windowsize", found[0], width, height)
        return found[0]

    # The programs.

    def clock(self):
        self.run("xclock", "-digital", "-update", "1", "-strftime", "%a %d %b %H:%M:%S", "-geometry", "260x40")
        return self.window("xclock", WIDTH - 270, 0)

    def editor(self, *place, text=CHECKOUT / "README.md"):
        copy = self.folder / "document.txt"
        copy.write_text(text.read_text() if isinstance(text, pathlib.Path) else text)
        self.run("mousepad", "--disable-server", copy)
        return self.window("Mousepad", *place)

    def terminal(self, *place, command="exec bash --norc"):
        self.run("xterm", "-T", "terminal", "-fa", "DejaVu Sans Mono", "-fs", "11", "-bg", "#101820", "-fg", "#d8d8d0", "-e", "sh", "-c",
                 command)
        return self.window("terminal", *place)

    def browser(self):
        page = self.folder / "page.html"
        page.write_text(_page())
        self.run("chromium", "--no-sandbox", "--test-type", "--no-first-run", "--disable-gpu", "--disable-background-networking",
                 "--disable-component-update", f"--user-data-dir={self.folder}/chromium", f"--window-size={WIDTH},{HEIGHT - 30}",
                 "--window-position=0,0", page.as_uri())
        found = self.window("Documentation", 0, 0)
        self.wait(8)
        return found

    def film(self, width, height, fps, seconds):
        """Photographs that the camera moves over, each for two seconds."""
        film, large = self.folder / "film.mkv", f"{width * 3 // 2}:{height * 3 // 2}"
        # Of one size first: another size would begin the second filter anew.
        self.call("ffmpeg", "-v", "error", "-pattern_type", "glob", "-i", f"{PHOTOGRAPHS}/*.jpg", "-frames:v", seconds // 2, "-vf",
                  f"scale={large}:force_original_aspect_ratio=increase,crop={large}", "photograph-%02d.jpg")
        self.call("ffmpeg", "-v", "error", "-framerate", "1", "-i", "photograph-%02d.jpg", "-vf",
                  f"zoompan=z=1.1+on*0.3/{fps * seconds}:x=(iw-iw/zoom)*(0.5+0.4*sin(on/{fps})):y=(ih-ih/zoom)*(0.5+0.4*cos(on/{fps})):"
                  f"d={fps * 2}:s={width}x{height}:fps={fps}", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-pix_fmt",
                  "yuv420p", film)
        return film

    def play(self, film, *options):
        self.run("ffplay", "-v", "error", "-loop", "0", "-an", "-sync", "video", "-noframedrop", "-window_title", "film", *options, film)
        return self.window("film", *((1200, 500) if "-fs" not in options else ()))


def _page():
    """The project's documents with photographs between, as a web page."""
    parts, photographs = [], itertools.cycle(sorted(PHOTOGRAPHS.glob("*.jpg")))
    for document in DOCUMENTS:
        for part in document.read_text().split("\n\n")[:25]:
            text = html.escape(part.strip())
            if part.startswith("#"):
                parts += [f"<h2>{text.lstrip('# ')}</h2>", f"<img src='{next(photographs).as_uri()}'>"]
            elif part.startswith(("```", "|", "    ")):
                parts.append(f"<pre>{text}</pre>")
            else:
                parts.append(f"<p>{text}</p>")
    return ("<!doctype html><meta charset=utf-8><title>Documentation</title><style>body{margin:0 auto;width:1100px;"
            "font:17px/1.5 'DejaVu Sans',sans-serif}header{position:sticky;top:0;background:#234;color:#fff;padding:12px}h2{color:#a22}"
            "img{width:900px;height:420px;object-fit:cover}pre{background:#eef;overflow:hidden;padding:8px}</style>"
            f"<header>Documentation</header>{''.join(parts)}")


# Each kind sets its screen up until the first yield; from then on it is recorded, and every yield is a pause in seconds.

def idle(screen):
    """A desktop at rest, with a clock."""
    screen.clock()
    screen.editor(100, 100, 1100, 800)
    screen.terminal(1150, 600)
    yield
    while True:
        yield 1


def typing(screen):
    """Somebody writes in an editor."""
    screen.clock()
    screen.do("windowfocus", "--sync", screen.editor(120, 80, 1300, 900))
    screen.do("key", "ctrl+End")
    yield
    for word in itertools.cycle(DOCUMENTS[1].read_text().split()):
        screen.do("type", "--delay", "110", word + " ")
        yield 0.15


def scroll(screen):
    """A web page with photographs, by the mouse's wheel."""
    screen.browser()
    screen.do("mousemove", WIDTH // 2, HEIGHT // 2)
    yield
    for button in itertools.cycle([5] * 25 + [4] * 10):
        screen.do("click", "--repeat", "2", "--delay", "60", button)
        yield 0.45


def terminal(screen):
    """Lines that come in below."""
    screen.clock()
    screen.terminal(60, 60, 1500, 980, command="while :; do while IFS= read -r line; do echo \"$line\"; sleep 0.05; done <document.txt; done")
    (screen.folder / "document.txt").write_text("\n".join(d.read_text() for d in DOCUMENTS))
    screen.wait(3)
    yield
    while True:
        yield 1


def sideways(screen):
    """An editor with long lines, scrolled to the right and back."""
    text = "\n".join(" ".join(part.split()) for part in DOCUMENTS[1].read_text().split("\n\n"))
    screen.editor(120, 80, 1300, 900, text=text)
    screen.do("mousemove", 700, 500)
    yield
    for button in itertools.cycle([7] * 30 + [6] * 20):
        screen.do("click", button)
        yield 0.25


def switch(screen):
    """Three large windows in turn."""
    windows = [screen.browser(), screen.editor(0, 20, WIDTH - 40, HEIGHT - 60), screen.terminal(20, 40, WIDTH - 60, HEIGHT - 100)]
    screen.do("windowactivate", "--sync", windows[2], "type", "ls -l /usr/share/doc | head -40\n")
    yield
    for window in itertools.cycle(windows):
        screen.do("windowactivate", window)
        yield 1


def drag(screen):
    """A window drawn over the desktop by its title."""
    screen.clock()
    screen.editor(100, 100, 900, 600)
    left, top = 500, 110
    screen.do("mousemove", left, top)
    screen.wait(1)
    screen.do("mousedown", 1)
    yield
    for step in itertools.count():
        screen.do("mousemove", left + int(400 * (1 - math.cos(step / 15))), top + int(150 * (1 - math.cos(step / 10))))
        yield 0.08


def video(screen):
    """A film in a window."""
    screen.clock()
    screen.editor(100, 100, 1000, 800)
    screen.play(screen.film(640, 360, 25, 20))
    screen.wait(2)
    yield
    while True:
        yield 1


def new(screen):
    """A film over the whole screen: all is new in every frame."""
    screen.play(screen.film(WIDTH, HEIGHT, 10, 12), "-fs")
    screen.wait(4)
    yield
    while True:
        yield 1


KINDS = {kind.__name__: kind for kind in (idle, typing, switch, drag, scroll, terminal, sideways, video, new)}


def record(kind, path, frames=FRAMES):
    """kind's frames in a Matroska file of lossless RGB."""
    part = path.with_suffix(".part.mkv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="streamsight-record-") as folder, Screen(pathlib.Path(folder)) as screen:
        actions = KINDS[kind](screen)
        next(actions)
        grab = screen.run("ffmpeg", "-v", "error", "-y", "-f", "x11grab", "-draw_mouse", "0", "-framerate", FPS, "-video_size",
                          f"{WIDTH}x{HEIGHT}", "-i", screen.display, "-frames:v", frames, "-vf", f"setpts=N/{FPS}/TB", "-r", FPS, "-c:v",
                          "libx264rgb", "-preset", "ultrafast", "-qp", "0", part)
        for pause in actions:
            try:
                grab.wait(pause)
                break
            except subprocess.TimeoutExpired:
                pass
        if grab.returncode != 0:
            raise RuntimeError((pathlib.Path(folder) / "log").read_text()[-2000:])
    part.replace(path)


def ensure(folder, kinds, progress, again=False):
    """The kinds' recordings in a folder, made if they are not there."""
    for kind in kinds:
        path = folder / f"{kind}.mkv"
        if again or not path.exists():
            with progress.step(f"Record {kind}: {KINDS[kind].__doc__}"):
                record(kind, path)
    return [folder / f"{kind}.mkv" for kind in kinds]


def main():
    parser = argparse.ArgumentParser(prog="tools/bench record", description=__doc__.split(": ", 1)[1],
                                     epilog="Kinds: " + "; ".join(f"{n}: {k.__doc__}" for n, k in KINDS.items()))
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    parser.add_argument("--recordings", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for kind in options.kinds:
        if kind not in KINDS:
            parser.error(f"{kind}: not one of {', '.join(KINDS)}")
    for path in ensure(options.recordings, options.kinds or KINDS, Progress(), again=True):
        print(path)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, TimeoutError, subprocess.CalledProcessError) as error:
        sys.exit(f"{error}\n{getattr(error, 'stderr', None) or ''}")
