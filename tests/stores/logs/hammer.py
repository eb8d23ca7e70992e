"""One of several servers that write into the same logs; a program of its own, to be killed.

hammer.py append ROOT SEED SIZE     send overlapping pieces of each stream until all is held
hammer.py change ROOT SEED TIMES    make, fill and delete the same streams and their group
"""

import asyncio
import random
import sys
from pathlib import Path

from trainshed.stores.logs.format import encode
from trainshed.stores.logs.segments import Logs

STREAMS = ["a/algo-1-1", "b/algo-1-1", "c/algo-1-1"]
SEGMENT_BYTES = 4000


def file_of(stream: str, size: int) -> bytes:
    """Return what an agent has in its file: about ``size`` bytes, each line another."""
    lines = (
        encode(1000 + n, b"%b %d %b" % (stream.encode(), n, b"x" * (n % 90))) for n in range(size)
    )
    found = bytearray()
    while len(found) < size:
        found += next(lines)
    return bytes(found)


async def append(root: Path, chance: random.Random, size: int) -> None:
    """Send pieces that begin where a stream was found to end, or anywhere before; tell of each."""
    logs, files = Logs(root, SEGMENT_BYTES), {stream: file_of(stream, size) for stream in STREAMS}
    held = dict.fromkeys(STREAMS, 0)
    while any(held[stream] < len(files[stream]) for stream in STREAMS):
        stream = chance.choice(STREAMS)
        offset = max(held[stream] - chance.choice([0, 0, 1, 200, 9000]), 0)
        piece = files[stream][offset : offset + chance.choice([1, 50, 700, 3000])]
        held[stream] = await logs.append("g", stream, offset, piece)
        print(stream, held[stream], flush=True)


async def change(root: Path, chance: random.Random, times: int) -> None:
    """Do everything that makes or removes folders."""
    logs = Logs(root, SEGMENT_BYTES)
    for _ in range(times):
        stream = chance.choice(STREAMS)
        match chance.randrange(6):
            case 0:
                await logs.delete_stream("g", stream)
            case 1:
                await logs.delete_group("g")
            case 2:
                await logs.create_group("g", 1)
            case 3:
                await logs.stream_names("g")
                await logs.streams("g", STREAMS)
            case _:
                await logs.append("g", stream, 0, file_of(stream, 9000))


if __name__ == "__main__":
    what, folder, seed, count = sys.argv[1:]
    work = {"append": append, "change": change}[what]
    asyncio.run(work(Path(folder), random.Random(int(seed)), int(count)))
