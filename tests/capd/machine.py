"""A machine with nothing of StreamSight but capd, and a client of its sockets."""

import pathlib
import re
import shutil
import signal
import tempfile

import numpy

SOURCE = pathlib.Path(__file__).parents[2]
TRACING = "/sys/kernel/debug/tracing"
FRAME, CONTROL = "/run/streamsight/frame.sock", "/run/streamsight/control.sock"
NO_GRANT, TOO_SOON, OFF, UNFINISHED, UNPLUGGED, UNDECODABLE, NO_FLIP = range(1, 8)
DMABUF, MEMFD = 1, 2
UNITS = ["streamsight-capd.service", "streamsight-capd-frame.socket", "streamsight-capd-control.socket"]


class Answer(dict):
    """A line of frameprobe's output: its first word as .kind, the key=value words as strings."""

    def __init__(self, line):
        words = line.split()
        self.kind = words[0] if "=" not in words[0] else ""
        super().__init__(re.findall(r"(\S+?)=(\S*)", line))

    def __getattr__(self, name):
        return int(self[name], 0)


class Session:
    def __init__(self, vm):
        self._process = vm.spawn("exec setpriv --reuid=streamsight-uploadd --regid=nogroup --clear-groups "
                                 f"frameprobe {FRAME} session")
        assert self._process.read_line() == "ready"

    def ask(self, line):
        self._process.write(f"{line}\n")
        return Answer(self._process.read_line())


