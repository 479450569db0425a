"""A private S3 server: Ceph's mon + osd (in memory) + radosgw on one machine, loopback only.

A real server and not an imitation, because what is tested is whether signatures and policies are enforced. cephx is
off: everything that could be stolen here is made at start and gone at the end.
"""

import base64
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import uuid

import botocore.config
import botocore.session

from . import names
from .process import (Process, ServiceError, as_user, find_program, free_port, private_dir, require_loopback_only)

POLICY_DIR = pathlib.Path(__file__).resolve().parents[2] / "policy" / "bucket"

REGION = "us-east-1"
KMS_KEY_ID = "recordings"
LISTED_MAX = 100  # names in one answer, where others have 1,000

# The gateway's section must be client.rgw.<id>: under any other name radosgw does not find rgw_frontends and listens
# with its default, on all interfaces. objecter_tick_interval: a client that missed the OSD's coming up asks again only at
# its tick, by default after 5 s. Values that are not explained serve only a quick start of a single node.
_CEPH_CONF = """
[global]
fsid = {fsid}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
mon_host = v1:127.0.0.1:{mon_port}
public_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
ms_bind_ipv4 = true
ms_bind_ipv6 = false
ms_bind_msgr1 = true
ms_bind_msgr2 = false
run_dir = {dir}
log_file = {dir}/$name.log
admin_socket =
pid_file =
crash_dir = {dir}/crash
keyring = {dir}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
osd_class_load_list = *
osd_class_default_list = *
objecter_tick_interval = 0.3

[mon]
mon_data = {dir}/mon
mon_initial_members = a
mon_max_pg_per_osd = 1000
mon_cluster_log_to_file = false
mon_data_avail_warn = 2
mon_data_avail_crit = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01

[osd]
osd_data = {dir}/osd
osd_objectstore = memstore
memstore_device_bytes = 2G
osd_memory_target = 1G

[client.rgw.a]
rgw_data = {dir}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{http_port} ssl_endpoint=127.0.0.1:{https_port} ssl_certificate={cert} ssl_private_key={key}
rgw_dns_name = {host}
rgw_thread_pool_size = 64
rgw_num_rados_handles = 1
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_gc_max_objs = 4
rgw_max_listing_results = {listed_max}
rgw_lc_max_objs = 1
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms_key_id}={kms_key}
"""


class S3User:
    """An account of the S3 server. arn: as policies name it."""

    def __init__(self, uid, access_key_id, secret_access_key):
        self.uid = uid
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.arn = f"arn:aws:iam:::user/{uid}"


