"""A private certificate authority (P-256) for the test services, made with openssl(1)."""

import datetime
import pathlib
import subprocess
import threading

from . import names
from .process import ServiceError, find_program, private_dir

DEFAULT_NAMES = (f"DNS:{names.API}", f"DNS:{names.S3}", f"DNS:*.{names.S3}", "DNS:localhost", "IP:127.0.0.1")

# 'openssl ca' and not 'openssl x509', which cannot set notBefore: a virtual machine whose clock is a little behind
# ours would call a certificate of this second not yet valid.
_CONFIG = """
[ca]
default_ca = test
[test]
database = {dir}/index
rand_serial = yes
new_certs_dir = {dir}
certificate = {dir}/ca.pem
private_key = {dir}/ca.key
default_md = sha256
unique_subject = no
policy = any
copy_extensions = none
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


class Certificate:
    """A server's certificate: cert_file (PEM, the leaf alone) and key_file (PEM, PKCS#8, mode 0600)."""

    def __init__(self, cert_file, key_file):
        self.cert_file = cert_file
        self.key_file = key_file


class CertificateAuthority:
    """Makes its own key and certificate in directory; one in another directory is the 'wrong CA' of the tests."""

    def __init__(self, directory, common_name="StreamSight Test CA"):
        self._dir = private_dir(pathlib.Path(directory).resolve(), mode=0o711)
        self._lock = threading.Lock()
        self.cert_file = self._dir / "ca.pem"
        (self._dir / "index").write_text("")
        self._sign("ca", common_name, "authority", DEFAULT_NAMES, "-selfsign", days=(-1, 30))

    def issue(self, name, subject_alt_names=DEFAULT_NAMES, *, expired=False):
        """A server certificate. name: the files' name and the subject. expired: it ended yesterday."""
        with self._lock:  # 'openssl ca' keeps an index, and services start side by side
            return self._sign(name, name, "server", subject_alt_names, days=(-3, -1) if expired else (-1, 7))

    def _sign(self, name, common_name, section, subject_alt_names, *options, days):
        cert, key, request, config = (self._dir / f"{name}.{kind}" for kind in ("pem", "key", "csr", "cnf"))
        config.write_text(_CONFIG.format(dir=self._dir, names=",".join(subject_alt_names)))
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = ((now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days)
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                      "-subj", f"/CN={common_name}", "-keyout", key, "-out", request)
        self._openssl("ca", "-batch", "-notext", "-config", config, "-extensions", section, "-in", request,
                      "-out", cert, "-startdate", start, "-enddate", end, *options)
        request.unlink()
        config.unlink()
        cert.chmod(0o644)
        return Certificate(cert, key)

    def _openssl(self, *args):
        done = subprocess.run([find_program("openssl"), *map(str, args)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise ServiceError(f"openssl {args[0]} failed: {done.stderr.strip()}")
