"""A short run of the decoder's fuzzer, and that the fuzzer sees what it must."""

import os
import time
from collections.abc import Callable

import numpy as np
import pytest

from colorquant.errors import Undecodable
from colorquant.limits import Limits
from tests.fuzz import decoder

INPUTS = 4000


def test_mutated_images_are_decoded_or_refused_in_bounded_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = decoder.fuzz(decoder.corpus_of_odd_images(), seed=0, first=0, inputs=INPUTS)
    with capsys.disabled():
        print(f"\n{outcome}")
    assert outcome.failures == {}
    assert outcome.counts.total() == INPUTS
    # Neither all intact nor all broken: both ways of the decoder are tried.
    assert min(outcome.counts["decoded"], outcome.counts["refused"]) > INPUTS / 20


def test_inputs_are_the_same_each_time_and_differ() -> None:
    corpus = decoder.corpus_of_odd_images()
    inputs = [decoder.mutated(corpus, 1, number) for number in range(200)]
    assert inputs == [decoder.mutated(corpus, 1, number) for number in range(200)]
    assert len(set(inputs)) > 190


_calls = 0


def _fail_at_third_call(fail: Callable[[], object]) -> np.ndarray:
    global _calls
    _calls += 1
    if _calls == 3:
        fail()
    raise Undecodable("refused.")


def _crashing(content: bytes, limits: Limits) -> np.ndarray:
    return _fail_at_third_call(os.abort)


def _hanging(content: bytes, limits: Limits) -> np.ndarray:
    return _fail_at_third_call(lambda: time.sleep(3600))


def _greedy(content: bytes, limits: Limits) -> np.ndarray:
    return _fail_at_third_call(lambda: bytearray(decoder.MEMORY_LIMIT))


@pytest.mark.parametrize(("decode", "reason"), [(_crashing, "ended"), (_hanging, "needed"), (_greedy, "MemoryError")])
def test_a_crash_a_hang_and_too_much_memory_are_failures_and_the_rest_is_tried(
    decode: decoder.Decode, reason: str
) -> None:
    outcome = decoder.fuzz([b"image"], seed=0, first=0, inputs=5, decode=decode, seconds_limit=8)
    assert list(outcome.failures) == [2]
    assert reason in outcome.failures[2]
    assert outcome.counts == {"refused": 4, "failed": 1}
