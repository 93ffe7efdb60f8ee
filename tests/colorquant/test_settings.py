import argparse
import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import pytest

from colorquant import settings
from colorquant.errors import InvalidSetting
from colorquant.settings import ALGORITHM_VERSION, Settings, options


@dataclass(frozen=True, kw_only=True)
class _MoreSettings(Settings):
    """Settings of each kind that a field may have, as a later version may bring them."""

    space: str = settings._option("rgb", "Space", "the space", choices=("rgb", "oklab"))
    strength: float = settings._option(0.0, "Strength", "how much of 100 %", minimum=0, maximum=1)
    hold: bool = settings._option(False, "Hold", "whether to hold")


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> type[Settings]:
    monkeypatch.setattr(settings, "Settings", _MoreSettings)
    return _MoreSettings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    settings.add_arguments(parser)
    return parser


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seed": 2**31 - 1},
        {"space": "oklab", "strength": 0.1, "hold": True},
        {"seed": "7", "strength": "1", "hold": "True", "space": " oklab "},
        {"strength": 1},
        {"compare": "avif, jpeg"},
        {"rate": "auto", "dither": "none"},
    ],
    ids=str,
)
def test_settings_pass_unchanged_through_the_command_line_and_through_a_record(
    more: type[Settings], values: dict[str, Any]
) -> None:
    given = more.parse(values)
    parsed = settings.of_arguments(_parser().parse_args(given.arguments()))
    assert dataclasses.asdict(parsed) == dataclasses.asdict(given)
    record = json.loads(json.dumps(given.as_record()))
    assert more.of_record(record, given.seed) == given.fixed()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "seed = -1 is wrong: it takes a whole number from 0 to 2147483647."),
        ({"seed": 2**31}, "seed = 2147483648 is wrong"),
        ({"seed": "1_0"}, "seed = '1_0' is wrong"),
        ({"seed": "٣"}, "seed = '٣' is wrong"),
        ({"seed": None}, "seed = None is wrong"),
        ({"seed": True}, "seed = True is wrong"),
        ({"seed": 1.5}, "seed = 1.5 is wrong"),
        ({"strength": "nan"}, "strength = nan is wrong: it takes a number from 0 to 1."),
        ({"strength": "1e9"}, "strength = 1000000000.0 is wrong"),
        ({"space": "lab"}, "space = 'lab' is wrong: it takes one of rgb, oklab."),
        ({"hold": "yes"}, "hold = 'yes' is wrong: it takes true or false."),
        ({"compare": "webp,gif"}, "compare = 'webp,gif' is wrong: it takes any of jpeg, webp, avif, jxl, separated by"),
        ({"compare": ["webp", 1]}, "compare = ['webp', 1] is wrong"),
        ({"compare": 7}, "compare = 7 is wrong"),
        ({"sead": 1}, "There is no setting 'sead'; there are seed, "),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_by_a_sentence(more: type[Settings], values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        more.parse(values)
    assert message in str(caught.value)
    with pytest.raises((InvalidSetting, TypeError)):
        more(**values)


def test_a_wrong_option_of_the_command_line_is_refused(
    more: type[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["--strength=2"])
    assert "--strength: '2' is wrong: it takes a number from 0 to 1" in capsys.readouterr().err
    assert "how much of 100 %" in _parser().format_help()


def test_a_new_setting_at_its_default_leaves_old_outputs_current(more: type[Settings]) -> None:
    old = {"algorithm_version": ALGORITHM_VERSION}
    assert more.of_record(old, seed=3) == more(seed=3)
    assert more(seed=3).identity() == [3, old]
    assert more(strength=0.5).identity() == [0, old | {"strength": 0.5}]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"algorithm_version": ALGORITHM_VERSION - 1},
        {"algorithm_version": ALGORITHM_VERSION, "unheard_of": 1},
        {"algorithm_version": ALGORITHM_VERSION, "strength": "much"},
        {"algorithm_version": ALGORITHM_VERSION, "strength": [1]},
        {"algorithm_version": ALGORITHM_VERSION, "seed": 1},
    ],
    ids=str,
)
def test_a_record_of_other_settings_is_never_taken_for_these(more: type[Settings], record: dict[str, Any]) -> None:
    assert more.of_record(record, seed=0) is None


@pytest.mark.parametrize(
    ("given", "compare"),
    [
        ("webp,avif", ("webp", "avif")),
        (" avif , webp,avif,", ("webp", "avif")),
        (["jxl", "jpeg"], ("jpeg", "jxl")),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
    ids=str,
)
def test_a_list_is_the_same_however_it_is_written(given: object, compare: tuple[str, ...]) -> None:
    assert Settings.parse({"compare": given}).compare == compare


def test_what_is_compared_does_not_tell_outputs_apart() -> None:
    plain, compared = Settings(seed=3), Settings(seed=3, compare=("avif",))
    assert compared.identity() == plain.identity()
    assert compared.as_record() == plain.as_record() and "compare" not in compared.as_record()
    assert compared == plain == Settings.of_record(compared.as_record(), 3)
    assert compared.arguments() != plain.arguments()


def test_every_setting_says_what_it_is() -> None:
    for option in options().values():
        assert option.title and option.help and option.allowed
    assert {field.name for field in dataclasses.fields(Settings)} == {*options(), "free"}


def test_a_setting_that_is_not_given_is_free_and_has_its_default() -> None:
    parsed = Settings.parse({"rate": 0.2, "dither": " AUTO "})
    assert parsed.free == ("objective", "color_space", "dither", "effort")
    assert parsed.fixed() == Settings(rate=0.2)
    assert parsed.identity() != parsed.fixed().identity()
    assert parsed.allows(Settings(rate=0.2, dither="blue-noise")) and not parsed.allows(Settings(rate=0.3))
    with pytest.raises(InvalidSetting, match="free"):
        Settings(free=("seed",))
