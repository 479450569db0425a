"""A private PostgreSQL 15: Unix socket and a loopback port, fast and forgetful (fsync off)."""

import hashlib
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import subprocess
import time

from .process import Process, ServiceError, as_user, free_port, private_dir, require_loopback_only

_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
_INITDB = ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
           "--auth=reject"]

# Durability is of no use to a database that lives as long as a test run.
_CONF = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0777
password_encryption = scram-sha-256
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 100
shared_buffers = 64MB
max_wal_size = 256MB
timezone = 'UTC'
"""

# The owner needs no password: the kernel vouches for the account at the other end of the Unix socket.
_HBA = """
local all postgres                peer map=owner
host  all all      127.0.0.1/32   scram-sha-256
"""


def cache_dir():
    """Where things that are slow to make are kept between runs; $STREAMSIGHT_CACHE overrides."""
    if "STREAMSIGHT_CACHE" in os.environ:
        return pathlib.Path(os.environ["STREAMSIGHT_CACHE"])
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "streamsight"


class Postgres:
    """settings: further lines of postgresql.conf."""

    def __init__(self, run_dir, cache=None, settings=""):
        self._dir = pathlib.Path(run_dir)
        self._cache = pathlib.Path(cache or cache_dir())
        self._user = as_user("postgres")  # it refuses to run as root
        self.port = free_port()
        self.host = "127.0.0.1"
        self.socket_dir = self._dir / "sockets"
        self._settings = settings
        self.process = None

    def start(self):
        if not (_BIN / "postgres").exists():
            raise ServiceError("PostgreSQL 15 is not installed: run tools/setup as root")
        private_dir(self._dir, mode=0o711)
        private_dir(self.socket_dir, self._user, 0o755)
        data = self._dir / "data"
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self._template(), data], check=True)
        with open(data / "postgresql.conf", "a") as f:
            f.write(_CONF.format(port=self.port, sockets=self.socket_dir) + self._settings)
        (data / "pg_hba.conf").write_text(_HBA)
        accounts = {"postgres", pwd.getpwuid(os.geteuid()).pw_name}
        (data / "pg_ident.conf").write_text("".join(f"owner {name} postgres\n" for name in sorted(accounts)))
        self.run()
        return self

    def run(self):
        """Starts the server alone; again after it was killed for tests of recovery."""
        data = self._dir / "data"
        self.process = Process("postgres", [_BIN / "postgres", "-D", data], log=self._dir / "postgres.log",
                               user=self._user, stop_signal=signal.SIGINT)  # SIGINT: fast shutdown
        self.process.wait_until(self._ready, "accepted connections")
        require_loopback_only(self.process)

    def kill(self):
        """SIGKILL for the postmaster, as when the machine's memory is full; returns when its children have noticed."""
        children = [int(p) for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir() for p in (task / "children").read_text().split()]
        self.process.signal(signal.SIGKILL)
        self.process.stop()
        end = time.monotonic() + 60
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in children):
            if time.monotonic() > end:
                raise ServiceError("PostgreSQL's processes outlive their postmaster")
            time.sleep(0.05)

    def stop(self):
        if self.process:
            self.process.stop()

    def owner_dsn(self, dbname="postgres"):
        """libpq conninfo of the superuser, over the Unix socket, without a password."""
        return f"host={self.socket_dir} port={self.port} dbname={dbname} user=postgres"

    def dsn(self, role, dbname, passfile):
        """libpq conninfo of a role over TCP, its password in a file."""
        return f"host={self.host} port={self.port} dbname={dbname} user={role} passfile={passfile}"

    def sql(self, text, dbname="postgres", dsn=None):
        """Runs SQL as the owner, or as whoever dsn says; returns rows as psql -At prints them. ServiceError if it fails."""
        # Not Debian's psql, a wrapper in Perl that takes several times as long
        result = subprocess.run([_BIN / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", dsn or self.owner_dsn(dbname)],
                                input=text, capture_output=True, text=True)
        if result.returncode != 0:
            raise ServiceError(f"SQL failed: {result.stderr.strip()}")
        return result.stdout.strip()

    def create_database(self, name):
        self.sql(f'CREATE DATABASE "{name}"')

    def create_role(self, role, dbname, passfile, attributes="LOGIN"):
        """Makes a role with a random password and writes it to passfile (libpq's format, mode 0600). Returns its dsn."""
        password = secrets.token_urlsafe(24)
        self.sql(f"CREATE ROLE \"{role}\" {attributes} PASSWORD '{password}'")
        passfile = pathlib.Path(passfile)
        passfile.touch(mode=0o600)
        passfile.write_text(f"{self.host}:{self.port}:{dbname}:{role}:{password}\n")
        return self.dsn(role, dbname, passfile)

    def _ready(self):
        status = self._dir / "data" / "postmaster.pid"  # line 8 says "ready" (miscadmin.h, LOCK_FILE_LINE_PM_STATUS)
        try:
            return status.read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _template(self):
        """A fresh cluster made once per server version, options and account, then copied."""
        version = subprocess.run([_BIN / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
        key = hashlib.sha256(repr((version, _INITDB, self._user)).encode()).hexdigest()[:16]
        template = self._cache / f"postgres-{key}"
        if template.exists():
            return template
        self._cache.mkdir(parents=True, exist_ok=True)
        work = self._dir / "initdb"
        shutil.rmtree(work, ignore_errors=True)
        private_dir(work, self._user)
        account = ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--init-groups"] if self._user else []
        made = subprocess.run([*account, _BIN / "initdb", "-D", work, *_INITDB], capture_output=True, text=True,
                              cwd="/")
        if made.returncode != 0:
            raise ServiceError(f"initdb failed: {made.stderr.strip()}")
        # Another run may have been as fast: the first one in place wins.
        partial = self._cache / f"postgres-{key}.{os.getpid()}"
        subprocess.run(["cp", "-a", work, partial], check=True)
        shutil.rmtree(work)
        try:
            partial.rename(template)
        except OSError:
            shutil.rmtree(partial)
        return template
