"""Check whether a progressive JPEG has all of its scans."""

from __future__ import annotations

from collections.abc import Iterator

COEFFICIENTS = 64  # of a block
START_OF_FRAME, START_OF_SCAN = range(0xC0, 0xD0), 0xDA
NO_FRAME = (0xC4, 0xC8, 0xCC)  # markers of tables within the range of the frame markers
BARE = (0x00, 0x01, 0xFF, *range(0xD0, 0xDA))  # markers without a length


def has_all_scans(content: bytes) -> bool:
    """Return whether every coefficient of every component is refined to its last bit (ITU-T T.81, annex G)."""
    bits: dict[int, list[int | None]] = {}  # of each component: the lowest bit of each coefficient so far
    for marker, segment in _segments(content):
        if marker in START_OF_FRAME and marker not in NO_FRAME:
            bits = {segment[6 + 3 * i]: [None] * COEFFICIENTS for i in range(segment[5])}
        elif marker == START_OF_SCAN:
            count = segment[0]
            first, last, low = segment[1 + 2 * count], segment[2 + 2 * count], segment[3 + 2 * count] & 15
            for component in segment[1 : 1 + 2 * count : 2]:
                bits[component][first : last + 1] = [low] * (last + 1 - first)
    return bool(bits) and all(bit == 0 for component in bits.values() for bit in component)


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker that has a length, with its content; skip the pixels in between."""
    place = 0
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 <= len(content):
        marker = content[place + 1]
        if marker in BARE:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        yield marker, content[place + 4 : place + 2 + length]
        place += 2 + length
