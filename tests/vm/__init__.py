"""The full-system test machine: a Debian guest under QEMU's software emulation. See README.md."""

from .guest import CommandFailed, GuestError
from .painter import Painter
from .vm import Vm, VmError, build_image

__all__ = ["CommandFailed", "GuestError", "Painter", "Vm", "VmError", "build_image"]