class Capd:
    """A machine with nothing of StreamSight but capd, and its sockets."""

    def __init__(self, vm, build):
        self.vm = vm
        files = [(build / "capd" / "streamsight-capd", "lib/streamsight"), (build / "tests" / "capd" / "frameprobe", "local/bin"),
                 *((SOURCE / "packaging" / "systemd" / unit, "lib/systemd/system") for unit in UNITS),
                 *((SOURCE / "packaging" / kind / "streamsight.conf", f"lib/{kind}") for kind in ("sysusers.d", "tmpfiles.d"))]
        with tempfile.TemporaryDirectory() as tree:  # at once: each copying starts programs there
            for file, folder in files:
                (pathlib.Path(tree) / folder).mkdir(parents=True, exist_ok=True)
                shutil.copy(file, pathlib.Path(tree) / folder)
            vm.put(tree, "/usr")
        vm.run("mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug", check=True)
        vm.run("chmod 755 /usr/lib/streamsight && systemd-sysusers streamsight.conf && systemd-tmpfiles --create streamsight.conf && "
               f"systemctl daemon-reload && systemctl start {' '.join(UNITS[1:])}", check=True)

    def probe(self, arguments, socket=FRAME, user=None, program="frameprobe"):
        """Runs frameprobe as the user that the socket is for. Returns its lines as Answers."""
        user = user or ("streamsight-uploadd" if socket == FRAME else "streamsight-brokerd")
        result = self.vm.run(f"setpriv --reuid={user} --regid=nogroup --clear-groups {program} {socket} {arguments}",
                             timeout=300)
        answers = [Answer(line) for line in result.output.decode(errors="replace").splitlines()]
        assert answers, f"{program} {arguments} said nothing and ended with {result.rc}\n{self.journal()}"
        return answers

    def grant(self, outputs="0xffffffffffffffff", interval_ms=10, lifetime_ms=60000):
        answer, = self.probe(f"grant {outputs} {interval_ms} {lifetime_ms}", CONTROL)
        return answer

    def next(self, output=0):
        answer, = self.probe(f"next {output}")
        return answer

    def revoke(self):
        return self.probe("revoke", CONTROL)[0]

    def rescan(self, cards, time=0):
        """As brokerd does when udev tells of cards, at that time of CLOCK_BOOTTIME, or of displays."""
        answer, = self.probe(f"rescan {int(cards)} {time}", CONTROL)
        assert answer.kind == "said"

    def planes(self, output=0):
        """A frame's planes, from the lowest: Answers."""
        self.grant()  # the one before may have ended on a slow machine
        answers = self.probe(f"planes {output}")
        assert answers[0].kind == "frame" and len(answers) == answers[0].n_planes, dict(answers[0])
        return answers

    def pixels(self, output=0, plane=0):
        """(frame, pixels): a plane's framebuffer as (height, width, bytes of a pixel) uint8."""
        self.grant()
        frame, = self.probe(f"dump {output} /tmp/dump.{output} {plane}")
        assert frame.kind == "frame", f"{frame.kind} {dict(frame)}\n{self.journal()}"
        pixels = numpy.frombuffer(self.vm.read(f"/tmp/dump.{output}"), numpy.uint8)
        self.vm.run(f"rm /tmp/dump.{output}", check=True)
        return frame, pixels.reshape(frame.fb_height, frame.fb_width, -1)

    def picture(self, output=0):
        """(frame, pixels): the pixels as (height, width, 3) uint8 RGB of an XRGB8888 framebuffer."""
        frame, pixels = self.pixels(output)
        assert frame["format"] == "XR24"
        return frame, pixels[:, :, 2::-1]

    def composed(self, output=0):
        """(picture, pointer): what uploadd makes of a frame, as (height, width, 3) uint8 RGB, and its layer of the pointer:
        (x, y, pixels) with pixels as (height, width, 4) uint8 RGB premultiplied and alpha, or None."""
        self.grant()
        answer, = self.probe(f"{output} /tmp/composed", program="framecompose")
        assert answer.kind == "picture", f"{dict(answer)}\n{self.journal()}"
        pixels = numpy.frombuffer(self.vm.read("/tmp/composed"), numpy.uint8).reshape(-1, 4)
        x, y, width, height = map(int, answer["pointer"].split(","))
        shown = answer.width * answer.height
        picture = pixels[:shown].reshape(answer.height, answer.width, 4)[:, :, 2::-1]
        return picture, (x, y, pixels[shown:].reshape(height, width, 4)[:, :, [2, 1, 0, 3]]) if width else None

    def session(self):
        """A client that stays connected."""
        return Session(self.vm)

    def pid(self):
        return int(self.vm.run("systemctl show -P MainPID streamsight-capd", check=True).output)

    def ioctls(self, output, confirm=False):
        """How many it needs for one frame, and to say afterwards whether it is whole."""
        session = self.session()
        trace = self.vm.spawn(f"exec strace -e trace=ioctl -o /tmp/trace -p {self.pid()}")
        assert "attached" in trace.read_line()
        assert session.ask(f"next {output}").kind == "frame"
        assert not confirm or session.ask("confirm").kind == "confirmed"
        trace.kill(signal.SIGINT)
        trace.wait()
        return self.vm.read("/tmp/trace").decode(errors="replace").count("ioctl(")

    def count(self, outputs, rounds):
        """So many frames of so many outputs. A slow machine may need longer for them than a grant lives."""
        for left in range(rounds, 0, -50):
            self.grant()
            counts, = self.probe(f"count {outputs} {min(left, 50)} 11")
            assert counts.frames == outputs * min(left, 50), dict(counts)

    def counted(self):
        """Its open descriptors, dma-bufs in the kernel, its resident KiB."""
        pid = self.pid()
        text = self.vm.run(f"ls /proc/{pid}/fd | wc -l; cat /sys/kernel/debug/dma_buf/bufinfo | grep -c exp_name:;"
                           f"awk '/VmRSS/ {{ print $2 }}' /proc/{pid}/status", check=True).output.split()
        return [int(word) for word in text]

    def watch_handles(self):
        """From now on the kernel counts the GEM handles that it closes."""
        self.vm.run(f"cd {TRACING} && echo 'p:close drm_gem_close_ioctl handle=+0(%si):u32' > kprobe_events && "
                    f"echo 'hist:keys=handle if common_pid=={self.pid()}' > events/kprobes/close/trigger", check=True)

    def handles(self):
        """{number: how often it has closed a handle of this number}. The kernel gives out the lowest that is free: one that
        were left open would drive the numbers up."""
        text = self.vm.run(f"cat {TRACING}/events/kprobes/close/hist", check=True).output.decode()
        return {int(number): int(n) for number, n in re.findall(r"handle: +(\d+) .*hitcount: +(\d+)", text)}

    def journal(self):
        return self.vm.journal("streamsight-capd.service")
