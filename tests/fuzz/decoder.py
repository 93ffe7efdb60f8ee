"""Fuzz the decoder: mutated images by the thousand; each must be decoded or refused, in bounded time and memory.

    make fuzz N=100000 SEED=1

Inputs are decoded in a child process with limits. Input number i of a seed is always the same bytes, so one that
failed is made again by ``--seed S --first i --inputs 1``; it is also written to the folder ``--keep``.
"""

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from colorquant.decode.decoders import decode
from colorquant.errors import Undecodable
from colorquant.limits import Limits

Decode = Callable[[bytes, Limits], np.ndarray]

LIMITS = Limits(pixels=1 << 20)
MEMORY_LIMIT = 3 << 30
"""Address space of the child; the limit of pixels needs some tens of megabytes of it."""
SECONDS_LIMIT = 30
"""For one input, on a machine that does other things too."""

_INTERESTING = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass
class Outcome:
    """What became of the inputs, and those that failed: number and reason."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0
    peak_bytes: int = 0

    def __str__(self) -> str:
        tried = sum(self.counts.values())
        parts = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        peak = f"peak memory {self.peak_bytes >> 20} MiB"
        return f"fuzz: {tried} inputs tried: {parts}; slowest {self.slowest:.2f} s, {peak}"


def mutated(corpus: list[bytes], seed: int, number: int) -> bytes:
    """Input ``number`` of a seed: an image of the corpus, changed in one to four places."""
    random = np.random.default_rng([seed, number])
    content = bytearray(corpus[random.integers(len(corpus))])
    for _ in range(int(random.integers(1, 5))):
        _mutate(content, corpus, random)
    if content[:4] == b"\x89PNG" and random.random() < 0.7:
        _repair_checksums(content)  # Or little beyond the first chunk would ever be reached.
    return bytes(content)


def _mutate(content: bytearray, corpus: list[bytes], random: np.random.Generator) -> None:
    size = len(content)
    # Half of the changes are made where headers are.
    at = int(random.integers(min(size, 200) if random.random() < 0.5 else size)) if size else 0
    length = int(2 ** random.uniform(0, 9))
    kind = random.integers(8)
    if kind == 0 and size:
        content[at] ^= 1 << int(random.integers(8))
    elif kind == 1:
        content[at : at + length] = random.bytes(length)
    elif kind == 2:
        del content[at : at + length]
    elif kind == 3:
        content[at:at] = content[at : at + length] * int(random.integers(1, 5))
    elif kind == 4:
        del content[at:]
    elif kind == 5:
        other = corpus[random.integers(len(corpus))]
        start = int(random.integers(len(other) or 1))
        content[at : at + length] = other[start : start + length]
    else:
        width = int(random.choice([1, 2, 4]))
        value = int(random.choice(_INTERESTING)) & (256**width - 1)
        content[at : at + width] = value.to_bytes(width, "big" if random.random() < 0.5 else "little")


def _repair_checksums(content: bytearray) -> None:
    at = 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        if at + 12 + length > len(content):
            return
        content[at + 8 + length : at + 12 + length] = zlib.crc32(content[at + 4 : at + 8 + length]).to_bytes(4)
        at += 12 + length


def fuzz(
    corpus: list[bytes],
    seed: int,
    first: int,
    inputs: int,
    decode: Decode = decode,
    seconds_limit: float = SECONDS_LIMIT,
) -> Outcome:
    """Decode mutated images in child processes; a child that dies or hangs is a failure, and another one goes on."""
    outcome = Outcome()
    number, end = first, first + inputs
    while number < end:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        work = (theirs, corpus, seed, number, end, decode)
        child = multiprocessing.get_context("spawn").Process(target=_decode_all, args=work)
        child.start()
        theirs.close()
        number = _follow(ours, outcome, number, end, seconds_limit)
        if number < end:
            child.kill()
        child.join()
        if number < end:
            reason = f"the process ended with {child.exitcode}, or needed more than {seconds_limit} s"
            outcome.counts["failed"] += 1
            outcome.failures[number] = reason
            number += 1
    return outcome


def _follow(results: Connection, outcome: Outcome, number: int, end: int, seconds_limit: float) -> int:
    """Note results until the child has done all, has died or hangs; return the number that it is at."""
    ready = False
    while number < end:
        # The first message says that the child has imported what it needs.
        if not results.poll(seconds_limit if ready else 10 * SECONDS_LIMIT):
            return number
        try:
            what, seconds, peak = results.recv()
        except EOFError:
            return number
        if not ready:
            ready = True
            continue
        kind, _, reason = what.partition(": ")
        outcome.counts[kind] += 1
        outcome.slowest, outcome.peak_bytes = max(outcome.slowest, seconds), max(outcome.peak_bytes, peak)
        if reason:
            outcome.failures[number] = reason
        number += 1
    return number


def _decode_all(results: Connection, corpus: list[bytes], seed: int, number: int, end: int, decode: Decode) -> None:
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Where libraries say what they think of each input.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    results.send(("ready", 0.0, 0))
    for at in range(number, end):
        content = mutated(corpus, seed, at)
        before = time.perf_counter()
        try:
            pixels = decode(content, LIMITS)
            right = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.size
            what = "decoded" if right and pixels.size <= 4 * LIMITS.pixels else f"failed: {pixels.dtype} {pixels.shape}"
        except Undecodable as error:
            one_line = "\n" not in str(error) and str(error).endswith(".")
            what = "refused" if one_line else f"failed: not one sentence: {error!r}"
        except BaseException as error:
            what = f"failed: {error!r}"
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results.send((what, time.perf_counter() - before, peak))


def main() -> int:
    """Fuzz as the command line says; return 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("output/fuzz"), help="folder for inputs that failed")
    arguments = parser.parse_args()
    corpus = corpus_of_odd_images()
    outcome = fuzz(corpus, arguments.seed, arguments.first, arguments.inputs)
    print(outcome)
    for number, reason in outcome.failures.items():
        arguments.keep.mkdir(parents=True, exist_ok=True)
        path = arguments.keep / f"seed-{arguments.seed}-input-{number}"
        path.write_bytes(mutated(corpus, arguments.seed, number))
        print(f"{path}: {reason}")
    return 1 if outcome.failures else 0


def corpus_of_odd_images() -> list[bytes]:
    """The odd images up to a size that leaves time for many."""
    from tests.odd_images import ODD

    return [odd.content for odd in ODD.values() if len(odd.content) <= 20_000]


if __name__ == "__main__":
    sys.exit(main())
