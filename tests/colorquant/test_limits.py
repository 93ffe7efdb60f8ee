"""The limits of one image: settings of the environment, within bounds, and documented as they are."""

import re
from dataclasses import fields

import pytest

from colorquant.errors import InvalidSetting
from colorquant.limits import DEFAULT_LIMITS, FREE_PIXELS, Limits
from tests.conftest import PROJECT

VARIABLES = {each.metadata["variable"]: each for each in fields(Limits)}


def test_each_limit_is_set_by_its_variable_and_an_empty_one_counts_as_not_set() -> None:
    assert Limits.of_environment({}) == DEFAULT_LIMITS
    for variable, each in VARIABLES.items():
        assert Limits.of_environment({variable: " 7 "}) == Limits(**{each.name: 7})
        assert Limits.of_environment({variable: ""}) == DEFAULT_LIMITS
        assert Limits.of_environment({variable: str(each.metadata["maximum"])})


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "1e3", "9" * 5000, "٣"])
def test_what_is_no_limit_is_refused_by_its_variable(text: str) -> None:
    for variable in VARIABLES:
        with pytest.raises(InvalidSetting, match=f"^{variable}='.*' is not a whole number from 1 to"):
            Limits.of_environment({variable: text})


def test_a_ratio_is_a_limit_only_of_large_images() -> None:
    limits = Limits(ratio=10)
    assert limits.ratio_allows(FREE_PIXELS, 10**9, 1)
    assert limits.ratio_allows(FREE_PIXELS + 1, 100, 10)
    assert not limits.ratio_allows(FREE_PIXELS + 1, 101, 10)


def test_the_documents_have_the_defaults() -> None:
    reference = (PROJECT / "docs" / "reference.md").read_text()
    page = (PROJECT / "docs" / "limits.md").read_text()
    for variable, each in VARIABLES.items():
        (default,) = re.findall(rf"^\| `{variable}` \| `(\d+)` \|", reference, re.MULTILINE)
        assert int(default) == each.default
        assert f"`{variable}`" in page
