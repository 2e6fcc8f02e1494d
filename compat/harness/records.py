"""Record batches v2, built by hand so that every field can be made wrong, and read as far as a check needs."""
import zlib

from .bytes import Writer

_CRC32C = []
for _value in range(256):
    for _ in range(8):
        _value = _value >> 1 ^ (0x82F63B78 if _value & 1 else 0)
    _CRC32C.append(_value)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def record(offset_delta, key, value, timestamp_delta=0, headers=()):
    body = Writer().i8(0).varint(timestamp_delta).varint(offset_delta)
    for part in (key, value):
        if part is None:
            body.varint(-1)
        else:
            body.varint(len(part)).raw(part)
    body.varint(len(headers))
    for name, data in headers:
        body.varint(len(name)).raw(name).varint(len(data)).raw(data)
    data = body.done()
    return Writer().varint(len(data)).raw(data).done()


def batch(records, *, codec=0, magic=2, base_offset=0, timestamp=1_700_000_000_000, max_timestamp=None, producer_id=-1,
          producer_epoch=-1, sequence=-1, count=None, crc=None, attributes=0, payload=None, last_delta=None, length=None):
    """A record batch v2 around encoded records; every field can be made wrong."""
    body = b"".join(records)
    if payload is not None:
        body = payload
    elif codec == 1:
        squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
        body = squeeze.compress(body) + squeeze.flush()
    total = len(records) if count is None else count
    covered = (
        Writer().i16(attributes | codec).i32(len(records) - 1 if last_delta is None else last_delta).i64(timestamp)
        .i64(timestamp if max_timestamp is None else max_timestamp)
        .i64(producer_id).i16(producer_epoch).i32(sequence).i32(total).raw(body).done()
    )
    size = len(covered) + 9 if length is None else length
    checksum = crc32c(covered) if crc is None else crc
    return Writer().i64(base_offset).i32(size).i32(-1).i8(magic).u32(checksum).raw(covered).done()
