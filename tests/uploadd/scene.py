"""Frames of several planes, and what a display makes of them: composed with numpy in floating point, from the words of
drm-kms(7) and the recommendations, with nothing of the programs'."""

import numpy

from . import wire

PRIMARY, OVERLAY, CURSOR = 1, 0, 2  # enum drm_plane_type
ROTATE_0, ROTATE_90, ROTATE_180, ROTATE_270, REFLECT_X, REFLECT_Y = (1 << i for i in range(6))
NONE, PREMULTIPLIED, COVERAGE = range(3)

I915_X_TILED, I915_Y_TILED, I915_4_TILED = (0x0100000000000000 | i for i in (1, 2, 9))


def fourcc(name):
    return int.from_bytes(name.encode(), "little")


def tile(rows, modifier):
    """Linear rows of bytes (height × pitch) as they are in Intel's tiled memory."""
    width, height = (512, 8) if modifier == I915_X_TILED else (128, 32)
    down = -(-rows.shape[0] // height)
    whole = numpy.zeros((down * height, rows.shape[1]), numpy.uint8)
    whole[:rows.shape[0]] = rows
    tiles = whole.reshape(down, height, -1, width).swapaxes(1, 2)  # tile row, tile column, row, byte
    if modifier == I915_Y_TILED:  # columns of 16 bytes
        tiles = tiles.reshape(*tiles.shape[:2], 32, 8, 16).swapaxes(2, 3)
    elif modifier == I915_4_TILED:  # 4 × 2 blocks of 8 rows × 64 bytes, of 2 × 4 lines of 4 rows × 16 bytes
        tiles = tiles.reshape(*tiles.shape[:2], 4, 2, 4, 2, 4, 16).transpose(0, 1, 2, 5, 3, 6, 4, 7)
    return tiles.tobytes()


def rgb_to_yuv(rgb, kr, kb):
    """Y' and interleaved half-size CbCr of 8 bits, limited range; the size is even."""
    rgb = rgb.astype(float) / 255
    y = rgb @ (kr, 1 - kr - kb, kb)
    cb, cr = (rgb[..., 2] - y) / (2 * (1 - kb)), (rgb[..., 0] - y) / (2 * (1 - kr))
    chroma = numpy.stack([cb, cr], -1)
    chroma = (chroma[0::2, 0::2] + chroma[1::2, 0::2] + chroma[0::2, 1::2] + chroma[1::2, 1::2]) / 4
    return numpy.round(16 + 219 * y).astype(numpy.uint8), numpy.round(128 + 224 * chroma).astype(numpy.uint8)


def yuv_to_rgb(y, chroma, kr, kb):
    y, (cb, cr) = (y - 16.0) / 219, numpy.moveaxis((chroma.repeat(2, 0).repeat(2, 1) - 128.0) / 224, -1, 0)
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return numpy.clip(numpy.stack([r, g, b], -1), 0, 1) * 255


class Scene:
    """What an output shows: planes from the lowest."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.planes, self.memories, self._images = [], [], []

    def _add(self, image, memories, formats, position, size, rotation, alpha, blend, kind, hotspot=(0, 0), **more):
        height, width = image.shape[:2]
        size = size or ((height, width) if rotation & (ROTATE_90 | ROTATE_270) else (width, height))
        plane = wire.Plane(plane_id=31 + len(self.planes), type=kind, format=fourcc(formats), n_memory=len(memories),
                           width=width, height=height, src_w=width << 16, src_h=height << 16, crtc_x=position[0],
                           crtc_y=position[1], crtc_w=size[0], crtc_h=size[1], rotation=rotation, alpha=alpha,
                           zpos=len(self.planes), blend_mode=blend, hotspot_x=hotspot[0], hotspot_y=hotspot[1], **more)
        for i, (pitch, data) in enumerate(memories):
            plane.pitches[i], plane.fds[i] = pitch, len(self.memories)
            self.memories.append(data)
        self.planes.append(plane)
        self._images.append(image)
        return self

    def add_rgb(self, bgra, position=(0, 0), *, has_alpha=False, modifier=0, size=None, rotation=ROTATE_0, alpha=0xffff,
                blend=NONE, kind=OVERLAY, hotspot=(0, 0)):
        """A height × width × 4 array: XRGB8888 or ARGB8888."""
        rows = bgra.reshape(bgra.shape[0], -1)
        if modifier:
            multiple = 512 if modifier == I915_X_TILED else 128
            rows = numpy.pad(rows, ((0, 0), (0, -rows.shape[1] % multiple)))
        data = tile(rows, modifier) if modifier else rows.tobytes()
        image = bgra[..., (2, 1, 0, 3)].astype(float)
        if not has_alpha:
            image[..., 3] = 255
        return self._add(image, [(rows.shape[1], data)], "AR24" if has_alpha else "XR24", position, size, rotation,
                         alpha, blend, kind, hotspot, modifier=modifier)

    def add_nv12(self, rgb, position, *, size=None, rotation=ROTATE_0, alpha=0xffff, encoding=1):
        kr, kb = ((0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593))[encoding]
        y, chroma = rgb_to_yuv(rgb, kr, kb)
        image = numpy.dstack([yuv_to_rgb(y, chroma, kr, kb), numpy.full(y.shape, 255.0)])
        return self._add(image, [(y.shape[1], y.tobytes()), (y.shape[1], chroma.tobytes())], "NV12", position, size,
                         rotation, alpha, NONE, OVERLAY, color_encoding=encoding)

    def message(self, number):
        message = wire.Frame(type=wire.FRAME, output=number, sequence=1, time=wire.boottime(), identity=1,
                             width=self.width, height=self.height, memory=wire.MEMORY_MEMFD,
                             n_fds=len(self.memories), n_planes=len(self.planes))
        for i, plane in enumerate(self.planes):
            message.planes[i] = plane
        return message

    def shown(self):
        """The picture, height × width × RGB, from 0 to 255."""
        picture = numpy.zeros((self.height, self.width, 3))
        for plane, image in zip(self.planes, self._images):
            if plane.rotation & REFLECT_X:
                image = image[:, ::-1]
            if plane.rotation & REFLECT_Y:
                image = image[::-1]
            quarter_turns = (plane.rotation & 0xf).bit_length() - 1
            image = scale(numpy.rot90(image, quarter_turns), plane.crtc_w, plane.crtc_h)  # counterclockwise
            blend(picture, image, plane)
        return picture


def scale(image, width, height):
    """Bilinear, between the centres of pixels."""
    for axis, size in ((0, height), (1, width)):
        have = image.shape[axis]
        if have == size:
            continue
        at = numpy.clip((numpy.arange(size) + 0.5) * have / size - 0.5, 0, have - 1)
        low = at.astype(int)
        high, part = numpy.minimum(low + 1, have - 1), (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        image = image.take(low, axis) * (1 - part) + image.take(high, axis) * part
    return image


def blend(picture, image, plane):
    x, y = plane.crtc_x, plane.crtc_y
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + plane.crtc_w, picture.shape[1]), min(y + plane.crtc_h, picture.shape[0])
    image, below = image[top - y:bottom - y, left - x:right - x], picture[top:bottom, left:right]
    whole, own = plane.alpha / 0xffff, image[..., 3:] / 255
    share = {NONE: whole, PREMULTIPLIED: whole, COVERAGE: whole * own}[plane.blend_mode]
    left_over = 1 - whole * (1 if plane.blend_mode == NONE else own)
    below[:] = share * image[..., :3] + left_over * below
