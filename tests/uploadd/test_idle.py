"""What an unchanged, locked or dark screen costs: few looks, few wake-ups and no segments of nothing."""

import pathlib
import re
import time

import pytest

from system import pictures

from . import wire
from .test_layers import gaps, recorded, uploaded
from .test_uploadd import picture, shown


def until_idle(capd):
    end = time.monotonic() + 60
    before = capd.asked_for_flips
    while capd.asked_for_flips < before + 2:
        assert time.monotonic() < end, "an idle screen is looked at as any other"
        time.sleep(0.01)


def woke_up(uploadd):
    """How often it has."""
    status = pathlib.Path(f"/proc/{uploadd.process.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])


def test_an_idle_screen_costs_little(uploadd, capd, broker, fault_server):
    """At fifty frames a second: nothing has changed for two seconds, then there are two looks a second, one of them
    only asks for page flips, and nothing else is said to anybody."""
    capd.pictures[0] = picture()
    recording = broker.record()
    until_idle(capd)
    time.sleep(6)  # what moved before has been told
    while broker.connection.waiting():
        broker.connection.receive()
    asked = capd.asked
    while capd.asked == asked:
        time.sleep(0.01)
    began, asked, for_flips, confirmed, woken = time.monotonic(), capd.asked, capd.asked_for_flips, capd.confirmed, woke_up(uploadd)
    while capd.asked < asked + 12:
        time.sleep(0.01)
    # A loaded machine makes them fewer.
    assert 12 <= (time.monotonic() - began) * 2 + 1
    # The others compared all of it. Besides, it is asked what displays there are, once or twice.
    assert (capd.asked_for_flips - for_flips, capd.confirmed - confirmed) == (6, 0)
    assert woke_up(uploadd) - woken <= 2 * 12 + 6
    assert not broker.connection.waiting()
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [] and len(pictures.decode(segment)) == 1


@pytest.mark.parametrize("why, gap", [("locked", 9), ("asleep", 2)])
def test_nothing_to_look_at_costs_nothing(uploadd, capd, broker, fault_server, why, gap):
    """The recording goes on all the same, without a hole between its segments."""
    capd.pictures[0] = picture()
    recording = broker.record()
    shown(capd)
    if why == "locked":
        broker.connection.send(wire.Hold(wire.HOLD, 2))
    else:
        capd.outputs, capd.asleep = [], 1
        capd.tell_outputs()
        broker.stats(lambda s: s.n_outputs == 0)
    time.sleep(1)
    asked, woken = capd.asked, woke_up(uploadd)
    time.sleep(9)
    assert capd.asked == asked and woke_up(uploadd) - woken <= 5
    broker.flush()
    uploaded(broker, fault_server, first := broker.ready())
    broker.flush()
    segment = uploaded(broker, fault_server, second := broker.ready())
    assert abs(second.start_realtime - first.end_realtime) < 100000
    assert gaps(segment) == [(0xffffffff, gap, 0, 0)]
    broker.stop(recording)


@pytest.mark.parametrize("flips", [True, False])
def test_a_change_on_an_idle_screen(capd, broker, fault_server, flips):
    """It is seen by the next look if it came with a page flip, else by the one after; then all is as fast as before."""
    capd.pictures[0] = picture()
    recording = broker.record()
    until_idle(capd)
    asked = capd.asked
    capd.pictures[0] = picture(50)
    capd.identity += flips
    while capd.asked < asked + (2 if flips else 3):
        time.sleep(0.01)
    for_flips, asked = capd.asked_for_flips, capd.asked
    while capd.asked < asked + 6:  # of which an idle one would ask for flips with three
        time.sleep(0.001)
    assert capd.asked_for_flips - for_flips <= 1
    segment = recorded(broker, fault_server, recording)
    assert len(pictures.decode(segment)) == 2


def test_a_screen_that_stays_off_costs_little(capd, broker, fault_server):
    capd.pictures[0] = wire.OFF
    recording = broker.record()
    broker.stats(lambda s: s.reason == wire.OFF)
    time.sleep(3)
    began, asked = time.monotonic(), capd.asked
    time.sleep(3)
    assert capd.asked - asked <= (time.monotonic() - began) * 2 + 1
    capd.pictures[0] = picture()
    broker.stats(lambda s: s.frames >= 1)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, 2, 0, 0)]


def test_a_capd_that_says_unasked_that_nothing_has_flipped(capd, broker):
    capd.pictures[0] = wire.NO_FLIP
    broker.record()
    while capd.connections < 2:
        time.sleep(0.01)


def test_nothing_goes_on_for_long_in_one_segment(capd, broker, fault_server):
    """A night of a locked screen would fill the queue with segments of nothing."""
    capd.pictures[0] = picture()
    recording = broker.record(seconds=1, hold=2)
    with pytest.raises(TimeoutError):
        broker.ready(5)
    broker.hold(0)
    held = uploaded(broker, fault_server, broker.ready(5))
    assert gaps(held) == [(0xffffffff, 9, 0, 0)] and len(pictures.decode(held)) == 1
    broker.hold(2)
    shown = uploaded(broker, fault_server, broker.ready(5))
    assert gaps(shown) == [(0xffffffff, 9, 0, 0)] and len(pictures.decode(shown)) == 1
    with pytest.raises(TimeoutError):
        broker.ready(5)
    assert gaps(recorded(broker, fault_server, recording)) == [(0xffffffff, 9, 0, 0)]
