"""The pool of Airflow whose slots are the Spark jobs at a time.

Airflow never schedules tasks of a pool that does not exist, or has no slots, without a word in the UI, and a task
cannot ask for a pool. So the plugin makes the pool where a service of Airflow starts, and its pages say what is wrong.
"""

from typing import TYPE_CHECKING

from colorquant_airflow import private

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: The pool of the DAGs.
POOL = "spark"


def make_pool() -> None:
    """Make the pool, with one slot, unless it exists. An existing pool is not changed."""
    from sqlalchemy import select
    from sqlalchemy.exc import IntegrityError

    try:
        with private.create_session() as session:
            if session.scalar(select(private.Pool).where(private.Pool.pool == POOL)) is None:
                description = "Spark jobs at a time; the plugin image_compression has made it with one slot"
                session.add(private.Pool(pool=POOL, slots=1, description=description, include_deferred=False))
    except IntegrityError:  # Another service has just made it.
        return


def pool_wait(session: "Session") -> str | None:
    """Why Airflow starts no Spark job, and what to do; None where it can."""
    from sqlalchemy import select

    slots = session.scalar(select(private.Pool.slots).where(private.Pool.pool == POOL))
    return wait_for_slots(slots)


def wait_for_slots(slots: int | None, where: str = "Airflow") -> str | None:
    """The sentence for a pool of so many slots, None for one that does not exist; None where jobs can start."""
    if slots is None:
        return f"there is no pool {POOL!r} in {where}: make one there, and give it a slot for each job at once."
    if slots == 0:
        return f"the pool {POOL!r} has no slots in {where}: give it one for each job at once."
    return None
