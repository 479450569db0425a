"""A virtual machine of the test image: start (from a snapshot of the booted machine), command, look at, end."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy

from services.process import Process, ServiceError, find_program

from .guest import Agent, CommandFailed, GuestError, Result
from .qmp import Qmp, QmpError

BOOT_TIMEOUT = 240  # a busy host takes 20 s
RESTORE_TIMEOUT = 120

MAX_OUTPUTS = 2
GPUS = {
    "virtio": f"virtio-gpu-pci,id=gpu0,max_outputs={MAX_OUTPUTS}",
    "bochs": "bochs-display,id=gpu0",
    "std": "VGA,id=gpu0",
    "cirrus": "cirrus-vga,id=gpu0",
    "qxl": "qxl-vga,id=gpu0",
    "none": None,
}


class VmError(Exception):
    """The machine could not be started or commanded."""


def build_image(tools, *, payload=None, enable=(), selinux="none", policy=None, kernel=None, server=False):
    """Runs tests/vm/image (progress on standard error). Returns the image's directory."""
    command = [pathlib.Path(__file__).with_name("image"), "--tools", tools, "--selinux", selinux]
    command += ["--payload", payload] if payload else []
    command += ["--policy", policy] if policy else []
    command += ["--kernel", kernel] if kernel else []
    command += ["--server"] if server else []
    command += ["--enable", *enable] if enable else []
    try:
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    except subprocess.CalledProcessError as e:
        raise VmError(f"{command[0]} failed (its output is above)") from e
    return pathlib.Path(answer.stdout.strip())


