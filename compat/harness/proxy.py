"""A way to a broker through which the bytes of its clients go: for who wants to see them, or other ones to arrive."""
import socket
import threading


class Proxy:
    """Forwards what comes from the broker as it is, and what comes from a client in the pieces that `requests` makes of it."""

    def __init__(self, target=None):
        self.target = target
        self.server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def requests(self, source):
        """Yields the bytes for the broker, from a client's socket."""
        return as_they_come(source)

    def accept(self):
        while True:
            client = self.server.accept()[0]
            try:
                broker = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            threading.Thread(target=pump, args=(self.requests(client), client, broker), daemon=True).start()
            threading.Thread(target=pump, args=(as_they_come(broker), broker, client), daemon=True).start()


def as_they_come(source):
    while data := source.recv(1 << 16):
        yield data


def pump(pieces, source, sink):
    try:
        for piece in pieces:
            sink.sendall(piece)
    except OSError:
        pass
    finally:
        # Whatever ended it: who waits at either end must hear of it.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
