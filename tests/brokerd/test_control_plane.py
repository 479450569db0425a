"""brokerd with the real control plane and bucket; the tests are capd and uploadd."""

import base64
import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

from services import names

from . import wire
from .agent import Agent


class Segment:
    """A finished segment, as uploadd would have it."""

    def __init__(self, recording, sequence, data, previous=None):
        self.recording, self.sequence, self.data, self.previous = recording, sequence, data, previous
        self.sha256 = hashlib.sha256(data).digest()

    def announce(self, peer, final=0):
        now = time.time_ns() // 1000
        peer.send(wire.SEGMENT_READY, sequence=self.sequence, recording=self.recording, sha256=self.sha256,
                  previous_sha256=self.previous.sha256 if self.previous else bytes(32),
                  md5=hashlib.md5(self.data).digest(), size=len(self.data), start_realtime=now - 1000000,
                  end_realtime=now, n_frames=5, final=final)

    def put(self, order, ca):
        """What uploadd does with an order: to the bucket itself."""
        assert order.addresses == ["127.0.0.1"]
        with names.session(ca) as session:
            return session.put(order.url, data=self.data, headers=order.headers)

    def upload(self, peer, ca):
        order = peer.expect(wire.UPLOAD)
        assert (order.recording, order.sequence) == (self.recording, self.sequence)
        answer = self.put(order, ca)
        assert answer.status_code in (200, 412), answer.text
        peer.send(wire.UPLOADED, sequence=self.sequence, recording=self.recording)
        return order


@pytest.fixture
def viewer(stack):
    with names.session(stack.ca) as session:
        session.headers["Authorization"] = "Bearer " + stack.apid.viewer_token(stack.company_id)

        def get(path):
            answer = session.get(stack.gateway.url + path)
            answer.raise_for_status()
            return answer.json()

        yield get


def text(recording):
    return str(uuid.UUID(bytes=recording))


def begin(agent, outputs=(("Virtual-1", 640, 480),)):
    """Connects in uploadd's and capd's places; returns the peers and RECORD."""
    uploadd = agent.uploadd()
    record = uploadd.expect(wire.RECORD)
    capd = agent.capd()
    uploadd.socket.send(wire.pack_stats(recording=1, outputs=outputs))
    return uploadd, capd, record


def test_a_recording_from_start_to_finish(enrolled, stack, viewer):
    uploadd, capd, record = begin(enrolled)
    device = enrolled.status()["DeviceId"]
    assert str(uuid.UUID(bytes=record.device)) == device
    assert record.frame_interval == 200000000 and 1 <= record.quality <= 90
    grant = capd.expect(wire.GRANT)
    assert grant.min_interval == 200000000

    status = enrolled.wait(lambda s: s["Outputs"], "outputs are known")
    assert status["State"] == "recording" and status["Reason"] == "policy" and status["LastError"] == ""
    assert status["Recording"] == text(record.recording)
    assert abs(status["RecordingSince"] / 1e6 - time.time()) < 60
    assert status["Outputs"] == [{"id": 0, "name": "Virtual-1", "width": 640, "height": 480}]
    assert status["Company"] == "Example Corp" and status["BucketHost"] == f"{stack.s3.host}:{stack.s3.https_port}"
    human = enrolled.cli("status", user="nobody").stdout
    assert "the screen is being recorded" in human and "the organisation's policy" in human

    first = Segment(record.recording, 0, b"first" * 1000)
    second = Segment(record.recording, 1, b"second" * 1000, first)
    for segment in (first, second):
        segment.announce(uploadd)
    released = []
    while len(released) < 2:  # the second may be ordered before the first is released
        message = uploadd.receive()
        if message.kind == wire.UPLOAD:
            segment = (first, second)[message.sequence]
            assert segment.put(message, stack.ca).status_code == 200
            uploadd.send(wire.UPLOADED, sequence=segment.sequence, recording=segment.recording)
        elif message.kind == wire.RELEASE:
            released.append(message.sequence)
    assert released == [0, 1]
    assert abs(enrolled.status()["LastUpload"] / 1e6 - time.time()) < 60

    assert enrolled.cli("stop").returncode == 0
    assert uploadd.expect(wire.STOP).recording == record.recording
    assert capd.expect(wire.REVOKE)
    uploadd.send(wire.FINISHED, recording=record.recording, n_segments=2)
    enrolled.wait_log("is complete: 2 segments")

    found, = (item for item in viewer("/v1/recordings")["recordings"] if item["id"] == text(record.recording))
    assert found["device_id"] == device and found["state"] == "finished" and found["segments"] == 2
    listed = viewer(f"/v1/recordings/{found['id']}/segments")["segments"]
    assert [(item["sha256"], item["state"]) for item in listed] == [(s.sha256.hex(), "complete") for s in (first, second)]
    assert enrolled.status()["State"] == "idle"
    log = enrolled.log()
    assert f"Recording {found['id']} started by the policy" in log
    assert f"Recording {found['id']} stopped: an administrator stopped it" in log
    for secret in ("X-Amz-Signature", "Bearer", "PRIVATE"):
        assert secret not in log


