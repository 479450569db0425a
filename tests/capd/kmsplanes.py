"""kmsplanes (tests/vm/src/kmsplanes.c) in the guest, under a test's command."""

import collections

import numpy

Plane = collections.namedtuple("Plane", "id type crtcs")
Buffer = collections.namedtuple("Buffer", "id format pixels")
Shown = collections.namedtuple("Shown", "buffer src crtc rotation")


class KmsError(Exception):
    """A command failed."""


class KmsPlanes:
    """The planes of one card, and what is on them for its first connector. Use as a context manager."""

    def __init__(self, vm, card, width, height):
        self._vm = vm
        self._process = vm.spawn(f"exec kmsplanes {card}")
        self._size = width, height
        self.planes, self.shown = [], {}
        connectors, crtcs = {}, []
        while (words := self._line().split()) != ["ready"]:
            if words[0] == "plane":
                self.planes.append(Plane(int(words[1]), words[2], int(words[3], 0)))
            elif words[0] == "connector":
                connectors[words[2]] = int(words[1])
            else:
                crtcs.append(int(words[1]))
        self._crtc = crtcs[0]
        self._writeback = connectors.pop("Writeback-1", None)
        self._connector = next(iter(connectors.values()))
        mode = self._number(f"mode {self._connector} {width}x{height}")
        self._set(self._connector, CRTC_ID=self._crtc)
        self._set(self._crtc, MODE_ID=mode, ACTIVE=1)

    def _line(self):
        line = self._process.read_line()
        if line is None or line.startswith("error"):
            raise KmsError(line or f"kmsplanes ended with status {self._process.wait().rc}")
        return line

    def _ask(self, command):
        self._process.write(f"{command}\n")
        return self._line()

    def _number(self, command):
        return int(self._ask(command).split()[1])

    def _set(self, object_id, **properties):
        values = ",".join(f"{name}={value & 0xffffffffffffffff}" for name, value in properties.items())
        self._ask(f"set {object_id} {values}")

    def of_type(self, kind):
        """The ids of the first CRTC's planes of a type."""
        return [plane.id for plane in self.planes if plane.type == kind and plane.crtcs & 1]

    def buffer(self, drm_format, pixels):
        """A framebuffer of these bytes: height × width × bytes of a pixel."""
        self._vm.write("/tmp/fb", pixels.tobytes())
        number = self._number(f"fb {drm_format} {pixels.shape[1]} {pixels.shape[0]} /tmp/fb")
        return Buffer(number, drm_format, pixels)

    def show(self, plane, buffer, x=0, y=0, *, src=None, rotation=None):
        """src: the part (x, y, width, height) of the buffer, default all. Seen after the next commit()."""
        left, top, width, height = src = src or (0, 0, buffer.pixels.shape[1], buffer.pixels.shape[0])
        crtc = (x, y, width, height) if (rotation or 1) & 5 else (x, y, height, width)
        self._set(plane, FB_ID=buffer.id, CRTC_ID=self._crtc, SRC_X=left << 16, SRC_Y=top << 16, SRC_W=width << 16,
                  SRC_H=height << 16, CRTC_X=x, CRTC_Y=y, CRTC_W=crtc[2], CRTC_H=crtc[3],
                  **({"rotation": rotation} if rotation else {}))
        self.shown[plane] = Shown(buffer, src, crtc, rotation)

    def hide(self, plane):
        self._set(plane, FB_ID=0, CRTC_ID=0)
        del self.shown[plane]

    def commit(self):
        self._ask("commit")

    def picture(self):
        """Commits, and returns what the card itself makes of its planes: (height, width, 3) uint8, RGB. vkms feeds one connector
        at a time (its encoders have no clones), so that the display is off meanwhile."""
        width, height = self._size
        self._set(self._connector, CRTC_ID=0)
        self._set(self._writeback, CRTC_ID=self._crtc)
        self._ask(f"writeback {self._writeback} {width} {height} /tmp/writeback")
        self._set(self._writeback, CRTC_ID=0)
        self._set(self._connector, CRTC_ID=self._crtc)
        self.commit()
        return numpy.frombuffer(self._vm.read("/tmp/writeback"), numpy.uint8).reshape(height, width, 4)[:, :, 2::-1]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self._process.rc is None:
            self._process.kill()
            self._process.wait()
