#!/usr/bin/env python3
"""Writes the hand-made part of the seed corpus: sessions and rings that go all the way, from which
the fuzzers start. Usage: make_seeds.py [CORPUS_FOLDER]"""
import pathlib
import struct
import sys

NEXT, WRITE, INDIRECT = 1, 2, 4
USER = 0x10000
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13


def descriptor(address, length, flags=0, following=0):
    return struct.pack("<QIHH", address, length, flags, following)


def available(heads, index=None):
    ring = b"".join(struct.pack("<H", head) for head in heads).ljust(32, b"\0")
    return struct.pack("<HH", 0, len(heads) if index is None else index) + ring + b"\0\0"


def header(kind, sector=0):
    return struct.pack("<IIQ", kind, 0, sector)


def guest(descriptors, heads, blocks, index=None):
    """A ring of 16 at address 0, and blocks of {address: bytes}."""
    memory = bytearray(b"".join(descriptors).ljust(256, b"\0") + available(heads, index))
    for address, data in blocks.items():
        memory.extend(b"\0" * (address + len(data) - len(memory)))
        memory[address:address + len(data)] = data
    return bytes(memory)


def chain(kind, length, sector=0, data=b"", writable=False):
    """One request at descriptors 0 to 2, its header at 0x200, its data at 0x400."""
    return guest([descriptor(0x200, 16, NEXT, 1),
                  descriptor(0x400, length, NEXT | (WRITE if writable else 0), 2),
                  descriptor(0x300, 1, WRITE)],
                 [0], {0x200: header(kind, sector), 0x400: data})


def rings():
    zone = struct.pack("<QII", 8, 8, 0)
    yield "read", chain(IN, 512, writable=True)
    yield "read_far", chain(IN, 512, sector=1 << 60, writable=True)
    yield "write", chain(OUT, 1024, 4, b"x" * 64)
    yield "across_regions", guest([descriptor(0x200, 16, NEXT, 1),
                                   descriptor(0x7f00, 512, NEXT | WRITE, 2),
                                   descriptor(0x300, 1, WRITE)], [0], {0x200: header(IN)})
    yield "flush", guest([descriptor(0x200, 16, NEXT, 1), descriptor(0x300, 1, WRITE)], [0],
                         {0x200: header(FLUSH)})
    yield "get_id", chain(GET_ID, 20, writable=True)
    yield "discard", chain(DISCARD, 16, data=zone)
    yield "write_zeroes", chain(WRITE_ZEROES, 16, data=struct.pack("<QII", 0, 8, 1))
    table = (descriptor(0x200, 16, NEXT, 1) + descriptor(0x400, 512, NEXT | WRITE, 2) +
             descriptor(0x300, 1, WRITE))
    yield "indirect", guest([descriptor(0x800, 48, INDIRECT)], [0],
                            {0x200: header(IN), 0x800: table})
    yield "loop", guest([descriptor(0x200, 16, NEXT, 1), descriptor(0x200, 16, NEXT, 0)], [0], {})
    yield "jump", guest([], [0], {}, index=40)
    yield "head", guest([], [99], {})
    yield "split_header", guest([descriptor(0x200, 5, NEXT, 1), descriptor(0x205, 11, NEXT, 2),
                                 descriptor(0x400, 513, WRITE)], [0], {0x200: header(IN)})
    yield "two", guest([descriptor(0x200, 16, NEXT, 1), descriptor(0x300, 1, WRITE),
                        descriptor(0x210, 16, NEXT, 3), descriptor(0x301, 1, WRITE)], [0, 2, 0],
                       {0x200: header(FLUSH) + header(77)})


def message(request, payload=b"", fds=0, flags=8):
    return struct.pack("<BBH", request, fds << 4 | flags, len(payload)) + payload


def state(request, index, value):
    return message(request, struct.pack("<II", index, value))


def poke(offset, data):
    return b"".join(struct.pack("<BHB", 96, offset + i, len(data[i:i + 255])) + data[i:i + 255]
                    for i in range(0, len(data), 255))


REGION = struct.pack("<QQQQ", 0, 0x10000, USER, 0)
MEMORY = message(5, struct.pack("<II", 1, 0) + struct.pack("<QQQQ", 0, 0x10000, USER, 0), fds=8)


