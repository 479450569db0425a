"""A device and a viewer as apid sees them, over its loopback port."""

import base64
import hashlib
import json
import secrets
import time
import uuid

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def jwk(key):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64url(numbers.x.to_bytes(32, "big")),
            "y": b64url(numbers.y.to_bytes(32, "big"))}


def jws(key, claims, header=None):
    """A compact JWS by ES256, whatever the header claims."""
    signed = b64url(compact(header or {"alg": "ES256", "typ": "JWT"})) + "." + \
        b64url(compact(claims))
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def session_token(jwt):
    """What the procedures take: the token within a session's JWT."""
    payload = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"]


def normalised(code):
    return "".join(c for c in code.upper() if c.isalnum())


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06}Z"


class Api:
    """Requests to one apid; each answer that is no success must be a problem document."""

    def __init__(self, apid):
        self.url = f"http://127.0.0.1:{apid.port}"
        self.public_url = apid.public_url
        self.http = requests.Session()
        self.http.trust_env = False

    def __call__(self, method, path, body=None, token=None, **arguments):
        headers = arguments.pop("headers", {})
        if token:
            headers = headers | {"Authorization": f"Bearer {token}"}
        answer = self.http.request(method, self.url + path, json=body, headers=headers, timeout=30, **arguments)
        if answer.status_code >= 400:
            check_problem(answer)
        return answer


class Status:
    """What one apid says on the address for its operator."""

    def __init__(self, port):
        self.port = port

    def __call__(self, path, method="GET"):
        with requests.Session() as http:
            http.trust_env = False
            return http.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=30)

    def metric(self, name):
        """The value of the one sample of that name that has no label."""
        line, = [line for line in self("/metrics").text.splitlines() if line.startswith(name + " ")]
        return float(line.split(" ")[1])


def check_problem(answer):
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    for member in ("type", "title", "detail", "code"):
        assert isinstance(problem[member], str) and problem[member], problem


def code_of(answer):
    """The problem's status and machine word."""
    check_problem(answer)
    return answer.status_code, answer.json()["code"]


def once_it_asks(request):
    """The first answer but 503: for a second after what they ask for did not answer, others are turned away unasked."""
    end = time.monotonic() + 60
    while (answer := request()).status_code == 503 and time.monotonic() < end:
        time.sleep(0.05)
    return answer


class Device:
    def __init__(self, api, hostname="pc-17.example.org"):
        self.api = api
        self.hostname = hostname
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = self.company_id = self.token = None

    def enrolment(self, code, **changes):
        """The body of an enrolment request."""
        claims = {"aud": self.api.public_url, "code_sha256": hashlib.sha256(normalised(code).encode()).hexdigest(),
                  "iat": int(time.time())}
        return {"code": code, "public_key": jwk(self.key), "hostname": self.hostname,
                "proof": jws(self.key, claims)} | changes

    def enroll(self, code):
        answer = self.api("POST", "/v1/devices/enroll", self.enrolment(code))
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["device_id"]
        self.company_id = answer.json()["company_id"]
        return self

    def claims(self, **changes):
        now = int(time.time())
        return {"iss": self.id, "sub": self.id, "aud": self.api.public_url + "/v1/devices/token", "iat": now,
                "exp": now + 55, "jti": secrets.token_urlsafe(24)} | changes

    def request_token(self, assertion=None, **changes):
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion or jws(self.key, self.claims())} | changes
        return self.api("POST", "/v1/devices/token", data=form)

    def log_in(self):
        answer = self.request_token()
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        return self

    def __call__(self, method, path, body=None, **arguments):
        return self.api(method, path, body, token=self.token, **arguments)

    def leave_proof(self, **changes):
        claims = {"aud": self.api.public_url, "leave": hashlib.sha256(self.token.encode()).hexdigest(), "iat": int(time.time())}
        return jws(self.key, claims | changes)

    def open(self, recording=None, **changes):
        """Opens a recording; returns its id."""
        recording = recording or str(uuid.uuid4())
        answer = self("PUT", f"/v1/recordings/{recording}", self.recording() | changes)
        assert answer.status_code in (200, 201), answer.text
        return recording

    def recording(self):
        return {"started_at": "2030-01-31T10:00:00.000000Z", "reason": "policy", "hostname": self.hostname,
                "outputs": [{"id": 0, "name": "Virtual-1", "width": 1280, "height": 800}]}

    def statement(self, kind, claims, **header):
        """What the device signs of a "segment" or "recording": docs/evidence.md."""
        return jws(self.key, dict(sorted(claims.items())),
                   {"alg": "ES256", "jwk": jwk(self.key), "typ": f"streamsight-{kind}+jwt"} | header)

    def segment_claims(self, recording, body, **changes):
        members = ("sequence", "sha256", "previous_sha256", "size", "started_at", "ended_at")
        return {"device": self.id, "recording": recording, "final": False} | {name: body[name] for name in members} | changes

    def signed_segment(self, recording, sequence, data, previous=None, **changes):
        """The announcement with its statement; changes are made before it is signed."""
        body = segment(sequence, data, previous) | changes
        return body | {"statement": self.statement("segment", self.segment_claims(recording, body))}

    def offer(self, recording, sequence, data, previous=None, **changes):
        return self("POST", f"/v1/recordings/{recording}/segments",
                    self.signed_segment(recording, sequence, data, previous, **changes))

    def complete(self, recording, sequence, data):
        return self("POST", f"/v1/recordings/{recording}/segments/{sequence}/complete",
                    {"sha256": hashlib.sha256(data).hexdigest()})

    def finish(self, recording, segments, reason="stopped"):
        body = {"segments": segments, "ended_at": "2030-01-31T10:05:00.000000Z", "reason": reason}
        statement = self.statement("recording", body | {"device": self.id, "recording": recording})
        return self("POST", f"/v1/recordings/{recording}/finish", body | {"statement": statement})


def segment(sequence, data, previous=None):
    """The announcement of a segment but for the statement; previous is the data of the one before."""
    return {"sequence": sequence, "sha256": hashlib.sha256(data).hexdigest(),
            "previous_sha256": hashlib.sha256(previous).hexdigest() if previous is not None else None,
            "md5": base64.b64encode(hashlib.md5(data).digest()).decode(), "size": len(data),
            "started_at": f"2030-01-31T10:{sequence % 60:02}:00.000000Z",
            "ended_at": f"2030-01-31T10:{sequence % 60:02}:59.999999Z", "frames": 300}
