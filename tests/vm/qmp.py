"""QEMU's monitor (qemu-qmp-ref(7)), as much as the test machine needs."""

import json
import socket


class QmpError(Exception):
    """QEMU refused a command, or is gone."""


class Qmp:
    def __init__(self, path, timeout=60):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw")
        self._read()  # the greeting
        self.execute("qmp_capabilities")

    def _read(self):
        try:
            line = self._file.readline()
        except OSError as e:
            raise QmpError(f"no answer from QEMU: {e}") from e
        if not line:
            raise QmpError("QEMU has gone away")
        return json.loads(line)

    def execute(self, command, **arguments):
        try:
            self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self._file.flush()
        except OSError as e:
            raise QmpError(f"cannot reach QEMU: {e}") from e
        while True:
            answer = self._read()
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            # anything else is an event

    def human(self, line):
        """A command of the human monitor, for what QMP lacks; those report errors as text."""
        text = self.execute("human-monitor-command", **{"command-line": line}).strip()
        if text:
            raise QmpError(f"{line}: {text}")

    def close(self):
        self._file.close()
        self._socket.close()
