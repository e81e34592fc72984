"""Read what a linker wrote into a Mach-O file of 64 bits: enough to see what it is and what it imports."""
import struct

MH_MAGIC_64, CPU_TYPE_ARM64, MH_EXECUTE = 0xfeedfacf, 0x0100000c, 2
LC_SYMTAB, LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_BUILD_VERSION = 0x2, 0xc, 0x80000018, 0x32
PLATFORM_MACOS = 1
N_STAB, N_TYPE, N_EXT, N_WEAK_REF = 0xe0, 0x0e, 0x01, 0x40


class MachO:
    """cpu, filetype; platform, minos as text; libraries in the order of their ordinals; imports: symbol to
    (library, is weak); defined: the symbols of its own."""

    def __init__(self, path):
        self.data = path.read_bytes()
        magic, self.cpu, _, self.filetype, count, _ = struct.unpack_from("<IIIIII", self.data)
        if magic != MH_MAGIC_64:
            raise ValueError(f"{path} is no Mach-O file of 64 bits")
        self.platform = self.minos = None
        self.libraries, self.imports, self.defined = [], {}, set()
        symtab = None
        offset = 32
        for _ in range(count):
            command, size = struct.unpack_from("<II", self.data, offset)
            if command in (LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB):
                self.libraries.append(self.text(offset + struct.unpack_from("<I", self.data, offset + 8)[0]))
            elif command == LC_BUILD_VERSION:
                self.platform, version = struct.unpack_from("<II", self.data, offset + 8)
                self.minos = f"{version >> 16}.{version >> 8 & 0xff}"
            elif command == LC_SYMTAB:
                symtab = struct.unpack_from("<IIII", self.data, offset + 8)
            offset += size
        self.read_symbols(*symtab)

    def text(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode()

    def read_symbols(self, symbols, count, strings, _):
        for n in range(count):
            name, kind, _, desc, _ = struct.unpack_from("<IBBHQ", self.data, symbols + 16 * n)
            if kind & N_STAB:
                continue
            if kind & N_TYPE:
                self.defined.add(self.text(strings + name))
            elif kind & N_EXT:
                self.imports[self.text(strings + name)] = (self.libraries[(desc >> 8) - 1],
                                                           bool(desc & N_WEAK_REF))
