"""tools/bench capture: what capturing costs in the virtual machine, beside FFmpeg's kmsgrab, and what each gets."""

import argparse
import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy
import PIL.Image

from capd.machine import Capd
from services.stack import Stack
from system.machine import Machine, image
from system.pictures import pictures
from system.recording import Recording, shown
from system.viewer import Viewer
from vm import Painter, pattern

FPS = 5
PROCESSES = ("capd", "uploadd", "brokerd")
FFMPEG = "/opt/ffmpeg"
SCENES = {"nothing moves": ("--show=7",), "a ball moves": ("--scene=ball", f"--rate={FPS}")}


def grab(seconds, device_options=""):
    """The command that records /tmp/grab.avi."""
    return (f"LD_LIBRARY_PATH={FFMPEG} {FFMPEG}/ffmpeg -v error -device /dev/dri/card0 -framerate {FPS} {device_options} -f kmsgrab -i - "
            f"-vf hwdownload,format=bgr0 -c:v mjpeg -q:v 3 -y -t {seconds} /tmp/grab.avi")


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


def clock(vm):
    """CLOCK_BOOTTIME and CLOCK_REALTIME in seconds."""
    return tuple(map(float, vm.run("cut -d' ' -f1 /proc/uptime; date +%s.%N", check=True).output.split()))


def measure_agent(machine, viewer, seconds, folder):
    """Milliseconds of CPU and waits a second for each process, and frames recorded a second."""
    with Recording(machine, viewer, folder) as recording:
        machine.run("sleep 5")
        began, before = clock(machine.vm), usage(machine.vm)
        machine.run(f"sleep {seconds}", timeout=seconds + 60)
        ended, after = clock(machine.vm), usage(machine.vm)
    took = ended[0] - began[0]
    recorded = [picture for picture in pictures(viewer.download(recording.id, folder)) if began[1] <= picture.realtime < ended[1]]
    assert all(picture.output == 0 for picture in recorded), "the second output is on"
    return {name: (1000 * (after[name][0] - before[name][0]) / took, (after[name][1] - before[name][1]) / took)
            for name in PROCESSES}, len(recorded) / took


def measure_ffmpeg(vm, seconds):
    """Milliseconds of CPU, and frames, a second."""
    began = clock(vm)[0]
    text = vm.run(f"bash -c 'TIMEFORMAT=\"%U %S\"; time {grab(seconds)}'", timeout=seconds * 4 + 60, check=True).output.split()
    took = clock(vm)[0] - began
    return 1000 * (float(text[-2]) + float(text[-1])) / took, len(grabbed(vm)) / took


def grabbed(vm):
    """Where the JPEG files of /tmp/grab.avi begin, and all of it."""
    data = vm.read("/tmp/grab.avi")
    return [data[m.start():] for m in re.finditer(b"\xff\xd8\xff", data)]


def last_picture(vm):
    return numpy.asarray(PIL.Image.open(io.BytesIO(grabbed(vm)[-1])).convert("RGB"))


def has_pointer(picture):
    """It was at 300, 200."""
    without = pattern.picture(7, 0, 1024, 768)[200:232, 300:332].astype(int)
    return bool(numpy.abs(picture[200:232, 300:332] - without).mean() > 20)


def is_painted(picture, n, display):
    try:
        return pattern.read(picture) == (n, display)
    except ValueError:
        return False


def second_crtc(vm):
    return int(vm.run(r"grep -o '^crtc\[[0-9]*' /sys/kernel/debug/dri/0/state | sed -n '2s/.*\[//p'", check=True).output)


def ffmpeg_gets(vm):
    """What kmsgrab makes of a pointer, a second output, and a change of the mode while it runs: answers, and what it said."""
    with Painter(vm, n=7) as painter:
        vm.run(grab(2, f"-crtc_id {second_crtc(vm)}"), timeout=120, check=True)
        second = is_painted(last_picture(vm), 7, 1)
        painter.cursor(300, 200)
        vm.run(grab(2), timeout=120, check=True)
        pointer = has_pointer(last_picture(vm))
        painter.cursor()
        process = vm.spawn(f"exec env {grab(20)}")
        vm.run("sleep 4")
        painter.mode(800, 600, 8)
        said = process.wait(240).output.decode(errors="replace").strip().splitlines()
    return pointer, second, is_painted(last_picture(vm), 8, 0), f"{len(grabbed(vm))} frames of {20 * FPS}: {said[-1] if said else 'in silence'}"


def agent_gets(machine, viewer, folder):
    """The same of the agent, from its recording."""
    with Painter(machine.vm, n=7) as painter, Recording(machine, viewer, folder) as recording:
        recording.until_shows(7, 0, 1)
        painter.cursor(300, 200)
        recording.until("the pointer is there", lambda segments: has_pointer(
            [picture.image for picture in pictures(segments) if picture.output == 0][-1]))
        painter.cursor()
        painter.mode(800, 600, 8)
        segments = recording.until_shows(8, 0, 1, size=(800, 600))
    return any(has_pointer(picture.image) for picture in pictures(segments) if picture.output == 0 and picture.image.shape[0] == 768), \
        (7, 1, 1024, 768) in shown(segments, 1), shown(segments, 0)[-1] == (8, 0, 800, 600)


