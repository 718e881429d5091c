"""Python functions as commands, and limits for one run."""

import gc
import weakref
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest

import moonkv
from moonkv import Engine, OptionError, ReentrantError, ResponseError


def spawn(area: bytes, monster: bytes) -> Generator[Any, Any, int]:
    count: int = yield "RPUSH", area, monster
    if monster == b"dragon":
        raise ResponseError("NODRAGONS in this game")
    if monster == b"bug":
        raise ValueError("a bug")
    return count


@pytest.fixture
def game(engine: Engine) -> Engine:
    engine.register("GAME.SPAWN", spawn, arity=3, keys=(1, 1, 1))
    return engine


def test_all_reach_it(game: Engine) -> None:
    assert game.command("game.spawn", "cave", "rat") == 1
    assert game.eval("return redis.call('GAME.SPAWN', KEYS[1], 'bat')", ["cave"]) == 2
    with game.session() as session:
        session.command("MULTI")
        assert session.command("GAME.SPAWN", "cave", "owl") == "QUEUED"
        assert session.command("EXEC") == [3]
    assert game.command("COMMAND", "GETKEYS", "GAME.SPAWN", "cave", "rat") == [b"cave"]


def test_what_it_raises_is_the_calls_error(game: Engine) -> None:
    with pytest.raises(ResponseError, match="^NODRAGONS in this game$"):
        game.command("GAME.SPAWN", "cave", "dragon")
    with pytest.raises(ResponseError, match="^ERR ValueError: a bug script: "):
        game.eval("redis.call('SET', 'k', 1) redis.call('GAME.SPAWN', 'cave', 'bug')")
    caught = game.eval("return redis.pcall('GAME.SPAWN', 'cave', 'bug').err")
    assert caught == b"ERR ValueError: a bug"
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        game.command("GAME.SPAWN")
    assert game.command("DBSIZE") == 0


def test_a_commands_error_is_raised_at_the_yield(engine: Engine) -> None:
    seen = []

    def tries() -> Generator[Any, Any, str]:
        yield "SET", "text", "x"
        for wrong in [("LPUSH", "text", 1), ("NO.SUCH",), "TEXT", ("GET", None), ()]:
            try:
                yield wrong
            except (ResponseError, TypeError) as error:
                seen.append(type(error).__name__)
        return "done"

    engine.register("TRIES", tries)
    assert engine.command("TRIES") == b"done"
    expected = ["WrongTypeError", "ResponseError", "TypeError", "TypeError", "ResponseError"]
    assert seen == expected
    assert engine.command("GET", "text") == b"x"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (-7, -7),
        (0.5, 0.5),
        ("text", b"text"),
        (b"\0", b"\0"),
        (bytearray(b"b"), b"b"),
        ([1, ("a",)], [1, [b"a"]]),
        ({"k": 1}, {b"k": 1}),
        ({5}, {5}),
    ],
)
def test_replies(value: object, expected: object) -> None:
    with Engine(protocol=3) as engine:
        engine.register("GIVE", lambda: value)
        assert engine.command("GIVE") == expected


def give(value: object) -> object:
    return value


def test_what_is_no_reply(engine: Engine) -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value, text in [(object(), "no reply"), (2**70, "OverflowError"), (endless, "deeply")]:
        engine.register("GIVE", partial(give, value))
        with pytest.raises(ResponseError, match=text):
            engine.command("GIVE")
    endless.clear()


def test_the_engine_itself_is_reentrant(engine: Engine) -> None:
    seen = []

    def again() -> None:
        with pytest.raises(ReentrantError):
            engine.command("PING")
        seen.append(1)
        with pytest.raises(ReentrantError):
            engine.unregister("AGAIN")
        seen.append(2)

    engine.register("AGAIN", again)
    assert engine.command("AGAIN") is None
    assert seen == [1, 2]


