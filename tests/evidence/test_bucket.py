"""streamsight-verify straight from the bucket, whose owner can do anything there."""

import http.server
import ssl
import threading

import pytest
from botocore.exceptions import ClientError

from services.radosgw import LISTED_MAX, policy


@pytest.fixture
def bucket(recording, stack, from_bucket):
    """The recording's objects, put back as they were after the test."""
    client = stack.s3.owner_client()
    prefix = f"{stack.s3.prefix}/{recording.company}/{recording.device}/{recording.id}/"
    names = [o["Key"] for o in client.list_objects_v2(Bucket=stack.s3.bucket, Prefix=prefix)["Contents"]]
    kept = {name: client.get_object(Bucket=stack.s3.bucket, Key=name) for name in names}
    kept = {name: dict(Body=o["Body"].read(), Metadata=o["Metadata"], ContentType=o["ContentType"]) for name, o in kept.items()}

    class Bucket:
        def put(self, name, **changes):
            client.put_object(Bucket=stack.s3.bucket, Key=name, **(kept[names[0]] | changes))

        def delete(self, name):
            client.delete_object(Bucket=stack.s3.bucket, Key=name)

        def judge(self):
            status, lines, error = from_bucket("--key", recording.thumbprint, prefix)
            assert not error, error
            return status, [line.split(": ")[0].split(None, 1) for line in lines]
    made = Bucket()
    made.names, made.kept, made.prefix = names, kept, prefix
    yield made
    for object_ in client.list_objects_v2(Bucket=stack.s3.bucket, Prefix=prefix).get("Contents", []):
        made.delete(object_["Key"])
    for name, values in kept.items():
        made.put(name, **values)
    assert made.judge()[0] == 0


def test_the_whole_of_a_device_is_judged(recording, other, stack, from_bucket):
    status, lines, _ = from_bucket("--key", recording.thumbprint, f"{stack.s3.prefix}/{recording.company}/{recording.device}/")
    assert status == 1
    assert {tuple(line.split(":")[0].split()) for line in lines} == {("good", recording.id), ("unfinished", other.id)}


def test_altered(bucket):
    values = bucket.kept[bucket.names[2]]
    bucket.put(bucket.names[2], **(values | {"Body": values["Body"][:-1] + b"?"}))
    assert bucket.judge() == (1, [["altered", bucket.names[2]], ["missing", bucket.names[2].split("/")[-2]]])


def test_deleted(bucket):
    bucket.delete(bucket.names[0])
    assert bucket.judge() == (1, [["missing", bucket.names[0].split("/")[-2]]])


def test_cut_at_the_end(bucket):
    bucket.delete(bucket.names[-1])
    assert bucket.judge() == (1, [["unfinished", bucket.names[0].split("/")[-2]]])


def test_without_its_statement(bucket):
    bucket.put(bucket.names[1], **(bucket.kept[bucket.names[1]] | {"Metadata": {}}))
    assert [word for word, _ in bucket.judge()[1]] == ["unsigned", "missing"]


def test_moved_and_doubled(bucket):
    bucket.put(bucket.names[1], **bucket.kept[bucket.names[2]])
    status, findings = bucket.judge()
    assert status == 1 and ["moved", bucket.names[1]] in findings and [word for word, _ in findings].count("missing") == 1


def test_names_that_xml_would_escape(bucket, recording):
    """What anybody put beside it is named, and hides nothing."""
    stray = bucket.prefix + "a&<b>%41 +ü/../x.sss"
    bucket.put(stray, Body=b"x", Metadata={})
    status, findings = bucket.judge()
    assert status == 1 and ["unsigned", stray] in findings and ["good", recording.id] in findings


def test_an_auditors_key_may_do_just_that(stack, recording, from_bucket):
    auditor = stack.s3.create_user("auditor")
    stack.s3.put_user_policy(auditor, policy("auditor-policy.json", BUCKET=stack.s3.bucket, PREFIX=stack.s3.prefix))
    client = stack.s3.client(auditor)
    prefix = f"{stack.s3.prefix}/{recording.company}/{recording.device}/{recording.id}/"
    status, lines, error = from_bucket("--key", recording.thumbprint, prefix, user=auditor)
    assert status == 0 and lines[0].startswith("good"), (lines, error)
    name = client.list_objects_v2(Bucket=stack.s3.bucket, Prefix=prefix)["Contents"][0]["Key"]
    for call, arguments in ((client.put_object, {"Key": name}), (client.delete_object, {"Key": name}),
                            (client.list_objects_v2, {}), (client.get_object, {"Key": "elsewhere/x"})):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket=stack.s3.bucket, **arguments)


def test_more_names_than_a_page_of_a_list(stack, recording, from_bucket):
    """S3 lists at most a thousand at once; this server, so many."""
    client = stack.s3.owner_client()
    prefix = f"{stack.s3.prefix}/{recording.company}/{recording.device}/{recording.id}/"
    names = [f"{prefix}0000000{n // LISTED_MAX}-more-{n:04}.sss" for n in range(LISTED_MAX + 10)]
    try:
        for name in names:
            client.put_object(Bucket=stack.s3.bucket, Key=name, Body=b"x")
        status, lines, _ = from_bucket("--key", recording.thumbprint, prefix)
        assert status == 1
        for name in (names[0], names[LISTED_MAX - 1], names[LISTED_MAX], names[-1]):
            assert any(name.rsplit("/", 1)[1] in line for line in lines), name
        assert not any("missing" in line for line in lines), lines[-3:]
    finally:
        for name in names:
            client.delete_object(Bucket=stack.s3.bucket, Key=name)


class _Hostile(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<Error><Code>\x1b]0;owned\x07\xc2\x9b2J\xff" + b"A" * 500 + b"</Code></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_servers_words_do_not_reach_the_terminal(recording, stack, from_bucket):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = stack.ca.issue("hostile", [f"DNS:{stack.s3.host}"])
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        status, _, error = from_bucket("--endpoint", f"https://{stack.s3.host}:{server.server_port}", "--key", recording.thumbprint, "prefix/")
        server.shutdown()
    assert status == 2 and "the server answers 403  ]0;owned" in error and error.strip().isprintable() and len(error) < 400, error
