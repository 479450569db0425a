"""What a segment says beside the picture: who is at the seat, displays that come, change and go, and every kind of gap.
Read by tests/system/pictures.py, which was written from the document."""

import itertools
import pathlib
import struct
import subprocess
import threading
import time

import numpy
import pytest

from system import pictures

from . import wire
from .dmabuf import DmaBuf
from .peers import Broker, Capd, Uploadd, output
from .test_uploadd import export, picture, shown

ANNA = wire.Session(wire.SESSION, 1, 1000, 0, b"4", b"seat0", b"anna")
NOBODY = wire.Session(wire.SESSION)
LOGIN = wire.Session(wire.SESSION, 3, 114, 0, b"c1", b"seat0", b"gdm")


def uploaded(broker, fault_server, segment):
    broker.upload(segment, fault_server.url + f"/{segment.sequence}")
    assert broker.uploaded(segment) is None
    return fault_server.requests[-1].body


def recorded(broker, fault_server, recording):
    """Ends the recording; its last segment."""
    broker.stop(recording)
    return uploaded(broker, fault_server, broker.ready())


def sessions(segment):
    """(seconds after the start, flags, uid, id, seat, user) of each sESS."""
    found = []
    for _, kind, payload in pictures.chunks(segment):
        if kind == "sESS":
            time, flags, uid, *texts = struct.unpack("<QII32s32s64s", payload)
            found.append((time / 1e6, flags, uid, *(text.rstrip(b"\0").decode() for text in texts)))
    return found


def gaps(segment):
    """(display, reason, format, modifier) of each GAP_."""
    unpacked = [struct.unpack("<IIQIIQ", payload) for _, kind, payload in pictures.chunks(segment) if kind == "GAP_"]
    return [(display, reason, form, modifier) for display, reason, _, form, _, modifier in unpacked]


def gap_seconds(segment):
    """From the first GAP_ until the end."""
    first = next(payload for _, kind, payload in pictures.chunks(segment) if kind == "GAP_")
    end, = (payload for _, kind, payload in pictures.chunks(segment) if kind == "INDX")
    return (struct.unpack_from("<Q", end)[0] - struct.unpack_from("<Q", first, 8)[0]) / 1e6


def test_who_is_at_the_seat(capd, broker, fault_server, build, run_dir):
    capd.pictures[0] = picture()
    broker.connection.send(LOGIN)
    recording = broker.record()
    shown(capd)
    broker.connection.send(ANNA)
    broker.connection.send(ANNA)  # the same again is no news
    shown(capd)
    broker.flush()
    first = uploaded(broker, fault_server, broker.ready())
    shown(capd)
    broker.connection.send(NOBODY)
    shown(capd)
    second = recorded(broker, fault_server, recording)

    found = sessions(first)
    assert [s[1:] for s in found] == [(3, 114, "c1", "seat0", "gdm"), (1, 1000, "4", "seat0", "anna")]
    assert found[0][0] == 0 < found[1][0]
    # Each segment begins with it.
    found = sessions(second)
    assert [s[1:] for s in found] == [(1, 1000, "4", "seat0", "anna"), (0, 0, "", "", "")]
    assert found[0][0] == 0

    path = run_dir / "session.sss"
    path.write_bytes(first)
    inspected = subprocess.run([build / "cli" / "streamsight-inspect", path], capture_output=True, text=True, check=True).stdout
    assert "anna (uid 1000), session 4 on seat0" in inspected and "login screen of gdm" in inspected


def test_a_session_is_of_one_broker(capd, broker, listener, fault_server):
    """Another brokerd may know otherwise, or nothing."""
    capd.pictures[0] = picture()
    broker.connection.send(ANNA)
    broker.record()
    shown(capd)
    broker.connection.close()
    again = Broker(listener)
    assert len(sessions(uploaded(again, fault_server, again.ready()))) == 1
    recording = again.record()
    shown(capd)
    assert not sessions(recorded(again, fault_server, recording))
    again.connection.close()


@pytest.mark.parametrize("field, value", [("flags", 4), ("user", b"x" * 64), ("id", b"x" * 32), ("seat", b"x" * 32)])
def test_a_session_out_of_bounds(broker, uploadd, field, value):
    message = wire.Session.from_buffer_copy(ANNA)
    setattr(message, field, value)
    broker.connection.send(message)
    assert broker.connection.ended()
    end = time.monotonic() + 20
    while "SESSION was refused" not in uploadd.log():  # it hangs up before it says so
        assert time.monotonic() < end, uploadd.log()
        time.sleep(0.02)


