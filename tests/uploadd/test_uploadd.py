"""uploadd as a black box, between a capd, a brokerd and a bucket of the tests'."""

import errno
import hashlib
import os
import ssl
import struct
import subprocess
import time

import numpy
import pytest

from services.ca import CertificateAuthority
from services.faultserver import FaultServer, Reply, Reset, redirect
from system import pictures

from . import wire
from .peers import Broker, Capd, check_ready, output, Uploadd

KEY, TORN = 1, 2  # a FRAM's flags


def picture(seed=0, height=200, width=320):
    """Smooth with an edge: what JPEG renders closely."""
    y, x = numpy.mgrid[0:height, 0:width]
    pixels = numpy.zeros((height, width, 4), numpy.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = (x + seed) % 256 // 2, y, 255 - x // 2
    pixels[20:60, 40:120, :3] = (200, (30 + seed) % 256, 90)
    pixels[..., 3] = 0x5a  # the unused byte holds anything
    return pixels


def one_segment(broker, capd):
    """Records a little and stops. Returns the recording and its one segment."""
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.frames >= 2 and s.recording)
    broker.stop(recording)
    return recording, broker.ready()


def shown(capd):
    """Waits until what capd shows now has surely been taken: the answers are read in their order."""
    asked, end = capd.asked, time.monotonic() + 20
    while capd.asked < asked + 3 * len(capd.outputs):
        assert time.monotonic() < end, "uploadd asks for nothing"
        time.sleep(0.01)


def export(build, path, *args):
    return subprocess.run([build / "cli" / "streamsight-export", *args, path], capture_output=True, check=False)


def frames_of(build, run_dir, body, height=200, width=320):
    path = run_dir / "segment.sss"
    path.write_bytes(body)
    done = export(build, path, "--raw")
    assert done.returncode == 0, done.stderr
    return numpy.frombuffer(done.stdout, numpy.uint8).reshape(-1, height, width, 4)[..., :3]


def test_a_torn_frame_is_taken_again(uploadd, capd, broker, fault_server, run_dir):
    """capd says of each frame whether a page flip came while it was read."""
    capd.pictures[0] = picture()
    capd.verdicts = [wire.AGAIN, wire.AGAIN, wire.TORN]
    recording = broker.record()
    # Those that were to be taken again were not recorded. Of one that is like the one before nothing is asked.
    stats = broker.stats(lambda s: s.frames >= 2)
    assert capd.confirmed == 3 and capd.asked >= stats.frames + 2
    broker.stop(recording)
    segment = broker.ready()
    broker.upload(segment, fault_server.url + "/key")
    assert broker.uploaded(segment) is None
    body = fault_server.requests[0].body
    frames = [struct.unpack_from("<II", payload) for _, kind, payload in pictures.chunks(body) if kind == "FRAM"]
    assert frames == [(0, KEY | TORN)]


@pytest.mark.parametrize("change", [
    lambda answer: setattr(answer, "whole", 0), lambda answer: setattr(answer, "whole", 4),
    lambda answer: setattr(answer, "sequence", 2), lambda answer: setattr(answer, "output", 1)])
def test_a_verdict_on_nothing_ends_the_connection(uploadd, capd, broker, change):
    capd.change_verdict = change
    broker.record()
    end = time.monotonic() + 30
    while capd.connections < 2:
        assert time.monotonic() < end, "uploadd believes everything"
        time.sleep(0.01)
    assert uploadd.process.poll() is None


