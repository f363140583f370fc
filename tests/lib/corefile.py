"""A core file read by our own reading of the gABI and of corefile.h's notes; never by podsnap."""

import struct

PAGE = 4096
ZERO, NOT_CAPTURED, FILE_PAGES = 1, 2, 3  # enum podsnap_note


class Core:
    """Its PT_LOADs and PODSNAP notes."""

    def __init__(self, path):
        self.file = open(path, "rb")
        header = self.file.read(64)
        assert header[:4] == b"\x7fELF"
        phoff, = struct.unpack_from("<Q", header, 32)
        count, = struct.unpack_from("<H", header, 56)
        headers = self.at(phoff, 56 * count)
        fields = [struct.unpack_from("<IIQQQQQQ", headers, 56 * i) for i in range(count)]
        # (address, bytes in the file, offset)
        self.loads = [(f[3], f[5], f[2]) for f in fields if f[0] == 1]
        self.notes = {}
        for f in fields:
            if f[0] == 4:
                self.notes.update(self.podsnap_notes(self.at(f[2], f[5])))

    def at(self, offset, length):
        self.file.seek(offset)
        return self.file.read(length)

    @staticmethod
    def podsnap_notes(data):
        at = 0
        while at < len(data):
            name_len, length, kind = struct.unpack_from("<III", data, at)
            name = data[at + 12:at + 12 + name_len].rstrip(b"\0")
            start = at + 12 + (name_len + 3 & ~3)
            if name == b"PODSNAP":
                yield kind, data[start:start + length]
            at = start + (length + 3 & ~3)

    def ranges(self, kind):
        """[(start, end)] of a note of ranges."""
        words = struct.unpack(f"<{len(self.notes.get(kind, b'')) // 8}Q", self.notes.get(kind, b""))
        return list(zip(words[::2], words[1::2]))

    def covers(self, kind, address, length):
        """True if a note of ranges has all of it."""
        return any(start <= address and address + length <= end
                   for start, end in self.ranges(kind))

    def offset(self, address):
        """Where the file has the byte at address; None if it has not."""
        for start, in_file, offset in self.loads:
            if start <= address < start + in_file:
                return offset + address - start
        return None

    def read(self, address, length):
        """Bytes that one segment has; None if it has not all of them."""
        for start, in_file, offset in self.loads:
            if start <= address and address + length <= start + in_file:
                return self.at(offset + address - start, length)
        return None
