"""What goes into a core: --core, --coredump-filter, --exclude-files, on real processes."""

import os
import re

import pytest

from lib import bundle as bundles
from lib import debugger
from lib.corefile import FILE, NOT_CAPTURED, PAGE, ZERO, Core
from lib.possible import not_possible_here
from lib.services import SERVICES, Service

HUGE_POOL = "/proc/sys/vm/nr_hugepages"
ORDINARY_MAX = 8 << 20


def capture(podsnap, pid, directory, name, *options):
    """Returns the bundle and the core in it."""
    path = os.path.join(directory, name)
    podsnap.run("capture", "--pid", pid, "-o", path, "--max-pause", "60s", *options)
    return path, bundles.core(path, path + ".core")


def read_memory(pid, address, length):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length)


# --- memory of every sort --------------------------------------------------------------------------

# Bits of core(5) that take it.
FILTER_BITS = {
    "private": 0x01, "no-access": 0x01, "transparent-huge": 0x01, "dontdump": 0x00,
    "shared": 0x02, "system-v": 0x02, "memfd": 0x02, "posix": 0x02, "sparse": 0x02,
    "file-gone": 0x02, "file-shared": 0x08, "file-written": 0x05, "file-unmodified": 0x04,
    "huge-private": 0x20, "huge-shared": 0x40, "huge-memfd": 0x40,
}
SHARED = {"shared", "system-v", "memfd", "posix", "sparse", "file-gone", "huge-shared",
          "huge-memfd"}
LEFT_TO_FILES = {"file-shared", "file-unmodified"}


class Mappings:
    """The target `mappings` and what it said of its memory."""

    def __init__(self, targets, directory):
        self.target = targets.start("mappings", directory)
        self.pid = self.target.pid
        self.regions = {}
        for line in self.target.lines:
            if line.startswith("region "):
                _, name, start, length = line.split()
                self.regions[name] = (int(start, 16), int(length, 16))
        assert FILTER_BITS.keys() - self.regions.keys() <= {
            "huge-private", "huge-shared", "huge-memfd"}

    def set_filter(self, mask):
        with open(f"/proc/{self.pid}/coredump_filter", "w", encoding="ascii") as file:
            file.write(hex(mask))

    def pages(self, name):
        start, length = self.regions[name]
        return range(start, start + length, PAGE)

    def check_bytes(self, core, name):
        """Every page is there, as it is in the process."""
        start, length = self.regions[name]
        if name == "sparse":
            self.check_sparse(core)
            return
        wanted = read_memory(self.pid, start, length)
        # The words are their own addresses, so that no page can stand for another.
        if name != "file-unmodified":
            assert int.from_bytes(wanted[-8:], "little") == start + length - 8
        for page in self.pages(name):
            assert core.page(page) == wanted[page - start:page - start + PAGE], (name, hex(page))

    def check_sparse(self, core):
        pages = self.pages("sparse")
        for page in (pages[0], pages[-1]):
            assert int.from_bytes(core.page(page)[-8:], "little") == page + PAGE - 8
        for page in pages[1:-1]:
            assert core.page(page) is None and core.says(ZERO, page), hex(page)

    def check_left_out(self, core, name):
        """No page is there, nothing can be taken for zeros, and the note says so."""
        for page in self.pages(name):
            assert core.page(page) is None and not core.has_segment(page), (name, hex(page))
            assert core.says(NOT_CAPTURED, page), (name, hex(page))
            assert not core.says(ZERO, page) and not core.says(FILE, page), (name, hex(page))

    def check_left_to_file(self, core, name):
        for page in self.pages(name):
            assert core.page(page) is None and core.says(FILE, page), (name, hex(page))

    def check(self, core, taken, to_file=frozenset()):
        """Of all regions: exactly `taken` are there, and `to_file` left to the files."""
        for name in self.regions:
            if name in taken:
                self.check_bytes(core, name)
            elif name in to_file:
                self.check_left_to_file(core, name)
            else:
                self.check_left_out(core, name)


@pytest.fixture
def mappings(targets, tmp_path):
    return Mappings(targets, tmp_path)


@pytest.fixture
def huge_mappings(targets, tmp_path):
    """The same with huge pages, which the machine's administrator must set aside."""
    with open(HUGE_POOL, encoding="ascii") as file:
        before = file.read().strip()
    try:
        with open(HUGE_POOL, "w", encoding="ascii") as file:
            file.write(str(int(before) + 8))
    except OSError:
        not_possible_here("hugetlb")
    try:
        made = Mappings(targets, tmp_path)
        if "huge-memfd" not in made.regions:
            not_possible_here("hugetlb")
        yield made
    finally:
        targets.kill_all()
        with open(HUGE_POOL, "w", encoding="ascii") as file:
            file.write(before)


def all_of(made):
    return made.regions.keys() - LEFT_TO_FILES