def test_from_the_screen_to_the_bucket(uploadd, capd, broker, fault_server, build, run_dir):
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.frames >= 3 and s.n_outputs == 1 and s.outputs[0].name == b"Virtual-1")
    capd.pictures[0] = picture(50)
    asked = capd.asked
    while capd.asked < asked + 10:
        time.sleep(0.01)
    broker.stop(recording)

    segment = broker.ready()
    assert segment.sequence == 0 and not any(segment.previous_sha256)
    assert bytes(segment.recording) == recording.bytes
    assert segment.n_frames == 2  # the unchanged ones between are none
    assert abs(segment.end_realtime / 1e6 - time.time()) < 5

    broker.upload(segment, fault_server.url + "/bucket/key?X-Amz-Signature=abc%2Fdef")
    assert broker.uploaded(segment) is None
    assert not fault_server.violations
    request, = fault_server.requests
    assert request.method == "PUT" and request.target == "/bucket/key?X-Amz-Signature=abc%2Fdef"
    assert request.headers["expect"] == "100-continue"
    assert request.headers["content-length"] == str(segment.size)
    assert request.headers["if-none-match"] == "*"
    assert set(request.headers) == {"host", "user-agent", "accept", "expect", "content-length", "content-type",
                                    "content-md5", "x-amz-content-sha256", "x-amz-checksum-sha256", "if-none-match"}
    check_ready(segment, request.body)

    shown = frames_of(build, run_dir, request.body)
    assert len(shown) == 2
    for got, seed in zip(shown, (0, 50)):
        assert numpy.abs(got.astype(int) - picture(seed)[..., :3]).max() < 40
        assert numpy.abs(got.astype(int) - picture(seed)[..., :3]).mean() < 3

    broker.release(segment)
    finished = broker.connection.wait(wire.FINISHED)
    assert finished.n_segments == 1 and bytes(finished.recording) == recording.bytes
    assert broker.stats(lambda s: True).pending_segments == 0


def test_segments_are_a_chain(capd, broker, fault_server):
    recording = broker.record()
    segments = []
    for i in range(3):
        capd.pictures[0] = picture(i)
        shown(capd)
        broker.flush()
        segments.append(broker.ready())
    assert [s.sequence for s in segments] == [0, 1, 2]
    assert bytes(segments[1].previous_sha256) == bytes(segments[0].sha256)
    assert bytes(segments[2].previous_sha256) == bytes(segments[1].sha256)
    assert all(s.n_frames >= 1 for s in segments)
    for s in segments:
        broker.upload(s, fault_server.url + f"/{s.sequence}")
        assert broker.uploaded(s) is None
        broker.release(s)
    # One connection, kept.
    assert {r.connection for r in fault_server.requests} == {0}
    broker.stop(recording)
    last = broker.ready()
    assert [s.final for s in (*segments, last)] == [0, 0, 0, 1]
    broker.upload(last, fault_server.url + "/last")
    assert broker.uploaded(last) is None
    broker.release(last)
    assert broker.connection.wait(wire.FINISHED).n_segments == 4
    # Each says so in its head too.
    bodies = [r.body for r in fault_server.requests]
    assert all(hashlib.sha256(before).digest() in body[:256] for before, body in zip(bodies, bodies[1:]))


def test_a_recording_ends_with_a_final_segment(capd, broker, fault_server, build, run_dir):
    """Also if it is stopped when one has just been cut, and nothing has come since."""
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.frames >= 1)
    capd.silent = True
    broker.flush()
    broker.stop(recording)
    first, last = broker.ready(), broker.ready()
    assert (first.final, last.final) == (0, 1) and bytes(last.previous_sha256) == bytes(first.sha256)
    for s in (first, last):
        broker.upload(s, fault_server.url + f"/{s.sequence}")
        assert broker.uploaded(s) is None
    frames_of(build, run_dir, fault_server.requests[0].body)
    broker.release(first)
    broker.release(last)
    assert broker.connection.wait(wire.FINISHED).n_segments == 2
    # Of one in which nothing was ever recorded there is nothing to end.
    broker.stop(broker.record())
    assert broker.connection.wait(wire.FINISHED).n_segments == 0


def test_segment_ends_by_time(capd, broker):
    broker.record(seconds=1)
    for sequence in (0, 1):
        segment = broker.ready(timeout=5)
        assert segment.sequence == sequence
        assert 0.5e6 < segment.end_realtime - segment.start_realtime < 2e6


