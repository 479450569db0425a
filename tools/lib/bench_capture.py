"""tools/bench capture: what capturing costs in the virtual machine, beside FFmpeg's kmsgrab, and what each gets."""

import argparse
import contextlib
import io
import pathlib
import re
import subprocess
import tempfile

import numpy
import PIL.Image

from capd.machine import Capd
from services.stack import Stack
from system.machine import Machine, image
from vm import Painter, pattern

FPS = 5
PROCESSES = ("capd", "uploadd", "brokerd")
FFMPEG = "/opt/ffmpeg"
GRAB = (f"LD_LIBRARY_PATH={FFMPEG} {FFMPEG}/ffmpeg -v error -device /dev/dri/card0 -framerate {FPS} -f kmsgrab -i - "
        "-vf hwdownload,format=bgr0 -c:v mjpeg -q:v 3 -y")
SCENES = {"nothing moves": ("--show=7",), "a ball moves": ("--scene=ball", f"--rate={FPS}")}


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench capture", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--seconds", type=int, default=20, help="of each measurement (default %(default)s)")
    parser.add_argument("--frames", type=int, default=10000, help="to look for leaks with (default %(default)s)")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def put_ffmpeg(vm):
    """This machine's ffmpeg with its libraries, for the guest's image has none."""
    program = "/usr/bin/ffmpeg"
    libraries = re.findall(r"=> (/\S+)", subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout)
    archive = subprocess.run(["tar", "-c", "-h", "--transform=s,.*/,,", *dict.fromkeys(libraries), program], check=True,
                             capture_output=True).stdout
    vm.run(f"mkdir -p {FFMPEG} && tar -x -C {FFMPEG} && rm -f {FFMPEG}/libc.so.6 {FFMPEG}/ld-linux*", timeout=600, check=True,
           input=archive)


def usage(vm):
    """{process: (CPU seconds so far, times it began to wait)} of the agent."""
    found = {}
    for name in PROCESSES:
        text = vm.run(f"p=$(systemctl show -P MainPID streamsight-{name}); cut -d' ' -f14,15 /proc/$p/stat; "
                      "grep -h ^voluntary_ctxt_switches /proc/$p/status", check=True).output.split()
        found[name] = ((int(text[0]) + int(text[1])) / 100, int(text[3]))
    return found


def boottime(vm):
    return float(vm.run("cut -d' ' -f1 /proc/uptime", check=True).output)


def measure_agent(machine, seconds):
    """Milliseconds of CPU and waits a second for each process, while it records."""
    machine.run("streamsight start", check=True)
    machine.wait("it records", lambda s: s["State"] == "recording")
    machine.run("sleep 5")
    began, before = boottime(machine.vm), usage(machine.vm)
    machine.run(f"sleep {seconds}", timeout=seconds + 60)
    took, after = boottime(machine.vm) - began, usage(machine.vm)
    machine.run("streamsight stop", check=True)
    machine.wait("it is uploaded", lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)
    return {name: tuple((a - b) / took for a, b in zip(after[name], before[name])) for name in PROCESSES}


def measure_ffmpeg(vm, seconds):
    """Milliseconds of CPU a second."""
    began = boottime(vm)
    text = vm.run(f"bash -c 'TIMEFORMAT=\"%U %S\"; time {GRAB} -t {seconds} /tmp/grab.avi'", timeout=seconds * 4 + 60,
                  check=True).output.split()
    return 1000 * (float(text[-2]) + float(text[-1])) / (boottime(vm) - began)


def last_picture(vm):
    data = vm.read("/tmp/grab.avi")
    return numpy.asarray(PIL.Image.open(io.BytesIO(data[data.rindex(b"\xff\xd8"):])).convert("RGB"))


def ffmpeg_gets(vm):
    """What kmsgrab makes of a pointer, a second output and a change of the mode."""
    with Painter(vm, n=7) as painter:
        painter.cursor(300, 200)
        vm.run(f"{GRAB} -t 2 /tmp/grab.avi", timeout=120, check=True)
        there = last_picture(vm)[200:232, 300:332].astype(int)
        without = pattern.picture(7, 0, 1024, 768)[200:232, 300:332].astype(int)
        pointer = numpy.abs(there - without).mean() > 20
        process = vm.spawn(f"exec env {GRAB} -t 20 /tmp/grab.avi")
        vm.run("sleep 4")
    with Painter(vm, n=7, options=["--size=800x600"]):
        said = process.wait(240).output.decode(errors="replace").strip().splitlines()
    frames = vm.read("/tmp/grab.avi").count(b"\xff\xd8\xff")
    return pointer, frames, said[-1] if said else "and says nothing"


@contextlib.contextmanager
def machine_of(options, folder):
    with Stack(options.build, folder / "services") as stack:
        stack.start()
        with Machine(image(options.build, folder), folder / "vm", stack, outputs=2) as machine:
            machine.configure(fps=FPS)
            machine.settle_enrolled()
            yield machine


def leaks(vm, options):
    vm.run("systemctl stop streamsight-brokerd streamsight-broker.socket streamsight-uploadd streamsight-capd", check=True)
    capd = Capd(vm, options.build)
    with Painter(vm, n=7):
        capd.count(2, 50)
        before = capd.counted()
        capd.count(2, options.frames // 2)
        after = capd.counted()
    print(f"\n{options.frames} frames: descriptors {before[0]} → {after[0]}, dma-bufs in the kernel {before[1]} → {after[1]}, "
          f"resident KiB {before[2]} → {after[2]}")


def main():
    options = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="streamsight-bench-"))
    folder.chmod(0o711)
    with machine_of(options, folder) as machine:
        put_ffmpeg(machine.vm)
        print(f"{FPS} frames a second; ms of CPU a second (times a second that it woke up). The agent takes two outputs of "
              "1024 × 768, kmsgrab one.\n")
        print(f"{'':16}" + "".join(f"{name:>16}" for name in (*PROCESSES, "kmsgrab+MJPEG")))
        for name, painter_options in SCENES.items():
            with Painter(machine.vm, options=painter_options):
                agent = measure_agent(machine, options.seconds)
                theirs = measure_ffmpeg(machine.vm, options.seconds)
            cells = [f"{1000 * agent[p][0]:.1f} ({agent[p][1]:.1f})" for p in PROCESSES]
            print(f"{name:16}" + "".join(f"{cell:>16}" for cell in (*cells, f"{theirs:.1f}")))
        pointer, frames, said = ffmpeg_gets(machine.vm)
        print(f"\nkmsgrab gets the pointer: {'yes' if pointer else 'no'}; in 20 s with a change of the mode after 4 it gets {frames} "
              f"frames of {20 * FPS}: {said}")
        leaks(machine.vm, options)


if __name__ == "__main__":
    main()