def test_changes_are_signalled(enrolled):
    with subprocess.Popen(["stdbuf", "-oL", "busctl", f"--address={enrolled.bus_address}", "monitor", "--json=short",
                           "org.streamsight.Agent1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as monitor:
        try:
            assert "Monitoring" in monitor.stdout.readline()
            enrolled.wait(lambda s: s["PolicyRevision"], "the policy is known")
            uploadd, _, record = begin(enrolled)
            changed, started = {}, None
            while started is None or changed.get("State") != "recording":
                message = json.loads(monitor.stdout.readline())
                if message.get("member") == "PropertiesChanged":
                    changed |= {name: value["data"] for name, value in message["payload"]["data"][1].items()}
                elif message.get("member") == "RecordingStarted":
                    started = message["payload"]["data"]
            assert started == [text(record.recording), "policy"]
            assert changed["Recording"] == text(record.recording)
        finally:
            monitor.kill()


def test_grants_are_short_and_renewed_only_while_recording(enrolled):
    uploadd, capd, _ = begin(enrolled)
    first = capd.expect(wire.GRANT)
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert 25e9 < first.expires - now <= 30e9
    again = capd.expect(wire.GRANT, timeout=15)
    assert 8e9 < again.expires - first.expires < 15e9, "with half of the first one's time left"
    enrolled.cli("stop")
    assert capd.expect(wire.REVOKE)
    assert capd.silent(11), "granted though nothing is recorded"
    assert enrolled.cli("start").returncode == 0
    assert capd.expect(wire.GRANT)
    enrolled.kill()
    assert capd.closed()


@pytest.mark.parametrize("renewed", [True, False])
def test_the_watchdog_is_fed_while_grants_are_renewed(agent, code, build, renewed):
    """A renewal that does not come in time, though the event loop turns."""
    program = None if renewed else build / "tests" / "brokerd" / "hurried-brokerd"
    if program and not program.exists():
        pytest.skip("not built: under the sanitizers there is no such program")
    agent.watch(4)
    agent.run(program)
    agent.enrol(code())
    agent.hear()
    uploadd, capd, _ = begin(agent)
    assert capd.expect(wire.GRANT)
    agent.wait(lambda s: s["Outputs"], "it has read what its peers sent")
    agent.hear()
    stuck = "The watchdog is not fed any more: the grant is not renewed"
    if renewed:
        assert agent.fed(5) and agent.fed(5) and stuck not in agent.log()
        return
    agent.wait_log(stuck)
    agent.hear()
    assert not agent.fed(2.5)
    assert agent.cli("stop").returncode == 0 and agent.fed(5), "nothing is to be granted any more"


def test_a_recording_is_of_one_employee(enrolled, stack):
    """Whoever gets the workstation begins another."""
    uploadd, capd, record = begin(enrolled)
    device = f"{stack.gateway.url}/v1/devices/{enrolled.status()['DeviceId']}"
    with names.session(stack.ca) as owner:
        owner.headers["Authorization"] = "Bearer " + stack.apid.viewer_token(stack.company_id)
        for name in ("Ada", "Grace", None):
            made = name and owner.post(f"{stack.gateway.url}/v1/employees", json={"name": f"{name} {uuid.uuid4()}"}).json()
            assert owner.put(f"{device}/employee", json={"employee_id": made and made["id"]}).ok
            enrolled.cli("flush")  # asks for the policy at once
            assert uploadd.expect(wire.STOP).recording == record.recording
            record = uploadd.expect(wire.RECORD)
    assert enrolled.log().count("stopped: the workstation is another employee's") == 3


def test_a_recording_goes_on_for_a_day(agent, code, build):
    program = build / "tests" / "brokerd" / "hurried-days-brokerd"
    if not program.exists():
        pytest.skip("not built: under the sanitizers there is no such program")
    agent.run(program)
    agent.enrol(code())
    before = time.time_ns()
    uploadd, capd, record = begin(agent)
    for _ in range(2):
        stop = uploadd.expect(wire.STOP, timeout=20)
        assert stop.recording == record.recording and 8e9 < stop.sent - before < 14e9
        before, record = stop.sent, uploadd.expect(wire.RECORD)
    assert "it has gone on for a day" in agent.log() and agent.status()["State"] == "recording"


def test_an_orderly_end_revokes(enrolled):
    uploadd, capd, record = begin(enrolled)
    capd.expect(wire.GRANT)
    enrolled.wait(lambda s: s["Outputs"], "it has read what its peers sent")
    enrolled.stop()
    assert capd.expect(wire.REVOKE)
    assert uploadd.expect(wire.STOP).recording == record.recording
    assert "stopped: streamsight-brokerd is stopping" in enrolled.log()


def test_wrong_and_used_codes(build, stack, code):
    used = code()
    with Agent(build, url=stack.gateway.url, ca=stack.ca.cert_file) as other:
        other.run()
        done = other.cli("enroll", input="AAAA-BBBB-CCCC-DDDD\n")
        assert done.returncode != 0 and "code" in done.stderr and "enrolment_code_invalid" in done.stderr
        status = other.status()
        assert status["State"] == "unenrolled" and "code" in status["LastError"]
        other.enrol(used)
        assert "code" not in other.status()["LastError"]
        assert used not in other.log() and used.replace("-", "") not in other.log()
        done = other.cli("enroll", input=code() + "\n")
        assert done.returncode != 0 and "already enrolled" in done.stderr
    with Agent(build, url=stack.gateway.url, ca=stack.ca.cert_file) as third:
        third.run()
        done = third.cli("enroll", input=used + "\n")
        assert done.returncode != 0 and "enrolment_code_invalid" in done.stderr


UPLOADD = """
import socket, sys, time
connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connected.connect(sys.argv[1])
connected.send(bytes.fromhex(sys.argv[2]))
time.sleep(600)
"""


def process(agent, pid=0):
    """A process that connects in uploadd's place, with this id if it is free (clone3(2)). Returns its id."""
    wanted = (ctypes.c_int * 1)(pid)
    arguments = (ctypes.c_uint64 * 10)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted) if pid else 0, 1 if pid else 0)
    libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock, which the child needs
    made = libc.syscall(435, arguments, ctypes.sizeof(arguments))
    if made == 0:
        try:
            os.execv(sys.executable, [sys.executable, "-c", UPLOADD, agent.broker_path, wire.pack(wire.HELLO, version=1).hex()])
        finally:
            os._exit(1)
    assert made > 0, os.strerror(ctypes.get_errno())
    return made


