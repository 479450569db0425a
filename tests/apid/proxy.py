"""What loses answers on their way from PostgreSQL to apid."""

import select
import socket
import threading
import time

from services.process import free_port


class Proxy:
    """Between one apid and PostgreSQL: cuts a connection once a procedure has been done, or stands still. port: PostgreSQL's;
    listen: its own, if it matters."""

    def __init__(self, port, listen=None):
        self._upstream = port
        self.port = listen or free_port()
        self.cut_after = None  # the procedure whose answer is lost
        self.on_cut = lambda: None  # before apid sees it
        self.cuts = 0
        self.still = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            self._pass_on(client)
        except OSError:
            pass  # one of the two is gone

    def _pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            doomed = False
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    while self.still.is_set():
                        time.sleep(0.05)
                    if not data:
                        return
                    if source is server:
                        if doomed:  # it has answered, so it has committed
                            self.on_cut()
                            self.cuts += 1
                            return
                        client.sendall(data)
                        continue
                    # Bind names the prepared statement: PostgreSQL 15, 55.7
                    if self.cut_after and b"B" == data[:1] and b"\0" + self.cut_after.encode() + b"\0" in data[:200]:
                        doomed, self.cut_after = True, None
                    server.sendall(data)
