"""Fixtures that every test file uses."""

import signal
from collections.abc import Iterator

import pytest

from moonkv import Engine

# Whoever runs the tests in the background of a shell has Ctrl-C ignored, which Python inherits.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def clocked() -> Iterator[Engine]:
    """An engine whose time stands still at 1,000,000 ms until it is advanced."""
    with Engine(clock_start_ms=1_000_000) as engine:
        yield engine