def test_another_process_of_the_same_id_is_another(enrolled):
    """What the first one recorded is gone with it, and the control plane is told so."""
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) < (6, 5):
        pytest.skip("this kernel has no SO_PEERPIDFD")
    pid = process(enrolled)
    enrolled.wait_log(f"uploadd (pid {pid}) has connected")
    enrolled.wait(lambda s: s["Recording"], "a recording begins")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    enrolled.wait_log("has disconnected")
    again = process(enrolled, pid)
    try:
        assert again == pid
        enrolled.wait_log("uploadd has lost the rest")
    finally:
        os.kill(again, signal.SIGKILL)
        os.waitpid(again, 0)


def test_stays_enrolled_over_a_restart(enrolled):
    device = enrolled.status()["DeviceId"]
    enrolled.stop()
    enrolled.run()
    assert enrolled.wait(lambda s: s["PolicyRevision"], "the policy is known")["DeviceId"] == device


def test_another_control_plane_is_not_spoken_to(enrolled):
    enrolled.stop()
    enrolled.config["url"] = "https://127.0.0.1:1"
    enrolled.run()
    status = enrolled.status()
    assert status["State"] == "unenrolled" and "enrol it anew" in status["LastError"]


def test_a_wrong_address_costs_no_identity(enrolled, stack, code):
    known = enrolled.status()["DeviceId"]
    for url, state in (("https://127.0.0.1:1", "unenrolled"), (stack.gateway.url, "idle")):
        enrolled.stop()
        enrolled.config["url"] = url
        enrolled.run()
        enrolled.wait(lambda s: s["State"] in (state, "degraded"), f"it is {state}")
    assert enrolled.status()["DeviceId"] == known
    enrolled.wait(lambda s: s["PolicyRevision"], "its key is still good")

    # To be enrolled anew is to be another device.
    enrolled.stop()
    saved = json.loads((enrolled.state / "device.json").read_text())
    (enrolled.state / "device.json").write_text(json.dumps(saved | {"url": "https://127.0.0.1:1"}))
    enrolled.run()
    key = (enrolled.state / "device.key").read_bytes()
    enrolled.enrol(code())
    assert enrolled.status()["DeviceId"] != known and (enrolled.state / "device.key").read_bytes() != key