def test_decoding_and_read_only() -> None:
    def run(*words: str) -> Generator[Any, Any, Any]:
        assert all(isinstance(word, str) for word in words)
        return (yield words)

    with Engine(decode_responses=True) as engine:
        engine.register("RUN", run, flags="readonly")
        assert engine.command("RUN", "GET", "k") is None
        with pytest.raises(ResponseError, match="read-only host function"):
            engine.command("RUN", "SET", "k", "v")


def test_misuse(engine: Engine) -> None:
    with pytest.raises(TypeError, match="must be callable, not int"):
        engine.register("F", 5)  # type: ignore[arg-type]
    for name, options in [
        ("GET", {}),
        ("two words", {}),
        ("F", {"arity": 0}),
        ("F", {"flags": "wirte"}),
        ("F", {"keys": (2, 1, 1)}),
    ]:
        with pytest.raises(OptionError):
            engine.register(name, print, **options)  # type: ignore[arg-type]


def test_replacing_and_removing(engine: Engine) -> None:
    engine.register("F", lambda: 1)
    engine.register("f", lambda: 2)
    assert engine.command("F") == 2
    with engine.fork() as fork, pytest.raises(ResponseError, match="unknown command"):
        fork.command("F")
    assert engine.unregister("F") is True
    assert engine.unregister("F") is False
    with pytest.raises(ResponseError, match="unknown command"):
        engine.command("F")


def test_a_cycle_through_a_function_is_collected() -> None:
    engine = Engine()

    def function() -> object:
        return engine

    engine.register("F", function)
    gone = weakref.ref(engine)
    del engine, function
    gc.collect()
    assert gone() is None


def test_limits_of_one_run(engine: Engine) -> None:
    endless = engine.prepare("while true do end")
    runs: list[Callable[..., Any]] = [endless, partial(engine.eval, "while true do end")]
    for run in runs:
        with pytest.raises(ResponseError, match="time limit of 20 ms"):
            run(timeout=0.02)
        with pytest.raises(ResponseError, match="limit of 10000 instructions"):
            run(instructions=10_000, timeout=None)
    with pytest.raises(ResponseError, match="memory limit of 100000 bytes"):
        engine.eval("return #string.rep('x', 1000000)", memory=100_000)
    assert engine.eval("return #string.rep('x', 1000000)", memory=None) == 1_000_000
    wrong: list[dict[str, Any]] = [{"timeout": 0}, {"timeout": -1}, {"memory": 5}]
    for limit in [*wrong, {"memory": -1}, {"instructions": 0}]:
        with pytest.raises(OptionError):
            engine.eval("return 1", **limit)
    with pytest.raises(TypeError):
        engine.eval("return 1", timeout="x")  # type: ignore[arg-type]
    assert moonkv.Engine(script_instructions=100).eval(
        "local n = 0 for i = 1, 100000 do n = n + 1 end return n", instructions=None
    ) == 100_000


def test_limits_on_sessions_and_by_sha1(engine: Engine) -> None:
    text = "for i = 1, 100000 do end return {KEYS[1], ARGV[1]}"
    script = engine.prepare(text)
    with engine.session() as session:
        runs: list[Callable[..., Any]] = [
            partial(engine.evalsha, script.sha1),
            partial(session.eval, text),
            partial(session.evalsha, script.sha1),
            partial(session.run, script),
        ]
        for run in runs:
            with pytest.raises(ResponseError, match="limit of 10000 instructions"):
                run(["k"], ["a"], instructions=10_000)
            assert run(["k"], ["a"], instructions=None, timeout=..., memory=10**8) == [b"k", b"a"]
            assert run(["k"], ["a"]) == [b"k", b"a"]
            with pytest.raises(OptionError):
                run(memory=5)
            with pytest.raises(TypeError):
                run(timeout="x")
            with pytest.raises(TypeError):
                run(["k"], ["a"], 0.02)
        # Limits are not queued; where there are none, the script is.
        session.command("MULTI")
        with pytest.raises(ResponseError, match="cannot be queued"):
            session.run(script, timeout=1.0)
        assert session.run(script, ["k"], ["a"]) == "QUEUED"
