"""The devices' statements: what apid takes, keeps and hands on."""

import base64
import json
import urllib.parse

import pytest

from .client import Device, code_of, jwk, jws

INVALID = 422, "statement_invalid"


def claims_of(statement):
    header, claims, _ = statement.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, claims)]


def post(device, recording, body):
    return device("POST", f"/v1/recordings/{recording}/segments", body)


def test_a_statement_is_kept_and_travels_with_the_object(device, stack, http, sql):
    recording = device.open()
    body = device.signed_segment(recording, 0, b"data")
    answer = post(device, recording, body).json()
    assert http.put(answer["url"], data=b"data", headers=answer["headers"]).status_code == 200
    stored = stack.s3.owner_client().head_object(Bucket=stack.s3.bucket,
                                                 Key=urllib.parse.urlsplit(answer["url"]).path.split("/", 2)[2])
    assert stored["Metadata"]["streamsight-statement"] == body["statement"]
    kept = f"SELECT statement FROM streamsight.segment WHERE recording_id = '{recording}' AND sequence = 0"
    assert sql(kept) == body["statement"]
    assert device.offer(recording, 0, b"data").status_code == 201
    assert sql(kept) == body["statement"], "the first is kept"
    device.complete(recording, 0, b"data")
    assert device.finish(recording, 1).status_code == 204
    header, claims = claims_of(sql(f"SELECT statement FROM streamsight.recording WHERE id = '{recording}'"))
    assert header["typ"] == "streamsight-recording+jwt" and header["jwk"] == jwk(device.key)
    assert claims["segments"] == 1 and claims["recording"] == recording and claims["device"] == device.id


@pytest.mark.parametrize("id", ["-" * 36, "1111-1111-4111-8111-1111-1111-1111-1", "0000000--0000-4000-8000-000000000000",
                                "AAAAAAAA-0000-4000-8000-000000000000", "", "x", 1, None])
def test_an_id_is_a_uuid(device, stack, id):
    """Whatever PostgreSQL takes for none would spoil the call for all that are entered together: one's own key and any word for a token are
    enough to sign and send it."""
    recording, api = device.open(), device.api
    log = stack.apid.process.log
    before = len(log.read_text())
    body = device.signed_segment(recording, 0, b"data")
    body["statement"] = device.statement("segment", device.segment_claims(recording, body) | {"device": id})
    end = {"segments": 0, "ended_at": "2030-01-31T10:05:00.000000Z", "reason": "stopped"}
    end["statement"] = device.statement("recording", end | {"device": id, "recording": recording})
    for token in (device.token, "word"):
        assert code_of(api("POST", f"/v1/recordings/{recording}/segments", body, token)) == INVALID
        assert code_of(api("POST", f"/v1/recordings/{recording}/finish", end, token)) == INVALID
    assert "22P02" not in log.read_text()[before:]


@pytest.mark.parametrize("change", [
    {"recording": "00000000-0000-4000-8000-000000000000"}, {"device": "00000000-0000-4000-8000-000000000000"}, {"sequence": 1},
    {"sha256": "0" * 64}, {"previous_sha256": "0" * 64}, {"size": 5}, {"started_at": "2030-01-31T09:00:00.000000Z"},
    {"ended_at": "2030-01-31T11:00:00.000000Z"}, {"final": None}, {"final": 1}, {"additional": True}])
def test_it_must_say_what_the_request_says(device, sql, change):
    recording = device.open()
    body = device.signed_segment(recording, 0, b"data")
    claims = device.segment_claims(recording, body) | change
    body["statement"] = device.statement("segment", claims)
    assert code_of(post(device, recording, body)) == INVALID
    assert sql(f"SELECT count(*) FROM streamsight.segment WHERE recording_id = '{recording}'") == "0"


def test_it_must_follow_the_one_that_the_request_says(device):
    recording = device.open()
    assert device.offer(recording, 0, b"first").status_code == 201
    body = device.signed_segment(recording, 1, b"second", b"first")
    claims = device.segment_claims(recording, body)
    body["statement"] = device.statement("segment", claims | {"previous_sha256": "0" * 64})
    assert code_of(post(device, recording, body)) == INVALID
    body["statement"] = device.statement("segment", claims)
    assert post(device, recording, body).status_code == 201


def test_it_must_be_signed_by_this_device(device, new_device, api):
    recording = device.open()
    body = device.signed_segment(recording, 0, b"data")
    claims = device.segment_claims(recording, body)
    other = new_device()
    for statement in (other.statement("segment", claims),  # a device of the same company, with its own key
                      other.statement("segment", claims, jwk=jwk(device.key)),  # … that claims to be this one
                      device.statement("recording", claims), device.statement("segment", claims, typ="JWT"),
                      device.statement("segment", claims, kid="x"),
                      jws(device.key, claims), jws(device.key, claims, {"alg": "none", "typ": "streamsight-segment+jwt"}),
                      body["statement"][:-8] + "AAAAAAAA", body["statement"] + "=", "x", body["statement"].rsplit(".", 1)[0]):
        assert code_of(post(device, recording, body | {"statement": statement})) == INVALID
    for statement in (None, "", "x" * 1024, 1):
        assert code_of(post(device, recording, body | {"statement": statement})) == (422, "field_invalid")
    assert post(device, recording, body).status_code == 201


def test_a_statement_is_no_assertion_and_an_assertion_no_statement(device):
    """One key signs both: neither may be taken for the other."""
    recording = device.open()
    body = device.signed_segment(recording, 0, b"data")
    assert code_of(device.request_token(body["statement"])) == (401, "client_invalid")
    assertion = jws(device.key, device.claims())
    assert code_of(post(device, recording, body | {"statement": assertion})) == INVALID


def test_the_end_is_stated_too(device, sql):
    recording = device.open()
    body = {"segments": 0, "ended_at": "2030-01-31T10:05:00.000000Z", "reason": "stopped"}
    claims = body | {"device": device.id, "recording": recording}
    for change in ({"segments": 1}, {"reason": "other"}, {"ended_at": "2030-01-31T10:06:00.000000Z"},
                   {"recording": device.id}, {"device": recording}):
        statement = device.statement("recording", claims | change)
        assert code_of(device("POST", f"/v1/recordings/{recording}/finish", body | {"statement": statement})) == INVALID
    stranger = Device(device.api)
    statement = stranger.statement("recording", claims)
    assert code_of(device("POST", f"/v1/recordings/{recording}/finish", body | {"statement": statement})) == INVALID
    assert sql(f"SELECT finished_at IS NULL FROM streamsight.recording WHERE id = '{recording}'") == "t"
    assert device.finish(recording, 0).status_code == 204