def test_a_revoked_device_records_no_more(enrolled, stack):
    uploadd, capd, record = begin(enrolled)
    stack.apid.admin("device", "revoke", enrolled.status()["DeviceId"])
    enrolled.cli("flush")  # asks for the policy at once
    assert uploadd.expect(wire.STOP).recording == record.recording
    status = enrolled.wait(lambda s: s["Recording"] == "", "it records no more")
    assert status["PolicyRevision"] == 0 and "device_revoked" in status["LastError"]


def test_a_policy_that_is_not_understood_is_none(enrolled, stack):
    """It may say less than the one before."""
    uploadd, capd, record = begin(enrolled)
    policy = stack.postgres.sql("SELECT pg_get_functiondef('api.device_policy'::regproc)", dbname="streamsight")
    try:
        stack.postgres.sql(policy.replace("json_build_object(", "json_build_object('not_known', 1, "), dbname="streamsight")
        enrolled.cli("flush")  # asks for the policy at once
        assert uploadd.expect(wire.STOP).recording == record.recording
        status = enrolled.wait(lambda s: "not usable" in s["LastError"], "it says so")
        assert (status["Recording"], status["PolicyRevision"]) == ("", 0)
    finally:
        stack.postgres.sql(policy, dbname="streamsight")
    enrolled.cli("flush")
    assert uploadd.expect(wire.RECORD)


