"""Recordings and their segments, as far as the database goes."""

import concurrent.futures
import hashlib
import time
import uuid

import pytest

from .client import code_of, segment


def test_open_is_repeatable(device):
    recording, body = str(uuid.uuid4()), device.recording()
    first = device("PUT", f"/v1/recordings/{recording}", body)
    again = device("PUT", f"/v1/recordings/{recording}", body | {"outputs": [dict(body["outputs"][0], unknown="ignored")]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"id": recording}
    different = device("PUT", f"/v1/recordings/{recording}", body | {"reason": "manual"})
    assert code_of(different) == (409, "recording_conflict")


def test_other_devices_recording(device, new_device, other_company):
    recording = device.open()
    device.offer(recording, 0, b"segment")
    thief = new_device()
    assert code_of(thief("PUT", f"/v1/recordings/{recording}", thief.recording())) == (409, "recording_conflict")
    unknown = 404, "recording_unknown"
    assert code_of(thief.offer(recording, 0, b"segment")) == unknown
    assert code_of(thief.complete(recording, 0, b"segment")) == unknown
    assert code_of(thief.finish(recording, 1)) == unknown
    # Another company has ids of its own, and learns nothing about ours.
    stranger = new_device(other_company)
    assert code_of(stranger.offer(recording, 0, b"segment")) == unknown
    assert stranger.open(recording) == recording
    assert code_of(stranger.complete(recording, 0, b"segment")) == (404, "segment_unknown")


@pytest.mark.parametrize("change", [
    {"started_at": "yesterday"}, {"started_at": None}, {"reason": "because"}, {"reason": ""}, {"hostname": ""},
    {"outputs": None}, {"outputs": {}}, {"outputs": [1]}, {"outputs": [{}] * 2}, {"outputs": [{"id": 0, "name": "x", "width": 1}]},
    {"outputs": [{"id": 64, "name": "x", "width": 1, "height": 1}]},
    {"outputs": [{"id": 0, "name": "x", "width": -1, "height": 1}]},
    {"outputs": [{"id": 0, "name": "x", "width": 1, "height": 1}] * 17}])
def test_bad_recording(device, change):
    answer = device("PUT", f"/v1/recordings/{uuid.uuid4()}", device.recording() | change)
    assert code_of(answer) == (422, "field_invalid")
    assert f'"{next(iter(change))}"' in answer.json()["detail"]


def test_offer_is_repeatable_and_conflicts_are_told(device):
    recording = device.open()
    first, again = device.offer(recording, 0, b"one"), device.offer(recording, 0, b"one")
    assert first.status_code == again.status_code == 201
    statement = "x-amz-meta-streamsight-statement"  # each its own: ECDSA signs nothing twice the same
    assert first.json()["headers"] | {statement: ""} == again.json()["headers"] | {statement: ""}
    assert first.json()["url"].split("?")[0] == again.json()["url"].split("?")[0]
    assert code_of(device.offer(recording, 0, b"two")) == (409, "segment_conflict")
    assert code_of(device.complete(recording, 0, b"two")) == (409, "segment_conflict")
    assert code_of(device.complete(recording, 1, b"two")) == (404, "segment_unknown")
    assert device.complete(recording, 0, b"one").status_code == 204
    assert device.complete(recording, 0, b"one").status_code == 204
    assert code_of(device.offer(recording, 0, b"one")) == (409, "segment_complete")
    assert code_of(device.offer(recording, 0, b"two")) == (409, "segment_conflict")


def test_chain(device):
    recording = device.open()
    broken = 409, "segment_chain_broken"
    assert code_of(device.offer(recording, 0, b"zero", b"before")) == (422, "statement_invalid")
    assert code_of(device.offer(recording, 1, b"one", None)) == (422, "statement_invalid")
    assert device.offer(recording, 1, b"one", b"zero").status_code == 201  # out of order
    assert code_of(device.offer(recording, 0, b"other")) == broken
    assert code_of(device.offer(recording, 2, b"two", b"other")) == broken
    assert device.offer(recording, 0, b"zero").status_code == 201
    assert device.offer(recording, 2, b"two", b"one").status_code == 201


def test_finish(device):
    recording = device.open()
    parts = [b"zero", b"one", b"two"]
    for sequence, data in enumerate(parts):
        assert device.offer(recording, sequence, data, parts[sequence - 1] if sequence else None).status_code == 201
    device.complete(recording, 1, b"one")
    early = device.finish(recording, 4)
    assert code_of(early) == (409, "segments_missing") and early.json()["missing"] == [0, 2, 3]
    assert code_of(device.finish(recording, 2)) == (409, "segments_beyond_end")
    device.complete(recording, 0, b"zero")
    device.complete(recording, 2, b"two")
    assert device.finish(recording, 3).status_code == 204
    assert device.finish(recording, 3).status_code == 204
    assert code_of(device.finish(recording, 4)) == (409, "recording_finished")
    assert code_of(device.offer(recording, 3, b"three", b"two")) == (409, "recording_finished")
    assert code_of(device.offer(recording, 2, b"two", b"one")) == (409, "segment_complete")


def test_an_interrupted_recording_ends_with_what_arrived(api, device, viewer):
    recording = device.open()
    parts = [b"zero", b"one", b"two"]
    for sequence, data in enumerate(parts):
        device.offer(recording, sequence, data, parts[sequence - 1] if sequence else None)
    device.complete(recording, 1, b"one")
    assert device.finish(recording, 1, "interrupted").status_code == 204
    assert device.finish(recording, 1, "interrupted").status_code == 204
    listed = api("GET", f"/v1/recordings/{recording}/segments", token=viewer).json()["segments"]
    assert [segment["state"] for segment in listed] == ["lost", "complete", "lost"]

    # What turns up again after all is taken; what was never announced is not.
    assert device.offer(recording, 0, b"zero").status_code == 201
    assert device.complete(recording, 0, b"zero").status_code == 204
    listed = api("GET", f"/v1/recordings/{recording}/segments", token=viewer).json()["segments"]
    assert [segment["state"] for segment in listed] == ["complete", "complete", "lost"]
    assert code_of(device.offer(recording, 3, b"three", b"two")) == (409, "recording_finished")


def test_finish_lists_at_most_a_hundred_and_bears_huge_counts(device):
    recording = device.open()
    device.offer(recording, 0, b"zero")
    device.complete(recording, 0, b"zero")
    answer = device.finish(recording, 1_000_000)
    assert answer.json()["missing"] == list(range(1, 101))
    assert answer.elapsed.total_seconds() < 5
    assert device.finish(device.open(), 0).status_code == 204


@pytest.mark.parametrize("change", [
    {"sequence": -1}, {"sequence": 1_000_000}, {"sequence": "0"}, {"sequence": 0.0}, {"sequence": None},
    {"sha256": "0" * 63}, {"sha256": "G" * 64}, {"sha256": None}, {"sha256": "A" * 64}, {"previous_sha256": ""},
    {"previous_sha256": 0}, {"md5": "x"}, {"md5": "0" * 32}, {"md5": "AAAAAAAAAAAAAAAAAAAAAB=="}, {"size": 0}, {"size": -1},
    {"size": 2 ** 40}, {"size": 2 ** 63}, {"started_at": "2030-01-31T10:00:00"}, {"ended_at": 1}, {"frames": -1}])
def test_bad_segment(device, change):
    answer = device("POST", f"/v1/recordings/{uuid.uuid4()}/segments", segment(0, b"x") | change)
    if change == {"size": 2 ** 63}:  # no integer that JSON readers have
        assert code_of(answer) == (400, "body_invalid")
    else:
        assert code_of(answer) == (422, "field_invalid")
        assert f'"{next(iter(change))}"' in answer.json()["detail"]


def test_missing_members(device):
    for name in segment(0, b"x"):
        body = segment(0, b"x")
        del body[name]
        answer = device("POST", f"/v1/recordings/{uuid.uuid4()}/segments", body)
        assert code_of(answer) == (422, "field_invalid")  # null is said, not left out
        assert f'"{name}"' in answer.json()["detail"]


def test_oversize_segment(device):
    recording = device.open()
    assert code_of(device.offer(recording, 0, b"x", size=16 * 1024 * 1024 + 1)) == (422, "segment_too_large")
    assert device.offer(recording, 0, b"x", size=16 * 1024 * 1024).status_code == 201


def test_company_without_bucket(apid, new_device):
    device = new_device(apid.create_company("Homeless Corp"))
    assert code_of(device.offer(device.open(), 0, b"x")) == (409, "bucket_missing")


def test_same_offer_from_sixteen_at_once(device):
    recording = device.open()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: device.offer(recording, 0, b"same"), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["url"].split("?")[0] for answer in answers}) == 1
    statement = "x-amz-meta-streamsight-statement"  # each its own: ECDSA signs nothing twice the same
    assert len({str(answer.json()["headers"] | {statement: ""}) for answer in answers}) == 1


