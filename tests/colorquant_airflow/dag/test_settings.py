"""A setting of the deployment that would stop runs, or never start one, is an import error that names it."""

import pytest

from colorquant_airflow.dag import corpus_schedule, library_params, nightly_schedule


def _parse() -> None:
    library_params()
    nightly_schedule()
    corpus_schedule()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COMPRESSION_SCHEDULE", ""),
        ("COMPRESSION_SCHEDULE", "0 2 * *"),
        ("COMPRESSION_SCHEDULE", "0 25 * * *"),
        ("COMPRESSION_SCHEDULE", "every night"),
        ("COMPRESSION_CORPUS_SCHEDULE", " "),
        ("COMPRESSION_CORPUS_SCHEDULE", "* * * *"),
        ("COMPRESSION_TIMEZONE", "Europe/Nowhere"),
        ("COMPRESSION_TIMEZONE", "../etc/passwd"),
        ("COMPRESSION_TIMEZONE", ""),
        ("COMPRESSION_MAX_PIXELS", "a lot"),
        ("COMPRESSION_MAX_SECONDS", "0"),
        ("COMPRESSION_ALLOWED_ROOTS", "ftp://host/folder"),
        ("COMPRESSION_JOB_ENVIRONMENT", "ONE,OTHER"),
        ("COMPRESSION_APPROVAL", "yes"),
        ("COMPRESSION_APPROVAL_TIMEOUT", "1 day"),
        ("COMPRESSION_DEADLINE", "06:00"),
        ("COMPRESSION_NOTIFIER", "a notifier"),
        ("COMPRESSION_NOTIFIER_ARGUMENTS", "[1]"),
        ("COMPRESSION_NOTIFIER_ARGUMENTS", "{"),
    ],
)
def test_it_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable):
        _parse()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COMPRESSION_SCHEDULE", "none"),
        ("COMPRESSION_SCHEDULE", " @daily "),
        ("COMPRESSION_SCHEDULE", "0 2 * * mon-fri"),
        ("COMPRESSION_CORPUS_SCHEDULE", "None"),
        ("COMPRESSION_TIMEZONE", "Europe/Oslo"),
        ("COMPRESSION_ALLOWED_ROOTS", "/elsewhere,s3://bucket"),
        ("COMPRESSION_IMAGES", ""),
        ("COMPRESSION_JOB_ENVIRONMENT", "ONE  OTHER"),
        ("COMPRESSION_NOTIFIER", "package.module.Notifier"),
    ],
)
def test_what_works_is_accepted(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    _parse()
    assert library_params()["images"].value
