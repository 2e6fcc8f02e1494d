"""A way to one broker for programs that want their topics to have three replicas: topics are created with one."""
import struct

from .proxy import Proxy

CREATE_TOPICS = 19


class OneReplica(Proxy):
    """Lowers the replication factor in each CreateTopics request of versions 0-4."""

    def requests(self, source):
        """Whole frames; a frame may be as large as a Produce request."""
        stream = source.makefile("rb")
        while len(head := stream.read(4)) == 4:
            frame = bytearray(stream.read(struct.unpack(">i", head)[0]))
            key, version = struct.unpack_from(">hh", frame)
            if key == CREATE_TOPICS:
                assert version <= 4, f"CreateTopics version {version}"
                lower(frame)
            yield head + frame


def lower(frame):
    """Sets every replication factor above one to one: a request header of version 1, then the array of topics."""
    at = 8
    length, = struct.unpack_from(">h", frame, at)  # the client's id
    at += 2 + max(length, 0)
    topics, = struct.unpack_from(">i", frame, at)
    at += 4
    for _ in range(topics):
        length, = struct.unpack_from(">h", frame, at)
        at += 2 + length + 4
        factor, = struct.unpack_from(">h", frame, at)
        struct.pack_into(">h", frame, at, min(factor, 1))
        at += 2
        assignments, at = counted(frame, at), at + 4
        for _ in range(assignments):
            at += 8 + 4 * counted(frame, at + 4)
        configs, at = counted(frame, at), at + 4
        for _ in range(2 * configs):
            length, = struct.unpack_from(">h", frame, at)
            at += 2 + max(length, 0)


def counted(frame, at):
    return max(struct.unpack_from(">i", frame, at)[0], 0)
