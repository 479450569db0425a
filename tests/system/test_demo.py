"""tools/demo, as somebody runs it."""

import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import numpy
import pytest
from PIL import Image

TOOLS = pathlib.Path(__file__).parents[2] / "tools"


@pytest.fixture
def place():
    """A folder for all that a run makes, which the servers' accounts can reach. Afterwards nothing runs in it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="streamsight-test-"))
    folder.chmod(0o711)
    yield folder
    left = running_in(folder)
    shutil.rmtree(folder)
    assert not left


def running_in(folder):
    """Command lines of the processes that have the folder's name in theirs or in their environment."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in command + (process / "environ").read_bytes() and int(process.name) != os.getpid():
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


class Demo:
    """A run, and what it has said on standard error so far."""

    def __init__(self, place, *arguments):
        self._log = place / "stderr"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen([TOOLS / "demo", f"--output={place / 'output'}", *arguments], stdout=subprocess.PIPE,
                                            stderr=log, stdin=subprocess.DEVNULL, env=dict(os.environ, TMPDIR=str(place)),
                                            # a job in the background of a script, or of nohup(1), is begun with these ignored, and a shell
                                            # cannot change that
                                            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)])

    @property
    def said(self):
        return self._log.read_text(errors="replace")

    def wait_for(self, text, timeout=900):
        end = time.monotonic() + timeout
        while text not in self.said:
            assert self.process.poll() is None and time.monotonic() < end, f"never said '{text}':\n{self.said}"
            time.sleep(0.05)

    def end(self, timeout=900):
        """Returns its status and standard output."""
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output.decode()


def refusal(*arguments, before=(), tools=TOOLS):
    done = subprocess.run([*before, tools / "demo", *arguments], capture_output=True, text=True, timeout=60)
    assert "Packages" not in done.stderr, "something was installed, or built, before the refusal"
    return done


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(option):
    done = refusal(option)
    assert done.returncode == 0 and not done.stderr
    for name in ("--here", "--seconds=N", "--output=FOLDER"):
        assert name in done.stdout


@pytest.mark.parametrize("arguments, why", [
    (["--nonsense"], "unknown argument '--nonsense'"), (["now"], "unknown argument 'now'"), (["--seconds"], "--seconds needs a value"),
    (["--seconds=0"], "from 1 to 3600"), (["--seconds", "3601"], "from 1 to 3600"), (["--seconds=2x"], "from 1 to 3600"),
    (["--output="], "must name a folder"),
])
def test_bad_arguments_are_refused_at_once(arguments, why):
    done = refusal(*arguments)
    assert done.returncode == 2 and done.stderr.startswith("tools/demo: ") and why in done.stderr
    assert done.stderr.count("\n") == 1 and "--help" in done.stderr


def test_a_folder_that_cannot_be_made_is_refused_at_once():
    done = refusal("--output=/proc/demo")
    assert done.returncode == 1 and "/proc/demo" in done.stderr


def test_who_is_not_root_is_refused_at_once(place):
    place.chmod(0o755)
    shutil.copytree(TOOLS, place / "tools")
    done = refusal(before=["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", f"HOME={place}"],
                   tools=place / "tools")
    assert done.returncode == 1 and "as root" in done.stderr


@pytest.mark.parametrize("systemd, why", [("", "does not run systemd"), ("/run/systemd/system", "no /dev/dri/card*")])
def test_here_without_a_screen_is_refused_at_once(systemd, why):
    """In a machine's view of itself that has no cards, whatever this one has."""
    hide = f"mount -t tmpfs none /run && mkdir -p /run/lock {systemd} && {{ [ ! -d /dev/dri ] || mount -t tmpfs none /dev/dri; }} && exec \"$@\""
    done = refusal("--here", before=["unshare", "--mount", "sh", "-c", hide, "sh"])
    assert done.returncode == 1 and why in done.stderr, done.stderr


def films(path):
    """A film's frames, decoded by FFmpeg, and what ffprobe says of it."""
    probe = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", path], check=True, capture_output=True)
    stream, = json.loads(probe.stdout)["streams"]
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                         check=True, capture_output=True).stdout
    return numpy.frombuffer(raw, numpy.uint8).reshape(-1, stream["height"], stream["width"], 3), stream


