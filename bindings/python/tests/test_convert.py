"""What goes in as which bytes, and what comes back as which object."""

import enum
import math
from typing import Any

import pytest

from moonkv import Engine, ResponseError


class Colour(enum.IntEnum):
    RED = 3


class Loud(float):
    def __repr__(self) -> str:
        return "LOUD"


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (b"", b""),
        (b"a\x00\r\n\xff", b"a\x00\r\n\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcdef")[1:3], b"bc"),
        (memoryview(b"abcdef")[::2], b"ace"),
        (memoryview(bytearray(b"xy")), b"xy"),
        ("", b""),
        ("ünïcode \U0001f319", "ünïcode \U0001f319".encode()),
        (0, b"0"),
        (-1, b"-1"),
        (2**63 - 1, b"9223372036854775807"),
        (-(2**63), b"-9223372036854775808"),
        (2**64, b"18446744073709551616"),
        (Colour.RED, b"3"),
        (0.1, b"0.1"),
        (3.0, b"3.0"),
        (-0.0, b"-0.0"),
        (1e16, b"1e+16"),
        (5e-324, b"5e-324"),
        (math.inf, b"inf"),
        (math.nan, b"nan"),
        (Loud(2.5), b"2.5"),
    ],
)
def test_arguments(engine: Engine, argument: Any, text: bytes) -> None:
    assert engine.command("ECHO", argument) == text
    assert engine.eval("return ARGV[1]", args=[argument]) == text
    assert engine.eval("return KEYS[1]", (argument,)) == text


@pytest.mark.parametrize("argument", [True, None, [], (b"a",), {}, object(), 1j, int])
def test_refused_arguments(engine: Engine, argument: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(argument).__name__}"):
        engine.command("ECHO", argument)
    with pytest.raises(TypeError):
        engine.eval("return ARGV[1]", args=[b"fine", argument])


def test_lone_surrogates_are_refused(engine: Engine) -> None:
    with pytest.raises(UnicodeEncodeError):
        engine.command("ECHO", "\udcff")


@pytest.mark.parametrize(
    "keys", [["a", "b"], ("a", "b"), {"a": 1, "b": 2}, iter(["a", "b"]), (c for c in "ab")]
)
def test_sequences(engine: Engine, keys: Any) -> None:
    assert engine.eval("return KEYS", keys) == [b"a", b"b"]


@pytest.mark.parametrize("keys", ["ab", b"ab", bytearray(b"ab"), memoryview(b"ab"), 3, None])
def test_refused_sequences(engine: Engine, keys: Any) -> None:
    script = engine.prepare("return 1")
    for call in (script, lambda keys: engine.eval("return 1", keys)):
        with pytest.raises(TypeError, match="iterable of arguments"):
            call(keys)


@pytest.mark.parametrize("text", [1, 1.5, True, None, ["return 1"]])
def test_refused_scripts(engine: Engine, text: Any) -> None:
    for call in (engine.eval, engine.evalsha, engine.prepare, engine.script_load):
        with pytest.raises(TypeError):
            call(text)


def test_many_arguments(engine: Engine) -> None:
    values = list(range(5000))
    assert engine.command("RPUSH", "l", *values) == 5000
    assert engine.command("LRANGE", "l", 0, -1) == [b"%d" % value for value in values]
    assert engine.eval("return #KEYS * 10000 + #ARGV", values, values) == 50_005_000


def test_large_value(engine: Engine) -> None:
    value = bytes(range(256)) * (1 << 16)
    engine.command("SET", "k", memoryview(value))
    assert engine.command("GET", "k") == value


REPLIES: list[tuple[str, Any]] = [
    ("return nil", None),
    ("return 7", 7),
    ("return -9007199254740991", -9007199254740991),
    ("return 'text'", b"text"),
    ("return ''", b""),
    ("return {}", []),
    ("return {1, {2, {}, {3}}, 'x'}", [1, [2, [], [3]], b"x"]),
    ("return {ok = 'FINE'}", "FINE"),
    ("return {1, {ok = 'OK'}}", [1, "OK"]),
    ("return redis.status_reply('caf\\195\\169 \\255')", "café \ufffd"),
]


