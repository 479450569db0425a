"""All services together: each is started once, with what it needs, and those that can start side by side do."""

import concurrent.futures
import os
import pathlib
import shutil
import tempfile
import threading
import time

from . import names
from .apid import Apid
from .ca import CertificateAuthority
from .gateway import Gateway
from .postgres import Postgres
from .process import free_port, private_dir, require_traversable
from .radosgw import RadosGateway
from .redis import Redis

COMPANY = "Example Corp"


class Stack:
    """Context manager. Entering starts nothing: start(...) does, and what is already running is left as it is.

    build_dir: meson's, or None to go without apid. run_dir: for data, keys and logs; if none is given one is made, and
    removed again unless the with block ends with an exception. progress(name, seconds): called from worker threads,
    with None when a service begins to start and its start time when it is ready.

    After start(): ca, postgres, redis, s3, gateway, apid; company_id (which owns s3's bucket); seconds (name → start time).
    """

    NAMES = ("postgres", "s3", "gateway", "redis", "apid", "company")

    def __init__(self, build_dir=None, run_dir=None, *, progress=None, cache=None):
        # Short, because a Unix socket's path may have 107 bytes (unix(7)).
        self._own_run_dir = run_dir is None
        self.run_dir = pathlib.Path(run_dir or tempfile.mkdtemp(prefix="streamsight-")).resolve()
        private_dir(self.run_dir, mode=0o711)
        if os.geteuid() == 0:
            require_traversable(self.run_dir)
        self._progress = progress or (lambda name, seconds: None)
        self._lock = threading.Lock()
        self._started = {}  # name → Future
        self.seconds = {}
        self.company_id = None
        names.resolve_locally()
        self.ca = CertificateAuthority(self.run_dir / "ca")
        self.postgres = Postgres(self.run_dir / "pg", cache)
        self.s3 = RadosGateway(self.run_dir / "s3", self.ca)
        self.redis = Redis(self.run_dir / "redis", self.ca)
        self.apid = Apid(self.run_dir / "apid", build_dir, self.postgres, self.redis) if build_dir else None
        self.gateway = Gateway(self.run_dir / "gw", self.ca, self.apid.port if self.apid else free_port())
        if self.apid:
            self.apid.public_url = self.gateway.url

    def __enter__(self):
        return self

    def __exit__(self, exception_type, *_):
        self.stop()
        if self._own_run_dir and exception_type is None:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def start(self, *wanted):
        """Starts the named services and what they need, in parallel; all of them without arguments."""
        everything = self.NAMES if self.apid else self.NAMES[:4]
        futures = [self._future(name) for name in wanted or everything]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Stops everything, the last started first. Data and logs stay in run_dir."""
        with self._lock:
            futures = list(self._started.values())
            self._started.clear()
        concurrent.futures.wait(futures)
        for service in (self.gateway, self.apid, self.redis, self.s3, self.postgres):
            if service:
                service.stop()

    def settings(self):
        """What a client outside this process needs, as JSON-able values. Makes a new enrolment code and viewer token."""
        settings = {
            "run_dir": str(self.run_dir),
            "ca_file": str(self.ca.cert_file),
            "names": {names.API: "127.0.0.1", names.S3: "127.0.0.1"},
            "database": {"owner": self.postgres.owner_dsn("streamsight" if self.apid else "postgres")},
            "s3": {
                "endpoint": self.s3.endpoint, "host": self.s3.host, "port": self.s3.https_port,
                "region": self.s3.region, "bucket": self.s3.bucket, "prefix": self.s3.prefix,
                "kms_key_id": self.s3.kms_key_id,
                "owner": vars(self.s3.owner), "tenant": vars(self.s3.tenant),
            },
            "api": {"url": self.gateway.url, "host": self.gateway.host, "port": self.gateway.port},
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }
        if self.apid:
            settings["api"] |= {
                "company_id": self.company_id,
                "enrolment_code": self.apid.enrolment_code(self.company_id),
                "viewer_token": self.apid.viewer_token(self.company_id),
                "admin": [str(self.apid.admin_program), "--config", str(self.apid.admin_config_file)],
                "log": str(self.apid.log),
            }
        return settings

    def _future(self, name):
        with self._lock:
            if name not in self._started:
                # A thread each: a service waiting for another one must not hold a place that one needs.
                future = self._started[name] = concurrent.futures.Future()
                threading.Thread(target=self._run, args=(name, future), name=f"start-{name}", daemon=True).start()
            return self._started[name]

    def _run(self, name, future):
        try:
            for need in {"apid": ("postgres", "redis"), "company": ("apid", "s3")}.get(name, ()):
                self._future(need).result()
            self._progress(name, None)
            begin = time.monotonic()
            if name == "company":
                self.company_id = self.apid.create_company(COMPANY)
                self.apid.set_bucket(self.company_id, self.s3)
            else:
                getattr(self, name).start()
            self.seconds[name] = time.monotonic() - begin
            self._progress(name, self.seconds[name])
            future.set_result(None)
        except BaseException as e:
            future.set_exception(e)