def test_what_somebody_started_does_not_come_back(agent, company, code, stack):
    """The policy forbids recording, and later allows it again to be started by hand."""
    stack.apid.admin("policy", "set", "--company", company, "--recording", "manual")
    agent.run()
    agent.enrol(code(company))
    uploadd = agent.uploadd()
    agent.wait(lambda s: s["PolicyRevision"], "the policy is known")
    assert agent.cli("start").returncode == 0 and uploadd.expect(wire.RECORD)
    for recording in ("off", "manual"):
        stack.apid.admin("policy", "set", "--company", company, "--recording", recording)
        before = agent.status()["PolicyRevision"]
        agent.cli("flush")
        agent.wait(lambda s: s["PolicyRevision"] > before, "the policy is known")
        assert agent.status()["Recording"] == ""


def test_an_expired_token_is_renewed(enrolled, stack):
    uploadd, _, record = begin(enrolled)
    device = enrolled.status()["DeviceId"]
    first = Segment(record.recording, 0, b"x" * 100)
    first.announce(uploadd)
    first.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    stack.postgres.sql("UPDATE streamsight.device_token SET expires_at = now() - interval '1 second' "
                       f"WHERE device_id = '{device}'", dbname="streamsight")
    second = Segment(record.recording, 1, b"y" * 100, first)
    second.announce(uploadd)
    second.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    assert enrolled.status()["LastError"] == ""


def test_segments_and_the_end_are_signed(enrolled, stack):
    """By the key whose thumbprint the device shows; the header says it to the bucket."""
    uploadd, _, record = begin(enrolled)
    first = Segment(record.recording, 0, b"first" * 100)
    last = Segment(record.recording, 1, b"last" * 100, first)
    thumbprint = enrolled.status()["KeyThumbprint"]
    for segment in (first, last):
        segment.announce(uploadd, final=int(segment is last))
        statement = segment.upload(uploadd, stack.ca).headers["x-amz-meta-streamsight-statement"]
        uploadd.expect(wire.RELEASE)
        header, claims = parts(statement)
        assert header["typ"] == "streamsight-segment+jwt" and header["alg"] == "ES256"
        named = json.dumps(header["jwk"], sort_keys=True, separators=(",", ":")).encode()
        assert b64url(hashlib.sha256(named).digest()) == thumbprint
        assert claims["final"] is (segment is last) and claims["sequence"] == segment.sequence
        assert claims["sha256"] == segment.sha256.hex() and claims["size"] == len(segment.data)
        assert claims["previous_sha256"] == (segment.previous.sha256.hex() if segment.previous else None)
        assert claims["recording"] == text(record.recording) and claims["device"] == enrolled.status()["DeviceId"]
        assert list(claims) == sorted(claims) and len(claims) == 9
    uploadd.send(wire.FINISHED, recording=record.recording, n_segments=2)
    enrolled.wait_log(f"Recording {text(record.recording)} is complete")
    stated = stack.postgres.sql(f"SELECT statement FROM streamsight.recording WHERE id = '{text(record.recording)}'",
                                "streamsight")
    header, claims = parts(stated)
    assert header["typ"] == "streamsight-recording+jwt" and claims["segments"] == 2


def parts(statement):
    """Header and claims."""
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in statement.split(".")[:2]]


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_revoked_device_says_so(enrolled, stack):
    uploadd, _, record = begin(enrolled)
    stack.apid.admin("device", "revoke", enrolled.status()["DeviceId"])
    Segment(record.recording, 0, b"x").announce(uploadd)
    status = enrolled.wait(lambda s: s["LastError"], "the refusal is reported")
    assert "device_revoked" in status["LastError"]


def test_a_failed_upload_is_tried_again(enrolled, stack):
    uploadd, _, record = begin(enrolled)
    segment = Segment(record.recording, 0, b"z" * 500)
    segment.announce(uploadd)
    uploadd.expect(wire.UPLOAD)
    failed = time.time_ns()
    uploadd.send(wire.FAILED, recording=record.recording, error=-71, http_status=503, text=b"the bucket answered 503")
    status = enrolled.wait(lambda s: s["LastError"], "the failure is reported")
    assert "the bucket answered 503" in status["LastError"] and status["State"] == "recording"
    order = segment.upload(uploadd, stack.ca)
    assert 0.4e9 < order.sent - failed < 5e9, "not after a pause"
    uploadd.expect(wire.RELEASE)
    assert enrolled.wait(lambda s: not s["LastError"], "it is resolved")["LastUpload"] > 0