def test_segment_ends_by_size(capd, broker):
    rng = numpy.random.default_rng(1)

    def noise(message):
        capd.pictures[0] = rng.integers(0, 256, (200, 320, 4), numpy.uint8)
    capd.change = noise
    broker.record(size=65536, seconds=60)
    segment = broker.ready(timeout=5)
    assert 65536 <= segment.size < 3 * 65536


def test_another_recording_ends_the_one_before(capd, broker):
    first = broker.record()
    broker.stats(lambda s: s.frames > 0)
    second = broker.record()
    assert bytes(broker.ready().recording) == first.bytes
    asked = capd.asked
    while capd.asked < asked + 5:
        time.sleep(0.01)
    broker.stop(second)
    segment = broker.ready()
    assert bytes(segment.recording) == second.bytes and segment.sequence == 0 and segment.n_frames > 0


def test_a_gap_has_its_reason(capd, broker, fault_server, build, run_dir):
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.frames >= 2)
    capd.pictures[0] = wire.OFF
    broker.stats(lambda s: s.reason == wire.OFF)
    capd.pictures[0] = picture()
    broker.stats(lambda s: s.reason == 0)
    broker.stop(recording)
    segment = broker.ready()
    broker.upload(segment, fault_server.url + "/gap")
    assert broker.uploaded(segment) is None
    # The keyframe, and a frame without operations that ends the gap.
    body = fault_server.requests[0].body
    assert segment.n_frames == 2 and body.count(b"GAP_") == 1
    assert len(frames_of(build, run_dir, body)) == 2


@pytest.mark.parametrize("format, modifier", [(b"YU12", 0), (b"XR24", 0x0100000000000004)])
def test_undecodable_is_named(capd, broker, format, modifier):
    def change(message):
        message.planes[0].format = int.from_bytes(format, "little")
        message.planes[0].modifier = modifier
    capd.change = change
    broker.record()
    stats = broker.stats(lambda s: s.reason == wire.UNDECODABLE and s.text)
    assert stats.format == int.from_bytes(format, "little") and stats.modifier == modifier
    assert format in stats.text and b"Virtual-1" in stats.text


def _pitch(message):
    message.planes[0].pitches[0] = 0xfffffffc


def _offset(message):
    message.planes[0].offsets[0] = 0x7ffffffc


def _source(message):
    message.planes[0].src_x = 0xffff0000


def _size(message):
    message.width, message.height = 16384, 16384


def _no_plane(message):
    message.n_planes = 0


def _descriptor(message):
    message.planes[0].fds[0] = 7


def _dmabuf(message):
    message.memory = wire.MEMORY_DMABUF


@pytest.mark.parametrize("change", [_pitch, _offset, _source, _size, _no_plane, _descriptor, _dmabuf])
def test_lies_of_capd_are_a_gap(uploadd, capd, broker, change):
    capd.change = change
    broker.record()
    assert broker.stats(lambda s: s.text).frames == 0
    capd.change = lambda message: None
    broker.stats(lambda s: s.frames > 0)
    assert uploadd.process.poll() is None


def test_memory_that_can_shrink_is_refused(capd, broker):
    capd.seals = 0
    broker.record()
    assert b"not sealed" in broker.stats(lambda s: s.text).text


def test_descriptors_that_do_not_belong(capd, broker, uploadd):
    def change(message):
        message.n_fds = 2  # two descriptors come, which is right
    capd.change = change
    broker.record()
    broker.stats(lambda s: s.frames > 0)

    def lie(message):
        message.n_fds = 0
    capd.change = lie  # one comes
    connections = capd.connections
    while capd.connections == connections:
        time.sleep(0.05)
    assert "FRAME was refused" in uploadd.log()


def test_capd_may_restart(uploadd, capd, broker):
    broker.record()
    broker.stats(lambda s: s.frames > 0)
    capd.close()
    stats = broker.stats(lambda s: s.text)
    assert b"systemctl status streamsight-capd" in stats.text and stats.n_outputs == 0
    again = Capd(uploadd.frame_socket)
    broker.stats(lambda s: s.n_outputs == 1 and not s.text and s.frames > stats.frames)
    again.close()


