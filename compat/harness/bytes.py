"""Writes and reads the primitive types of the protocol."""
import struct


class Writer:
    def __init__(self):
        self.parts = []

    def _pack(self, form, value):
        self.parts.append(struct.pack(form, value))
        return self

    def i8(self, value):
        return self._pack(">b", value)

    def i16(self, value):
        return self._pack(">h", value)

    def i32(self, value):
        return self._pack(">i", value)

    def i64(self, value):
        return self._pack(">q", value)

    def u32(self, value):
        return self._pack(">I", value)

    def raw(self, data):
        self.parts.append(bytes(data))
        return self

    def string(self, text):
        if text is None:
            return self.i16(-1)
        data = text.encode() if isinstance(text, str) else text
        return self.i16(len(data)).raw(data)

    def blob(self, data):
        return self.i32(-1) if data is None else self.i32(len(data)).raw(data)

    def array(self, items, write):
        if items is None:
            return self.i32(-1)
        self.i32(len(items))
        for item in items:
            write(self, item)
        return self

    def uvarint(self, value):
        while value > 0x7F:
            self.parts.append(bytes([value & 0x7F | 0x80]))
            value >>= 7
        self.parts.append(bytes([value]))
        return self

    def varint(self, value):
        return self.uvarint((value << 1 ^ value >> 63) & (1 << 64) - 1)

    def compact(self, text):
        if text is None:
            return self.uvarint(0)
        data = text.encode() if isinstance(text, str) else text
        return self.uvarint(len(data) + 1).raw(data)

    def tags(self):
        return self.uvarint(0)

    def done(self):
        return b"".join(self.parts)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        assert 0 <= size <= len(self.data) - self.at, f"answer too short: want {size} at {self.at} of {len(self.data)}"
        self.at += size
        return self.data[self.at - size:self.at]

    def _unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def i8(self):
        return self._unpack(">b")

    def i16(self):
        return self._unpack(">h")

    def i32(self):
        return self._unpack(">i")

    def i64(self):
        return self._unpack(">q")

    def string(self):
        size = self.i16()
        return None if size < 0 else self.take(size).decode()

    def blob(self):
        size = self.i32()
        return None if size < 0 else self.take(size)

    def array(self, read):
        return [read() for _ in range(max(0, self.i32()))]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def varint(self):
        value = self.uvarint()
        return value >> 1 ^ -(value & 1)

    def left(self):
        return len(self.data) - self.at
