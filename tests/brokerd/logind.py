"""A stand-in for logind on a test's bus: seat0 and its active session, told line by line on standard input as JSON, null
for nobody. Run by Logind below. The real logind is in the virtual machine's tests."""

import json
import subprocess
import sys

PATH = "/org/freedesktop/login1"


class Logind:
    """Context manager. show() changes who is at the seat."""

    def __init__(self, bus_address):
        self._bus_address = bus_address

    def __enter__(self):
        self._process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", "/usr/bin/python3", __file__, self._bus_address],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def show(self, session):
        """session: dict of id, user, uid, class, locked; None: nobody. The same again has changed its lock."""
        self._process.stdin.write(json.dumps(session) + "\n")
        self._process.stdin.flush()


def _serve(address):
    import dbus
    import dbus.mainloop.glib
    import dbus.service
    from gi.repository import GLib

    class Object(dbus.service.Object):
        properties = {}

        @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
        def Get(self, interface, name):
            return self.properties[name]

        @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="s", out_signature="a{sv}")
        def GetAll(self, interface):
            return self.properties

        @dbus.service.signal("org.freedesktop.DBus.Properties", signature="sa{sv}as")
        def PropertiesChanged(self, interface, changed, invalidated):
            pass

    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    loop, bus = GLib.MainLoop(), dbus.bus.BusConnection(address)
    name = dbus.service.BusName("org.freedesktop.login1", bus)
    seat = Object(bus, PATH + "/seat/seat0")
    sessions = []

    def active(ident=None):
        path = f"{PATH}/session/_{ident}" if ident else "/"
        seat.properties = {"ActiveSession": dbus.Struct((ident or "", dbus.ObjectPath(path)), signature="so")}

    lines = open(0, "rb", buffering=0)  # a line that is read ahead would wake nobody

    def read(*_):
        line = lines.readline()
        if not line:
            loop.quit()
            return False
        session = json.loads(line)
        if session and sessions and [sessions[0].properties[name] for name in ("Id", "Name")] == [session["id"], session["user"]]:
            sessions[0].properties["LockedHint"] = session.get("locked", False)
            sessions[0].PropertiesChanged("org.freedesktop.login1.Session", {"LockedHint": session.get("locked", False)}, [])
            return True
        while sessions:
            sessions.pop().remove_from_connection()
        active(session and session["id"])
        if session:
            sessions.append(Object(bus, f"{PATH}/session/_{session['id']}"))
            sessions[0].properties = {
                "Id": session["id"], "Name": session["user"], "Class": session["class"], "VTNr": dbus.UInt32(2),
                "User": dbus.Struct((dbus.UInt32(session["uid"]), dbus.ObjectPath(PATH + "/user/_1")), signature="uo"),
                "Seat": dbus.Struct(("seat0", dbus.ObjectPath(PATH + "/seat/seat0")), signature="so"), "LockedHint": session.get("locked", False)}
        seat.PropertiesChanged("org.freedesktop.login1.Seat", seat.properties, [])
        return True

    active()
    GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, read)
    print("ready", flush=True)
    loop.run()
    del name


if __name__ == "__main__":
    _serve(sys.argv[1])