@pytest.mark.parametrize("uploaded", [False, True])
def test_a_restart_loses_nothing(enrolled, stack, uploaded, viewer):
    """Killed before or after the upload: uploadd announces again, and it is finished."""
    uploadd, _, record = begin(enrolled)
    segment = Segment(record.recording, 0, b"kept" * 100)
    segment.announce(uploadd)
    order = uploadd.expect(wire.UPLOAD)
    if uploaded:
        segment.put(order, stack.ca)
    enrolled.kill()
    uploadd.close()

    enrolled.run()
    uploadd = enrolled.uploadd()
    segment.announce(uploadd)
    segment.upload(uploadd, stack.ca)
    assert uploadd.expect(wire.RELEASE).recording == record.recording
    uploadd.send(wire.FINISHED, recording=record.recording, n_segments=1)
    enrolled.wait_log(f"Recording {text(record.recording)} is complete")
    assert len(viewer(f"/v1/recordings/{text(record.recording)}/segments")["segments"]) == 1


def test_a_completed_segment_is_released_again(enrolled, stack):
    uploadd, _, record = begin(enrolled)
    segment = Segment(record.recording, 0, b"done" * 100)
    segment.announce(uploadd)
    segment.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    uploadd.close()
    uploadd = enrolled.uploadd()
    segment.announce(uploadd)
    assert uploadd.expect(wire.RELEASE).recording == record.recording


@pytest.mark.parametrize("recording_too", [False, True])
def test_a_control_plane_restored_from_a_backup(enrolled, stack, viewer, recording_too):
    """It knows nothing of what was announced since, though the object is in the bucket."""
    uploadd, _, record = begin(enrolled)
    segment = Segment(record.recording, 0, b"backup" * 100)
    segment.announce(uploadd)
    order = uploadd.expect(wire.UPLOAD)
    recording = text(record.recording)
    stack.postgres.sql(f"DELETE FROM streamsight.segment WHERE recording_id = '{recording}';"
                       f"UPDATE streamsight.live_recording SET sequence = -1, sha256 = NULL WHERE id = '{recording}';" +
                       (f"DELETE FROM streamsight.live_recording WHERE id = '{recording}'; DELETE FROM streamsight.recording WHERE id = '{recording}'"
                        if recording_too else ""), "streamsight")
    segment.put(order, stack.ca)
    uploadd.send(wire.UPLOADED, recording=record.recording, sequence=0)
    segment.upload(uploadd, stack.ca)
    assert uploadd.expect(wire.RELEASE).recording == record.recording
    assert [one["state"] for one in viewer(f"/v1/recordings/{recording}/segments")["segments"]] == ["complete"]


def test_a_recording_that_was_never_registered(enrolled, stack, viewer):
    """uploadd holds a segment of a recording that an earlier brokerd could not tell of."""
    uploadd, _, _ = begin(enrolled)
    recording = uuid.uuid4().bytes
    segment = Segment(recording, 0, b"orphan" * 10)
    segment.announce(uploadd)
    order = segment.upload(uploadd, stack.ca)
    assert text(recording) in order.url
    assert uploadd.expect(wire.RELEASE).recording == recording


def test_an_outage_of_the_control_plane(enrolled, stack):
    uploadd, _, record = begin(enrolled)
    enrolled.wait(lambda s: s["State"] == "recording", "it records")
    stack.apid.stop()
    try:
        segment = Segment(record.recording, 0, b"waits")
        segment.announce(uploadd)
        status = enrolled.wait(lambda s: s["LastError"], "the outage is reported")
        assert status["State"] == "recording", "an outage must not end a recording"
    finally:
        stack.apid.run()
    assert enrolled.cli("flush").returncode == 0
    uploadd.expect(wire.FLUSH)
    segment.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    enrolled.wait(lambda s: not s["LastError"], "it is resolved")


