"""Somebody with an invitation on standard input, as the page would do it; Python alone."""

import base64
import hashlib
import hmac
import json
import struct
import sys
import time
import urllib.request

URL = "https://api.example.org"


def post(path, body):
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def code(secret, step):
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000:06}"


person = {"email": "owner@example.com", "password": "correct horse battery staple"}
guest = post("/v1/auth/invitation", {"invitation": sys.stdin.readline().strip(), "password": person["password"]})
step = int(time.time()) // 30
post("/v1/auth/totp/confirm", {"challenge": guest["challenge"], "code": code(guest["secret"], step)})
challenge = post("/v1/auth/login", person)["challenge"]
print(json.dumps(post("/v1/auth/totp", {"challenge": challenge, "code": code(guest["secret"], step + 1)})))
