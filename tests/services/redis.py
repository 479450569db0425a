"""A private Redis on a loopback port: TLS 1.3 alone, one ACL user, nothing on disk."""

import hashlib
import os
import pathlib
import secrets
import shutil

from .process import Process, as_user, find_program, free_port, private_dir, require_loopback_only

# What docs/OPERATIONS.md asks for. "port 0" is no plain TCP.
_CONF = """
port 0
tls-port {port}
bind 127.0.0.1
tls-cert-file {cert}
tls-key-file {key}
tls-auth-clients no
tls-protocols "{protocols}"
save ""
appendonly no
dir {dir}
aclfile {acl}
maxmemory 64mb
maxmemory-policy noeviction
"""


class Redis:
    def __init__(self, run_dir, ca, protocols="TLSv1.3"):
        self._dir = pathlib.Path(run_dir)
        self._ca = ca
        self._protocols = protocols
        self._user = as_user("redis")
        self.port = free_port()
        self.host = "localhost"
        self.user = "apid"
        self.password_file = self._dir / "password"
        self.ca_file = ca.cert_file
        self.process = None

    def start(self):
        private_dir(self._dir, mode=0o711)
        private_dir(self._dir / "data", self._user)
        password = secrets.token_urlsafe(24)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(password + "\n")
        certificate = self._ca.issue(f"redis-{self.port}")
        files, known = {}, hashlib.sha256(password.encode()).hexdigest()
        for name, text in (("key", pathlib.Path(certificate.key_file).read_text()),
                           ("acl", f"user default off\nuser {self.user} on #{known} ~streamsight:* -@all +getex +set +del +ping\n")):
            files[name] = self._dir / "data" / name
            files[name].touch(mode=0o600)
            files[name].write_text(text)
            if self._user:
                shutil.chown(files[name], self._user, self._user)
        (self._dir / "redis.conf").write_text(_CONF.format(port=self.port, cert=certificate.cert_file, dir=self._dir / "data",
                                                           protocols=self._protocols, **files))
        self.run()
        return self

    def run(self):
        """Starts the server alone; again after stop() for tests of its going away. What it held is gone."""
        env = {"PATH": os.environ.get("PATH", "")}
        self.process = Process("redis", [find_program("redis-server"), self._dir / "redis.conf"], log=self._dir / "redis.log",
                               user=self._user, env=env)
        self.process.wait_for_port(self.port)
        require_loopback_only(self.process)

    def stop(self):
        if self.process:
            self.process.stop()
