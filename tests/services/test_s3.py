"""The shipped bucket policies, tried on a real S3 server."""

import base64
import hashlib
import json
import os

import pytest
from botocore.exceptions import ClientError, SSLError

from services.ca import CertificateAuthority
from services.radosgw import policy


def code(call, **arguments):
    """The S3 error code a call ends with, or None when it succeeds."""
    try:
        call(**arguments)
    except ClientError as e:
        return e.response["Error"]["Code"]
    return None


@pytest.fixture(scope="module")
def key(s3):
    """An object that lies in the bucket, made with the tenant's key."""
    name = f"{s3.prefix}/company/device/recording/0"
    s3.tenant_client().put_object(Bucket=s3.bucket, Key=name, Body=b"segment", ACL="bucket-owner-full-control")
    return name


def test_tenant_puts_and_gets(s3, key):
    assert s3.tenant_client().get_object(Bucket=s3.bucket, Key=key)["Body"].read() == b"segment"
    assert s3.owner_client().get_object(Bucket=s3.bucket, Key=key)["Body"].read() == b"segment"


@pytest.mark.parametrize("operation, arguments", [
    ("delete_object", {"Key": "KEY"}),
    ("delete_objects", {"Delete": {"Objects": [{"Key": "KEY"}]}}),
    ("list_objects", {}),
    ("list_objects_v2", {"Prefix": "PREFIX/"}),
    ("list_object_versions", {}),
    ("list_multipart_uploads", {}),
    ("put_object_acl", {"Key": "KEY", "ACL": "public-read"}),
    ("put_object_tagging", {"Key": "KEY", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}),
    ("get_bucket_policy", {}),
    ("put_bucket_policy", {"Policy": "{}"}),
    ("delete_bucket_policy", {}),
    ("put_bucket_acl", {"ACL": "public-read"}),
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
    ("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": [
        {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}}),
    ("delete_bucket", {}),
    ("put_object", {"Key": "elsewhere/0"}),
    ("get_object", {"Key": "elsewhere/0"}),
    ("put_object", {"Key": "PREFIX/a", "ACL": "public-read"}),
    ("put_object", {"Key": "PREFIX/a", "ACL": "public-read-write"}),
    ("put_object", {"Key": "PREFIX/a", "ACL": "authenticated-read"}),
    ("copy_object", {"Key": "PREFIX/copy", "CopySource": "BUCKET/KEY"}),
])
def test_tenant_is_refused(s3, key, operation, arguments):
    text = json.dumps({"Bucket": s3.bucket} | arguments)
    arguments = json.loads(text.replace("KEY", key).replace("PREFIX", s3.prefix).replace("BUCKET", s3.bucket))
    refused = code(getattr(s3.tenant_client(), operation), **arguments)
    assert refused == "AccessDenied"
    assert s3.owner_client().get_object(Bucket=s3.bucket, Key=key)["Body"].read() == b"segment"


