"""One deployment for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.compose.stack import Stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("a deployment"))
    try:
        stack.greeting = stack.make("up")
        yield stack
    finally:
        stack.remove()
