"""Recording below a ceiling of bytes or of processor time: less often, and the recording says so."""

import struct
import time

import numpy

from system import pictures

from .peers import output
from .test_layers import gaps, recorded, uploaded


def test_a_ceiling_leaves_no_hole_between_segments(capd, broker, fault_server):
    """The time until the next picture may be taken is in the recording, as one that there is no picture of."""
    capd.outputs[0] = output(0, 1280, 800)
    capd.pictures[0] = numpy.random.default_rng(1).integers(0, 256, (800, 1280, 4), numpy.uint8)
    recording = broker.record(bytes_per_minute=1000000)
    broker.stats(lambda s: s.frames >= 1)
    broker.flush()
    first = broker.ready()
    time.sleep(1)
    broker.stop(recording)
    second = broker.ready()
    assert abs(second.start_realtime - first.end_realtime) < 10000 and second.end_realtime - second.start_realtime > 0.9e6
    assert gaps(uploaded(broker, fault_server, second)) == [(0xffffffff, 6, 0, 0)]


def test_a_ceiling_slows_recording_down(capd, broker, fault_server, build, run_dir):
    """Noise, fifty times a second, under a low ceiling: the frames come late, and the segment says so."""
    rng = numpy.random.default_rng(1)

    def noise(message):
        capd.pictures[0] = rng.integers(0, 256, (200, 320, 4), numpy.uint8)
    capd.change = noise
    started = time.monotonic()
    recording = broker.record(bytes_per_minute=4000000)
    while capd.asked < 10:
        assert time.monotonic() < started + 120, "uploadd asks for nothing"
        time.sleep(0.1)
    segment = recorded(broker, fault_server, recording)
    # What the bucket holds, what came in since, the first frame, and what surrounds them.
    first = next(len(payload) for _, kind, payload in pictures.chunks(segment) if kind == "FRAM")
    assert len(segment) < 4000000 / 8 + 4000000 / 60 * (time.monotonic() - started) + first + 4096
    rates = [struct.unpack("<QQII", payload) for _, kind, payload in pictures.chunks(segment) if kind == "rATE"]
    assert rates and max(interval for _, interval, _, _ in rates) > 100000 and rates[0][2] & 2
    assert pictures.decode(segment)


def test_a_ceiling_of_processor_time(capd, broker, fault_server):
    """One millisecond a second, which each of these takes many times."""
    rng = numpy.random.default_rng(1)
    pictures_of_noise = [rng.integers(0, 256, (800, 1280, 4), numpy.uint8) for _ in range(3)]

    def noise(message):
        capd.pictures[0] = pictures_of_noise[capd.asked % 3]
    capd.outputs[0] = output(0, 1280, 800)
    capd.pictures[0] = pictures_of_noise[0]
    capd.change = noise
    recording = broker.record(cpu_ms_per_second=1)
    shown = time.monotonic() + 6
    while time.monotonic() < shown:
        time.sleep(0.1)
    segment = recorded(broker, fault_server, recording)
    assert len(pictures.decode(segment)) <= 3
