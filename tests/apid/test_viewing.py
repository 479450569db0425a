"""What a viewer finds, and what is written down about it."""

import uuid

import pytest

from .client import code_of


@pytest.fixture(scope="module")
def library(apid, api):
    """A company with two devices and seven recordings: (viewer token, [device, device], [recording, ...] newest first)."""
    from .client import Device
    company = apid.create_company("Library Corp")
    apid.admin("bucket", "set", "--company", company, "--endpoint", "https://s3.example.org", "--region", "r", "--bucket",
               "recordings", "--prefix", "p", "--access-key-id", "K", stdin="secret\n")
    devices = [Device(api, f"pc-{i}").enroll(apid.enrolment_code(company)).log_in() for i in range(2)]
    recordings = []
    for hour in range(7):
        device = devices[hour % 2]
        # Two begin at the same moment.
        recordings.append((f"2030-01-31T{min(hour, 5):02}:00:00.000000Z", device.open(
            started_at=f"2030-01-31T{min(hour, 5):02}:00:00.000000Z")))
    recordings.sort(reverse=True)
    return apid.viewer_token(company), devices, [recording for _, recording in recordings]


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [recording["id"] for recording in answer.json()["recordings"]]


def test_list(api, library):
    token, devices, recordings = library
    answer = api("GET", "/v1/recordings", token=token)
    assert ids(answer) == recordings and answer.json()["next"] is None
    first = answer.json()["recordings"][-1]
    assert first == {"id": recordings[-1], "device_id": devices[0].id, "hostname": "pc-0", "employee_id": None, "employee": None,
                     "started_at": "2030-01-31T00:00:00.000000Z", "ended_at": None, "segments": 0, "bytes": 0, "state": "open"}


def test_filters(api, library):
    token, devices, recordings = library
    of_second = ids(api("GET", f"/v1/recordings?device={devices[1].id}", token=token))
    assert len(of_second) == 3 and set(of_second) < set(recordings)
    assert ids(api("GET", "/v1/recordings", token=token, params={"to": "2030-01-31T02:00:00Z"})) == recordings[-2:]
    assert ids(api("GET", "/v1/recordings", token=token, params={"from": "2030-02-01T00:00:00Z"})) == recordings  # all open
    devices[0].finish(recordings[-1], 0)
    answer = api("GET", "/v1/recordings", token=token, params={"from": "2030-01-31T12:00:00Z"})
    assert recordings[-1] not in ids(answer)
    finished = api("GET", "/v1/recordings", token=token).json()["recordings"][-1]
    assert (finished["state"], finished["ended_at"]) == ("finished", "2030-01-31T10:05:00.000000Z")


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_hold_each_once(api, library, limit):
    token, _, recordings = library
    found, cursor = [], None
    for _ in range(10):
        answer = api("GET", "/v1/recordings", token=token, params={"limit": limit} | ({"after": cursor} if cursor else {}))
        found += ids(answer)
        cursor = answer.json()["next"]
        if not cursor:
            break
    assert found == recordings


@pytest.mark.parametrize("query", [
    "device=x", "from=yesterday", "to=2030-01-31", "after=x", "after=2030-01-31T00:00:00Z_x", "limit=0", "limit=101",
    "limit=x", "device=';DROP TABLE streamsight.recording;--"])
def test_bad_query(api, library, query):
    answer = api("GET", f"/v1/recordings?{query}", token=library[0])
    assert code_of(answer) == (422, "field_invalid") and f'"{query.split("=")[0]}"' in answer.json()["detail"]


def test_segments(api, library):
    token, devices, _ = library
    recording, parts = devices[0].open(), [b"zero", b"one", b"two"]
    for sequence, data in enumerate(parts):
        devices[0].offer(recording, sequence, data, parts[sequence - 1] if sequence else None)
    devices[0].complete(recording, 1, b"one")
    answer = api("GET", f"/v1/recordings/{recording}/segments", token=token)
    segments = answer.json()["segments"]
    assert [segment["sequence"] for segment in segments] == [0, 1, 2]
    assert [segment["state"] for segment in segments] == ["pending", "complete", "pending"]
    assert segments[1]["previous_sha256"] == segments[0]["sha256"] and segments[0]["previous_sha256"] is None
    assert {"id", "size", "started_at", "ended_at", "frames"} < set(segments[0])
    rest = api("GET", f"/v1/recordings/{recording}/segments?after=1", token=token).json()
    assert [segment["sequence"] for segment in rest["segments"]] == [2] and rest["next"] is None
    listed = [found for found in api("GET", "/v1/recordings", token=token).json()["recordings"] if found["id"] == recording]
    assert (listed[0]["segments"], listed[0]["bytes"]) == (1, 3)


def test_segments_come_in_pages_of_a_thousand(api, library, sql):
    """An answer is in apid's memory as a whole."""
    token, devices, _ = library
    recording = devices[0].open()
    devices[0].offer(recording, 0, b"zero")
    sql(f"""SET search_path = streamsight;
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size, frames,
                             started_at, ended_at)
            SELECT company_id, recording_id, recording_created_at, n, bucket_id, n, sha256, sha256, md5, size, frames, started_at, ended_at
            FROM segment, generate_series(1, 1000) AS n WHERE recording_id = '{recording}'""")
    page = api("GET", f"/v1/recordings/{recording}/segments", token=token).json()
    assert [segment["sequence"] for segment in page["segments"]] == [*range(1000)] and page["next"] == 999
    page = api("GET", f"/v1/recordings/{recording}/segments?after=999", token=token).json()
    assert [segment["sequence"] for segment in page["segments"]] == [1000] and page["next"] is None


def test_another_companys_viewer_sees_nothing(api, apid, other_company, library, sql):
    token, devices, recordings = library
    recording = devices[0].open()
    devices[0].offer(recording, 0, b"zero")
    devices[0].complete(recording, 0, b"zero")
    segment = api("GET", f"/v1/recordings/{recording}/segments", token=token).json()["segments"][0]["id"]
    stranger = apid.viewer_token(other_company)
    assert ids(api("GET", "/v1/recordings", token=stranger)) == []
    assert ids(api("GET", f"/v1/recordings?device={devices[0].id}", token=stranger)) == []
    assert code_of(api("GET", f"/v1/recordings/{recording}/segments", token=stranger)) == (404, "recording_unknown")
    assert code_of(api("POST", f"/v1/segments/{segment}/url", token=stranger)) == (404, "segment_unknown")
    audited = f"SELECT count(*) FROM streamsight.audit WHERE subject_id = '{segment}'"
    assert sql(audited) == "0"
    # Nor does a device see what it recorded, or a viewer record.
    assert code_of(api("POST", f"/v1/segments/{segment}/url", token=devices[0].token)) == (401, "token_invalid")
    assert code_of(api("PUT", f"/v1/recordings/{uuid.uuid4()}", devices[0].recording(), token=token)) == (401, "token_invalid")
    # Each URL that was given out is one row.
    for _ in range(3):
        assert api("POST", f"/v1/segments/{segment}/url", token=token).status_code == 201
    assert sql(audited) == "3"
