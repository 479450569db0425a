"""tools/bench huffman: Huffman tables made from traces, as uploadd/encoder/tile-huffman.c has them, and what they save beside those it has."""

import argparse
import collections
import pathlib
import struct
import subprocess
import sys
import tempfile

import bench_encoder
import bench_record
from progress import Progress
from system import pictures

KINDS = ("scroll", "terminal", "typing", "switch", "video")
LIMIT = 16  # bits, ITU-T T.81
WEIGHT = 1 << 20  # of each trace, in symbols of a table: none counts for more because it has more frames
# Every symbol that 8-bit baseline JPEG can have, for none to lack a code.
DC = range(12)
AC = [0x00, 0xF0] + [run << 4 | size for run in range(16) for size in range(1, 11)]


def tables_of(jtab):
    """(class, id) → (bits, values) of the DHT segments."""
    found, at = {}, 2
    while at < len(jtab) and jtab[at + 1] != 0xDA:
        length, = struct.unpack_from(">H", jtab, at + 2)
        segment = jtab[at + 4:at + 2 + length] if jtab[at + 1] == 0xC4 else b""
        while segment:
            bits = list(segment[1:17])
            found[segment[0] >> 4, segment[0] & 15] = bits, list(segment[17:17 + sum(bits)])
            segment = segment[17 + sum(bits):]
        at += 2 + length
    return found


def lookup(bits, values):
    """For each 16 bits: the length of the code that they begin with, and its symbol."""
    table, code, values = [(0, 0)] * (1 << LIMIT), 0, iter(values)
    for length, count in enumerate(bits, 1):
        for _ in range(count):
            first = code << LIMIT - length
            table[first:first + (1 << LIMIT - length)] = [(length, next(values))] * (1 << LIMIT - length)
            code += 1
        code <<= 1
    return table


def count_tile(interval, tables, counts):
    """The symbols of one restart interval: 8 MCUs of one block for each component."""
    data = interval.replace(b"\xff\x00", b"\xff") + b"\xff" * 4
    bits, left = int.from_bytes(data, "big"), len(data) * 8

    def symbol(kind):
        nonlocal left
        length, value = tables[kind][bits >> left - LIMIT & 0xFFFF]
        counts[kind][value] += 1
        left -= length + (value & 15)
        return value

    for block in range(24):
        chroma = min(block % 3, 1)
        symbol((0, chroma))
        at = 1
        while at < 64:
            value = symbol((1, chroma))
            if value == 0:
                break
            at += (value >> 4) + 1


def count(segment):
    """(class, id) → how often each symbol is in the NEW tiles of a segment, and its tables."""
    counts, tables, used = collections.defaultdict(collections.Counter), None, None
    for _, kind, payload in pictures.chunks(segment):
        if kind == "JTAB":
            used = tables_of(payload)
            tables = {which: lookup(*table) for which, table in used.items()}
        at = 24
        while kind == "FRAM" and at < len(payload):
            operation, length = struct.unpack_from("<II", payload, at)
            body = payload[at + 8:at + 8 + length]
            if operation == 1:
                data = body[8 + 8 * struct.unpack_from("<I", body)[0]:]
                for marker in range(1, 8):
                    data = data.replace(b"\xff%c" % (0xD0 + marker), b"\xff\xd0")
                for interval in data.split(b"\xff\xd0"):
                    count_tile(interval, tables, counts)
            at += 8 + length
    return counts, used


def code_lengths(weights):
    """Symbol → length of its code, at most LIMIT, by package-merge (Larmore and Hirschberg, 1990). None is all ones: a symbol more, which
    is the rarest, has that."""
    singles = sorted([(weight, (symbol,)) for symbol, weight in weights.items()] + [(0, (None,))], key=lambda item: item[0])
    packages = []
    for _ in range(LIMIT):
        merged = sorted(singles + packages, key=lambda item: item[0])
        packages = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(merged[::2], merged[1::2])]
    lengths = collections.Counter()
    for _, symbols in packages[:len(singles) - 1]:
        lengths.update(symbols)
    del lengths[None]
    return lengths


def c_table(lengths, weights):
    order = sorted(lengths, key=lambda symbol: (lengths[symbol], -weights[symbol]))
    bits = [0] + [sum(length == n for length in lengths.values()) for n in range(1, LIMIT + 1)]
    rows = [", ".join(f"0x{symbol:02x}" for symbol in order[i:i + 12]) for i in range(0, len(order), 12)]
    values = "".join(f"                          {row},\n" for row in rows)
    return (f"        {{\n                .bits = {{ {', '.join(map(str, bits))} }},\n                .huffval = {{\n{values}"
            "                },\n        },\n")


def cost(counts, lengths):
    """Bits of the codes and of what follows them."""
    return sum(n * (lengths[symbol] + (symbol & 15)) for symbol, n in counts.items())


def lengths_of(bits, values):
    return dict(zip(values, (length for length, n in enumerate(bits, 1) for _ in range(n))))


def main():
    parser = argparse.ArgumentParser(prog="tools/bench huffman", description=__doc__.split(": ", 1)[1])
    parser.add_argument("traces", nargs="*", type=pathlib.Path, metavar="TRACE", help=f"default: the recorded {', '.join(KINDS)}")
    parser.add_argument("--quality", type=int, default=85)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--recordings", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    progress, found, used = Progress(), {}, None
    for source in options.traces or bench_record.ensure(options.recordings, KINDS, progress):
        with progress.step(f"{source.stem}: counting"), tempfile.TemporaryDirectory(prefix="streamsight-bench-") as folder:
            path = pathlib.Path(folder) / "trace.sss"
            trace = bench_encoder.Trace(source, pathlib.Path(folder))
            bench_encoder.encode(trace, options, "-o", path)
            found[source.stem], used = count(path.read_bytes())
    made = {}
    for which, symbols in (((0, 0), DC), ((0, 1), DC), ((1, 0), AC), ((1, 1), AC)):
        weights = {symbol: 1 for symbol in symbols}
        for counts in found.values():
            total = sum(counts[which].values())
            for symbol, n in counts[which].items():
                weights[symbol] += n * WEIGHT // total
        made[which] = weights, code_lengths(weights)
    for name, kind in (("dc", 0), ("ac", 1)):
        print(f"const JHUFF_TBL tile_huffman_{name}[2] = {{\n{''.join(c_table(made[kind, i][1], made[kind, i][0]) for i in (0, 1))}}};")
    for name, counts in found.items():
        new, old = (sum(cost(counts[which], lengths[which]) for which in counts) for lengths in (
            {which: table[1] for which, table in made.items()}, {which: lengths_of(*table) for which, table in used.items()}))
        print(f"{name}: {new / 8000:.0f} kB, {(new / old - 1) * 100:+.2f} % beside the tables in use", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr or ''}")