def test_brokerd_may_restart(uploadd, capd, listener, fault_server):
    broker = Broker(listener)
    capd.pictures[0] = picture()
    recording = broker.record()
    broker.stats(lambda s: s.frames > 0)
    broker.connection.close()  # in the middle of a recording

    broker = Broker(listener)
    segment = broker.ready()  # cut and kept
    assert not broker.stats(lambda s: True).recording
    broker.upload(segment, fault_server.url + "/1")
    assert broker.uploaded(segment) is None
    broker.connection.close()  # before the release

    broker = Broker(listener)
    again = broker.ready()
    assert bytes(again) == bytes(segment)
    broker.upload(again, fault_server.url + "/2")
    assert broker.uploaded(again) is None
    assert len(fault_server.requests) == 1  # it knew
    broker.release(again)
    finished = broker.connection.wait(wire.FINISHED)
    assert bytes(finished.recording) == recording.bytes and finished.n_segments == 1
    broker.connection.close()


def fails(broker, segment, url, **how):
    broker.upload(segment, url, **how)
    failed = broker.uploaded(segment, timeout=30)
    assert failed is not None, "the upload was not refused"
    assert failed.text and b"/secret" not in failed.text and b"Signature" not in failed.text
    return failed


def test_refused_without_a_connection(uploadd, capd, broker, fault_server):
    _, segment = one_segment(broker, capd)
    port, path = fault_server.port, "/secret?X-Amz-Signature=1"
    for url in (f"https://localhost:{port + 1}{path}", f"https://localhost{path}", f"https://127.0.0.1:{port}{path}",
                f"https://localhost.:{port}{path}", f"https://localhost@evil.test:{port}{path}",
                f"https://evil.test:{port}{path}", f"http://localhost:{port}{path}", f"file:///etc/passwd",
                f"https://user:word@localhost:{port}{path}", "", "https://"):
        failed = fails(broker, segment, url)
        assert failed.error == -errno.EACCES, url
        assert failed.http_status == 0
    assert b"Hosts=" in fails(broker, segment, f"https://evil.test{path}").text
    assert fails(broker, segment, fault_server.url + path, address=None).error == -errno.EHOSTUNREACH
    for name, value in (("host", "evil.test"), ("Content-Length", "1"), ("transfer-encoding", "chunked"),
                        ("content-type", "b\r\nx-c: d"), ("x a", "b"), ("x-amz-acl", "public-read"), ("x-amz-copy-source", "bucket/other"),
                        ("x-amz-server-side-encryption-customer-algorithm", "AES256"), ("x-amz-grant-read", "uri=x"), ("x-amz-tagging", "a=b"),
                        ("x-amz-meta-other", "b")):
        assert fails(broker, segment, fault_server.url + path, headers={name: value}).error == -errno.EINVAL
    assert not fault_server.requests and fault_server.handshakes_failed == 0
    assert "/secret" not in uploadd.log()
    # It is still there to be uploaded.
    broker.upload(segment, fault_server.url + path)
    assert broker.uploaded(segment) is None


@pytest.mark.parametrize("uploadd", ["/bucket/prefix"], indirect=True)
def test_a_pinned_bucket_of_a_host(uploadd, capd, broker, fault_server):
    _, segment = one_segment(broker, capd)
    for path in ("/another/prefix/object", "/bucket/object", "/bucket/prefixed/object", "/bucket/prefix", "/bucket/prefix/", "/bucket/prefix//object",
                 "/bucket/prefix/../object", "/bucket/prefix/%2e%2E/object", "/bucket/prefix/..%2fobject", "/bucket/prefix/..%5cobject",
                 "/bucket/prefix/%252e%252e/object", "/bucket/prefix/..;/object", "/BUCKET/prefix/object", "//bucket/prefix/object",
                 "/another?/bucket/prefix/object", "?/bucket/prefix/object"):
        failed = fails(broker, segment, fault_server.url + path)
        assert failed.error == -errno.EACCES and b"this bucket of host" in failed.text, path
    assert not fault_server.requests
    broker.upload(segment, fault_server.url + "/bucket/prefix/an%20object?X-Amz-Signature=1")
    assert broker.uploaded(segment) is None