def alone(vm, build):
    """capd without the rest of the agent."""
    vm.run("systemctl stop streamsight-brokerd streamsight-broker.socket streamsight-uploadd streamsight-capd", check=True)
    return Capd(vm, build)


def print_tearing(capd):
    """How many readings a flip comes into, of a screen that flips as often as the painter can."""
    with Painter(capd.vm, options=("--rate=60", "--size=640x480")) as painter:
        for milliseconds in (2, 5):
            capd.grant()
            began = painter.next()
            counts, = capd.probe(f"tear 0 200 {milliseconds}")
            now = clock(capd.vm)[0] * 1e9
            while (ended := painter.next()).shown_boottime < now:
                pass
            rate = (ended.n - began.n) / (ended.shown_boottime - began.shown_boottime) * 1e9
            print(f"{counts.frames} readings of {milliseconds} ms, of a screen that flips {rate:.0f} times a second: {counts.torn} torn, "
                  f"and of those {counts.again} torn again when taken again at once")


def leaks(capd, options):
    """False if anything does."""
    with Painter(capd.vm, n=7):
        capd.count(2, 50)
        print(f"ioctls for a frame of one plane: {capd.ioctls(0)}, and {capd.ioctls(0, confirm=True) - capd.ioctls(0)} to say whether it "
              "is whole")
        capd.watch_handles()
        before = capd.counted()
        capd.count(2, options.frames // 2)
        after, handles = capd.counted(), capd.handles()
    print(f"{options.frames} frames: descriptors {before[0]} → {after[0]}, dma-bufs in the kernel {before[1]} → {after[1]}, "
          f"resident KiB {before[2]} → {after[2]}; GEM handles closed {sum(handles.values())}, of them the highest number {max(handles)}")
    # The client before may not have been seen off at the first count.
    return after[0] <= before[0] and after[1] <= before[1] and after[2] <= before[2] + 128 and handles == {1: options.frames // 2 * 2}


@contextlib.contextmanager
def machine_of(options, folder):
    with Stack(options.build, folder / "services") as stack:
        stack.start()
        with Machine(image(options.build, folder), folder / "vm", stack, outputs=2) as machine:
            machine.configure(fps=FPS)
            machine.settle_enrolled()
            machine.run("mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug", check=True)
            yield machine, Viewer(stack.gateway.url, stack.apid.viewer_token(stack.company_id), stack.ca.cert_file)


def print_costs(machine, viewer, options, folder):
    print(f"One output of 1024 × 768 at {FPS} frames a second. Of the agent's processes: ms of CPU a second (times a second that it woke "
          "up). Frames are those recorded a second, and their cost ms of CPU each.\n")
    print(f"{'':14}" + "".join(f"{name:>14}" for name in (*PROCESSES, "frames", "a frame", "kmsgrab", "frames", "a frame")))
    for name, painter_options in SCENES.items():
        with Painter(machine.vm, options=painter_options) as painter:
            painter.off(1)  # unplugged, it would go on showing a console, whose cursor blinks
            agent, fps = measure_agent(machine, viewer, options.seconds, folder / name.replace(" ", "-"))
            theirs, their_fps = measure_ffmpeg(machine.vm, options.seconds)
        cost = sum(cpu for cpu, _ in agent.values())
        cells = [*(f"{cpu:.1f} ({waits:.1f})" for cpu, waits in agent.values()), f"{fps:.1f}", f"{cost / fps:.0f}" if fps > 0 else "–",
                 f"{theirs:.1f}", f"{their_fps:.1f}", f"{theirs / their_fps:.0f}"]
        print(f"{name:14}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def main():
    options = parse()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamsight-bench-")))
        folder.chmod(0o711)
        machine, viewer = stack.enter_context(machine_of(options, folder))
        put_ffmpeg(machine.vm)
        print_costs(machine, viewer, options, folder)
        *theirs, said = ffmpeg_gets(machine.vm)
        ours = agent_gets(machine, viewer, folder / "gets")
        print(f"\n{'':26}{'StreamSight':>14}{'kmsgrab':>14}")
        for question, our, their in zip(("the pointer", "the second output", "a mode that changes"), ours, theirs):
            print(f"{question:26}{'yes' if our else 'no':>14}{'yes' if their else 'no':>14}")
        print(f"(kmsgrab for 20 s, a change of the mode after 4: {said}; the second output only by another process, with -crtc_id)")
        capd = alone(machine.vm, options.build)
        print()
        print_tearing(capd)
        if not leaks(capd, options):
            sys.exit("Something leaks.")


if __name__ == "__main__":
    main()
