"""A workstation with the agent installed from the build, in the virtual machine."""

import json
import pathlib
import re
import shutil
import subprocess
import time

from vm.vm import Vm, build_image

API_ADDRESS, S3_ADDRESS = "10.0.2.100", "10.0.2.101"  # as in the image's /etc/hosts

UNITS = ("streamsight-capd-frame.socket", "streamsight-capd-control.socket", "streamsight-broker.socket",
         "streamsight-uploadd.service", "streamsight-brokerd.service")

AGENT_CONF = """[ControlPlane]
URL={api}
CAFile={ca}

[Bucket]
Hosts={bucket}
CAFile={ca}

[Capture]
Recording={recording}
MaxFramesPerSecond={fps}
"""


def install(build, folder):
    """What the package will hold, as a tree: meson's own installation. Returns the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--tags", "agent",
                    "--destdir", folder], check=True,
                   stdout=subprocess.DEVNULL)
    return folder


def image(build, run_dir, selinux="none", kernel=None):
    """The test image with the agent in it, and with build's SELinux module where that is wanted. Returns its directory."""
    run_dir, policy = pathlib.Path(run_dir), None
    if selinux != "none":
        policy = run_dir / "policy"
        policy.mkdir()
        shutil.copy(build / "selinux" / "streamsight.pp", policy)
    return build_image(build, payload=install(build, run_dir / "payload"), enable=UNITS, selinux=selinux, policy=policy,
                       kernel=kernel)


class TimedOut(AssertionError):
    """Something did not become true in time; the message shows the state and the end of the journal."""


class Workstation:
    """What a test or the demo does with the agent, wherever it runs: run() is the subclass's."""

    def __init__(self, stack):
        self._stack = stack

    def run(self, command, timeout=60, *, check=False, input=None):
        """Runs a shell command there as root. Returns an object with rc and output (bytes)."""
        raise NotImplementedError

    def agent_conf(self, *, ca_file, recording="automatic", fps=5, bucket=None, api=None):
        return AGENT_CONF.format(
            api=api or self._stack.gateway.url, bucket=bucket or f"{self._stack.s3.host}:{self._stack.s3.https_port}/{self._stack.s3.bucket}",
            ca=ca_file, recording=recording, fps=fps)

    def enrol(self, code=None):
        """As an administrator does: the code on standard input. Returns what run() does."""
        code = code or self._stack.apid.enrolment_code(self._stack.company_id)
        return self.run("streamsight enroll", input=code + "\n")

    def status(self):
        """All properties of org.streamsight.Agent1, by the CLI."""
        return json.loads(self.run("streamsight status --json", check=True).output)

    def wait(self, what, condition, timeout=90):
        """Polls status() until condition(status) is true; returns that status."""
        end = time.monotonic() + timeout
        while True:
            status = self.status()
            if condition(status):
                return status
            if time.monotonic() > end:
                raise TimedOut(f"not within {timeout} s: {what}\n{json.dumps(status, indent=2)}\n{self.journal()}")
            time.sleep(0.2)

    def journal(self, lines=60):
        """What the agent's processes said last."""
        return self.run(f"journalctl --no-pager -q -o short-monotonic -n {lines} -u 'streamsight-*'").output.decode(
            errors="replace")


class Machine(Workstation):
    """Context manager: a virtual machine that can reach the stack's gateway and bucket and nothing else."""

    def __init__(self, image_dir, run_dir, stack, **options):
        super().__init__(stack)
        self.vm = Vm(image_dir, run_dir, forwards=[
            (API_ADDRESS, stack.gateway.port, stack.gateway.port),
            (S3_ADDRESS, stack.s3.https_port, stack.s3.https_port)], **options)
        self._denials = []

    def __enter__(self):
        self.vm.start()
        return self

    def __exit__(self, *exc):
        self.vm.quit()

    def run(self, command, timeout=60, *, check=False, input=None):
        return self.vm.run(command, timeout, check=check, input=input)

    def denials(self):
        """What SELinux has refused so far in which one of our types has a part, and whom a filter of system calls has ended, as
        the journal has it."""
        # from where it was read up to
        text = self.run("journalctl --sync; journalctl -q --no-pager -o cat --cursor-file=/run/denials").output.decode(errors="replace")
        of_ours = re.compile(r"avc: +denied .*streamsight_|type=1326 .*streamsight|streamsight.*status=31/SYS")
        self._denials += filter(of_ours.search, text.splitlines())
        return list(self._denials)

    def save(self):
        """Keeps its present state for go_back(). No command should be running."""
        self._saved_denials = self.denials()
        self.vm.savevm("saved")

    def go_back(self):
        """Makes it what it was at save(), with the network cable plugged in."""
        self.vm.set_network(True)
        self.vm.loadvm("saved")
        self._denials = list(self._saved_denials)

    def configure(self, **options):
        """Writes agent.conf (options as agent_conf()) and the CA, and restarts the agent with them."""
        self.vm.write("/etc/streamsight/ca.pem", pathlib.Path(self._stack.ca.cert_file).read_bytes())
        self.vm.write("/etc/streamsight/agent.conf", self.agent_conf(ca_file="/etc/streamsight/ca.pem", **options))
        self.run("systemctl restart streamsight-uploadd streamsight-brokerd", check=True)

    def plug_card(self, device, driver):
        """Plugs in a graphics card of QEMU's and waits until capd has opened it. Returns its path."""
        self.vm.plug(device)
        card = self.run(f"until card=$(ls -d /sys/bus/pci/drivers/{driver}/*/drm/card*); do sleep 0.1; done 2>&-; echo /dev/dri/${{card##*/}}",
                        check=True).output.decode().strip()
        self.run(f"until ls -l /proc/$(systemctl show -P MainPID streamsight-capd)/fd | grep -q {card}; do sleep 0.1; done 2>&-", check=True)
        return card

    def settle_enrolled(self):
        """Enrols it and stops the recording that the policy begins."""
        result = self.enrol()
        assert result.rc == 0, result.output.decode(errors="replace")
        self.wait("the policy begins a recording", lambda s: s["State"] == "recording")
        self.run("streamsight stop", check=True)
        self.wait("nothing records", lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)


def bucket_keys(stack):
    """Every object's key, as the bucket's owner sees them."""
    return [item["Key"] for page in stack.s3.owner_client().get_paginator("list_objects_v2").paginate(Bucket=stack.s3.bucket)
            for item in page.get("Contents", [])]