def test_answers_of_the_bucket(capd, broker, fault_server):
    _, segment = one_segment(broker, capd)
    url = fault_server.url + "/secret?X-Amz-Signature=1"
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Resource>/secret</Resource></Error>"
    fault_server.script(Reply(503), Reply(403, body=denied), redirect("https://localhost:1/elsewhere"),
                        Reply(403, early=True), Reset(after=100), Reply(204), Reply(412))
    assert fails(broker, segment, url).http_status == 503
    failed = fails(broker, segment, url)
    assert failed.http_status == 403 and b"AccessDenied" in failed.text and failed.error == -errno.EPERM
    failed = fails(broker, segment, url)
    assert failed.http_status == 307 and b"redirects are not followed" in failed.text
    assert fails(broker, segment, url).http_status == 403
    assert fails(broker, segment, url).error == -errno.ECONNRESET
    assert fails(broker, segment, url).http_status == 204
    broker.upload(segment, url)
    assert broker.uploaded(segment) is None  # 412: already there
    assert len(fault_server.requests) == 7 and not fault_server.violations


@pytest.fixture
def bucket(ca, request, tmp_path):
    """A fault server with something wrong about its TLS."""
    kinds = {
        "name": lambda: FaultServer(ca.issue("name", ("DNS:other.test", "IP:127.0.0.1"))),
        "expired": lambda: FaultServer(ca.issue("expired", expired=True)),
        "authority": lambda: FaultServer(CertificateAuthority(tmp_path / "ca", "Wrong CA").issue("wrong")),
        "tls1.1": lambda: FaultServer(ca.issue("old"), tls_maximum=ssl.TLSVersion.TLSv1_1),
    }
    with kinds[request.param]() as server:
        yield server


@pytest.mark.parametrize("bucket", ["name", "expired", "authority", "tls1.1"], indirect=True)
def test_tls_that_is_not_good_enough(build, run_dir, ca, bucket):
    uploadd = Uploadd(build / "uploadd" / "streamsight-uploadd", run_dir, ca.cert_file,
                      [f"localhost:{bucket.port}"]).start()
    capd, listener = Capd(uploadd.frame_socket), wire.Listener(uploadd.broker_socket)
    try:
        broker = Broker(listener)
        _, segment = one_segment(broker, capd)
        failed = fails(broker, segment, bucket.url + "/secret")
        assert failed.error in (-errno.EKEYREJECTED, -errno.EPROTO) and failed.http_status == 0
        assert not bucket.requests
        assert uploadd.process.poll() is None
    finally:
        capd.close()
        listener.close()
        assert uploadd.stop() == -9, uploadd.log()


def watched(build, run_dir, ca, body):
    """With a watchdog of 8 s: capd's silence is a gap after 5."""
    uploadd = Uploadd(build / "uploadd" / "streamsight-uploadd", run_dir, ca.cert_file).watch(8)
    capd, listener = Capd(uploadd.frame_socket), wire.Listener(uploadd.broker_socket)
    try:
        broker = Broker(listener)
        broker.record()
        broker.stats(lambda s: s.frames >= 2)
        assert uploadd.fed(8)
        body(uploadd, capd, broker)
    finally:
        capd.close()
        listener.close()
        assert uploadd.stop() == -9, uploadd.log()


def test_the_watchdog_is_fed_where_capd_is_silent(build, run_dir, ca):
    """That is a gap: uploadd has done what it can, and would lose what waits in its memory."""
    def body(uploadd, capd, broker):
        capd.silent = True
        assert broker.stats(lambda s: b"does not answer" in s.text)
        time.sleep(10)
        while uploadd.fed(0.01):
            pass
        assert uploadd.fed(20) and "not fed" not in uploadd.log()
    watched(build, run_dir, ca, body)


