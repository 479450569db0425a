"""The presigned URLs on a real S3 server, which verifies signatures."""

import hashlib
import json
import os
import subprocess
import time
import urllib.parse

import pytest

from .client import code_of


@pytest.fixture
def data():
    return os.urandom(5000)


@pytest.fixture
def upload(device, data):
    """A segment's (recording, URL, headers)."""
    recording = device.open()
    answer = device.offer(recording, 0, data)
    assert answer.status_code == 201, answer.text
    return recording, answer.json()["url"], answer.json()["headers"]


def test_url(stack, device, upload, data):
    recording, url, headers = upload
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    assert parts.scheme == "https" and parts.netloc == f"{stack.s3.host}:{stack.s3.https_port}"
    assert parts.path == (f"/{stack.s3.bucket}/{stack.s3.prefix}/{device.company_id}/{device.id}/{recording}/"
                          f"00000000-{hashlib.sha256(data).hexdigest()}.sss")
    assert query["X-Amz-Expires"] == "60"
    # All that is signed must be sent, and all that is to be sent is signed.
    assert set(query["X-Amz-SignedHeaders"].split(";")) == set(headers) | {"host", "content-length"}
    assert set(headers) == {"content-type", "if-none-match", "content-md5", "x-amz-content-sha256", "x-amz-checksum-sha256",
                            "x-amz-acl", "x-amz-meta-streamsight-recording", "x-amz-meta-streamsight-sequence",
                            "x-amz-meta-streamsight-statement"}
    second = device.offer(recording, 1, b"more", data).json()["headers"]
    assert second["x-amz-meta-streamsight-previous-sha256"] == hashlib.sha256(data).hexdigest()


def test_upload_and_view(api, stack, http, sql, device, upload, data, viewer):
    recording, url, headers = upload
    assert http.put(url, data=data, headers=headers).status_code == 200
    assert http.put(url, data=data, headers=headers).status_code == 412  # write-once
    segments = api("GET", f"/v1/recordings/{recording}/segments", token=viewer).json()["segments"]
    assert [segment["state"] for segment in segments] == ["pending"]
    assert code_of(api("POST", f"/v1/segments/{segments[0]['id']}/url", token=viewer)) == (409, "segment_pending")
    assert device.complete(recording, 0, data).status_code == 204
    answer = api("POST", f"/v1/segments/{segments[0]['id']}/url", token=viewer, headers={"X-Forwarded-For": "192.0.2.7"})
    assert answer.status_code == 201 and answer.json()["method"] == "GET" and answer.headers["Cache-Control"] == "no-store"
    assert http.get(answer.json()["url"]).content == data
    assert http.put(answer.json()["url"], data=data).status_code == 403
    assert http.delete(answer.json()["url"]).status_code == 403
    assert sql("SELECT actor, action, address FROM streamsight.audit "
               f"WHERE subject_id = '{segments[0]['id']}'") == "user|segment.view|192.0.2.7"
    stored = stack.s3.owner_client().head_object(Bucket=stack.s3.bucket, Key=urllib.parse.urlsplit(url).path.split("/", 2)[2])
    assert stored["Metadata"] == {"streamsight-recording": recording, "streamsight-sequence": "0",
                                  "streamsight-statement": headers["x-amz-meta-streamsight-statement"]}
    assert stored["ContentType"] == "application/vnd.streamsight.segment"


@pytest.mark.parametrize("name", [
    "content-type", "if-none-match", "content-md5", "x-amz-content-sha256", "x-amz-checksum-sha256", "x-amz-acl",
    "x-amz-meta-streamsight-recording", "x-amz-meta-streamsight-sequence", "x-amz-meta-streamsight-statement"])
