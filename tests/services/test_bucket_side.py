"""What a tenant sets beside the policies: CORS for the viewer, lifecycle, object lock; and what a thief of the key can do."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from services.radosgw import policy

ORIGIN = "https://streamsight.example.org"


@pytest.fixture
def bucket(s3):
    """A bucket with the shipped policy, of a test's own."""
    name = f"side-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(name, "p")
    return name


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def tenant_of(s3, bucket):
    user = s3.create_user(f"tenant-{bucket}")
    s3.owner_client().put_bucket_policy(Bucket=bucket, Policy=policy("bucket-policy.json", BUCKET=bucket, PREFIX="p", KEY_ARN=user.arn))
    s3.put_user_policy(user, policy("iam-user-policy.json", BUCKET=bucket, PREFIX="p"))
    return s3.client(user)


@pytest.fixture
def viewed(s3, bucket):
    """A presigned URL of an object in a bucket that has our CORS rules."""
    owner = s3.owner_client()
    owner.put_bucket_cors(Bucket=bucket, CORSConfiguration=json.loads(policy("cors.json", ORIGIN=ORIGIN)))
    owner.put_object(Bucket=bucket, Key="p/segment", Body=b"0123456789", Metadata={"streamsight-statement": "s"})
    return owner.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "p/segment"}, ExpiresIn=60)


@pytest.mark.parametrize("origin, method, header, allowed", [
    (ORIGIN, "GET", "range", True),
    (ORIGIN, "GET", None, True),
    ("https://evil.example.org", "GET", "range", False),
    (ORIGIN, "PUT", None, False),
    (ORIGIN, "DELETE", None, False),
    (ORIGIN, "GET", "x-amz-acl", False),
])
def test_a_browser_asks_first(http, viewed, origin, method, header, allowed):
    answer = http.options(viewed, headers={"Origin": origin, "Access-Control-Request-Method": method} |
                          ({"Access-Control-Request-Headers": header} if header else {}))
    granted = answer.status_code == 200 and answer.headers.get("Access-Control-Allow-Origin") == origin and \
        method in answer.headers.get("Access-Control-Allow-Methods", "") and \
        (not header or header in answer.headers.get("Access-Control-Allow-Headers", "").lower())
    assert granted == allowed, (answer.status_code, dict(answer.headers))


def test_a_browser_then_reads_a_part_and_the_statement(http, viewed):
    answer = http.get(viewed, headers={"Origin": ORIGIN, "Range": "bytes=2-4"})
    assert answer.status_code == 206 and answer.content == b"234"
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "x-amz-meta-streamsight-statement" in answer.headers["Access-Control-Expose-Headers"].lower()
    stranger = http.get(viewed, headers={"Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_the_lifecycle_is_taken(s3, bucket):
    owner = s3.owner_client()
    owner.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=json.loads(policy("lifecycle.json", PREFIX="p")))
    rule, = owner.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Expiration"]["Days"] == 90 and rule["Status"] == "Enabled"


def test_what_is_locked_stays_against_the_owner_too(s3):
    name, owner = f"locked-{uuid.uuid4().hex[:8]}", s3.owner_client()
    owner.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    owner.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=json.loads(policy("object-lock.json")))
    thief = tenant_of(s3, name)
    first = thief.put_object(Bucket=name, Key="p/segment", Body=b"first", ACL="bucket-owner-full-control")["VersionId"]
    second = thief.put_object(Bucket=name, Key="p/segment", Body=b"forged")["VersionId"]  # a version more
    assert first != second
    for client in (thief, owner):
        assert refused(client.delete_object, Bucket=name, Key="p/segment", VersionId=first) == "AccessDenied"
    assert owner.get_object(Bucket=name, Key="p/segment", VersionId=first)["Body"].read() == b"first"


def test_with_the_key_alone_what_is_there_can_be_put_anew(s3, bucket):
    """The honest limit that policy/bucket/README.md states: write-once binds the holder of a URL, not of the key."""
    thief = tenant_of(s3, bucket)
    thief.put_object(Bucket=bucket, Key="p/segment", Body=b"first")
    thief.put_object(Bucket=bucket, Key="p/segment", Body=b"forged")
    assert thief.get_object(Bucket=bucket, Key="p/segment")["Body"].read() == b"forged"


def test_versioning_keeps_what_was_there_first(s3, bucket):
    owner, thief = s3.owner_client(), tenant_of(s3, bucket)
    owner.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = thief.put_object(Bucket=bucket, Key="p/segment", Body=b"first", ACL="bucket-owner-full-control")["VersionId"]
    thief.put_object(Bucket=bucket, Key="p/segment", Body=b"forged")
    assert owner.get_object(Bucket=bucket, Key="p/segment", VersionId=first)["Body"].read() == b"first"
    assert refused(thief.delete_object, Bucket=bucket, Key="p/segment", VersionId=first) == "AccessDenied"
    assert refused(thief.list_object_versions, Bucket=bucket) == "AccessDenied"
