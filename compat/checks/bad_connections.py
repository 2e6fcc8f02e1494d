"""Readers and writers that are too slow, and connections without end."""
import os
import socket
import struct

from harness import wire
from harness.bad import PID, PORT, case, connect, healthy, suite, topic
from harness.brokers import rss_kib
from harness.cases import KIND, Skip, new_topic, same, until


@case("slow-reader", "bounded", seconds=120)
def _():
    """Asks for far more than it reads; the answers must not pile up in the broker."""
    big = wire.make_topic(PORT, new_topic("bad-slow"))
    with connect() as connection:
        for n in range(16):
            same(wire.produce(connection, big, wire.batch([wire.record(0, None, os.urandom(900_000))]))[0], 0, "fill")
    before = rss_kib(PID)
    lazy = [connect(receive_buffer=4096) for _ in range(8)]
    try:
        for connection in lazy:
            connection.socket.settimeout(2)
            for _ in range(400):
                try:
                    connection.send(wire.FETCH, 4, wire.fetch_body(big, 0, max_bytes=16 << 20, partition_bytes=16 << 20))
                except (socket.timeout, ConnectionError):
                    break
        healthy()
        grown = rss_kib(PID) - before
        assert grown < 256 * 1024, f"{grown} KiB more for readers that do not read"
    finally:
        for connection in lazy:
            connection.close()
    return "bounded"


@case("slow-writers", "bounded", seconds=120)
def _():
    """Announces a hundred large frames and sends a little of each: announced is not allocated."""
    if KIND == "kafka":
        raise Skip("Kafka allocates what is announced and runs out of heap")
    before = rss_kib(PID)
    slow = [connect() for _ in range(100)]
    try:
        for connection in slow:
            connection.send_raw(struct.pack(">i", 50_000_000) + b"\0\0\0\x08" + b"x" * 2000)
        healthy()
        grown = rss_kib(PID) - before
        assert grown < 64 * 1024, f"{grown} KiB more for frames that were only announced"
    finally:
        for connection in slow:
            connection.close()
    return "bounded"


@case("connection-flood", "served", seconds=180)
def _():
    files = len(os.listdir(f"/proc/{PID}/fd"))
    flood = []
    try:
        for n in range(900):
            flood.append(connect())
            if n % 100 == 0:
                healthy()
        for connection in flood[::50]:
            wire.metadata(connection, [topic], create=False)
    finally:
        for connection in flood:
            connection.close()
    until(lambda: len(os.listdir(f"/proc/{PID}/fd")) < files + 50, 60, "the broker to close its ends")
    return "served"


@case("connect-and-leave", "served", seconds=120)
def _():
    files = len(os.listdir(f"/proc/{PID}/fd"))
    for n in range(1500):
        connection = connect()
        if n % 3 == 0:
            connection.send_raw(b"\0\0\0\x10\0\x03")
        if n % 3 == 1:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    until(lambda: len(os.listdir(f"/proc/{PID}/fd")) < files + 50, 60, "the broker to close its ends")
    return "served"


suite.main()
