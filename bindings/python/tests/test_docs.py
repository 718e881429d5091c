"""The docs hold: the examples in them run, the stubs agree with the binary, the example programs
print what they say."""

import doctest
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import moonkv
import moonkv._errors
from moonkv import Engine, Profile, Savepoint, Script, Session, Transaction

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"


@pytest.mark.parametrize("where", [moonkv, moonkv._errors, Engine, Script, Session])
def test_doctests(where: ModuleType | type) -> None:
    found = doctest.DocTestFinder(exclude_empty=True).find(where, where.__name__, module=False)
    tests = [test for test in found if test.examples]
    runner = doctest.DocTestRunner()
    for test in tests:
        runner.run(test)
    assert tests and runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("kind", [Engine, Profile, Savepoint, Script, Session, Transaction])
def test_everything_public_is_documented(kind: type) -> None:
    members = [getattr(kind, name) for name in vars(kind) if not name.startswith("_")]
    assert kind.__doc__ and all(member.__doc__ for member in members)


def test_stubs() -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    for tool in (["mypy.stubtest", "moonkv"], ["mypy", "--strict", "-p", "moonkv"]):
        done = subprocess.run([sys.executable, "-m", *tool], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_themselves_are_typed() -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    tool = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports"]
    done = subprocess.run(
        [*tool, str(Path(__file__).parent), str(EXAMPLES)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.partition("# -> ")[2] for line in path.read_text().splitlines()]
    assert done.stdout.splitlines() == [line for line in said if line]


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} >= {"first.py", "sessions.py", "use_cases.py"}
