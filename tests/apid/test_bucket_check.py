"""streamsight-admin bucket check, on a real S3 server: silent about the policies as shipped, and never about a weaker one."""

import http.server
import itertools
import json
import ssl
import subprocess
import threading

import pytest

from services.radosgw import policy

_unique = itertools.count()

EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]},
                        separators=(",", ":"))


def shipped(bucket, user):
    return json.loads(policy("bucket-policy.json", BUCKET=bucket, PREFIX="p", KEY_ARN=user.arn))


@pytest.fixture(scope="module")
def command(stack, tmp_path_factory):
    """The command's beginning, where the S3 server's name means this machine."""
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {stack.s3.host}\n")
    return ["unshare", "--mount", "/bin/sh", "-c", 'mount --bind "$1" /etc/hosts; shift; exec "$@"', "sh", hosts, stack.apid.admin_program,
            "--config", stack.apid.admin_config_file]


@pytest.fixture(scope="module")
def check(stack, command):
    """Makes a bucket with a key that nothing but the bucket's policy holds, and runs the command. Returns (exit status, lines by what
    they are of, JSON)."""
    s3, apid = stack.s3, stack.apid

    def run(change=lambda statements: statements, user_policy=None, sse=None, kms_key_id=None, arguments=()):
        name = f"checked-{next(_unique)}"
        user = s3.create_user(name)
        owner = s3.owner_client()
        owner.create_bucket(Bucket=name)
        document = shipped(name, user)
        document["Statement"] = change(document["Statement"])
        owner.put_bucket_policy(Bucket=name, Policy=json.dumps(document, separators=(",", ":")))
        s3.put_user_policy(user, user_policy(name) if user_policy else EVERYTHING)
        company = apid.create_company(name)
        apid.admin("bucket", "set", "--company", company, "--endpoint", s3.endpoint, "--region", s3.region,
                   "--bucket", name, "--prefix", "p", "--path-style", "--access-key-id", user.access_key_id,
                   *(["--sse", sse] if sse else []), *(["--sse-kms-key-id", kms_key_id] if kms_key_id else []),
                   stdin=user.secret_access_key + "\n")
        done = subprocess.run([*command, "--json", "bucket", "check", "--company", company,
                               "--ca-file", stack.ca.cert_file, "--http-port", str(s3.http_port), *arguments],
                              capture_output=True, text=True, timeout=120)
        answer = json.loads(done.stdout)
        lines = {line["what"]: line for line in answer["checks"]}
        assert answer["good"] == all(line["good"] for line in lines.values()) == (done.returncode == 0), done.stderr
        return done.returncode, {what for what, line in lines.items() if not line["good"]}, answer | {"bucket": name}
    return run


def without(*sids):
    def change(statements):
        kept = [statement for statement in statements if statement["Sid"] not in sids]
        assert len(statements) - len(kept) == len(sids)
        return kept
    return change


def test_the_shipped_policies_are_good(check, stack):
    status, wrong, answer = check(user_policy=lambda name: policy("iam-user-policy.json", BUCKET=name, PREFIX="p"))
    assert (status, wrong) == (0, set())
    assert len(answer["checks"]) >= 20
    listed = stack.s3.owner_client().list_objects_v2(Bucket=answer["bucket"])["Contents"]
    assert [found["Key"] for found in listed] == [answer["object"]]  # that one stays, and no other


def test_the_bucket_policy_alone_is_good(check):
    assert check()[:2] == (0, set())


@pytest.mark.parametrize("sids, found", [
    (["OnlyOverTLS"], {"get by plain HTTP"}),
    (["NoPublicAcl"], {"put, public by ACL", "put, for everybody with an account"}),
    (["NoGrantRead"], {"put, granting read"}),
    (["NoGrantWrite"], {"put, granting write"}),
    (["NoGrantReadAcp"], {"put, granting to read the ACL"}),
    (["NoGrantWriteAcp"], {"put, granting to write the ACL"}),
    (["NoGrantFullControl"], {"put, granting everything"}),
    (["NoServerSideCopy"], {"copy"}),
    (["NeverDeleteOrReplaceMetadata"], {"delete"}),
    (["NothingElsewhere"], {"put outside the prefix", "read the bucket's policy"}),
    (["NothingElsewhere", "NeverListOrReconfigure"], {"list", "list versions", "list uploads"}),
    (["NeverDeleteOrReplaceMetadata", "NoPublicAcl"], {"publish by ACL"}),
])
def test_each_weaker_policy_is_found(check, sids, found):
    status, wrong, _ = check(without(*sids))
    assert status == 1 and found <= wrong


