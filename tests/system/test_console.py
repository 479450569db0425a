"""The console and a real compositor take turns at the screen while the agent records: what is recorded is what is on it, by QEMU."""

import numpy
import pytest

from .recording import CLOCK, Recording

pytestmark = pytest.mark.vm

def switch(machine, number):
    """To that virtual terminal: VT_ACTIVATE and VT_WAITACTIVE."""
    machine.run(f"""perl -e 'open(T, "+<", "/dev/tty0") or die; ioctl(T, $_, {number}) or die "$_: $!" for 0x5606, 0x5607'""", check=True)


# All of one colour, so that it is nothing like a desktop
CONSOLE = "printf '\\e[44m\\e[2J\\e[?25l a console ' > /dev/tty3"


@pytest.fixture
def desktop(machine):
    """desktop(command): starts, stops, restarts weston with nothing that moves but its clock."""
    def weston(command):
        machine.run(f"systemctl {command} weston-desk && systemctl stop desk-terminal", timeout=120, check=True)
    yield weston
    machine.run("systemctl stop weston-desk", timeout=120)
    switch(machine, 1)


def is_drawn(screen):
    """The desktop's background is no black."""
    return screen[CLOCK:].mean() > 40


def differ(one, other):
    return one.shape != other.shape or numpy.abs(one[CLOCK:].astype(int) - other[CLOCK:]).mean() > 10


def test_the_console_and_back(machine, viewer, tmp_path, desktop):
    desktop("start")
    with Recording(machine, viewer, tmp_path) as recording:
        first = recording.until_like_the_screen(is_drawn)
        machine.run(CONSOLE, check=True)
        switch(machine, 3)
        recording.until_like_the_screen(lambda screen: differ(first, screen))
        switch(machine, 1)
        recording.until_like_the_screen(lambda screen: not differ(first, screen))


def test_a_compositor_that_is_killed(machine, viewer, tmp_path, desktop):
    desktop("start")
    with Recording(machine, viewer, tmp_path) as recording:
        first = recording.until_like_the_screen(is_drawn)
        machine.run("systemctl kill -s KILL weston-desk && while systemctl is-active -q weston-desk; do sleep 0.1; done; "
                    f"{CONSOLE}", check=True)
        switch(machine, 3)
        recording.until_like_the_screen(lambda screen: differ(first, screen))
        desktop("restart")
        switch(machine, 1)
        recording.until_like_the_screen(lambda screen: not differ(first, screen))
