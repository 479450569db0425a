"""A file that behaves as a dma-buf does, rendering included: mapped, waited for with poll(), bracketed with
DMA_BUF_IOCTL_SYNC. It is served over FUSE (linux/fuse.h), since this machine's kernel may have no driver that makes
dma-bufs. Wants root."""

import ctypes
import errno
import os
import select
import struct
import threading

MNT_DETACH = 2
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, IOCTL, POLL, BATCH_FORGET = 1, 2, 3, 14, 15, 18, 25, 26, 39, 40, 42
S_IFDIR, S_IFREG = 0o040000, 0o100000
ROOT, FILE = 1, 2  # inodes
SYNC = 0x40086200  # DMA_BUF_IOCTL_SYNC

_libc = ctypes.CDLL(None, use_errno=True)


class DmaBuf:
    """Use as a context manager. rendered: whether poll() finds it readable. open() gives a new descriptor of it."""

    def __init__(self, directory, data):
        self.data = data
        self.rendered = True
        self.synced = 0  # times that reading was begun or ended
        self._directory = directory

    def __enter__(self):
        self._directory.mkdir()
        self._fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fuse},rootmode={S_IFDIR:o},user_id=0,group_id=0,allow_other"
        if _libc.mount(b"dmabuf", bytes(self._directory), b"fuse", 0, options.encode()) < 0:
            raise OSError(ctypes.get_errno(), "mount")
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        _libc.umount2(bytes(self._directory), MNT_DETACH)
        self._stopping = True
        self._thread.join(10)
        os.close(self._fuse)

    def open(self):
        return os.open(self._directory / "memory", os.O_RDONLY | os.O_CLOEXEC)

    def _attributes(self, inode):
        mode = S_IFDIR | 0o755 if inode == ROOT else S_IFREG | 0o444
        return struct.pack("<6Q10I", inode, len(self.data), 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _answer(self, operation, inode, body):
        if operation == INIT:
            return struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, *[0] * 8)
        if operation == LOOKUP:
            return struct.pack("<4Q2I", FILE, 0, 3600, 3600, 0, 0) + self._attributes(FILE)
        if operation == GETATTR:
            return struct.pack("<QII", 3600, 0, 0) + self._attributes(inode)
        if operation == OPEN:
            return struct.pack("<QII", 0, 0, 0)
        if operation == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.data[offset:offset + size]
        if operation == POLL:
            return struct.pack("<II", select.POLLIN if self.rendered else 0, 0)
        if operation == IOCTL and struct.unpack_from("<QII", body)[2] == SYNC:
            self.synced += 1
            return struct.pack("<iIII", 0, 0, 0, 0)
        return b"" if operation in (FLUSH, RELEASE) else None

    def _serve(self):
        while not self._stopping:
            if not select.select([self._fuse], [], [], 0.1)[0]:
                continue
            try:
                request = os.read(self._fuse, 1 << 17)
            except OSError as e:
                if e.errno == errno.ENODEV:  # it was unmounted
                    return
                continue
            _, operation, unique, inode = struct.unpack_from("<IIQQ", request)
            if operation in (FORGET, BATCH_FORGET):
                continue
            answer = self._answer(operation, inode, request[40:])
            error = 0 if answer is not None else -errno.ENOSYS
            answer = answer or b""
            try:
                os.write(self._fuse, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
            except OSError:  # whoever asked is gone
                pass