def close_to(image, wanted):
    return image.shape == wanted[..., :3].shape and numpy.abs(image.astype(int) - wanted[..., 2::-1]).mean() < 3


def test_displays_that_come_change_and_go(uploadd, listener, fault_server, build, run_dir):
    """Two displays in one recording; one changes its mode twice, the other goes. Each picture is the display's own."""
    capd = Capd(uploadd.frame_socket, [output(0), output(5, 200, 120, b"Virtual-2")])
    broker = Broker(listener)
    try:
        capd.pictures = {0: picture(), 5: picture(20, 120, 200)}
        recording = broker.record()
        broker.stats(lambda s: s.n_outputs == 2 and s.frames >= 2)
        shown(capd)
        capd.pictures[0] = picture(40, 300, 400)  # by the frame alone: OUTPUTS is asked for only now and then
        shown(capd)
        asked = threading.Event()
        capd.pictures[5] = lambda: asked.set() or wire.UNPLUGGED
        assert asked.wait(20)  # an idle one more seldom than the other
        capd.pictures[0] = picture(60)
        shown(capd)
        segment = recorded(broker, fault_server, recording)
    finally:
        broker.connection.close()
        capd.close()

    declared = [struct.unpack_from("<III", payload) for _, kind, payload in pictures.chunks(segment) if kind == "OUTP"]
    assert declared == [(0, 320, 200), (5, 200, 120), (0, 400, 300), (0, 320, 200)]
    assert gaps(segment) == [(5, 4, 0, 0)]
    decoded = pictures.decode(segment)
    for display, wanted in ((0, [picture(), picture(40, 300, 400), picture(60)]), (5, [picture(20, 120, 200)])):
        got = [p.image for p in decoded if p.output == display]
        assert len(got) == len(wanted) and all(map(close_to, got, wanted)), f"display {display}"
    # The project's own decoder, for the display with one mode.
    path = run_dir / "displays.sss"
    path.write_bytes(segment)
    done = export(build, path, "--raw", "--output", "5")
    assert done.returncode == 0, done.stderr
    raw = numpy.frombuffer(done.stdout, numpy.uint8).reshape(-1, 120, 200, 4)
    assert len(raw) == 1 and numpy.array_equal(raw[0][..., 2::-1], [p.image for p in decoded if p.output == 5][0])


def names(segment):
    """(display, connector) of each OUTP."""
    return [(struct.unpack_from("<I", payload)[0], payload[16:48].rstrip(b"\0"))
            for _, kind, payload in pictures.chunks(segment) if kind == "OUTP"]


def test_a_capd_that_counts_displays_otherwise(uploadd, listener, fault_server):
    """It was started anew, and a display that was plugged in later comes first now. Both are of one size."""
    one, other = picture(), picture(60)
    capd = Capd(uploadd.frame_socket, [output(0, name=b"HDMI-A-1"), output(1, name=b"DP-1")])
    broker = Broker(listener)
    try:
        capd.pictures = {0: one, 1: other}
        recording = broker.record()
        broker.stats(lambda s: s.frames >= 2)
        shown(capd)
        capd.close()
        capd = Capd(uploadd.frame_socket, [output(0, name=b"DP-1"), output(1, name=b"HDMI-A-1")])
        capd.pictures = {0: other, 1: one}
        stats = broker.stats(lambda s: s.n_outputs == 2)
        assert [(o.id, o.name) for o in stats.outputs[:2]] == [(1, b"DP-1"), (0, b"HDMI-A-1")]
        shown(capd)
        other = capd.pictures[0] = picture(90)
        shown(capd)
        # what a list says of displays that are gone is of them, too
        capd.outputs.pop(0)
        capd.asleep = 1 << 0
        capd.tell_outputs()
        broker.stats(lambda s: s.n_outputs == 1)
        segment = recorded(broker, fault_server, recording)
    finally:
        broker.connection.close()
        capd.close()
    assert set(names(segment)) == {(0, b"HDMI-A-1"), (1, b"DP-1")}
    decoded = pictures.decode(segment)
    for display, wanted in ((0, [one]), (1, [picture(60), other])):
        assert all(any(close_to(p.image, w) for w in wanted) for p in decoded if p.output == display), f"display {display}"
    assert close_to([p.image for p in decoded if p.output == 1][-1], other)
    assert gaps(segment)[-1] == (1, 2, 0, 0)