def test_changed_or_missing_header_is_refused(http, upload, data, name):
    _, url, headers = upload
    other = {"content-type": "text/html", "if-none-match": '"x"', "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
             "x-amz-content-sha256": "0" * 64, "x-amz-checksum-sha256": "A" * 43 + "=", "x-amz-acl": "public-read"}
    changed = headers | {name: other.get(name, "7")}
    missing = {key: value for key, value in headers.items() if key != name}
    assert http.put(url, data=data, headers=changed).status_code in (400, 403)
    assert http.put(url, data=data, headers=missing).status_code in (400, 403)
    assert http.put(url, data=data, headers=headers).status_code == 200  # the rest was right


def test_other_content_method_or_place_is_refused(http, upload, data):
    _, url, headers = upload
    assert http.put(url, data=data[:-1], headers=headers).status_code == 403  # another length
    assert http.put(url, data=data[::-1], headers=headers).status_code == 400  # another content
    assert http.put(url.replace("00000000-", "00000001-"), data=data, headers=headers).status_code == 403
    assert http.get(url, headers=headers).status_code == 403
    assert http.delete(url, headers=headers).status_code == 403
    later = url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")
    assert http.put(later, data=data, headers=headers).status_code == 403


def test_server_side_encryption_is_asked_for(apid, stack, http, new_device):
    company = apid.create_company("Encrypted Corp")
    apid.set_bucket(company, stack.s3, sse="aws:kms")
    device = new_device(company)
    answer = device.offer(device.open(), 0, b"segment").json()
    assert answer["headers"]["x-amz-server-side-encryption"] == "aws:kms"
    assert "x-amz-server-side-encryption" in urllib.parse.unquote(answer["url"])
    without = {key: value for key, value in answer["headers"].items() if key != "x-amz-server-side-encryption"}
    assert http.put(answer["url"], data=b"segment", headers=without).status_code in (400, 403)


@pytest.mark.parametrize("sse", ["AES256", "aws:kms"])
def test_encrypted_and_read_again(apid, api, stack, http, new_device, sse):
    """Under the tenant's own key of the key management service, which is the only one that this server has."""
    company = apid.create_company("Encrypted Corp")
    key_id = stack.s3.kms_key_id if sse == "aws:kms" else None
    apid.set_bucket(company, stack.s3, sse=sse, kms_key_id=key_id)
    device, viewer = new_device(company), apid.viewer_token(company)
    recording = device.open()
    order = device.offer(recording, 0, b"segment").json()
    named = "x-amz-server-side-encryption-aws-kms-key-id"
    assert order["headers"]["x-amz-server-side-encryption"] == sse and order["headers"].get(named) == key_id
    if key_id:
        assert named in urllib.parse.parse_qs(urllib.parse.urlsplit(order["url"]).query)["X-Amz-SignedHeaders"][0].split(";")
        assert http.put(order["url"], data=b"segment", headers=order["headers"] | {named: "another"}).status_code == 403
    assert http.put(order["url"], data=b"segment", headers=order["headers"]).status_code == 200
    device.complete(recording, 0, b"segment")
    segment = api("GET", f"/v1/recordings/{recording}/segments", token=viewer).json()["segments"][0]["id"]
    answer = http.get(api("POST", f"/v1/segments/{segment}/url", token=viewer).json()["url"])
    assert answer.content == b"segment"
    if key_id:  # Ceph 16 takes AES256 and does not encrypt: streamsight-admin bucket check says so
        assert answer.headers["x-amz-server-side-encryption"] == sse and answer.headers[named] == key_id


