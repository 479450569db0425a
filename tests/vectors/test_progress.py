"""What a person at a terminal sees of streamsight-export: a bar that grows and goes away, and messages that it does not garble."""

import os
import pty
import re
import subprocess

from . import make

CLEAR = "\r\033[K"


def at_terminal(*command):
    """Exit status and all that was written to standard error, a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # EIO: nobody has the other end any more
                part = b""
            if not part:
                break
            seen += part
    os.close(ours)
    return process.returncode, seen.decode()


def bars(text):
    """(width, percent) of each bar."""
    return [(bar.count("#"), int(percent)) for bar, percent in re.findall(r"\r\[(#* *)\] +(\d+) %", text)]


def test_a_bar_grows_and_goes_away(build, tmp_path):
    status, text = at_terminal(build / "cli/streamsight-export", "-o", tmp_path / "out.mkv", make.FOLDER / "moves.sss")
    assert status == 0
    drawn = bars(text)
    assert len(drawn) >= 4 and drawn == sorted(drawn) and drawn[-1] == (40, 100)
    assert len({percent for _, percent in drawn}) == len(drawn), "it is drawn again though it is the same"
    assert text.endswith(CLEAR) and "\n" not in text


def test_a_message_takes_the_bars_place(build, tmp_path):
    cut = tmp_path / "cut.sss"
    cut.write_bytes((make.FOLDER / "moves.sss").read_bytes()[:-30])
    status, text = at_terminal(build / "cli/streamsight-export", "-o", tmp_path / "out.mkv", cut)
    assert status != 0 and len(bars(text)) >= 4
    message = re.search(r"(.*)streamsight export: [^\r\n]*cut short[^\r\n]*\r\n", text, re.S)
    assert message and message[1].endswith(CLEAR)


def test_there_is_none_without_a_terminal(build, tmp_path):
    done = subprocess.run([build / "cli/streamsight-export", "-o", tmp_path / "out.mkv", make.FOLDER / "moves.sss"], capture_output=True,
                          check=True)
    assert done.stderr == b""
