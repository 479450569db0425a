"""tools/demo: records a moving screen into a bucket, and brings it back as a still and a film."""

import argparse
import concurrent.futures
import contextlib
import pathlib
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
from vm.vm import VmError

FAILURES = (TimeoutError, ServiceError, VmError, GuestError, CommandFailed, PainterError, TimedOut, subprocess.CalledProcessError)


def parse():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__.split(": ")[1])
    parser.add_argument("--here", action="store_true", help="record this machine's own screen, not a virtual machine's")
    parser.add_argument("--seconds", type=int, default=8, metavar="N", help="how long to record (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIR", help="where still.png and recording.mkv go")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 1 <= options.seconds <= 3600:
        parser.error("--seconds must be from 1 to 3600")
    return options


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
    progress.begin("Boot the machine")
    with Machine(image_dir, run_dir / "vm", stack) as machine:
        progress.end("Boot the machine")
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
    with progress.step("Start the agent on this machine"):
        here = Here(install(options.build, run_dir / "tree"), run_dir, stack)
        here.__enter__()
    try:
        yield here
    finally:
        with progress.step("Take the agent away again"):
            here.__exit__()


def start_services(stack, progress):
    with progress.step("Start PostgreSQL, Ceph radosgw, nginx and apid on loopback"):
        stack.start()


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
    print(f"\nA recording of {len(segments)} segment(s), {size / 1e6:.2f} MB, came back out of the bucket:")
    print(f"  still  {still}\n  film   {film}")


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tools/demo: ended by a signal"))
    options.output.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    if options.here:
        try:
            Here.check()
        except CommandFailed as e:
            sys.exit(f"tools/demo: {e}")
    run_dir = pathlib.Path(tempfile.mkdtemp(prefix="streamsight-demo-"))
    run_dir.chmod(0o711)  # the servers have accounts of their own
    try:
        with Stack(options.build, run_dir / "services") as stack:
            where = this_machine if options.here else virtual_machine
            with where(options, run_dir, stack, progress) as machine:
                viewer = Viewer(stack.gateway.url, stack.apid.viewer_token(stack.company_id), stack.ca.cert_file)
                recording = record(machine, viewer, options.seconds, progress)
            bring_back(options, viewer, recording, progress)
    except FAILURES as e:
        sys.exit(f"\ntools/demo: {e}\nLogs are in {run_dir}")
    except KeyboardInterrupt:
        sys.exit("\ntools/demo: interrupted")
    shutil.rmtree(run_dir, ignore_errors=True)
    print(f"All of it in {progress.seconds:.0f} s; nothing is left running.")


if __name__ == "__main__":
    main()