def test_different_offers_at_once_have_one_winner(device):
    recording = device.open()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: device.offer(recording, 0, b"%d" % i), range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 15


def while_uncommitted(sql, statement, then):
    """What then() returns, called while a statement is done but not committed yet."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(sql, f"BEGIN; {statement}; SELECT pg_sleep(1); COMMIT")
        for _ in range(100):
            if sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1":
                break
            time.sleep(0.02)
        answer = then()
        under_way.result()
    return answer


@pytest.mark.parametrize("follows", [True, False])
def test_an_offer_waits_for_a_finish_under_way(device, sql, follows):
    recording = device.open()
    offer = while_uncommitted(sql, f"SELECT streamsight.finish_recording('{device.token}', '{recording}', 0, now(), 'x')",
                              lambda: device.offer(recording, 0, b"zero") if follows else device.offer(recording, 1, b"one", b"zero"))
    assert code_of(offer) == (409, "recording_finished")


@pytest.mark.parametrize("previous, expected", [(b"zero", 201), (b"other", (409, "segment_chain_broken"))])
def test_an_offer_waits_for_the_one_before_it(device, sql, previous, expected):
    recording, digest = device.open(), hashlib.sha256(b"zero").hexdigest()
    offer = while_uncommitted(sql, f"SELECT api.offer_signed_segment('{device.token}', '{recording}', 0, '\\x{digest}', NULL, '\\x{'00' * 16}', 4, "
                                   f"now(), now(), 1, '{device.id}', public_key, 's') FROM streamsight.device WHERE id = '{device.id}'",
                              lambda: device.offer(recording, 1, b"one", previous))
    assert (offer.status_code if expected == 201 else code_of(offer)) == expected


def test_those_announced_together_wait_for_nobody(device, new_device, sql):
    """One of them, whose recording is being finished, is left to wait by itself."""
    devices = [device, new_device()]
    recordings = [device.open() for device in devices]
    array = lambda values: "array[" + ", ".join(values) + "]"
    twice = lambda value: array([value] * 2)
    zeroes, digest = f"'\\x{'00' * 16}'::bytea", "sha256('a')"
    key = lambda device: f"(SELECT public_key FROM streamsight.device WHERE id = '{device.id}')"
    rows = while_uncommitted(sql, f"SELECT streamsight.finish_recording('{device.token}', '{recordings[0]}', 0, now(), 'x')", lambda: sql(
        "SET lock_timeout = '100ms'; SELECT place, object_key FROM api.offer_signed_segments("
        f"{array(repr(device.token) for device in devices)}, {array(map(repr, recordings))}::uuid[], {twice('0')}, {twice(digest)}, "
        f"{twice('NULL::bytea')}, {twice(zeroes)}, {twice('1')}, {twice('now()')}, {twice('now()')}, "
        f"{twice('1')}, {array(repr(device.id) for device in devices)}::uuid[], {array(map(key, devices))}, {twice('NULL::text')})"))
    assert rows.startswith("1|") and recordings[1] in rows and "\n" not in rows


def test_each_of_those_announced_at_once_gets_its_own(new_device, other_company):
    devices = [new_device(of) for of in (None, other_company) for _ in range(6)]
    data = lambda device, n: f"{device.id} {n}".encode()

    def record(device):
        recording = device.open()
        for n in range(8):
            answer = device.offer(recording, n, data(device, n), data(device, n - 1) if n else None)
            assert answer.status_code == 201, answer.text
            assert f"/{device.company_id}/{device.id}/{recording}/{n:08}-{hashlib.sha256(data(device, n)).hexdigest()}.sss?" in answer.json()["url"]
            assert device.complete(recording, n, data(device, n)).status_code == 204
        assert device.finish(recording, 8).status_code == 204
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(record, devices))


def test_offers_out_of_order(device):
    """Whatever the order, each is taken if it agrees with both its neighbours."""
    data = lambda n: f"segment {n}".encode()
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2), (1, 0, 2, 3), (0, 2, 3, 1)):
        recording = device.open()
        for done, n in enumerate(order):
            known = order[:done]
            if n + 1 in known:
                assert code_of(device.offer(recording, n, b"other", data(n - 1) if n else None)) == (409, "segment_chain_broken")
            if n - 1 in known:
                assert code_of(device.offer(recording, n, data(n), b"other")) == (409, "segment_chain_broken")
            assert device.offer(recording, n, data(n), data(n - 1) if n else None).status_code == 201
            assert device.offer(recording, n, data(n), data(n - 1) if n else None).status_code == 201
            assert device.complete(recording, n, data(n)).status_code == 204
        assert device.finish(recording, 4).status_code == 204


def test_offers_and_finishes_at_once(device):
    """A finished recording has exactly the segments it was finished with."""
    for _ in range(5):
        recording = device.open()
        device.offer(recording, 0, b"zero")
        device.complete(recording, 0, b"zero")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            offers = [pool.submit(device.offer, recording, 1, b"one", b"zero") for _ in range(4)]
            finishes = [pool.submit(device.finish, recording, 1) for _ in range(4)]
        offered = {future.result().status_code for future in offers}
        finished = {future.result().status_code for future in finishes}
        assert (offered, finished) in (({201}, {409}), ({409}, {204})), (offered, finished)