def test_a_moved_company_still_finds_what_lies_in_the_old_bucket(apid, api, stack, http, new_device):
    company = apid.create_company("Moving Corp")
    apid.set_bucket(company, stack.s3)
    device, viewer = new_device(company), apid.viewer_token(company)
    recording = device.open()
    order = device.offer(recording, 0, b"old").json()
    assert http.put(order["url"], data=b"old", headers=order["headers"]).status_code == 200
    device.complete(recording, 0, b"old")
    apid.admin("bucket", "set", "--company", company, "--endpoint", "https://s3.example.org", "--region", "eu-central-1",
               "--bucket", "new-bucket", "--prefix", "", "--access-key-id", "KEY", stdin="secret\n")
    new = urllib.parse.urlsplit(device.offer(recording, 1, b"new", b"old").json()["url"])
    assert new.netloc == "new-bucket.s3.example.org" and new.path.startswith(f"/{company}/{device.id}/")  # virtual-hosted
    viewed = api("GET", f"/v1/recordings/{recording}/segments", token=viewer).json()["segments"][0]["id"]
    url = api("POST", f"/v1/segments/{viewed}/url", token=viewer).json()["url"]
    assert http.get(url).content == b"old"


def test_through_the_gateway(stack, http, device, data):
    recording = device.open()
    answer = http.post(f"{stack.gateway.url}/v1/recordings/{recording}/segments", json=device.signed_segment(recording, 0, data),
                       headers={"Authorization": f"Bearer {device.token}"})
    assert answer.status_code == 201
    assert http.put(answer.json()["url"], data=data, headers=answer.json()["headers"]).status_code == 200


# --- somebody who has stolen a URL -----------------------------------------------------------------------------------------

def signed_at(build, stack, order, seconds):
    """The same URL as it would have been signed so many seconds ago, with apid's own code and key."""
    s3, parts = stack.s3, urllib.parse.urlsplit(order["url"])
    names = urllib.parse.parse_qs(parts.query)["X-Amz-SignedHeaders"][0].split(";")
    lengths = {"content-length": str(order["size"])}
    done = subprocess.run([build / "tests" / "apid" / "presign-lines"], check=True, text=True, capture_output=True, input=json.dumps({
        "method": "PUT", "host": parts.netloc, "path": urllib.parse.unquote(parts.path), "region": s3.region,
        "access_key_id": s3.tenant.access_key_id, "secret_key": s3.tenant.secret_access_key, "time": int(time.time()) - seconds, "expires": 60,
        "headers": {name: (order["headers"] | lengths)[name] for name in names if name != "host"}}) + "\n")
    return done.stdout.strip()


def test_after_its_time_a_url_is_worth_nothing(build, stack, http, device, data):
    """Not by a changed parameter, but as it is when the minute is over."""
    order = device.offer(device.open(), 0, data).json() | {"size": len(data)}
    for ago in (62, 3600):
        late = http.put(signed_at(build, stack, order, ago), data=data, headers=order["headers"])
        assert late.status_code == 403, late.text
    # Nothing else was wrong with it.
    assert http.put(signed_at(build, stack, order, 50), data=data, headers=order["headers"]).status_code == 200


@pytest.mark.parametrize("added", [
    {"x-amz-copy-source": "/recordings/streamsight/anything"},
    {"x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    {"x-amz-grant-write": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    {"x-amz-grant-read-acp": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    {"x-amz-grant-write-acp": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    {"x-amz-grant-full-control": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
])
def test_nothing_can_be_added_to_a_stolen_url(stack, http, device, data, added):
    """Headers that were not signed, which Ceph does not refuse for that alone. Afterwards nothing is there, or the last put would get 412."""
    order = device.offer(device.open(), 0, data).json()
    assert http.put(order["url"], data=data, headers=order["headers"] | added).status_code in (400, 403, 501)
    assert http.put(order["url"], data=data, headers=order["headers"]).status_code == 200  # the thief has used up nothing


def test_a_stolen_url_does_not_work_twice(stack, http, device, data):
    order = device.offer(device.open(), 0, data).json()
    assert http.put(order["url"], data=data, headers=order["headers"]).status_code == 200
    for headers in (order["headers"], {name: value for name, value in order["headers"].items() if name != "if-none-match"}):
        assert http.put(order["url"], data=data, headers=headers).status_code in (403, 412)
    for query in ("&acl", "&tagging", "&uploads", "&versionId=null"):
        assert http.put(order["url"] + query, data=data, headers=order["headers"]).status_code in (403, 412)