@pytest.mark.parametrize("header, refused", [
    ("x-amz-meta-harmless", None),  # adding a header is not what fails
    ("x-amz-grant-read", "AccessDenied"),
    ("x-amz-grant-write", "AccessDenied"),
    ("x-amz-grant-read-acp", "AccessDenied"),
    ("x-amz-grant-write-acp", "AccessDenied"),
    ("x-amz-grant-full-control", "AccessDenied"),
])
def test_tenant_grants_nobody_anything(s3, header, refused):
    client = s3.tenant_client()
    client.meta.events.register("before-sign.s3.PutObject", lambda request, **_: request.headers.add_header(
        header, 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'))
    assert code(client.put_object, Bucket=s3.bucket, Key=s3.prefix + "/granted", Body=b"x") == refused


@pytest.mark.parametrize("shipped", ["iam-user-policy.json", "bucket-policy.json"])
def test_each_policy_holds_without_the_other(s3, shipped):
    """A tenant may forget one of the two, or give the key more than we ask for."""
    name = "lone-" + shipped.partition("-")[0]
    user = s3.create_user(name)
    owner = s3.owner_client()
    owner.create_bucket(Bucket=name)
    values = {"BUCKET": name, "PREFIX": "p", "KEY_ARN": user.arn}
    everything = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "s3:*",
                  "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}
    if shipped == "iam-user-policy.json":
        s3.put_user_policy(user, policy(shipped, **values))
        owner.put_bucket_policy(Bucket=name, Policy=compact({"Version": "2012-10-17", "Statement": [everything]}))
    else:
        document = json.loads(policy(shipped, **values))
        document["Statement"].append(everything)
        owner.put_bucket_policy(Bucket=name, Policy=compact(document))
    client = s3.client(user)
    assert code(client.put_object, Bucket=name, Key="p/a", Body=b"1") is None
    assert code(client.get_object, Bucket=name, Key="p/a") is None
    assert code(client.put_object, Bucket=name, Key="elsewhere/a", Body=b"1") == "AccessDenied"
    assert code(client.get_object, Bucket=name, Key="elsewhere/a") == "AccessDenied"
    assert code(client.delete_object, Bucket=name, Key="p/a") == "AccessDenied"
    assert code(client.list_objects_v2, Bucket=name) == "AccessDenied"
    assert code(client.list_object_versions, Bucket=name) == "AccessDenied"
    assert code(client.put_object_acl, Bucket=name, Key="p/a", ACL="private") == "AccessDenied"
    assert code(client.put_bucket_versioning, Bucket=name,
                VersioningConfiguration={"Status": "Suspended"}) == "AccessDenied"


def compact(document):
    return json.dumps(document, separators=(",", ":"))


def test_plain_http_is_refused_even_to_the_owner(s3, key):
    assert code(s3.tenant_client(s3.http_endpoint).get_object, Bucket=s3.bucket, Key=key) == "AccessDenied"
    assert code(s3.tenant_client(s3.http_endpoint).put_object, Bucket=s3.bucket, Key=key + "x") == "AccessDenied"
    assert code(s3.client(s3.owner, endpoint=s3.http_endpoint).get_object, Bucket=s3.bucket, Key=key) == "AccessDenied"


def test_presigned_put_is_write_once(s3, http):
    body = os.urandom(5000)
    digest = hashlib.sha256(body).digest()
    parameters = {"Bucket": s3.bucket, "Key": f"{s3.prefix}/once-{digest.hex()}.sss", "ACL": "bucket-owner-full-control",
                  "ContentType": "application/octet-stream", "ContentLength": len(body),
                  "ChecksumSHA256": base64.b64encode(digest).decode()}
    client = s3.tenant_client()
    # botocore of this age does not know If-None-Match for PutObject: sign it as any other header.
    client.meta.events.register("before-sign.s3.PutObject",
                                lambda request, **_: request.headers.add_header("If-None-Match", "*"))
    url = client.generate_presigned_url("put_object", parameters, ExpiresIn=60)
    headers = {"If-None-Match": "*", "x-amz-acl": parameters["ACL"], "Content-Type": parameters["ContentType"],
               "x-amz-checksum-sha256": parameters["ChecksumSHA256"]}
    assert "if-none-match" in url

    def put(changes):
        return http.put(url, data=body, headers=headers | changes).status_code

    assert put({"x-amz-acl": "public-read"}) == 403  # not what was signed
    assert put({"If-None-Match": None}) == 403
    assert put({}) == 200
    assert put({}) == 412
    stored = s3.tenant_client().get_object(Bucket=s3.bucket, Key=parameters["Key"])["Body"].read()
    assert stored == body


def test_s3_encrypts_under_the_named_kms_key(s3):
    arguments = {"Bucket": s3.bucket, "Key": f"{s3.prefix}/sse", "Body": b"x", "ServerSideEncryption": "aws:kms"}
    answer = s3.tenant_client().put_object(SSEKMSKeyId=s3.kms_key_id, **arguments)
    assert answer["ServerSideEncryption"] == "aws:kms"
    assert code(s3.tenant_client().put_object, SSEKMSKeyId="unknown", **arguments)


def test_s3_certificate_is_not_good_for_another_ca(s3, tmp_path):
    client = s3.tenant_client()
    client._endpoint.http_session._verify = str(CertificateAuthority(tmp_path, "Somebody else's CA").cert_file)
    with pytest.raises(SSLError):
        client.get_object(Bucket=s3.bucket, Key="x")
