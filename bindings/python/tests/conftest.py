"""Fixtures that every test file uses."""

from collections.abc import Iterator

import pytest

from moonkv import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def clocked() -> Iterator[Engine]:
    """An engine whose time stands still at 1,000,000 ms until it is advanced."""
    with Engine(clock_start_ms=1_000_000) as engine:
        yield engine