def test_more_displays_than_there_are_numbers(uploadd, listener, fault_server):
    """No number comes to mean another display: uploadd keeps what is recorded, and is started anew."""
    capd = Capd(uploadd.frame_socket)
    broker = Broker(listener)
    try:
        broker.record()
        for i in range(64):
            broker.stats(lambda s: s.frames >= 1 and s.outputs[0].name == b"Virtual-%d" % (i + 1))
            capd.outputs[0] = output(0, name=b"Virtual-%d" % (i + 2))
            capd.tell_outputs()
        segment = broker.ready()
        assert segment.final == 1
        declared = names(uploaded(broker, fault_server, segment))
        broker.release(segment)
        assert uploadd.process.wait(15) == 0
    finally:
        broker.connection.close()
        capd.close()
    assert len(dict(declared)) == len(set(declared))


def test_another_refresh_rate_is_another_mode(capd, broker, fault_server):
    capd.pictures[0] = picture()
    recording = broker.record()
    shown(capd)
    capd.outputs[0].refresh_mhz = 144000
    capd.tell_outputs()
    shown(capd)
    segment = recorded(broker, fault_server, recording)
    assert [struct.unpack_from("<4I", payload)[3] for _, kind, payload in pictures.chunks(segment) if kind == "OUTP"] == [60000, 144000]


@pytest.mark.parametrize("asleep, gap", [(True, 2), (False, 4)])
@pytest.mark.parametrize("others", [True, False])
def test_displays_that_are_no_longer_listed(uploadd, listener, fault_server, others, asleep, gap):
    """They are off, or unplugged: the list says which, also when it is empty."""
    capd = Capd(uploadd.frame_socket, [output(5, 200, 120, b"Virtual-2")] + [output(0)] * others)
    broker = Broker(listener)
    try:
        recording = broker.record()
        broker.stats(lambda s: s.n_outputs == 1 + others and s.frames >= 1 + others)
        gone = capd.outputs.pop(0)
        capd.asleep = asleep << gone.id
        capd.tell_outputs()
        broker.stats(lambda s: s.n_outputs == others)
        shown(capd) if others else time.sleep(0.5)
        segment = recorded(broker, fault_server, recording)
    finally:
        broker.connection.close()
        capd.close()
    assert gaps(segment)[0] == (5, gap, 0, 0)
    assert gaps(segment)[1:] == ([] if others else [(0xFFFFFFFF, gap, 0, 0)])


@pytest.mark.parametrize("reason, gap", [(wire.NO_GRANT, 1), (wire.OFF, 2), (wire.UNFINISHED, 3), (wire.UNPLUGGED, 4),
                                         (wire.UNDECODABLE, 5)])
def test_gaps_that_capd_tells(capd, broker, fault_server, reason, gap):
    capd.pictures[0] = picture()
    recording = broker.record()
    shown(capd)
    capd.pictures[0] = reason
    shown(capd)
    capd.pictures[0] = picture()
    shown(capd)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, gap, 0, 0)]
    # The picture is the same as before the gap: a frame without operations ends it.
    assert len(pictures.decode(segment)) == 2


def test_a_refusal_of_the_recording_before_is_no_gap(capd, broker, fault_server):
    """Its grant has ended when capd answers; the next recording has another one."""
    asked, answer = threading.Event(), threading.Event()

    def refuse_late():
        asked.set()
        assert answer.wait(20)
        return wire.NO_GRANT
    capd.pictures[0] = refuse_late
    before = broker.record()
    assert asked.wait(20)
    broker.stop(before)
    broker.connection.wait(wire.FINISHED)
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.recording)
    answer.set()
    shown(capd)
    assert gaps(recorded(broker, fault_server, recording)) == []


def test_the_gap_of_a_foreign_format_names_it(capd, broker, fault_server):
    capd.pictures[0] = picture()

    def change(message):
        message.planes[0].format, message.planes[0].modifier = int.from_bytes(b"ZZ99", "little"), 77
    recording = broker.record()
    shown(capd)
    capd.change = change
    broker.stats(lambda s: s.reason == wire.UNDECODABLE)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, 5, int.from_bytes(b"ZZ99", "little"), 77)]


def test_the_gap_of_a_layout_that_is_not_known(capd, broker, fault_server):
    """No modifier (DRM_FORMAT_MOD_INVALID): capd says so of drivers that tile in private."""
    capd.pictures[0] = picture()
    capd.change = lambda message: setattr(message.planes[0], "modifier", 0x00ffffffffffffff)
    recording = broker.record()
    stats = broker.stats(lambda s: s.reason == wire.UNDECODABLE)
    assert b"XR24 with no modifier" in stats.text
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, 5, int.from_bytes(b"XR24", "little"), 0x00ffffffffffffff)]


