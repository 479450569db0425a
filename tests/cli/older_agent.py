"""An agent on a test's bus whose Enroll succeeds and which has no KeyThumbprint, as those before it had none."""

import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.streamsight.Agent1"


class Agent(dbus.service.Object):
    @dbus.service.method(NAME, in_signature="s", out_signature="s")
    def Enroll(self, code):
        return "0f0e0d0c-0000-4000-8000-000000000001"


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(sys.argv[1])
agent = Agent(bus, "/org/streamsight/Agent1")
name = dbus.service.BusName(NAME, bus)
print("ready", flush=True)
GLib.MainLoop().run()
