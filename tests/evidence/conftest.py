"""A recording that the real brokerd signed and that lies in the real bucket, and streamsight-verify for it."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

import pytest

from brokerd import wire
from brokerd.agent import Agent
from brokerd.test_control_plane import Segment, begin, text

_HOSTS = "127.0.0.1 localhost api.streamsight.test s3.streamsight.test\n"


@dataclasses.dataclass
class Recording:
    id: str
    device: str
    company: str
    thumbprint: str
    folder: pathlib.Path = None  # as --save made it
    end: str = None  # the statement about its end

    def files(self, root):
        return sorted(root.glob(f"**/{self.id}/*.sss"))


@pytest.fixture(scope="module")
def run_verify(build, tmp_path_factory, stack):
    """Runs streamsight-verify where the services' names are loopback; returns (status, lines of findings, stderr)."""
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text(_HOSTS)

    def run(*arguments, user=None):
        user = user or stack.s3.owner
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
            "AWS_ACCESS_KEY_ID": user.access_key_id, "AWS_SECRET_ACCESS_KEY": user.secret_access_key}
        done = subprocess.run(["unshare", "--mount", "/bin/sh", "-c", 'mount --bind "$1" /etc/hosts; shift; exec "$@"', "sh", hosts,
                               build / "cli" / "streamsight-verify", *map(str, arguments)], capture_output=True, text=True,
                              timeout=120, env=environment)
        return done.returncode, done.stdout.splitlines(), done.stderr
    return run


@pytest.fixture(scope="module")
def from_bucket(run_verify, stack):
    """verify on the bucket: arguments are the key's and the prefix's, and more."""
    s3 = stack.s3

    def run(*arguments, **options):
        return run_verify("--endpoint", s3.endpoint, "--region", s3.region, "--bucket", s3.bucket, "--ca-file",
                          stack.ca.cert_file, *arguments, **options)
    return run


def record(agent, stack, n, final=True):
    """The tests are uploadd: n segments, the last of them final or not."""
    uploadd, capd, record_message = begin(agent)
    status = agent.status()
    before = None
    for sequence in range(n):
        before = Segment(record_message.recording, sequence, os.urandom(20000) + b"%d" % sequence, before)
        before.announce(uploadd, final=int(final and sequence == n - 1))
        before.upload(uploadd, stack.ca)
        uploadd.expect(wire.RELEASE)
    uploadd.send(wire.FINISHED, recording=record_message.recording, n_segments=n)
    agent.wait_log(f"Recording {text(record_message.recording)} is complete")
    uploadd.close()
    capd.close()
    recording = text(record_message.recording)
    end = stack.postgres.sql(f"SELECT statement FROM streamsight.recording WHERE id = '{recording}'", "streamsight")
    return Recording(recording, status["DeviceId"], stack.company_id, status["KeyThumbprint"], end=end)


@pytest.fixture(scope="module")
def agent(build, stack):
    with Agent(build, url=stack.gateway.url, ca=stack.ca.cert_file, hosts=f"{stack.s3.host}:{stack.s3.https_port}") as made:
        made.run()
        made.enrol(stack.apid.enrolment_code(stack.company_id))
        yield made


def saved(recording, stack, from_bucket, folder):
    prefix = f"{stack.s3.prefix}/{recording.company}/{recording.device}/{recording.id}/"
    status, lines, error = from_bucket("--key", recording.thumbprint, "--save", folder, prefix)
    recording.folder = folder
    return status, lines, error


@pytest.fixture(scope="module")
def recording(agent, stack, from_bucket, tmp_path_factory):
    """Five segments, and complete."""
    made = record(agent, stack, 5)
    status, lines, error = saved(made, stack, from_bucket, tmp_path_factory.mktemp("saved"))
    assert status == 0 and len(lines) == 1 and lines[0].startswith(f"good       {made.id}: 5 segments of device {made.device}"), \
        (lines, error)
    return made


@pytest.fixture(scope="module")
def other(agent, stack, from_bucket, tmp_path_factory):
    """Another recording of the same device, whose end nothing in the bucket says."""
    made = record(agent, stack, 3, final=False)
    status, lines, _ = saved(made, stack, from_bucket, tmp_path_factory.mktemp("saved"))
    assert status == 1 and [line.split()[0] for line in lines] == ["unfinished"]
    return made


@pytest.fixture
def copy(recording, tmp_path):
    """A copy of the folder to tamper with: its files in order, and a function that judges it."""
    folder = tmp_path / "copy"
    shutil.copytree(recording.folder, folder)
    return folder