def policy(name, **values):
    """A shipped policy with its @PLACEHOLDERS@ filled in, as compact JSON (radosgw refuses some with spaces)."""
    text = (POLICY_DIR / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    if "@" in text:
        raise ValueError(f"{name} has a placeholder that was given no value")
    return json.dumps(json.loads(text), separators=(",", ":"))


class RadosGateway:
    """start() gives a bucket with the shipped policies, its owner, and the tenant's key that may put and get.

    bucket, prefix, endpoint (https), http_endpoint (there to be refused by the policy), owner, tenant (S3User).
    """

    def __init__(self, run_dir, ca):
        self._dir = pathlib.Path(run_dir)
        self._ca = ca
        self._user = as_user("ceph")
        self._conf = self._dir / "ceph.conf"
        self.processes = []
        self.https_port = free_port()
        self.http_port = free_port()
        self.host = names.S3
        self.endpoint = f"https://{names.S3}:{self.https_port}"
        self.http_endpoint = f"http://{names.S3}:{self.http_port}"
        self.region = REGION
        self.kms_key_id = KMS_KEY_ID
        self.bucket = "recordings"
        self.prefix = "streamsight"
        self.owner = None
        self.tenant = None

    def start(self):
        names.resolve_locally()
        self._write_configuration()
        try:
            self._start_cluster()
            self._make_bucket()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def client(self, user, service="s3", endpoint=None):
        """A botocore client with a user's keys, path style, without retries."""
        return botocore.session.Session().create_client(
            service, region_name=REGION, endpoint_url=endpoint or self.endpoint, verify=str(self._ca.cert_file),
            aws_access_key_id=user.access_key_id, aws_secret_access_key=user.secret_access_key,
            config=botocore.config.Config(signature_version="s3v4" if service == "s3" else "v4",
                                          s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
                                          proxies={}))  # none of the environment's

    def owner_client(self):
        return self.client(self.owner)

    def tenant_client(self, endpoint=None):
        return self.client(self.tenant, endpoint=endpoint)

    def create_user(self, uid, caps=None):
        """A new account; radosgw-admin chooses its keys. caps: its rights on the admin and IAM API."""
        out = self._run("radosgw-admin", "-n", "client.rgw.a", "user", "create", f"--uid={uid}",
                        f"--display-name={uid}", *([f"--caps={caps}"] if caps else []))
        keys = json.loads(out)["keys"][0]
        return S3User(uid, keys["access_key"], keys["secret_key"])

    def put_user_policy(self, user, document):
        """Sets a user's policy (IAM PutUserPolicy)."""
        self._iam.put_user_policy(UserName=user.uid, PolicyName="streamsight", PolicyDocument=document)

    def create_bucket(self, bucket, prefix):
        """Another bucket with the shipped bucket policy, for the same owner and tenant key."""
        client = self.owner_client()
        client.create_bucket(Bucket=bucket)
        client.put_bucket_policy(Bucket=bucket, Policy=policy("bucket-policy.json", BUCKET=bucket, PREFIX=prefix,
                                                              KEY_ARN=self.tenant.arn))

    def _write_configuration(self):
        private_dir(self._dir, self._user, 0o711)
        for name in ("mon", "osd", "rgw", "crash"):
            shutil.rmtree(self._dir / name, ignore_errors=True)
            private_dir(self._dir / name, self._user)
        certificate = self._ca.issue("s3")
        key = self._dir / "tls.key"
        key.touch(mode=0o600)
        key.write_bytes(certificate.key_file.read_bytes())
        if self._user:
            shutil.chown(key, self._user, self._user)
        (self._dir / "keyring").touch()
        self._mon_port = free_port()
        self._fsid = str(uuid.uuid4())
        self._conf.write_text(_CEPH_CONF.format(
            fsid=self._fsid, dir=self._dir, mon_port=self._mon_port, http_port=self.http_port,
            https_port=self.https_port, cert=certificate.cert_file, key=key, host=names.S3, listed_max=LISTED_MAX, kms_key_id=KMS_KEY_ID,
            kms_key=base64.b64encode(secrets.token_bytes(32)).decode()))

    def _start_cluster(self):
        monmap, osdmap = self._dir / "monmap", self._dir / "osdmap"
        self._run("monmaptool", "--create", "--clobber", "--fsid", self._fsid, "--addv", "a",
                  f"[v1:127.0.0.1:{self._mon_port}]", monmap, conf=False)
        # The mon begins with a map that has osd.0 in it: 'ceph osd new' would be another second and another race.
        self._run("osdmaptool", "--createsimple", "1", "--clobber", osdmap, conf=False)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--osdmap", osdmap, daemon=True)
        self._spawn("ceph-mon", "-i", "a").wait_for_port(self._mon_port)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(uuid.uuid4()), daemon=True)
        self._spawn("ceph-osd", "-i", "0")
        self._spawn("radosgw", "-n", "client.rgw.a").wait_for_port(self.https_port, needs=self.processes)
        for process in self.processes:
            require_loopback_only(process)

    def _make_bucket(self):
        self.owner = self.create_user("owner")
        self.tenant = self.create_user("streamsight")
        self.create_bucket(self.bucket, self.prefix)
        self._iam = self.client(self.create_user("administrator", caps="user-policy=*"), "iam")
        self.put_user_policy(self.tenant, policy("iam-user-policy.json", BUCKET=self.bucket, PREFIX=self.prefix))

    def _spawn(self, program, *args):
        # -f: in the foreground. SIGKILL: the store is in memory, there is nothing to close in order.
        process = Process(program, [find_program(program), "-f", "-c", self._conf, *args], user=self._user,
                          log=self._dir / f"{program}.out", stop_signal=signal.SIGKILL, env=self._environment())
        self.processes.append(process)
        return process

    def _run(self, program, *args, conf=True, daemon=False):
        """Runs one of Ceph's tools to its end; daemon: under the daemons' account."""
        argv = [find_program(program), *(["-c", str(self._conf)] if conf else []), *map(str, args)]
        account = [f"--reuid={self._user}", f"--regid={self._user}", "--init-groups"] if daemon and self._user else []
        # Killed with us: without a mon such a tool looks for one for ever, as fast as it can.
        argv = [find_program("setpriv"), "--pdeathsig=KILL", *account, "--", *argv]
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                              env=self._environment())
        if done.returncode != 0:
            raise ServiceError(f"{program} {' '.join(args[:3])} failed: {done.stderr.strip()}")
        return done.stdout

    @staticmethod
    def _environment():
        """Without CEPH_ARGS and CEPH_CONF, which could lead to somebody's real cluster; Debian's Python for ceph(8)."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CEPH_", "PYTHON"))}
        # A client that first fetches its configuration from the mon forgets the fsid of ceph.conf; a command it sends
        # before it has the monmap again is refused with 'wrong fsid', and an OSD then ends (seen under load).
        return kept | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CEPH_ARGS": "--no-mon-config"}