def test_the_gap_of_a_screen_that_does_not_hold_still(capd, broker, fault_server):
    """Now and then is nothing; again and again it is."""
    turns = itertools.count()
    capd.pictures[0] = lambda: wire.TOO_SOON if next(turns) % 10 else picture()
    recording = broker.record()
    while capd.asked < 30:
        time.sleep(0.01)
    capd.pictures[0] = wire.TOO_SOON
    broker.stats(lambda s: b"does not hold still" in s.text)
    capd.pictures[0] = picture()
    broker.stats(lambda s: not s.text)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, 7, 0, 0)]


def test_a_pointer_that_capd_cannot_give_out(capd, broker, fault_server):
    """The picture is recorded without it, and the status says so."""
    capd.pictures[0] = picture()
    capd.change = lambda message: setattr(message, "pointer_missing", 1)
    recording = broker.record()
    broker.stats(lambda s: s.frames >= 1 and b"the pointer is not recorded" in s.text)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [] and len(pictures.decode(segment)) == 1


@pytest.mark.parametrize("hold, gap", [(1, 8), (2, 9)])
def test_no_picture_of_a_held_recording(capd, broker, fault_server, hold, gap):
    """Paused, or locked: nothing that the display shows meanwhile is asked for or kept, and what comes after is."""
    first, secret, last = picture(), numpy.full((200, 320, 4), 200, numpy.uint8), numpy.full((200, 320, 4), 90, numpy.uint8)
    capd.pictures[0] = first
    recording = broker.record()
    shown(capd)
    broker.connection.send(wire.Hold(wire.HOLD, hold))
    broker.flush()
    uploaded(broker, fault_server, broker.ready())
    asked = capd.asked
    capd.pictures[0] = secret
    time.sleep(1)
    assert capd.asked == asked
    broker.flush()
    held = uploaded(broker, fault_server, broker.ready())
    assert gaps(held) == [(0xffffffff, gap, 0, 0)]
    assert not any(kind == "FRAM" for _, kind, _ in pictures.chunks(held))
    capd.pictures[0] = last
    broker.connection.send(wire.Hold(wire.HOLD, 0))
    shown(capd)
    after = recorded(broker, fault_server, recording)
    shades = [int(change.image[100, 100, 0]) for change in pictures.decode(after)]
    assert shades and all(abs(shade - 90) < 8 for shade in shades)


def test_nothing_of_the_screen_stays_mapped_in_a_pause(uploadd, capd, broker, run_dir):
    def mapped():
        return str(run_dir / "dmabuf" / "memory") in pathlib.Path(f"/proc/{uploadd.process.pid}/maps").read_text()
    with DmaBuf(run_dir / "dmabuf", picture().tobytes()) as memory:
        capd.pictures[0] = picture()
        capd.memory = lambda data: memory.open()
        capd.change = lambda message: setattr(message, "memory", wire.MEMORY_DMABUF)
        broker.record()
        broker.stats(lambda s: s.frames >= 1)
        shown(capd)
        assert mapped()
        broker.connection.send(wire.Hold(wire.HOLD, 1))
        end = time.monotonic() + 3
        while mapped():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("hold, gap", [(1, 8), (2, 9)])
def test_a_recording_that_begins_held(capd, broker, fault_server, hold, gap):
    """Nothing is asked for, which capd would have to refuse."""
    capd.pictures[0] = wire.NO_GRANT
    recording = broker.record(hold=hold)
    time.sleep(0.5)
    assert capd.asked == 0
    capd.pictures[0] = picture()
    broker.connection.send(wire.Hold(wire.HOLD, 0))
    shown(capd)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0xffffffff, gap, 0, 0)]
    assert len(pictures.decode(segment)) == 1


def test_a_frame_that_was_on_its_way_is_dropped(capd, broker, fault_server):
    capd.pictures[0] = picture()
    capd.change = lambda message: time.sleep(0.5)
    recording = broker.record()
    while capd.asked == 0:
        time.sleep(0.01)
    broker.connection.send(wire.Hold(wire.HOLD, 1))
    time.sleep(1.5)
    assert capd.asked == 1 and capd.confirmed == 0
    assert not any(kind == "FRAM" for _, kind, _ in pictures.chunks(recorded(broker, fault_server, recording)))


