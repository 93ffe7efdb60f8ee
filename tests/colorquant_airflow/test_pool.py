"""The pool of the Spark jobs, without which none would ever start: it is made, and its absence is said."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.base import Base
from airflow.models.pool import Pool
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from colorquant_airflow import pool, private
from colorquant_airflow.pages.pool_maker import PoolMaker


class Job:
    """Stands for Airflow's record of a scheduler that starts: only its name is looked at."""


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A database with the table of pools, and no pool."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine, tables=[Pool.__table__])

    @contextmanager
    def session() -> Iterator[Session]:
        with Session(engine) as opened, opened.begin():
            yield opened

    monkeypatch.setattr(private, "create_session", session, raising=False)
    return engine


def _slots(database: Engine) -> list[Any]:
    with Session(database) as session:
        return list(session.scalars(select(Pool.slots).where(Pool.pool == "spark")))


def test_a_service_that_starts_makes_it_once_and_leaves_that_of_somebody(database: Engine) -> None:
    maker = PoolMaker()
    maker.on_starting(Job())
    maker.on_starting(Job())
    assert _slots(database) == [1]
    with Session(database) as session:
        session.scalars(select(Pool)).one().slots = 7
        session.commit()
    maker.on_starting(Job())
    assert _slots(database) == [7]


def test_the_process_of_a_task_asks_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "create_session", None, raising=False)
    PoolMaker().on_starting(SimpleNamespace())


def test_two_services_may_make_it_at_once(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.make_pool()
    monkeypatch.setattr(Session, "scalar", lambda session, query: None)  # The other one is not committed yet.
    pool.make_pool()
    assert _slots(database) == [1]


def test_what_is_wrong_with_it_is_said(database: Engine) -> None:
    with Session(database) as session:
        assert "there is no pool 'spark' in Airflow: make one" in str(pool.pool_wait(session))
        session.add(Pool(pool="spark", slots=0, include_deferred=False))
        assert "the pool 'spark' has no slots in Airflow: give it one" in str(pool.pool_wait(session))
        session.scalars(select(Pool)).one().slots = 1
        assert pool.pool_wait(session) is None
