"""A core file by our own reading of the gABI and of podsnap's notes (dumpers/snapshot/corefile.h)."""

import bisect
import struct

PAGE = 4096
ZERO, NOT_CAPTURED, FILE = 1, 2, 3


class Core:
    """Segments, notes and memory of a core."""

    def __init__(self, path):
        self.file = open(path, "rb")
        header = self.file.read(64)
        assert header[:4] == b"\x7fELF"
        self.phoff, self.shoff = struct.unpack_from("<QQ", header, 32)
        count, = struct.unpack_from("<H", header, 56)
        self.phnum_field = count
        if count == 0xffff:
            count, = struct.unpack("<I", self.at(self.shoff + 44, 4))
        headers = self.at(self.phoff, 56 * count)
        fields = [struct.unpack_from("<IIQQQQQQ", headers, 56 * i) for i in range(count)]
        # (address, bytes in the file, bytes in memory, offset)
        self.loads = [(f[3], f[5], f[6], f[2]) for f in fields if f[0] == 1]
        self.starts = [load[0] for load in self.loads]
        self.ranges = {kind: [] for kind in (ZERO, NOT_CAPTURED, FILE)}
        for f in fields:
            if f[0] == 4:
                self._read_notes(self.at(f[2], f[5]))

    def _read_notes(self, data):
        at = 0
        while at + 12 <= len(data):
            name_len, length, kind = struct.unpack_from("<III", data, at)
            name = data[at + 12:at + 12 + name_len]
            start = at + 12 + (name_len + 3) // 4 * 4
            if name == b"PODSNAP\0" and kind in self.ranges:
                self.ranges[kind] += struct.iter_unpack("<QQ", data[start:start + length])
            at = start + (length + 3) // 4 * 4

    def at(self, offset, length):
        self.file.seek(offset)
        return self.file.read(length)

    def pages(self):
        """{address: bytes} of every page in the file."""
        found = {}
        for address, in_file, _, offset in self.loads:
            data = self.at(offset, in_file)
            for at in range(0, in_file, PAGE):
                found[address + at] = data[at:at + PAGE]
        return found

    def page(self, address):
        """The page's bytes; None if the file has none."""
        return self.read(address, PAGE)

    def read(self, address, length):
        """Bytes that one segment has in the file; None if none has all of them."""
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0 or address + length > self.loads[i][0] + self.loads[i][1]:
            return None
        return self.at(self.loads[i][3] + address - self.loads[i][0], length)

    def offset(self, address):
        """Where the file has the byte at address; None if it has not."""
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0 or address >= self.loads[i][0] + self.loads[i][1]:
            return None
        return self.loads[i][3] + address - self.loads[i][0]

    def has_segment(self, address):
        """Whether a segment, with or without bytes there, holds the address."""
        i = bisect.bisect_right(self.starts, address) - 1
        return i >= 0 and address < self.loads[i][0] + self.loads[i][2]

    def says(self, kind, address):
        """Whether the note of that kind names the address."""
        return any(start <= address < end for start, end in self.ranges[kind])

    def covers(self, kind, address, length):
        """Whether one range of the note of that kind has all of it."""
        return any(start <= address and address + length <= end
                   for start, end in self.ranges[kind])