def test_a_restart_keeps_what_is_finished(uploadd, capd, broker, fault_server):
    """brokerd asks for it when the pins have changed: as SIGTERM, which systemd follows with another start."""
    capd.pictures[0] = picture()
    broker.record()
    shown(capd)
    broker.connection.send(wire.Plain(wire.RESTART))
    segment = broker.ready()
    assert segment.final == 1
    uploaded(broker, fault_server, segment)
    broker.release(segment)
    assert uploadd.process.wait(15) == 0


def test_a_hold_that_is_none_ends_the_connection(uploadd, broker):
    broker.connection.send(wire.Hold(wire.HOLD, 3))
    assert broker.connection.ended()


def test_the_gap_of_a_capd_that_is_gone(uploadd, capd, broker, fault_server):
    capd.pictures[0] = picture()
    recording = broker.record()
    shown(capd)
    capd.close()
    broker.stats(lambda s: b"cannot be reached" in s.text)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0xffffffff, 7, 0, 0)]


def test_the_gap_of_a_capd_that_is_here_again_at_once(uploadd, listener, fault_server):
    """Before the next frame was due; and one of the displays that it showed is not."""
    capd = Capd(uploadd.frame_socket, [output(0), output(1, name=b"Virtual-2")])
    broker = Broker(listener)
    try:
        recording = broker.record(interval=5)
        broker.stats(lambda s: s.frames >= 2)
        capd.close()
        capd = Capd(uploadd.frame_socket)
        broker.stats(lambda s: s.n_outputs == 1)
        broker.stats(lambda s: s.frames >= 3)
        segment = recorded(broker, fault_server, recording)
    finally:
        broker.connection.close()
        capd.close()
    assert gaps(segment) == [(0xffffffff, 7, 0, 0)]
    # of the other nothing is known from then on
    assert [p.output for p in pictures.decode(segment)].count(1) == 1


def test_the_gap_of_a_capd_that_does_not_say_what_there_is(uploadd, listener, fault_server):
    capd = Capd(uploadd.frame_socket, silent_of_outputs=True)
    broker = Broker(listener)
    try:
        recording = broker.record()
        broker.stats(lambda s: b"does not answer" in s.text, timeout=30)
        capd.silent_of_outputs = False
        broker.stats(lambda s: not s.text and s.frames >= 1, timeout=30)
        segment = recorded(broker, fault_server, recording)
    finally:
        broker.connection.close()
        capd.close()
    assert gaps(segment) == [(0xffffffff, 7, 0, 0)]
    assert len(pictures.decode(segment)) == 1


@pytest.fixture
def slept(build, run_dir, ca, fault_server):
    """(when it started, capd, broker) of an uploadd for which the machine sleeps, and somebody sets the clock."""
    program = build / "tests" / "uploadd" / "slept-uploadd"
    if not program.exists():
        pytest.skip("not built with sanitizers")
    uploadd = Uploadd(program, run_dir, ca.cert_file, [f"localhost:{fault_server.port}"]).start()
    started = time.monotonic()
    capd, listener = Capd(uploadd.frame_socket), wire.Listener(uploadd.broker_socket)
    broker = Broker(listener)
    yield started, capd, broker
    broker.connection.close()
    capd.close()
    listener.close()
    uploadd.stop()


def test_the_gap_of_a_machine_that_sleeps(slept, fault_server):
    """Nothing was shown then, whatever was before and is after."""
    started, capd, broker = slept
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.frames >= 1)
    time.sleep(max(0, started + 13 - time.monotonic()))
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0xffffffff, 2, 0, 0)]
    asleep, = (struct.unpack_from("<Q", payload, 8)[0] for _, kind, payload in pictures.chunks(segment) if kind == "GAP_")
    before, after = (struct.unpack_from("<Q", payload, 8)[0] for _, kind, payload in pictures.chunks(segment) if kind == "FRAM")
    assert before < asleep and 2.9e6 < after - asleep < 3.2e6


def test_a_clock_that_is_set(slept):
    """A segment's times are by one clock: what is shown after it was set is in another."""
    started, capd, broker = slept
    time.sleep(max(0, started + 13 - time.monotonic()))
    capd.pictures[0] = lambda: picture(int(time.monotonic()) % 200)
    recording = broker.record()
    first = broker.ready(30)
    assert time.monotonic() - started > 19 and not first.final
    broker.stop(recording)
    second = broker.ready()
    assert abs(first.end_realtime - second.start_realtime - 3600e6) < 1e6
    assert 0 < second.end_realtime - second.start_realtime < 10e6