@pytest.mark.parametrize(("script", "reply"), REPLIES)
def test_replies(engine: Engine, script: str, reply: Any) -> None:
    got = engine.eval(script)
    assert (got, type(got)) == (reply, type(reply))


RESP3: list[tuple[str, Any]] = [
    ("{double = 1.5}", 1.5),
    ("{double = 2}", 2.0),
    ("{big_number = '123456789012345678901234567890'}", 123456789012345678901234567890),
    ("{big_number = 'no number'}", "no number"),
    ("{verbatim_string = {format = 'txt', string = 'words'}}", b"words"),
    ("{map = {a = 1}}", {b"a": 1}),
    ("{map = {}}", {}),
    ("{map = {[{1}] = {2}}}", [([1], [2])]),
    ("{set = {a = true}}", {b"a"}),
    ("{set = {}}", set()),
    ("{set = {[{1, 2}] = true}}", [[1, 2]]),
    ("{1, {map = {a = {set = {b = true}}}}, {double = 0.5}}", [1, {b"a": {b"b"}}, 0.5]),
]


@pytest.mark.parametrize(("value", "reply"), RESP3)
def test_resp3_replies(value: str, reply: Any) -> None:
    engine = Engine(protocol=3)
    got = engine.eval(f"redis.setresp(3) return {value}")
    assert (got, type(got)) == (reply, type(reply))


def test_resp3_booleans() -> None:
    got = Engine(protocol=3).eval("redis.setresp(3) return {true, false}")
    assert [type(value) for value in got] == [bool, bool] and got == [True, False]


def test_resp2_steps_down(engine: Engine) -> None:
    assert engine.eval("redis.setresp(3) return {double = 1.5}") == b"1.5"
    assert engine.eval("redis.setresp(3) return {map = {a = 1}}") == [b"a", 1]


def test_commands_in_both_protocols(engine: Engine) -> None:
    three = Engine(protocol=3)
    for each in (engine, three):
        each.command("HSET", "h", "f", "v")
        each.command("ZADD", "z", 1.5, "m")
    assert engine.command("HGETALL", "h") == [b"f", b"v"]
    assert three.command("HGETALL", "h") == {b"f": b"v"}
    assert engine.command("ZRANGE", "z", 0, -1, "WITHSCORES") == [b"m", b"1.5"]
    assert three.command("ZRANGE", "z", 0, -1, "WITHSCORES") == [[b"m", 1.5]]
    assert three.command("ZSCORE", "z", "m") == 1.5


def test_decode_responses() -> None:
    engine = Engine(decode_responses=True)
    assert engine.eval("return {ARGV[1], 1, {ok = 'OK'}}", args=["é"]) == ["é", 1, "OK"]
    engine.command("SET", "k", b"\xff")
    with pytest.raises(UnicodeDecodeError):
        engine.command("GET", "k")
    three = Engine(decode_responses=True, protocol=3)
    three.command("HSET", "h", "f", "v")
    assert three.command("HGETALL", "h") == {"f": "v"}


def test_errors_inside_arrays(engine: Engine) -> None:
    first, error = engine.eval("return {1, redis.pcall('LPOP')}")
    assert first == 1
    assert isinstance(error, ResponseError) and error.code == "ERR"
    (error,) = engine.eval("return {{err = 'MINE own text'}}")
    assert (str(error), error.code) == ("MINE own text", "MINE")


def test_deep_replies(engine: Engine) -> None:
    script = "local t = {} for i = 1, tonumber(ARGV[1]) do t = {t} end return t"
    got = engine.eval(script, args=[900])
    for _ in range(900):
        (got,) = got
    assert got == []