def test_an_unpinned_bucket_gets_nothing(agent, code, stack):
    """Nothing that is recorded already, and nothing is recorded for it."""
    agent.run()
    agent.enrol(code())
    _, _, record = begin(agent)
    agent.stop()
    agent.config["hosts"] = "elsewhere.example.org"
    agent.run()
    uploadd = agent.uploadd()
    Segment(record.recording, 0, b"secret").announce(uploadd)
    status = agent.wait(lambda s: "pinned" in s["LastError"], "it is reported")
    assert stack.s3.host in status["LastError"] and "agent.conf" in status["LastError"]
    assert "is not pinned" in agent.log()
    agent.wait_log("Nothing is uploaded")
    for message in (wire.UPLOAD, wire.RECORD):
        with pytest.raises(TimeoutError):
            uploadd.expect(message, timeout=2)
    done = agent.cli("start")
    assert done.returncode != 0 and "Hosts=" in done.stderr and agent.status()["Recording"] == ""


@pytest.mark.parametrize("pin, taken", [("{bucket}", True), ("{bucket}/", True), ("{bucket}/{prefix}", True), ("another", False),
                                        ("{bucket}/another", False)])
def test_a_pinned_bucket_of_a_host(agent, code, stack, pin, taken):
    agent.config["hosts"] += "/" + pin.format(bucket=stack.s3.bucket, prefix=stack.s3.prefix)
    agent.run()
    agent.enrol(code())
    uploadd, _, record = begin(agent)
    Segment(record.recording, 0, b"secret").announce(uploadd)
    if taken:
        assert f"/{stack.s3.bucket}/{stack.s3.prefix}/" in uploadd.expect(wire.UPLOAD).url
        return
    status = agent.wait(lambda s: "pinned" in s["LastError"], "it is reported")
    assert f"this bucket of host {stack.s3.host}" in status["LastError"]
    with pytest.raises(TimeoutError):
        uploadd.expect(wire.UPLOAD, timeout=2)


def test_local_limits_win(agent, code, stack):
    agent.config.update(recording="manual", fps=2)
    agent.run()
    agent.enrol(code())
    agent.wait(lambda s: s["PolicyRevision"], "the policy is known")
    uploadd = agent.uploadd()
    assert uploadd.silent(1), "recorded though agent.conf says manual"
    assert agent.status()["State"] == "idle"
    assert agent.cli("start").returncode == 0
    assert uploadd.expect(wire.RECORD).frame_interval == 500000000
    assert agent.capd().expect(wire.GRANT).min_interval == 500000000
    assert agent.status()["Reason"] == "manual"
    agent.stop()
    agent.config["recording"] = "off"
    agent.run()
    agent.wait(lambda s: s["PolicyRevision"], "the policy is known")
    done = agent.cli("start")
    assert done.returncode != 0 and "Recording=off in agent.conf" in done.stderr


def test_the_policy_can_stop_it(agent, company, code, stack):
    agent.run()
    agent.enrol(code(company))
    uploadd, capd, record = begin(agent)
    capd.expect(wire.GRANT)
    stack.apid.admin("policy", "set", "--company", company, "--recording", "off")
    agent.cli("flush")  # asks for the policy at once
    assert uploadd.expect(wire.STOP).recording == record.recording
    assert capd.expect(wire.REVOKE)
    done = agent.cli("start")
    assert done.returncode != 0 and "policy forbids it" in done.stderr