def test_a_bucket_that_everybody_may_read_is_found(check):
    public = lambda statements: statements + [{"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                                               "Resource": statements[1]["Resource"]}]
    assert check(public)[:2] == (1, {"get without a key"})


def test_a_key_that_may_not_put_is_found(check):
    denied = lambda statements: statements + [{"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                               "Resource": statements[1]["Resource"]}]
    assert check(denied)[:2] == (1, {"put"})


def test_encryption_is_asked_for_and_seen(check, stack):
    assert check(sse="aws:kms", kms_key_id=stack.s3.kms_key_id)[:2] == (0, set())


def test_a_server_that_does_not_encrypt_is_found(check):
    """Ceph 16 takes AES256 and keeps the object as it is."""
    status, wrong, answer = check(sse="AES256")
    assert (status, wrong) == (1, {"put"})
    assert answer["checks"][0]["found"] == "done (200), and did not encrypt it"


def test_a_key_of_the_service_that_is_not_there_is_found(check):
    assert check(sse="aws:kms", kms_key_id="unknown")[:2] == (1, {"put"})


class _Hostile(http.server.BaseHTTPRequestHandler):
    """Takes everything, encrypts nothing, and has much to say of it."""
    code = b"A" * 97 + "é".encode() + b"\x1b]0;owned\x07\xff" + b"A" * 300

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"<Error><Code>" + self.code + b"</Code></Error>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET = do_DELETE = _answer

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("code", [_Hostile.code, b"\x1b[2J\x1b]0;owned\x07\r\n\xff\xc2\x9b31m", b""], ids=["long", "escapes", "empty"])
def test_a_servers_words_are_shown_as_words(stack, apid, command, monkeypatch, code):
    """Neither longer than a line, nor as what a terminal does."""
    monkeypatch.setattr(_Hostile, "code", code)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = stack.ca.issue("hostile", [f"DNS:{stack.s3.host}"])
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        company = apid.create_company("Hostile Corp")
        apid.admin("bucket", "set", "--company", company, "--endpoint", f"https://{stack.s3.host}:{server.server_port}", "--region", "r",
                   "--bucket", "recordings", "--prefix", "p", "--access-key-id", "K", "--path-style", "--sse", "AES256", stdin="secret\n")
        run = lambda *options: subprocess.run([*command, *options, "bucket", "check", "--company", company, "--ca-file",
                                               stack.ca.cert_file], capture_output=True, timeout=120)
        done, as_json = run(), run("--json")
        server.shutdown()
    assert done.returncode == as_json.returncode == 1, done.stderr
    line, = [line for line in done.stdout.decode().split("\n") if line.startswith("WRONG")]  # UTF-8, and not cut within a character
    assert line.isprintable() and len(line) < 260 and line.endswith("), and did not encrypt it"), line
    assert json.loads(as_json.stdout)["checks"][0]["found"] == line.split("put", 1)[1].strip()


def test_for_people(stack, apid, command):
    company = apid.create_company("Unchecked Corp")
    run = lambda: subprocess.run([*command, "bucket", "check", "--company", company, "--ca-file",
                                  stack.ca.cert_file, "--http-port", str(stack.s3.http_port)], capture_output=True, text=True, timeout=120)
    done = run()
    assert done.returncode == 1 and "has no bucket" in done.stderr
    s3 = stack.s3
    apid.admin("bucket", "set", "--company", company, "--endpoint", s3.endpoint, "--region", s3.region, "--bucket",
               s3.bucket, "--prefix", s3.prefix, "--path-style", "--access-key-id", s3.tenant.access_key_id,
               stdin=s3.tenant.secret_access_key + "\n")
    done = run()
    assert done.returncode == 0 and "stays in the bucket" in done.stdout
    assert s3.tenant.secret_access_key not in done.stdout + done.stderr
    assert all(line.startswith("good ") for line in done.stdout.split("\n\n")[0].splitlines())