@pytest.mark.vm
def test_a_moving_screen_comes_back(place):
    old, other = place / "streamsight-demo-old", place / "streamsight-demo-other"
    old.mkdir()
    other.mkdir()
    lock = os.open(other, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # as one that runs
    demo = Demo(place, "--seconds=10")
    status, output = demo.end()
    os.close(lock)
    assert status == 0, demo.said
    assert [path.name for path in place.glob("streamsight-demo-*")] == ["streamsight-demo-other"]

    steps = [tuple(map(int, step)) for step in re.findall(r"(?:==>\S*|✓) +\[(\d+)/(\d+)\]", demo.said)]
    assert sorted(steps) == [(n, 11) for n in range(1, 12)], demo.said

    still, film, segments = (place / "output" / name for name in ("still.png", "recording.mkv", "segments"))
    for path in (still, film, segments):
        assert str(path) in output
    for command in re.findall(r"^[A-Z][a-z ]+: +(\S+/streamsight-inspect .*)$", output, re.M):
        shown = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True).stdout
        assert "FRAM" in shown and "HEAD" in shown
    assert "streamsight-inspect" in output and "ffplay" in output

    frames, stream = films(film)
    assert stream["codec_name"] == "mjpeg" and int(stream["nb_read_frames"]) == len(frames) >= 3
    picture = numpy.asarray(Image.open(still).convert("RGB")).astype(int)
    assert picture.shape == frames[0].shape and picture.max() - picture.min() > 100, "the still is of one shade"
    assert sum(numpy.any(a != b) for a, b in zip(frames, frames[1:])) >= 2, "nothing moves"
    assert numpy.abs(frames[-1].astype(int) - picture).mean() < 3, "the film does not end with the still"


@pytest.mark.vm
@pytest.mark.parametrize("number, at", [(signal.SIGHUP, "[4/11]"), (signal.SIGINT, "[5/11]"), (signal.SIGTERM, "[8/11]")])
def test_interrupted_it_leaves_nothing(place, number, at):
    """Told to the shell alone, as kill(1) and a terminal that is closed do. The fixture looks for what is left."""
    demo = Demo(place, "--seconds=60")
    demo.wait_for(at)
    time.sleep(0.5)
    demo.process.send_signal(number)
    status, _ = demo.end(timeout=200)
    assert status == 130 and "interrupted" in demo.said and "Traceback" not in demo.said, demo.said
    assert not list(place.glob("streamsight-demo-*"))


@pytest.mark.vm
def test_what_goes_wrong_is_said_in_a_sentence(place):
    """The gateway dies while the recording runs: what asks it next is an HTTP library. Or, if that was quick, before it runs."""
    demo = Demo(place, "--seconds=5")
    demo.wait_for("[8/11]")
    master, = subprocess.run(["pgrep", "-f", f"^nginx: master.*{place}"], check=True, capture_output=True, text=True).stdout.split()
    os.kill(int(master), signal.SIGTERM)
    status, _ = demo.end()
    assert status == 1 and "Traceback" not in demo.said, demo.said
    assert re.search(r"^tools/demo: (\w+: .*refused|not within .*: recording begins)", demo.said, re.M) and "Logs are in" in demo.said, demo.said


PROGRESS = f". {TOOLS}/lib/common.sh; for i in $(seq 40); do echo \"[$i/40] thing $i\"; echo noise; done | show_progress"


def test_progress_without_a_terminal_is_a_line_for_each_tenth():
    said = subprocess.run(["bash", "-c", PROGRESS], check=True, capture_output=True, text=True).stderr
    assert said.splitlines() == [f"     [{n}/40] thing {n}" for n in range(4, 44, 4)]


def test_progress_on_a_terminal_is_one_line():
    terminal = subprocess.run(["script", "-qec", f"bash -c {shlex.quote(PROGRESS)}", "/dev/null"], check=True, capture_output=True,
                              stdin=subprocess.DEVNULL).stdout
    assert b"[40/40] thing 40" in terminal and b"[3/40] thing 3" in terminal and b"noise" not in terminal
    assert b"\n" not in terminal and terminal.endswith(b"\r\033[K")
