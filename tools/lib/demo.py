"""tools/demo, once everything is installed and built: records a moving screen, and brings it back as a still and a film."""

import argparse
import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from progress import Progress
from services.process import ServiceError
from services.stack import Stack
from system.here import Here
from system.machine import Machine, TimedOut, image, install
from system.viewer import Viewer
from vm.guest import CommandFailed, GuestError
from vm.painter import Painter, PainterError
from vm.qmp import QmpError
from vm.vm import VmError

# All that may go wrong outside this program. OSError: also what requests raises, and a full disk; ValueError: an answer that makes no sense
FAILURES = (OSError, ValueError, ServiceError, VmError, QmpError, GuestError, CommandFailed, PainterError, TimedOut,
            subprocess.SubprocessError)
PREFIX = "streamsight-demo-"


def parse():
    """What tools/demo has judged already."""
    parser = argparse.ArgumentParser(prog="tools/demo")
    parser.add_argument("--here", action="store_true")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=lambda text: tuple(map(int, text.split("-"))), required=True)
    return parser.parse_args()


def interruptible():
    """Whatever signal ends us unwinds what has been begun, once; what cleans up is not interrupted."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_):
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in signals:
        signal.signal(each, interrupt)


def run_folder():
    """A folder for data and logs, locked for as long as we live. Those of runs that were killed, or failed, go."""
    for old in pathlib.Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            lock = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old)
            finally:
                os.close(lock)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
    folder.chmod(0o711)  # the servers have accounts of their own
    return folder


@contextlib.contextmanager
def virtual_machine(options, run_dir, stack, progress):
    """A machine with a desktop on which something moves; its image is made while the services start."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        def disk():
            with progress.step("Build the machine's image with the agent in it"):
                return image(options.build, run_dir)

        built = pool.submit(disk)
        start_services(stack, progress)
        image_dir = built.result()
    with contextlib.ExitStack() as running:
        with progress.step("Boot the machine"):
            machine = running.enter_context(Machine(image_dir, run_dir / "vm", stack))
            machine.configure()
        with progress.step("Start a desktop on which something moves"):
            painter = None
            # weston with a terminal that scrolls, or the painter's ball if weston does not come up
            if machine.run("systemctl start weston-desk desk-terminal", timeout=45).rc != 0:
                progress.note("weston did not come up in time: the painter draws instead")
                machine.run("systemctl stop weston-desk")
                painter = Painter(machine.vm, options=["--scene=ball", "--rate=10"])
        try:
            yield machine
        finally:
            if painter:
                painter.quit()


@contextlib.contextmanager
def this_machine(options, run_dir, stack, progress):
    """This machine with its own screen and its own systemd, the agent on it for as long as the demo runs."""
    start_services(stack, progress)
    here = Here(install(options.build, run_dir / "tree"), run_dir, stack)
    try:
        with progress.step("Start the agent on this machine"):
            here.up()
        yield here
    finally:
        with progress.step("Take the agent away again"):
            here.down()


def start_services(stack, progress):
    with progress.step("Start PostgreSQL, Ceph radosgw, nginx and apid on loopback"):
        stack.start()


def sentence(error):
    """What went wrong, with its kind where the message alone may say too little."""
    text = str(error) or "no more is known"
    return f"{type(error).__name__}: {text}" if isinstance(error, (OSError, ValueError)) else text


def record(machine, viewer, seconds, progress):
    """Enrols, records, and waits until everything is in the bucket. Returns the recording's id."""
    with progress.step("Enrol the workstation through D-Bus"):
        answer = machine.enrol()
        if answer.rc != 0:
            raise TimedOut(f"streamsight enroll: {answer.output.decode(errors='replace')}")
    with progress.step(f"Record the screen for {seconds} s"):
        recording = machine.wait("recording begins", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        time.sleep(seconds)
    with progress.step("Stop, and wait until the last segment is in the bucket"):
        machine.run("streamsight stop", check=True)
        viewer.wait_finished(recording)
    return recording


def bring_back(options, viewer, recording, progress):
    """Fetches the recording from the bucket and decodes it into options.output."""
    export = options.build / "cli" / "streamsight-export"
    folder = options.output / "segments"
    shutil.rmtree(folder, ignore_errors=True)
    with progress.step("Fetch the recording from the bucket with presigned GETs"):
        segments = viewer.download(recording, folder)
    if not segments:
        raise TimedOut("the control plane lists no complete segment of this recording")
    still, film = options.output / "still.png", options.output / "recording.mkv"
    with progress.step("Decode it"):
        subprocess.run([export, "-o", film, "-o", still, "--still=last", *segments], check=True)
    size = sum(path.stat().st_size for path in segments)
    inspect = shlex.quote(str(options.build / "cli" / "streamsight-inspect"))
    print(f"""
A recording of {len(segments)} segment(s), {size / 1e6:.2f} MB, came back out of the bucket:
  still     {still}
  film      {film}
  segments  {folder}

Play the film:         ffplay {shlex.quote(str(film))}   (or mpv, or any other player)
Take another still:    {shlex.quote(str(export))} --still=2.5 -o still.png {shlex.quote(str(folder))}/*.sss
See what it is of:     {inspect} {shlex.quote(str(folder))}/*.sss
""")


def main():
    options = parse()
    interruptible()
    progress = Progress(options.steps)
    run_dir = run_folder()
    try:
        with Stack(options.build, run_dir / "services") as stack:
            where = this_machine if options.here else virtual_machine
            with where(options, run_dir, stack, progress) as machine:
                viewer = Viewer(stack.gateway.url, stack.apid.viewer_token(stack.company_id), stack.ca.cert_file)
                recording = record(machine, viewer, options.seconds, progress)
            bring_back(options, viewer, recording, progress)
    except FAILURES as e:
        sys.exit(f"\ntools/demo: {sentence(e)}\nLogs are in {run_dir}; the next run removes them.")
    except KeyboardInterrupt:
        shutil.rmtree(run_dir, ignore_errors=True)
        sys.exit(130)
    shutil.rmtree(run_dir, ignore_errors=True)
    print(f"All of it in {progress.seconds:.0f} s; nothing is left running.")


if __name__ == "__main__":
    main()