class Vm:
    """
    image_dir: as printed by tests/vm/image. run_dir: for logs and the run's disk, which is thrown away at the next start.
    gpu: a key of GPUS. outputs: connected ones, 2 with virtio only.
    forwards: (address in the guest's network, port there, loopback port of the host); nothing else is reachable.
    snapshot: start from a snapshot of the booted machine, which is made if there is none for this configuration.
    tpm: with an empty TPM, of swtpm; never from a snapshot.
    """

    def __init__(self, image_dir, run_dir, *, gpu="virtio", outputs=1, forwards=(), memory="2G", cpus=2,
                 snapshot=True, tpm=False):
        if gpu not in GPUS:
            raise ValueError(f"no gpu '{gpu}': choose from {', '.join(GPUS)}")
        if outputs > (MAX_OUTPUTS if gpu == "virtio" else 1):
            raise ValueError(f"gpu '{gpu}' has not {outputs} outputs")
        self.image_dir = pathlib.Path(image_dir).resolve()
        self.run_dir = pathlib.Path(run_dir).resolve()
        self.image = json.loads((self.image_dir / "image.json").read_text())
        self._gpu, self._outputs, self._memory, self._cpus = gpu, outputs, memory, cpus
        self._forwards = list(forwards)
        self._use_snapshot, self._tpm = snapshot and not tpm, tpm
        self._process = self._swtpm = self._agent = self._qmp = self._image_lock = None

    # --- starting and ending

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.quit()

    def start(self):
        """Starts the machine and waits until it takes commands. Returns self."""
        self._image_lock = os.open(self.image_dir, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._image_lock, fcntl.LOCK_SH)  # `image` does not prune it now
        try:
            if self._use_snapshot:
                self._restore(self._snapshot())
            else:
                self._boot()
            # QEMU connects only the first head when nothing displays the others
            for i in range(2, self._outputs + 1):
                self.run(f"echo on > /sys/class/drm/card0-Virtual-{i}/status", check=True)
        except BaseException:
            self.quit()
            raise
        return self

    def quit(self):
        """Ends the machine at once; harmless when it has ended."""
        if self._agent:
            self._agent.close()
        if self._qmp:
            self._qmp.close()
        if self._process:
            self._process.stop()
        if self._swtpm:
            self._swtpm.stop()
        if self._image_lock is not None:
            os.close(self._image_lock)
        self._agent = self._qmp = self._process = self._swtpm = self._image_lock = None

    def _boot(self):
        self._launch(self.image_dir / "root.img", "raw", [])
        self._connect(BOOT_TIMEOUT)
        state = self.run("systemctl is-system-running --wait; udevadm settle", timeout=BOOT_TIMEOUT).output.strip()
        if state != b"running":
            failed = self.run("systemctl --failed --no-legend --plain").output.decode(errors="replace")
            print(f"vm: the guest is {state.decode()}:\n{failed}", file=sys.stderr)

    def _restore(self, snapshot):
        self._launch(snapshot / "disk.qcow2", "qcow2", ["-incoming", f"exec:cat {shlex.quote(str(snapshot))}/state"])
        self._connect(RESTORE_TIMEOUT, saved=True)
        self._wake()

    def _machine_arguments(self):
        """All that a snapshot depends on."""
        options = ["console=ttyS0", "panic=-1", "loglevel=4", "net.ifnames=0", "mitigations=off", "nokaslr",
                   "tsc=reliable", "no_timer_check", "random.trust_cpu=on",
                   # QEMU's "max" has five levels of page tables; emulation is quicker by what it does not walk
                   "no5lvl",
                   # a guest that cannot boot ends QEMU, rather than our patience
                   "systemd.crash_reboot=yes",
                   # in the kernel's own order: after bpf, SELinux does not get to answer for labels
                   f"lsm=landlock,lockdown,yama,{'' if self.image['selinux'] == 'none' else 'selinux,'}bpf"]
        gpu = GPUS[self._gpu]
        return [
            "-machine", "pc", "-accel", "tcg,thread=multi,tb-size=512",
            # without "fast" string instructions, which here go byte by byte: memory is copied and cleared by others
            "-cpu", "max,-erms",
            "-smp", str(self._cpus), "-m", self._memory,
            "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot",
            "-kernel", f"{self.image_dir}/vmlinuz", "-initrd", f"{self.image_dir}/initrd.img",
            "-append", " ".join(options),
            "-device", "virtio-blk-pci,drive=disk",
            "-device", "virtio-net-pci,id=nic,netdev=net",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.streamsight.test",
            "-device", "virtio-rng-pci", "-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci",
            "-serial", "chardev:console", "-vga", "none",
            *(["-device", gpu] if gpu else []),
        ]

    def _network_arguments(self):
        network = "user,id=net,restrict=on,ipv6=off"
        forward = shlex.quote(str(self.image_dir / "vm-forward"))
        for address, port, host_port in self._forwards:
            command = f"{forward} {int(host_port)}".replace(",", ",,")
            network += f",guestfwd=tcp:{address}:{int(port)}-cmd:{command}"
        return ["-netdev", network]

    def _tpm_arguments(self):
        """Starts the TPM. Returns what QEMU needs to know of it."""
        if not self._tpm:
            return []
        state = self.run_dir / "tpm"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        self._swtpm = Process("swtpm", ["env", "-C", self.run_dir, find_program("swtpm"), "socket", "--tpm2",
                                        "--tpmstate", "dir=tpm", "--ctrl", "type=unixio,path=tpm/sock"],
                              log=self.run_dir / "swtpm.log")
        self._swtpm.wait_until(lambda: (state / "sock").exists(), "listened")
        # systemd-creds takes a TPM for whole only where UEFI has one too
        return ["-chardev", "socket,id=tpm,path=tpm/sock", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
                "-device", "tpm-crb,tpmdev=tpm0", "-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd"]

    def _launch(self, backing, backing_format, extra):
        self.run_dir.mkdir(parents=True, exist_ok=True)
        for name in ("agent.sock", "qmp.sock", "disk.qcow2", "qemu.log", "console.log"):
            (self.run_dir / name).unlink(missing_ok=True)
        subprocess.run([find_program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", backing_format,
                        "-b", backing, self.run_dir / "disk.qcow2"], check=True)
        # Relative socket paths, because a Unix socket's address has room for 108 bytes only.
        self._process = Process("qemu", [
            "env", "-C", self.run_dir, find_program("qemu-system-x86_64"), *self._machine_arguments(),
            "-drive", "file=disk.qcow2,format=qcow2,if=none,id=disk,cache=unsafe,discard=unmap",
            "-chardev", "socket,id=agent,path=agent.sock,server=on,wait=off",
            "-chardev", "file,id=console,path=console.log",
            "-qmp", "unix:qmp.sock,server=on,wait=off",
            *self._network_arguments(), *self._tpm_arguments(), *extra], log=self.run_dir / "qemu.log", stop_signal=signal.SIGKILL)

    def _connect(self, timeout, saved=False):
        directory = os.open(self.run_dir, os.O_PATH | os.O_CLOEXEC)
        try:
            def connected(attribute, connect, name):
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                    setattr(self, attribute, connect(f"/proc/self/fd/{directory}/{name}"))
                return getattr(self, attribute) is not None
            self._process.wait_until(lambda: connected("_qmp", Qmp, "qmp.sock"), "opened its monitor")
            self._process.wait_until(lambda: connected("_agent", Agent, "agent.sock"), "opened the agent's port")
            if saved:
                self._process.wait_until(lambda: self._qmp.execute("query-status")["status"] != "inmigrate", "read the saved machine")
                self._qmp.execute("cont")
            self._agent.sync(timeout)
        except (GuestError, ServiceError) as e:
            raise VmError(f"{e}\n{self._tail('qemu.log')}{self._tail('console.log')}") from e
        finally:
            os.close(directory)

    def _tail(self, name):
        path = self.run_dir / name
        lines = path.read_text(errors="replace").splitlines()[-12:] if path.exists() else []
        return "\n".join([f"--- {path}", *lines, ""])

    # --- the snapshot of the booted machine

    def _snapshot(self):
        """Directory with disk.qcow2 and state (QEMU's migration stream) of the booted and idle machine.

        A migration stream rather than an internal snapshot of the disk: the disk then only backs the one of
        the run, so that nothing needs to be copied at the start.
        """
        version = subprocess.run([find_program("qemu-system-x86_64"), "--version"], check=True, capture_output=True).stdout
        key = hashlib.sha256(json.dumps([version.decode(), self._machine_arguments()]).encode()).hexdigest()[:12]
        snapshot = self.image_dir / f"boot-{self._gpu}-{key}"
        if snapshot.exists():
            return snapshot
        with open(self.image_dir / f"{snapshot.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for attempt in range(1, 4):
                if snapshot.exists():
                    break
                directory = snapshot.with_name(f"tmp.{snapshot.name}")
                self._make_snapshot(directory)
                # One that does not answer would fail every run to come
                trial = Vm(self.image_dir, directory / "trial", gpu=self._gpu, memory=self._memory, cpus=self._cpus)
                try:
                    trial._restore(directory)
                except (VmError, GuestError, CommandFailed):
                    if attempt == 3:
                        raise
                    print("vm: the snapshot does not answer, making another", file=sys.stderr)
                    continue
                finally:
                    trial.quit()
                shutil.rmtree(directory / "trial")
                directory.rename(snapshot)
        return snapshot

    def _make_snapshot(self, directory):
        started = time.monotonic()
        print(f"vm: booting once for a snapshot (gpu {self._gpu})", file=sys.stderr)
        shutil.rmtree(directory, ignore_errors=True)
        vm = Vm(self.image_dir, directory, gpu=self._gpu, memory=self._memory, cpus=self._cpus, snapshot=False)
        with vm:
            booted = time.monotonic()
            # what the page cache holds would be most of the stream
            vm.run("sync; echo 3 > /proc/sys/vm/drop_caches", check=True)
            vm._agent.close()
            # QEMU's software emulation can miss what a running processor writes while its memory is saved; such a machine hangs
            vm._qmp.execute("stop")
            vm._qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 34})
            vm._qmp.execute("migrate", uri=f"exec:cat > {shlex.quote(str(directory))}/state")
            while (status := vm._qmp.execute("query-migrate").get("status")) != "completed":
                if status in ("failed", "cancelled"):
                    raise VmError(f"QEMU could not save the machine\n{vm._tail('qemu.log')}")
                time.sleep(0.02)
            # an ordered end writes out the rest of the disk image
            vm._qmp.execute("quit")
            end = time.monotonic() + 30
            while vm._process.running() and time.monotonic() < end:
                time.sleep(0.02)
        print(f"vm: booted in {booted - started:.1f} s, saved in {time.monotonic() - booted:.1f} s", file=sys.stderr)

    def savevm(self, name):
        """Keeps the machine's present state, within this run only. No command should be running."""
        self._qmp.human(f"savevm {name}")

    def loadvm(self, name):
        """Goes back to a savevm(); commands started since are forgotten, and the clock is set."""
        self._qmp.human(f"loadvm {name}")
        self._agent.sync(RESTORE_TIMEOUT)
        self._wake()

    def _wake(self):
        """Gives a restored machine the time, and random numbers other than those it had the last time."""
        self.set_clock()
        # RNDRESEEDCRNG of linux/random.h; Perl is essential in Debian, Python is not
        self.run(r"""perl -e 'open(R, "+<", "/dev/urandom") or die; binmode STDIN; read(STDIN, $s, 64) == 64 or die;
                     syswrite(R, $s) == 64 or die; ioctl(R, 0x5207, 0) or die "RNDRESEEDCRNG: $!"'""",
                 check=True, input=os.urandom(64))

    def set_clock(self):
        """Gives the guest the host's time (CLOCK_REALTIME alone; CLOCK_BOOTTIME goes on from where it was saved)."""
        self.run(f"date -s @{time.time():.3f} >/dev/null", check=True)

    # --- in the guest

    def run(self, command, timeout=60, *, check=False, input=None):
        """Runs a shell command as root. Returns Result(rc, output), output being bytes of stdout and stderr together.

        timeout: seconds of the guest's time, then it is killed and rc is 124. check: CommandFailed unless rc is 0.
        input: bytes or text for its standard input.
        """
        return self._finish(self.spawn(command, timeout, stdin=input is not None), timeout, check, input)

    def spawn(self, command, timeout=0, **options):
        """Starts a shell command as root. Returns guest.Process, with write(), read_line(), wait(), kill(), rc."""
        return self._agent.spawn(command, timeout, **options)

    def _finish(self, process, timeout, check, input):
        if input is not None:
            process.write(input)
            process.close_input()
        result = process.wait(timeout + 60)
        if check and result.rc != 0:
            text = (result.output + process.error).decode(errors="replace").strip()
            raise CommandFailed(f"'{process.command}' in the guest ended with status {result.rc}: {text[-4000:]}")
        return Result(result.rc, result.output)

    def put(self, source, destination):
        """Copies a file to a path, or what a directory contains into a directory, as root's."""
        source, to = pathlib.Path(source), shlex.quote(str(destination))
        if not source.is_dir():
            self.write(destination, source.read_bytes(), source.stat().st_mode & 0o777)
            return
        archive = subprocess.run(["tar", "-c", "-C", source, "."], check=True, stdout=subprocess.PIPE).stdout
        self.run(f"mkdir -p {to} && tar -x --no-same-owner --no-overwrite-dir --keep-directory-symlink -C {to}",
                 timeout=300, check=True, input=archive)
        self._relabel(to)

    def write(self, path, data, mode=0o644):
        """Makes a file with this content (bytes or text); missing directories too."""
        to = shlex.quote(str(path))
        self.run(f"mkdir -p $(dirname {to}) && umask 077 && cat > {to}.new && chmod {mode:o} {to}.new && mv {to}.new {to}",
                 timeout=300, check=True, input=data)
        self._relabel(to)

    def _relabel(self, quoted_path):
        if self.image["selinux"] != "none":
            self.run(f"restorecon -R {quoted_path}", timeout=300, check=True)

    def read(self, path):
        """A file's bytes."""
        process = self.spawn(f"exec cat {shlex.quote(str(path))}", 300, merge=False, stdin=False)
        return self._finish(process, 300, True, None).output

    def get(self, path, directory):
        """Copies a file or a directory into a directory of the host. Returns its path there."""
        path, directory = pathlib.PurePosixPath(path), pathlib.Path(directory)
        process = self.spawn(f"exec tar -c -C {shlex.quote(str(path.parent))} {shlex.quote(path.name)}", 300,
                             merge=False, stdin=False)
        archive = self._finish(process, 300, True, None).output
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-x", "--no-same-owner", "-C", directory], check=True, input=archive)
        return directory / path.name

    def journal(self, unit=None):
        """The journal's text since boot, of one unit or all of it."""
        option = f"-u {shlex.quote(unit)}" if unit else ""
        process = self.spawn(f"exec journalctl --no-pager -q -o short-monotonic {option}", 60, merge=False, stdin=False)
        return self._finish(process, 60, True, None).output.decode(errors="replace")

    # --- the machine

    def screendump(self, head=0):
        """What the monitor at this output would show, by QEMU itself: (height, width, 3) uint8, RGB."""
        path = self.run_dir / "screendump.ppm"
        self._qmp.execute("screendump", filename=str(path), device="gpu0", head=head)
        data = path.read_bytes()
        path.unlink()
        magic, size, maximum, pixels = data.split(b"\n", 3)
        if (magic, maximum) != (b"P6", b"255"):
            raise VmError(f"not a PPM picture: {data[:20]!r}")
        width, height = map(int, size.split())
        return numpy.frombuffer(pixels, numpy.uint8).reshape(height, width, 3)

    def plug(self, device):
        """Plugs in another device of QEMU's, "bochs-display" for example. The guest takes some moments to find it."""
        self._qmp.execute("device_add", driver=device)

    def set_network(self, up):
        """Plugs or pulls the network cable: packets are lost, connections are not closed."""
        self._qmp.execute("set_link", name="nic", up=up)

    def send_keys(self, *keys):
        """Presses keys (QKeyCode names, e.g. "ret", "ctrl-c") one after the other."""
        for key in keys:
            self._qmp.human(f"sendkey {key} 20")
            time.sleep(0.05)

    @property
    def pid(self):
        """QEMU's process."""
        return self._process.pid