def test_displays_larger_than_there_is_room_for(uploadd, listener, fault_server):
    """All but one are recorded, and that one too when another goes."""
    outputs = [output(i, 7680, 4320, b"DP-%d" % i) for i in range(4)]
    capd = Capd(uploadd.frame_socket, outputs)
    broker = Broker(listener)
    try:
        capd.pictures = {o.id: picture() for o in outputs}
        capd.change = lambda message: (setattr(message, "width", 7680), setattr(message, "height", 4320))
        recording = broker.record(interval=0.5)
        stats = broker.stats(lambda s: s.text, timeout=60)
        assert stats.text == b"DP-3: there is no room for its 7680 \xc3\x97 4320 pixels beside the other displays"
        capd.outputs = [outputs[0], outputs[1], outputs[3]]
        capd.tell_outputs()
        broker.stats(lambda s: s.n_outputs == 3 and not s.text, timeout=60)
        capd.outputs = outputs
        capd.tell_outputs()
        broker.stats(lambda s: s.text.startswith(b"DP-2: there is no room"), timeout=60)
        segment = recorded(broker, fault_server, recording)
    finally:
        broker.connection.close()
        capd.close()
    found = [(kind, struct.unpack_from("<I", payload)[0]) for _, kind, payload in pictures.chunks(segment) if kind in ("FRAM", "GAP_")]
    assert [n for kind, n in found if kind == "GAP_"] == [3, 2, 2]
    assert {n for kind, n in found if kind == "FRAM"} == {0, 1, 2, 3}


def test_more_displays_than_can_be_recorded(capd, broker):
    capd.left_out = 2
    broker.record()
    broker.stats(lambda s: s.text == b"2 displays are not recorded: there are more than 16 of them" and s.frames >= 1)
    capd.left_out = 0
    capd.tell_outputs()
    broker.stats(lambda s: not s.text)


def test_the_gap_of_a_capd_that_is_silent(capd, broker, fault_server):
    capd.pictures[0] = picture()
    recording = broker.record()
    shown(capd)
    capd.silent, before = True, time.monotonic()
    broker.stats(lambda s: b"does not answer" in s.text, timeout=30)
    silent_for = time.monotonic() - before
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, 7, 0, 0)]
    assert gap_seconds(segment) > silent_for - 3, "it begins when it was asked in vain"


def test_the_gap_of_rendering_that_does_not_end(capd, broker, fault_server, run_dir):
    """A card that hangs: its fences are never done. It is no unchanged screen."""
    with DmaBuf(run_dir / "dmabuf", picture().tobytes()) as memory:
        capd.pictures[0] = picture()
        capd.memory = lambda data: memory.open()
        capd.change = lambda message: setattr(message, "memory", wire.MEMORY_DMABUF)
        recording = broker.record()
        broker.stats(lambda s: s.frames >= 1)
        assert memory.synced >= 2
        shown(capd)
        memory.rendered = False
        shown(capd)
        late_since = time.monotonic()
        stats = broker.stats(lambda s: s.reason == wire.UNFINISHED, timeout=30)
        assert b"has not finished drawing" in stats.text and (stats.format, stats.modifier) == (0, 0)
        memory.rendered = True
        broker.stats(lambda s: s.reason == 0 and not s.text)

        late = itertools.count()

        def late_now_and_then(message):
            message.memory, memory.rendered = wire.MEMORY_DMABUF, bool(next(late) % 2)
        capd.change = late_now_and_then
        asked = capd.asked
        while capd.asked < asked + 40:
            time.sleep(0.01)
        late_for = time.monotonic() - late_since
        segment = recorded(broker, fault_server, recording)
        assert memory.synced % 2 == 0, "each has an end"
    assert gaps(segment) == [(0, 3, 0, 0)] and gap_seconds(segment) > late_for
    assert len(pictures.decode(segment)) == 2


def test_the_gap_of_a_picture_that_is_too_large(capd, broker, fault_server):
    """capd would not send it; if it did, it is overload's or the format's, never a wrong picture."""
    capd.pictures[0] = picture()
    recording = broker.record()
    shown(capd)

    def change(message):
        message.width = 16385
    capd.change = change
    broker.stats(lambda s: b"cannot be recorded" in s.text)
    segment = recorded(broker, fault_server, recording)
    assert gaps(segment) == [(0, 5, 0, 0)]
