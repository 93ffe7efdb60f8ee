"""Of a plan and a prune, and of two prunes, one waits or gives up: on a disk and in a bucket."""

import time
from types import SimpleNamespace

import pytest

from colorquant.errors import PruneRefused
from colorquant.jobs import pauses
from colorquant.jobs.plan import run_folder
from colorquant.retention import prune
from colorquant.storage import files_below, write_atomically

LEASE, DAY = 900.0, 86_400.0


class StillWaiting(Exception):
    """Somebody waits for longer than a test allows."""


class Clock:
    """A time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = time.time()
        self.end = self.now + DAY

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self.end:
            raise StillWaiting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pauses, "time", SimpleNamespace(time=lambda: clock.now, sleep=clock.sleep))
    monkeypatch.setattr(pauses, "_POLL_SECONDS", 20.0)
    return clock


@pytest.fixture(params=["disk", "bucket"])
def output(request: pytest.FixtureRequest, tmp_path: object) -> str:
    if request.param == "bucket":
        request.getfixturevalue("s3")
        return "s3://results/out"
    return f"{tmp_path}/out"


def _waits(output: str, clock: Clock) -> float:
    """For how many seconds a plan waits."""
    begun = clock.now
    with pauses.planning(output, run_folder(output, "run")):
        return clock.now - begun


def test_a_plan_waits_for_a_prune_that_was_killed_for_a_quarter_of_an_hour(output: str, clock: Clock) -> None:
    assert _waits(output, clock) == 0
    pauses.Lease(output).renew()
    clock.now += 300
    assert _waits(output, clock) == pytest.approx(LEASE - 300, abs=20)
    with pauses.Lease(output):
        pass
    assert set(files_below(output)) == set(), "the next prune has removed what the killed one left"


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 9, "owner": "a later version"}'])
def test_a_lease_that_nobody_can_read_ends_too(output: str, clock: Clock, content: bytes) -> None:
    write_atomically(f"{output}/runs/{pauses.PRUNING}", content)
    with pytest.raises(PruneRefused, match="Another prune is running, or was killed"), pauses.Lease(output):
        pass
    assert _waits(output, clock) == pytest.approx(LEASE, abs=60)  # By the clock of the disk or the store.
    with pauses.Lease(output):
        pass


def test_a_prune_that_lives_keeps_its_lease(output: str, clock: Clock) -> None:
    with pauses.Lease(output) as lease:
        for _ in range(40):
            clock.now += 50
            clock.end = clock.now
            lease.renew()
            with pytest.raises(StillWaiting):
                _waits(output, clock)
            with pytest.raises(PruneRefused, match="Another prune is running"), pauses.Lease(output):
                pass
    clock.end = clock.now
    assert _waits(output, clock) == 0


def test_a_prune_that_was_stopped_for_longer_than_its_lease_ends(output: str, clock: Clock) -> None:
    stopped = pauses.Lease(output)
    stopped.renew()
    clock.now += LEASE + 1
    assert _waits(output, clock) == 0, "so a run may have been planned meanwhile"
    with pytest.raises(PruneRefused, match="was stopped for so long that a run may be planned now"):
        stopped.renew()
    with pauses.Lease(output) as next_one:
        stopped.__exit__()
        next_one.confirm()


@pytest.mark.parametrize("pauses_between", [0, 100])
def test_of_two_prunes_that_begin_at_once_one_gives_up(output: str, clock: Clock, pauses_between: int) -> None:
    """Both have looked for the file of the other one before either left its own."""
    first, second = pauses.Lease(output), pauses.Lease(output)
    first.renew()
    second.renew()
    clock.now += pauses_between
    with pytest.raises(PruneRefused, match="Another prune has begun at the same time"):
        first.renew() if pauses_between else first.confirm()
    first.__exit__()
    second.renew()
    second.confirm()
    clock.end = clock.now
    with pytest.raises(StillWaiting):
        _waits(output, clock)
    second.__exit__()
    assert _waits(output, clock) == 0


def test_the_file_of_a_plan_that_was_killed_counts_for_a_day(output: str) -> None:
    killed = pauses.planning(output, run_folder(output, "run"))
    killed.__enter__()
    with pytest.raises(PruneRefused, match="is being planned"):
        prune(output, delete=True, now=time.time() + 0.9 * DAY)
    assert prune(output, delete=True, now=time.time() + 1.1 * DAY).files == {}
    assert len(prune(output, delete=True, now=time.time() + 9 * DAY).files) == 1
    assert files_below(f"{output}/runs").keys() == {"pruned.json"}
