"""apid and streamsight-admin from a build, configured against the other services."""

import pathlib
import secrets
import subprocess

from .people import User
from .process import Process, ServiceError, free_port, private_dir, require_loopback_only

DATABASE = "streamsight"
ROLE = "streamsight_apid"
ADMIN_ROLE = "streamsight_admin"

_APID_CONF = """[Server]
Listen=127.0.0.1:{port}
PublicURL={url}
Workers=4

[Database]
ConnectionString={dsn}

[Sessions]
Redis={redis.host}:{redis.port}
RedisCAFile={redis.ca_file}
RedisUser={redis.user}
RedisPasswordFile={redis.password_file}
KeyFile={session_keys}

[Keys]
MasterKeyFile={key}
"""

# For a database of which the superuser alone is known.
_ADMIN_CONF = """[Admin]
ConnectionString={dsn}

[Keys]
MasterKeyFile={key}
"""


class Apid:
    """start() makes database, role, keys and schema, then runs apid on self.port.

    public_url must be set before start(): devices' assertions name it as their audience.
    """

    def __init__(self, run_dir, build_dir, postgres, redis, public_url=None):
        self._dir = pathlib.Path(run_dir)
        self._postgres = postgres
        self._redis = redis
        self.program = pathlib.Path(build_dir) / "apid" / "apid"
        self.admin_program = pathlib.Path(build_dir) / "apid" / "streamsight-admin"
        self.port = free_port()
        self.public_url = public_url
        self.config_file = self._dir / "apid.conf"
        self.admin_config_file = self._dir / "admin.conf"
        self.log = self._dir / "apid.log"
        self.database_dsn = None  # of apid's own role: what an attacker who took apid over would hold
        self.process = None

    def start(self):
        for program in (self.program, self.admin_program):
            if not program.exists():
                raise ServiceError(f"{program} is missing: build it first")
        private_dir(self._dir)
        key = self._dir / "master-key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(32))
        self.session_keys = self._dir / "session-keys"
        self.session_keys.touch(mode=0o600)
        self.session_keys.write_bytes(secrets.token_bytes(32))
        self._postgres.create_database(DATABASE)
        self.database_dsn = self._postgres.create_role(ROLE, DATABASE, self._dir / "passfile", "LOGIN NOINHERIT")
        self.config_file.write_text(_APID_CONF.format(port=self.port, url=self.public_url, dsn=self.database_dsn,
                                                      key=key, redis=self._redis, session_keys=self.session_keys))
        self.admin_dsn = self._postgres.create_role(ADMIN_ROLE, DATABASE, self._dir / "admin-passfile", "LOGIN NOINHERIT")
        self.admin_config_file.write_text(_ADMIN_CONF.format(dsn=self.admin_dsn, key=key) +
                                          f"\n[Migration]\nConnectionString={self._postgres.owner_dsn(DATABASE)}\n")
        self.admin("migrate")
        self.run()
        return self

    def run(self):
        """Starts the daemon alone; again after stop() for tests of restarts."""
        self.process = Process("apid", [self.program, "--config", self.config_file], log=self.log)
        self.process.wait_for_port(self.port)
        require_loopback_only(self.process)

    def stop(self):
        if self.process:
            return self.process.stop()

    def admin(self, *args, stdin=""):
        """Runs streamsight-admin; returns its output. ServiceError with its message if it fails."""
        done = subprocess.run([self.admin_program, "--config", self.admin_config_file, *map(str, args)], input=stdin,
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ServiceError(f"streamsight-admin {args[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def create_company(self, name="Example Corp"):
        return self.admin("company", "create", name)

    def set_bucket(self, company, s3, *, sse=None, kms_key_id=None):
        """Points a company at a RadosGateway's bucket with the tenant's key."""
        self.admin("bucket", "set", "--company", company, "--endpoint", s3.endpoint, "--region", s3.region,
                   "--bucket", s3.bucket, "--prefix", s3.prefix, "--access-key-id", s3.tenant.access_key_id,
                   "--path-style", *(["--sse", sse] if sse else []),
                   *(["--sse-kms-key-id", kms_key_id] if kms_key_id else []), stdin=s3.tenant.secret_access_key + "\n")

    def enrolment_code(self, company, ttl=None):
        return self.admin("enrolment-code", "create", "--company", company, *(["--ttl", ttl] if ttl else []))

    def user(self, company, role="owner", **arguments):
        """Somebody new who can log in."""
        return User(f"http://127.0.0.1:{self.port}", **arguments).invite(self, company, role).accept()

    def viewer_token(self, company):
        """The session of a new owner of the company, as "Authorization: Bearer" takes it."""
        return self.user(company).log_in().token