def test_the_watchdog_is_fed_where_a_ceiling_holds(build, run_dir, ca):
    """A display that shows nothing new waits for one that has used up what may be recorded in a minute."""
    def body(uploadd, capd, broker):
        noise = numpy.random.default_rng(1).integers(0, 256, (800, 1280, 4), numpy.uint8)
        capd.outputs = [output(), output(1, 1280, 800, b"Virtual-2")]
        def clock():
            shown = numpy.zeros_like(noise)
            shown[:16, :16] = capd.asked % 256
            return shown

        capd.pictures[1] = clock
        capd.tell_outputs()
        broker.record(bytes_per_minute=1000000)
        time.sleep(4)  # the first is looked at more seldom than the second
        capd.pictures[1] = noise
        broker.flush()
        assert broker.ready()
        time.sleep(10)
        while uploadd.fed(0.01):
            pass
        assert uploadd.fed(20) and "not fed" not in uploadd.log()
    watched(build, run_dir, ca, body)


def test_the_watchdog_is_not_fed_where_nothing_comes_of_it(build, run_dir, ca):
    """An output that is neither asked for nor a gap, because of what capd said last."""
    def body(uploadd, capd, broker):
        capd.pictures[0] = wire.FrameNone(wire.NONE, 0, wire.TOO_SOON, not_before=wire.boottime() + 3600 * 10**9)
        end = time.monotonic() + 60
        while "The watchdog is not fed any more: an output has neither a frame nor a gap" not in uploadd.log():
            assert time.monotonic() < end, uploadd.log()
            time.sleep(0.1)
        while uploadd.fed(0.01):
            pass
        assert not uploadd.fed(5)
    watched(build, run_dir, ca, body)


def test_over_ipv6(build, run_dir, ca):
    """What libcurl asks of the kernel for it, the filter must let through."""
    with FaultServer(ca.issue("six"), address="::1") as bucket:
        uploadd = Uploadd(build / "uploadd" / "streamsight-uploadd", run_dir, ca.cert_file,
                          [f"localhost:{bucket.port}"]).start()
        capd, listener = Capd(uploadd.frame_socket), wire.Listener(uploadd.broker_socket)
        try:
            broker = Broker(listener)
            _, segment = one_segment(broker, capd)
            broker.upload(segment, bucket.url + "/key", address="::1")
            assert broker.uploaded(segment) is None, uploadd.log()
            assert len(bucket.requests) == 1 and not bucket.violations
        finally:
            capd.close()
            listener.close()
            assert uploadd.stop() in (0, -9), uploadd.log()


def test_nothing_is_dropped_in_an_outage(capd, broker, fault_server):
    """256 segments wait, then recording pauses; when one is released it goes on, and the pause is a gap."""
    capd.pictures[0] = picture()
    recording = broker.record()
    segments = []
    for i in range(256):
        capd.pictures[0] = picture(i)
        shown(capd)
        broker.flush()
        segments.append(broker.ready())
    stats = broker.stats(lambda s: s.pending_segments == 256 and s.text)
    assert b"recording pauses" in stats.text
    asked = capd.asked
    time.sleep(0.5)
    assert capd.asked <= asked + 1

    for s in segments:
        broker.upload(s, fault_server.url + f"/{s.sequence}")
        assert broker.uploaded(s) is None
        broker.release(s)
    assert len(fault_server.requests) == 256 and not fault_server.violations
    broker.stats(lambda s: not s.text and s.pending_segments == 0)
    shown(capd)
    broker.stop(recording)
    after = broker.ready()
    assert after.sequence == 256 and after.n_frames > 0
    assert after.end_realtime - after.start_realtime > 0.5e6  # it begins where the pause began
    broker.upload(after, fault_server.url + "/after")
    assert broker.uploaded(after) is None
    body = fault_server.requests[-1].body
    assert body.count(b"GAP_") == 1
    gap = body.index(b"GAP_") + 12
    assert int.from_bytes(body[gap + 4:gap + 8], "little") == 6 and not any(body[gap + 8:gap + 16])


