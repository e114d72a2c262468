"""CRC32C (Castagnoli polynomial, reflected 0x82F63B78), a byte at a time."""


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0x82F63B78 if value & 1 else value >> 1  # noqa: PLW2901
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes | bytearray | memoryview, /) -> int:
    """See `_core.pyi`."""
    crc = 0xFFFFFFFF
    table = _TABLE
    for byte in memoryview(data).cast("B"):
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
