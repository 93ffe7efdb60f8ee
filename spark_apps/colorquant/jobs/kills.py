"""The memory of images that end the process of their job: by its memory, by its time, or by a crash.

Such an image would cost the same again every night, and with it the jobs beside it. So each such end is noted in the
output folder, by the image's hash. After two an image is refused, until it changes or a run has ``force``. Standard
library only.
"""

from dataclasses import dataclass

from colorquant.errors import InvalidRecord
from colorquant.jobs.records import SCHEMA_VERSION
from colorquant.limits import Limits
from colorquant.storage import JsonRecord, StrPath

#: So many ends of a process make an image refused: the first may have been the machine's fault.
MAX_KILLS = 2


@dataclass(frozen=True, kw_only=True)
class Kills(JsonRecord):
    """What is known of one image file: the content of ``Job.kills``.

    Attributes
    ----------
    events : names of the tries that ended so, each once.
    reason : why the last one ended.
    """

    schema_version: int = SCHEMA_VERSION
    events: tuple[str, ...]
    reason: str


def note_kill(path: StrPath, event: str, reason: str) -> None:
    """Note that a try ended by its image.

    Parameters
    ----------
    path : str or path-like
        ``Job.kills``.
    event : str
        The name of the try. The same event counts once, whoever notes it.
    reason : str
        Why it ended, one sentence.

    Raises
    ------
    OSError
        It cannot be written.
    """
    known = _known(path)
    events = known.events if known else ()
    if event not in events:
        Kills(events=(*events, event), reason=reason).write(path)


def refusal_for_kills(path: StrPath, image: str) -> str | None:
    """Why an image is refused that has ended too many processes; None for any other. Raises OSError."""
    known = _known(path)
    if known is None or len(known.events) < MAX_KILLS:
        return None
    return (
        f"{image!r} has ended the process of its job {len(known.events)} times (last: {known.reason.rstrip('.')}), and "
        "is refused until it changes; give the job more memory or time and set force to try again."
    )


def too_slow_for(image: str, limits: Limits) -> str:
    """Why the job of an image is ended after its time."""
    return f"{image!r} takes longer than {limits.seconds:,} seconds, the limit; scale it down or raise the limit."


def _known(path: StrPath) -> Kills | None:
    try:
        return Kills.read(path)
    except (FileNotFoundError, InvalidRecord):  # One that nobody can read is written again.
        return None
