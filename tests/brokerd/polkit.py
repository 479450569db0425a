"""A stand-in for polkit on a test's bus that answers nobody, as while people are asked for a password. Run by Polkit below. The
real one is in the virtual machine's tests."""

import subprocess
import sys


class Polkit:
    """Context manager."""

    def __init__(self, bus_address):
        self._bus_address = bus_address

    def __enter__(self):
        self._process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", "/usr/bin/python3", __file__, self._bus_address],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"
        return self

    def asked(self):
        """Waits for the next question."""
        return self._process.stdout.readline() == "asked\n"

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def _serve(address):
    import dbus
    import dbus.mainloop.glib
    import dbus.service
    from gi.repository import GLib

    class Authority(dbus.service.Object):
        @dbus.service.method("org.freedesktop.PolicyKit1.Authority", in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})",
                             async_callbacks=("answer", "fail"))
        def CheckAuthorization(self, subject, action, details, flags, cancellation, answer, fail):
            print("asked", flush=True)

    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    loop, bus = GLib.MainLoop(), dbus.bus.BusConnection(address)
    name = dbus.service.BusName("org.freedesktop.PolicyKit1", bus)
    authority = Authority(bus, "/org/freedesktop/PolicyKit1/Authority")
    GLib.io_add_watch(0, GLib.IO_HUP, lambda *_: loop.quit())
    print("ready", flush=True)
    loop.run()
    del name, authority


if __name__ == "__main__":
    _serve(sys.argv[1])