FEATURES, LOG_ALL = 0x170007646, 1 << 26
BREAK, RESIZE, MOVE, CUT_INFLIGHT, SCRIBBLE, TURN = b"\x79", b"\x7a", b"\x7b", b"\x7c", b"\x7d", b"\x80"
KICK = b"\x40"


def features(more=0):
    return message(2, struct.pack("<Q", FEATURES | more))


def inflight(fds=3, queues=4, queue_size=16):
    """GET_INFLIGHT_FD, and SET_INFLIGHT_FD with the file that lives as long as the input."""
    description = struct.pack("<QQHHI", 0x1000 * queues, 0, queues, queue_size, 0)
    return message(31, description, flags=0) + message(32, description, fds=fds)


def entry(head, counter, following=0):
    return poke_inflight(16 + 16 * head, struct.pack("<B5xHQ", 1, following, counter))


def poke_inflight(offset, data):
    return struct.pack("<BHB", 126, offset, len(data)) + data


def log(size=2, fds=8):
    return message(6, struct.pack("<QQ", size, 0x8000), fds=fds, flags=0)


def negotiate():
    return (message(1, flags=0) + message(15, flags=0) + message(16, struct.pack("<Q", 0x922b), flags=0) +
            message(17, flags=0) + message(3) + features() +
            message(24, struct.pack("<III", 0, 60, 0) + bytes(60), flags=0))


def start(index, size=16):
    address = struct.pack("<IIQQQQ", index, 0, USER, USER + 0xf000, USER + 256, 0)
    return (state(8, index, size) + state(10, index, 0) + message(9, address) +
            message(13, struct.pack("<Q", index), fds=5) + message(12, struct.pack("<Q", index), fds=4) +
            state(18, index, 1))


def sessions():
    yield "negotiate", negotiate()
    yield "no_acknowledgement", message(3, flags=0) + MEMORY + start(0)
    for name, memory in rings():
        yield "serve_" + name, negotiate() + MEMORY + poke(0, memory) + start(0) + b"\x40\x80\x80"
    read = dict(rings())["read"]
    full = negotiate() + MEMORY + poke(0, read) + start(0)
    yield "stop", full + b"\x40" + message(11, struct.pack("<II", 0, 0), flags=0) + start(0)
    yield "vanish", full + b"\x78\x40\x80\x80"
    yield "new_table", full + b"\x40" + MEMORY + b"\x40"
    yield "two_queues", full + start(3) + b"\x40\x43"
    yield "reset", full + message(4) + message(34)
    yield "no_fd", negotiate() + message(12, struct.pack("<Q", 0x100)) + message(13, struct.pack("<Q", 0x100))
    yield "many_fds", negotiate() + message(3, fds=15)
    yield "overlap", negotiate() + message(
        5, struct.pack("<II", 2, 0) + struct.pack("<QQQQ", 0, 0x8000, USER, 0) * 2, fds=9)
    yield "set_config", negotiate() + message(25, struct.pack("<III", 0, 4, 0) + bytes(4))
    yield "unknown", negotiate() + message(40) + message(41, flags=0)
    yield "own_socket", message(1, flags=0) + b"\x01\x10\x32\0"
    slot = message(37, bytes(8) + REGION, fds=8)
    yield "slots", negotiate() + message(36, flags=0) + slot + poke(0, read) + start(0) + KICK + TURN + \
        message(38, bytes(8) + REGION) + slot + start(0) + KICK
    tracked = negotiate() + MEMORY + inflight() + poke(0, read) + start(0)
    yield "inflight", tracked + KICK + BREAK + tracked + KICK + TURN
    recovered = (poke_inflight(0, struct.pack("<QHHHH", 0, 1, 16, 2, 0)) + entry(0, 7) + entry(2, 5) + entry(1, 6))
    for name, memory in (("order", guest([], [0, 1, 2], {})), ("read", read)):
        yield "recover_" + name, recovered + negotiate() + MEMORY + poke(0, memory) + inflight() + start(0) + KICK
    yield "recover_batch", recovered + poke_inflight(12, b"\x01\0\xff\xff") + negotiate() + MEMORY + inflight() + \
        start(0) + message(11, struct.pack("<II", 0, 0), flags=0)
    yield "inflight_cut", tracked + CUT_INFLIGHT + KICK + TURN
    logged = negotiate() + MEMORY + poke(0, read) + log() + features(LOG_ALL) + start(0)
    address = struct.pack("<IIQQQQ", 0, 1, USER, USER + 0xf000, USER + 256, 0xf000)
    yield "log", logged + KICK + message(9, address) + KICK + TURN + features()
    yield "log_late", negotiate() + features(LOG_ALL) + MEMORY + poke(0, read) + start(0) + KICK + log() + TURN
    yield "log_small", negotiate() + MEMORY + poke(0, read) + log(1) + features(LOG_ALL) + start(0) + KICK + TURN
    yield "log_notifier", logged + message(7, fds=4) + KICK + message(7)
    yield "resize", negotiate() + message(21, fds=2) + MEMORY + RESIZE + poke(0, read) + start(0) + KICK + RESIZE
    yield "own_socket_as_channel", negotiate() + message(21, fds=1)
    yield "move", full + KICK + MOVE + KICK + TURN + MOVE + message(11, struct.pack("<II", 0, 0), flags=0)
    yield "scribble", SCRIBBLE + tracked + KICK + TURN * 3 + MOVE + BREAK + tracked + KICK + TURN * 3
    yield "partial", b"\x70\x05\x01\0\0\0\x01\x80"


