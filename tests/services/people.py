"""Somebody who logs in, as the page would do it: invitation, password, authenticator, session."""

import base64
import hashlib
import hmac
import itertools
import struct
import time

import requests

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


def totp(secret, step):
    """RFC 6238 with six digits; secret in base32."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000:06}"


class User:
    def __init__(self, url, email=None, password=PASSWORD, name="Robin Example"):
        self.url = url
        self.email = email or f"user{next(_numbers)}.{time.time_ns():x}@example.org"
        self.password = password
        self.name = name
        self.http = requests.Session()
        self.http.trust_env = False
        self.id = self.invitation = self.secret = self.recovery_codes = self.token = None
        self._last_step = 0

    def post(self, path, body, **arguments):
        return self.http.post(self.url + path, json=body, timeout=60, **arguments)

    def invite(self, apid, company, role):
        self.invitation = apid.admin("user", "create", self.name, "--company", company, "--email", self.email, "--role", role)
        return self

    def accept(self):
        answer = self.post("/v1/auth/invitation", {"invitation": self.invitation, "password": self.password})
        assert answer.status_code == 200, answer.text
        self.secret, self._last_step = answer.json()["secret"], 0
        answer = self.post("/v1/auth/totp/confirm", {"challenge": answer.json()["challenge"], "code": self.code()})
        assert answer.status_code == 200, answer.text
        self.recovery_codes = answer.json()["recovery_codes"]
        return self

    def code(self):
        """One that was not used yet. Codes are good for a step before and after: it begins with the one before, if that is good
        for 10 s yet, and waits when all three are used up."""
        while self._last_step > int(time.time()) // 30:
            time.sleep(0.2)
        self._last_step = max(int(time.time() + 10) // 30 - 1, self._last_step + 1)
        return totp(self.secret, self._last_step)

    def begin(self, **changes):
        return self.post("/v1/auth/login", {"email": self.email, "password": self.password} | changes)

    def log_in(self, code=None):
        answer = self.begin()
        assert answer.status_code == 200, answer.text
        answer = self.post("/v1/auth/totp", {"challenge": answer.json()["challenge"], "code": code or self.code()})
        assert answer.status_code == 200, answer.text
        self.id = answer.json()["user"]["id"]
        self.token = token_of(answer)
        return self


def token_of(answer):
    """The session's JWT out of Set-Cookie: a Secure cookie is not sent back over plain HTTP by itself."""
    return answer.headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
