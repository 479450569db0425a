"""Presigning, compared with botocore on random requests."""

import datetime
import json
import random
import string
import subprocess
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

UNICODE = "äß€漢字😀é\u0301~!*'();:@&=+$,?#[] %\"<>\\^`{|}"
PRINTABLE = "".join(chr(c) for c in range(0x20, 0x7f))


def random_request(rng):
    def text(alphabet, least, most):
        return "".join(rng.choices(alphabet, k=rng.randint(least, most)))
    names = {text(string.ascii_lowercase + string.digits + "-", 1, 20) for _ in range(rng.randint(0, 12))}
    headers = {"x-" + name: text(PRINTABLE, 0, 40) for name in names}
    if rng.random() < 0.5:
        headers["x-amz-content-sha256"] = rng.choice(["UNSIGNED-PAYLOAD", text("0123456789abcdef", 64, 64)])
    return {
        "method": rng.choice(["GET", "PUT", "HEAD", "DELETE"]),
        "host": rng.choice(["s3.example.org", "bucket.s3.example.org:8443", "127.0.0.1:9000"]),
        "path": "/" + text(string.ascii_letters + string.digits + "/._-" + UNICODE, 0, 60),
        "region": rng.choice(["us-east-1", "eu-central-1", "default"]),
        "access_key_id": text(string.ascii_uppercase + string.digits + "/+=", 1, 40),
        "secret_key": text(PRINTABLE, 1, 80),
        "time": rng.randint(0, 2 ** 33),
        "expires": rng.randint(1, 604800),
        "headers": headers,
    }


def botocores(request, monkeypatch):
    now = datetime.datetime.utcfromtimestamp(request["time"])

    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return now

    monkeypatch.setattr(botocore.auth.datetime, "datetime", Clock)
    url = f"https://{request['host']}" + urllib.parse.quote(request["path"], safe="/~")
    aws = botocore.awsrequest.AWSRequest(method=request["method"], url=url, headers=request["headers"])
    credentials = botocore.credentials.Credentials(request["access_key_id"], request["secret_key"])
    botocore.auth.S3SigV4QueryAuth(credentials, "s3", request["region"], expires=request["expires"]).add_auth(aws)
    return aws.url


def test_same_as_botocore(build, monkeypatch):
    seed = random.randrange(2 ** 32)
    rng = random.Random(seed)
    requests = [random_request(rng) for _ in range(1000)]
    done = subprocess.run([build / "tests" / "apid" / "presign-lines"], check=True, text=True, capture_output=True,
                          input="".join(json.dumps(request) + "\n" for request in requests))
    urls = done.stdout.splitlines()
    assert len(urls) == len(requests)
    for request, url in zip(requests, urls):
        assert url == botocores(request, monkeypatch), f"seed {seed}: {request}"