PAGES, DISK = b"\0", b"\1"
PUT, GET, FLUSH_PAGE, FLUSH_OBJECT, OPEN_POOL, DESTROY_POOL, STATISTICS, REPORT = 1, 2, 3, 4, 5, 6, 7, 8


def page_entry(opcode, object=0, index=0, choice=0):
    return struct.pack("<BBBB", 36 + opcode, choice, object, index)


def block_entry(opcode, page=0, index=0, choice=0):
    return struct.pack("<BBBB", 35 + opcode - 16, choice, page, index)


def control(kind, body=b"", flags=0):
    return struct.pack("<BBB", kind, flags, len(body)) + body


def ring_scripts():
    turn = b"\xff"
    pages = b"".join(page_entry(PUT, i % 4, i, i % 2) for i in range(40))
    back = b"".join(page_entry(GET, i % 4, i, i % 2) for i in range(40))
    blocks = b"".join(block_entry(17, i, i) + block_entry(16, i, i + 1) for i in range(20))
    yield "pages", PAGES + pages + back + page_entry(FLUSH_PAGE, 1, 1) + page_entry(FLUSH_OBJECT, 2) + back
    yield "over_target", PAGES + b"".join(page_entry(PUT, 0, i) for i in range(100)) + back
    yield "statistics", PAGES + pages + page_entry(STATISTICS)
    yield "report", PAGES + b"".join(page_entry(REPORT, 0, i) for i in range(20)) + page_entry(REPORT, 0, 1, 0x80)
    keep = control(11, struct.pack("<II", 60, 0)) + control(11, struct.pack("<II", 0xffffffff, 0))
    yield "keep_goodbye", PAGES + keep + control(12) + turn * 3 + b"\xb4" + pages
    yield "keep_disk", DISK + keep + control(12, flags=0x40)
    yield "disk", DISK + blocks + block_entry(18) + block_entry(19, 3) + block_entry(20, 4) + blocks
    yield "extent", DISK + block_entry(21, 1) + block_entry(22, 1)
    yield "queues", PAGES + b"\xa0\xa0\xa0" + pages + b"\xa8\xa9" + back + b"\xa0"
    yield "regions", PAGES + b"\xa4\xa4" + pages + b"\xac" + back + b"\xad\xa4"
    yield "disk_regions", DISK + b"\xa4" + block_entry(17, 1, 1, 0x80) + b"\xac" + turn + blocks
    for what in range(8):
        spoiled = 0x80 | what << 4
        yield f"spoiled_page_{what}", PAGES + pages + page_entry(PUT, 1, 200, spoiled) + turn * 3 + back
        yield f"spoiled_block_{what}", DISK + blocks + block_entry(17, 1, 200, spoiled) + turn * 3
    yield "destroy", PAGES + pages + page_entry(DESTROY_POOL, 0, 0, 0x80) + turn * 80 + back
    yield "index_jumps", PAGES + struct.pack("<BI", 144, 100 << 8) + b"\x9c" + turn * 2 + b"\xb4" + pages
    yield "consumed_jumps", PAGES + pages + struct.pack("<BI", 144, 100 << 8 | 1) + b"\x9c" + turn * 2
    yield "cut_region", PAGES + pages + page_entry(PUT, 1, 5, 0x80) + b"\x98" + turn * 3
    yield "punched_region", PAGES + pages + b"\x99" + back
    yield "mutated", PAGES + b"\xb0\x03" + pages * 4 + b"\xb0\0" + back
    yield "mutated_disk", DISK + b"\xb0\x03" + blocks * 4
    yield "raw_entry", PAGES + struct.pack("<BHB", 128, 4096, 16) + bytes(range(16)) + b"\x9c" + turn
    yield "leave_and_come", PAGES + pages + b"\xb4\xb5" + blocks + b"\xb4" + back
    yield "leave_in_flight", DISK + block_entry(16, 1, 1, 0x80) * 8 + b"\xb5" + blocks
    for kind in range(12):
        yield f"control_{kind}", PAGES + control(kind) + turn + pages
    yield "control_register", PAGES + control(6, struct.pack("<Q", 4096), 0x50) + turn
    yield "control_fds", PAGES + control(6, struct.pack("<Q", 4096), 0xf0) + turn
    yield "control_long", PAGES + control(3, struct.pack("<II", 8, 0), 3)
    yield "control_magic", PAGES + control(3, struct.pack("<II", 8, 0), 2)