def test_full_core_has_memory_of_every_sort(podsnap, mappings, tmp_path):
    _, core = capture(podsnap, mappings.pid, tmp_path, "full")
    mappings.check(Core(core), all_of(mappings), LEFT_TO_FILES)


def test_huge_pages_are_in_the_cores_that_take_them(podsnap, huge_mappings, tmp_path):
    made = huge_mappings
    _, core = capture(podsnap, made.pid, tmp_path, "full")
    made.check(Core(core), all_of(made), LEFT_TO_FILES)
    _, core = capture(podsnap, made.pid, tmp_path, "heap", "--core", "heap")
    made.check(Core(core), all_of(made) - SHARED, LEFT_TO_FILES)
    made.set_filter(0x40)
    _, core = capture(podsnap, made.pid, tmp_path, "filter", "--coredump-filter")
    made.check(Core(core), {"huge-shared", "huge-memfd"}, LEFT_TO_FILES)


def test_untouched_shared_memory_stays_untouched(podsnap, mappings, tmp_path):
    """Else a capture could end the process by its own memory limit."""
    def resident():
        with open(f"/proc/{mappings.pid}/status", encoding="utf-8") as status:
            return int(re.search(r"^RssShmem:\s+(\d+)", status.read(), re.M)[1])

    before = resident()
    capture(podsnap, mappings.pid, tmp_path, "full")
    assert before > 0 and resident() == before


def test_heap_core_has_nothing_that_is_shared(podsnap, mappings, tmp_path):
    _, core = capture(podsnap, mappings.pid, tmp_path, "heap", "--core", "heap")
    mappings.check(Core(core), all_of(mappings) - SHARED, LEFT_TO_FILES)


def test_stacks_core_has_neither_heap_nor_shared_memory(podsnap, mappings, tmp_path):
    path, core = capture(podsnap, mappings.pid, tmp_path, "stacks", "--core", "stacks")
    mappings.check(Core(core), set(), LEFT_TO_FILES)
    assert bundles.manifest_entry(path, "/core")["status"] == "ok"
    podsnap.run("verify", path)


def test_files_can_be_left_out(podsnap, mappings, tmp_path):
    _, core = capture(podsnap, mappings.pid, tmp_path, "files", "--exclude-files")
    mappings.check(Core(core), all_of(mappings) - {"file-gone"}, LEFT_TO_FILES)


@pytest.mark.parametrize("mask", [0, 0x01, 0x02, 0x04, 0x08, 0x33, 0x7f])
def test_filter_of_the_process_is_respected(podsnap, mappings, tmp_path, mask):
    mappings.set_filter(mask)
    _, core = capture(podsnap, mappings.pid, tmp_path, "filter", "--coredump-filter")
    taken = {name for name, bits in FILTER_BITS.items() if bits & mask}
    ours = Core(core)
    mappings.check(ours, taken & mappings.regions.keys(), LEFT_TO_FILES)
    # gdb respects it too, by its own reading of smaps.
    theirs = Core(debugger.gcore(mappings.pid, tmp_path / "gcore"))
    for name, (start, _) in mappings.regions.items():
        assert (theirs.page(start) is not None) == (name in taken), name
    exe = headers_of(mappings.pid, "/mappings")
    assert (ours.page(exe) is not None) == bool(mask & 0x14)


def test_filter_is_not_respected_unasked(podsnap, mappings, tmp_path):
    mappings.set_filter(0)
    _, core = capture(podsnap, mappings.pid, tmp_path, "full")
    mappings.check(Core(core), all_of(mappings), LEFT_TO_FILES)


def test_choice_is_in_meta(podsnap, mappings, tmp_path):
    path, _ = capture(podsnap, mappings.pid, tmp_path, "b", "--core", "heap", "--exclude-files")
    meta = bundles.entry(path, "meta.json").decode()
    assert '"core": "heap"' in meta and '"exclude-files": "true"' in meta