def test_terminated_it_uploads_what_is_finished(uploadd, capd, broker, fault_server):
    capd.pictures[0] = picture()
    broker.record()
    broker.stats(lambda s: s.frames > 0)
    uploadd.terminate()
    segment = broker.ready()
    broker.upload(segment, fault_server.url + "/last")
    assert broker.uploaded(segment) is None
    broker.release(segment)
    assert broker.connection.wait(wire.FINISHED).n_segments == 1
    assert uploadd.process.wait(5) == 0
    assert fault_server.requests[0].complete


def test_terminated_with_nothing_to_do(uploadd, capd, broker):
    broker.stats(lambda s: True)
    uploadd.terminate()
    assert uploadd.process.wait(5) == 0


@pytest.mark.parametrize("field, value", [("quality", 0), ("quality", 101), ("frame_interval", 1),
                                          ("segment_seconds", 0), ("segment_bytes", 1), ("segment_bytes", 1 << 30), ("hold", 3)])
def test_orders_out_of_bounds(broker, capd, field, value, listener, uploadd):
    message = wire.Record(wire.RECORD, 85, (wire.U8 * 16)(), (wire.U8 * 16)(), 200000000, 1, 60, 8 << 20)
    setattr(message, field, value)
    broker.connection.send(message)
    assert broker.connection.ended()
    Broker(listener).connection.close()
    assert "RECORD was refused" in uploadd.log()


def test_messages_of_a_wrong_size(broker, listener, uploadd):
    for data in (b"", b"\x01", bytes(wire.Plain(wire.FLUSH)) + b"\0", bytes(wire.Plain(0x999))):
        if data:
            broker.connection._socket.send(data)
            assert broker.connection.ended(), data
            broker = Broker(listener)
    assert uploadd.process.poll() is None


def test_configuration_errors_are_clear(build, run_dir, ca):
    for config, word in ((f"[Bucket]\nHosts=a\nCAFile={run_dir}/none.pem\n", "none.pem"),
                         ("[Bucket]\nHosts=a\nCAFile=/var/lib/none.pem\n", "keep the file below /etc/streamsight"),
                         ("[Bucket]\nHosts=a a/b/../c\n", '"a/b/../c" in Hosts='), ("[Bucket]\nHosts=a?b\n", '"a?b" in Hosts='),
                         ("[Bucket]\nHost=a\n", "Host"), ("[Capture]\nMaxJPEGQuality=101\n", "MaxJPEGQuality")):
        uploadd = Uploadd(build / "uploadd" / "streamsight-uploadd", run_dir, None, config=config).start()
        assert uploadd.process.wait(5) == 1
        assert word in uploadd.log()


def test_a_listener_that_is_not_roots(uploadd, run_dir):
    """A user who could put sockets into the folder would be told where the screens are."""
    run_dir.chmod(0o777)
    os.seteuid(65534)
    try:
        listeners = [wire.Listener(uploadd.frame_socket), wire.Listener(uploadd.broker_socket)]
        for path in (uploadd.frame_socket, uploadd.broker_socket):
            path.chmod(0o777)  # root without capabilities is a user among others
        for listener in listeners:
            with pytest.raises((EOFError, ConnectionError, BrokenPipeError)):
                listener.accept().receive()
    finally:
        os.seteuid(0)
    end = time.monotonic() + 5
    while uploadd.log().count("Operation not permitted") < 2:
        assert time.monotonic() < end, uploadd.log()
        time.sleep(0.02)
    for listener in listeners:
        listener.close()


def test_sandbox_is_on(uploadd, broker):
    status = open(f"/proc/{uploadd.process.pid}/status").read()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
    limits = open(f"/proc/{uploadd.process.pid}/limits").read()
    assert "Max core file size        0                    0" in limits