def operation(at_ms, client, index, kind, outcome=0, pool=1):
    return struct.pack("<QQIIIBBH", at_ms * 1_000_000, 0, index, pool, client, kind, outcome, 0)


def recorded_block(kind, entries):
    data = b"".join(entries)
    return struct.pack("<BBH", kind, len(entries), len(data)) + data


def client_note(client, name, ram_pages, curve=()):
    return (struct.pack("<QIH", 0, client, len(name)) + name + struct.pack("<BQQI", 0, 0, 2**64 - 1, 100)
            + struct.pack("<QQQQI", ram_pages, 0, 0, 0, len(curve))
            + b"".join(struct.pack("<QI", *point) for point in curve))


def mark(at_ms, number, kind, name, after=()):
    return (struct.pack("<QIBH", at_ms * 1_000_000, number, kind, len(name)) + name
            + struct.pack("<QI", 0, len(after)) + b"".join(struct.pack("<I", one) for one in after))


def recordings():
    load = []
    for i in range(40):
        load += [operation(i, 1, i, 0), operation(i, 2, i, 0), operation(100 + 2 * i, 1, i, 1),
                 operation(100 + 2 * i, 2, i, 2)]
    notes = recorded_block(3, [client_note(1, b"a", 256, [(0, 1_000_000), (300, 10)]), client_note(2, b"b", 0)])
    yield "load", b"\x03" + recorded_block(2, load) + notes
    flushes = [operation(200, 1, 3, 3), operation(201, 1, 0, 4), operation(202, 2, 0, 5), operation(203, 2, 0, 6)]
    yield "flushes", b"\x01" + recorded_block(2, load + flushes)
    yield "marks", b"\x03" + recorded_block(2, load) + notes + recorded_block(4, [
        mark(0, 1, 1, b"a"), mark(0, 2, 1, b"b"), mark(50, 3, 0, b"a"), mark(60, 4, 1, b"b", [3]),
        mark(180, 5, 2, b"b"), mark(181, 6, 3, b"a", [5])])
    yield "never", b"\x01" + recorded_block(2, load) + notes + recorded_block(4, [
        mark(0, 1, 1, b"a"), mark(1, 2, 3, b"b", [1]), mark(500, 3, 0, b"b"), mark(501, 4, 2, b"a", [3])])
    yield "bad_kind", b"\x01" + recorded_block(2, [operation(0, 1, 1, 9)])
    yield "no_entries", b"\x01" + recorded_block(2, [])
    yield "no_file", b"\x00FALLOWR1" + bytes(64)


def write(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("seed_" + name)).write_bytes(data)


def main():
    corpus = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
    for name, memory in rings():
        write(corpus / "descriptor_chain_fuzz", name, b"\x03" + memory)
    write(corpus / "descriptor_chain_fuzz", "read_plain", b"\x04" + dict(rings())["read"])
    for name, script in sessions():
        write(corpus / "vhost_user_messages_fuzz", name, script)
    for name, script in ring_scripts():
        write(corpus / "ring_entries_fuzz", name, script)
    for name, script in recordings():
        write(corpus / "recording_fuzz", name, script)


main()