def headers_of(pid, end):
    """Where the first page of the file that ends so is mapped."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            fields = line.split()
            if len(fields) == 6 and fields[5].endswith(end) and int(fields[2], 16) == 0:
                return int(fields[0].split("-")[0], 16)
    raise AssertionError(f"no {end} in the maps of {pid}")


# --- stacks ----------------------------------------------------------------------------------------

def stacks_text(podsnap, source):
    """Every thread's stack, without its state and what it waits in: that changes when a call is
    started anew after a stop."""
    text = podsnap.run("stacks", source, "--full").text
    return re.sub(r'^(thread \d+ ".*") .*$', r"\1", text, flags=re.M)


def check_same_stacks(podsnap, exe, full, less):
    """gdb, elfutils and podsnap say the same of two captures of a process that stood still."""
    expected = debugger.backtraces(exe, full[1])
    assert debugger.backtraces(exe, less[1]) == expected
    assert debugger.frames(exe, less[1]) == debugger.frames(exe, full[1])
    assert debugger.eu_stack(exe, less[1]) == debugger.eu_stack(exe, full[1])
    for one, other in zip(full, less):
        assert stacks_text(podsnap, one) == stacks_text(podsnap, other)
    return expected


def test_stacks_core_of_a_thousand_threads(podsnap, targets, tmp_path):
    target = targets.start("threads", 1000, 10)
    full = capture(podsnap, target.pid, tmp_path, "full")
    less = capture(podsnap, target.pid, tmp_path, "stacks", "--core", "stacks")
    found = check_same_stacks(podsnap, targets.path("threads"), full, less)
    assert len(found) == 1001
    assert sum("descend" in line for stack in found.values() for line in stack) == 1000 * 11
    # Registers are 4 KiB or more of each thread, and stay.
    registers = 1001 * 16 << 10
    assert os.path.getsize(less[1]) < ORDINARY_MAX + registers


def test_stacks_core_of_deep_stacks(podsnap, targets, tmp_path):
    target = targets.start("threads", 8, 3000)
    full = capture(podsnap, target.pid, tmp_path, "full")
    less = capture(podsnap, target.pid, tmp_path, "stacks", "--core", "stacks")
    check_same_stacks(podsnap, targets.path("threads"), full, less)
    assert os.path.getsize(less[1]) < ORDINARY_MAX


def test_stacks_core_follows_signals_to_the_stack_they_came_from(podsnap, targets, tmp_path):
    target = targets.start("altstack", 15)
    full = capture(podsnap, target.pid, tmp_path, "full")
    less = capture(podsnap, target.pid, tmp_path, "stacks", "--core", "stacks")
    found = check_same_stacks(podsnap, targets.path("altstack"), full, less)
    assert len(found) == 4
    for stack in found.values():
        text = "\n".join(stack)
        assert "wait_in_handler" in text and "<signal handler called>" in text
        assert text.count("in descend (") + text.count(" descend (") >= 16


def test_stacks_core_is_small_whatever_the_heap(podsnap, targets, tmp_path):
    target = targets.start("memory", 200)
    full = capture(podsnap, target.pid, tmp_path, "full")
    less = capture(podsnap, target.pid, tmp_path, "stacks", "--core", "stacks")
    assert os.path.getsize(full[1]) > 200 << 20
    assert os.path.getsize(less[1]) < 1 << 20
    assert debugger.backtraces(targets.path("memory"), less[1])


@pytest.mark.parametrize("name", SERVICES)
def test_stacks_core_of_a_service(podsnap, targets, tmp_path, name):
    with Service(name, targets) as target:
        exe = os.path.realpath(f"/proc/{target.pid}/exe")
        # A thread that is blocked through all three has the same frames in the first and last.
        first = capture(podsnap, target.pid, tmp_path, "first")
        less = capture(podsnap, target.pid, tmp_path, "stacks", "--core", "stacks")
        last = capture(podsnap, target.pid, tmp_path, "last")
    assert os.path.getsize(less[1]) < ORDINARY_MAX
    assert os.path.getsize(less[1]) < os.path.getsize(last[1])
    for look in (debugger.backtraces, debugger.frames, debugger.eu_stack):
        before, after, found = look(exe, first[1]), look(exe, last[1]), look(exe, less[1])
        blocked = {tid for tid, stack in after.items() if before.get(tid) == stack}
        assert len(blocked) >= max(1, len(after) - 4), (len(blocked), len(after))
        assert {tid: found[tid] for tid in blocked} == {tid: after[tid] for tid in blocked}
    before, after, found = (by_thread(podsnap, source[0]) for source in (first, last, less))
    blocked = {tid for tid, stack in after.items() if before.get(tid) == stack}
    assert len(blocked) >= max(1, len(after) - 4)
    assert {tid: found[tid] for tid in blocked} == {tid: after[tid] for tid in blocked}


def by_thread(podsnap, source):
    """{head line of a thread: its frames}"""
    parts = re.split(r"^(thread \d+ .*)$", stacks_text(podsnap, source), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_names_of_threads_and_libraries_are_found(podsnap, targets, tmp_path):
    """gdb learns of the libraries by the list that the dynamic linker keeps, and of the threads by
    libthread_db, from the threads' own descriptors."""
    target = targets.start("threads", 3)
    exe = targets.path("threads")
    full = capture(podsnap, target.pid, tmp_path, "full")
    less = capture(podsnap, target.pid, tmp_path, "stacks", "--core", "stacks")
    answers = [debugger.gdb(exe, core, "-ex", "info sharedlibrary", "-ex", "info threads")
               for core in (full[1], less[1])]
    tables = [re.findall(r"^(0x\w+ .*|.*Thread 0x\w+ \(LWP \d+\).*)$", text, re.M)
              for text in answers]
    assert tables[0] == tables[1]
    assert any("libc.so.6" in line for line in tables[0])
    assert sum("LWP" in line for line in tables[0]) >= 4
