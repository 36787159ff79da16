"""A proxy in front of a server that can be cut: it forwards nothing any more and closes nothing."""

import select
import socket
import threading
import time


class Wire:
    """Listens on (address, port) and forwards to a server. With .cut nothing passes in any
    direction and new connections are not taken; what was cut goes on when it is mended."""

    def __init__(self, to, address="127.0.0.1", port=0):
        self.to = to if isinstance(to, tuple) else ("127.0.0.1", to)
        self.cut, self.stopping = False, False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.peer = {}
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping = True
        self.thread.join()
        for one in [self.listener, *self.peer]:
            one.close()

    def _run(self):
        while not self.stopping:
            if self.cut:
                time.sleep(0.02)
                continue
            for one in select.select([self.listener, *self.peer], [], [], 0.05)[0]:
                if one is self.listener:
                    self._accept()
                elif one in self.peer:
                    self._forward(one)

    def _accept(self):
        near = self.listener.accept()[0]
        try:
            far = socket.create_connection(self.to)
        except OSError:
            near.close()
            return
        self.peer[near], self.peer[far] = far, near

    def _forward(self, one):
        other = self.peer[one]
        try:
            data = one.recv(65536)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for s in (one, other):
                del self.peer[s]
                s.close()
