"""The names of the test services. They stand in the certificates, so clients must use them rather than 127.0.0.1."""

import socket

import requests

API = "api.streamsight.test"
S3 = "s3.streamsight.test"

_system_getaddrinfo = socket.getaddrinfo


def _getaddrinfo(host, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    if name and (name == API or name == S3 or name.endswith("." + S3)):
        host = "127.0.0.1"
    return _system_getaddrinfo(host, *args, **kwargs)


def resolve_locally():
    """Makes the services' names mean 127.0.0.1 for this process (botocore, requests), without touching /etc/hosts."""
    socket.getaddrinfo = _getaddrinfo


def session(ca):
    """A requests.Session that trusts a CertificateAuthority alone, and no proxy or CA bundle of the environment."""
    made = requests.Session()
    made.verify = str(ca.cert_file)
    made.trust_env = False  # $REQUESTS_CA_BUNDLE would win over verify, $HTTPS_PROXY would get the request
    return made