def test_a_new_uploadd_gets_a_new_recording(enrolled):
    uploadd, capd, record = begin(enrolled)
    capd.expect(wire.GRANT)
    uploadd.close()
    assert capd.expect(wire.REVOKE)
    status = enrolled.wait(lambda s: s["State"] == "degraded", "the loss is reported")
    assert "streamsight-uploadd" in status["LastError"] and status["Recording"] == ""
    uploadd = enrolled.uploadd()
    again = uploadd.expect(wire.RECORD)
    assert again.recording != record.recording
    assert capd.expect(wire.GRANT)
    assert enrolled.wait(lambda s: s["State"] == "recording", "it records")["LastError"] == ""


def test_what_hinders_capture_is_reported(enrolled):
    uploadd, capd, _ = begin(enrolled)
    capd.expect(wire.GRANT)
    uploadd.socket.send(wire.pack_stats(recording=1, text="Virtual-1 cannot be read"))
    status = enrolled.wait(lambda s: s["State"] == "degraded", "it is reported")
    assert status["LastError"] == "Virtual-1 cannot be read"
    uploadd.socket.send(wire.pack_stats(recording=1, pending_segments=2, pending_bytes=1000))
    status = enrolled.wait(lambda s: s["State"] == "recording", "it is resolved")
    assert (status["SpoolSegments"], status["SpoolBytes"]) == (2, 1000)
    capd.send(wire.STATUS, n_cards=0)
    assert "graphics card" in enrolled.wait(lambda s: s["State"] == "degraded", "it is reported")["LastError"]
    capd.close()
    enrolled.wait(lambda s: "cannot be reached" in s["LastError"], "the loss is reported")
    capd = enrolled.capd()
    capd.expect(wire.GRANT)
    capd.send(wire.STATUS, n_cards=1, n_outputs=1, grant_expires=1)
    enrolled.wait(lambda s: s["State"] == "recording", "it is resolved")


def test_capd_must_be_the_listener_that_systemd_made(enrolled):
    """A control socket of somebody else's gets no grant."""
    os.unlink(enrolled.control_path)
    script = ("import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.bind(sys.argv[1])\ns.listen()\n"
              "import os\nos.chmod(sys.argv[1], 0o777)\n"  # brokerd has no capability to get round a mode
              "print('ready',flush=True)\nc,_=s.accept()\nc.settimeout(5)\nprint(len(c.recv(100)),flush=True)")
    os.chmod(enrolled.dir, 0o777)
    with subprocess.Popen(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c",
                           script, enrolled.control_path], stdout=subprocess.PIPE, text=True) as impostor:
        assert impostor.stdout.readline() == "ready\n"
        uploadd = enrolled.uploadd()
        uploadd.expect(wire.RECORD)
        status = enrolled.wait(lambda s: "streamsight-capd" in s["LastError"], "the refusal is reported")
        assert "cannot be reached (Operation not permitted)" in status["LastError"] and status["State"] == "degraded"
        assert impostor.stdout.readline() == "0\n", "an impostor was sent something"


def test_the_lower_ceiling_holds(agent, company, code, stack):
    """Of agent.conf's and the policy's, each for itself; a new one begins another recording."""
    agent.config["fps"] = "5\nMaxBytesPerMinute=3000000\nMaxCPUMillisecondsPerSecond=90"
    stack.apid.admin("policy", "set", "--company", company, "--bytes-per-minute", "5000000", "--cpu-ms-per-second", "40")
    agent.run()
    agent.enrol(code(company))
    uploadd = agent.uploadd()
    record = uploadd.expect(wire.RECORD)
    assert (record.bytes_per_minute, record.cpu_ms_per_second, record.hold) == (3000000, 40, 0)
    stack.apid.admin("policy", "set", "--company", company, "--bytes-per-minute", "2000000")
    agent.cli("flush")  # asks for the policy at once
    again = uploadd.expect(wire.RECORD)
    assert (again.bytes_per_minute, again.cpu_ms_per_second) == (2000000, 40)
    assert again.recording != record.recording
    uploadd.close()
