"""The exceptions: which one, with which text and code."""

import pickle

import pytest

import moonkv
from moonkv import (
    BusyError,
    ClosedError,
    Engine,
    MoonkvError,
    NoScriptError,
    OptionError,
    PoisonedError,
    ReentrantError,
    ResponseError,
    TransactionError,
    WrongTypeError,
)


def test_family() -> None:
    kinds = (
        ResponseError,
        ClosedError,
        ReentrantError,
        PoisonedError,
        OptionError,
        BusyError,
        TransactionError,
    )
    for kind in kinds:
        assert kind.__bases__[0] is MoonkvError
    for kind in (NoScriptError, WrongTypeError):
        assert kind.__base__ is ResponseError
    assert issubclass(OptionError, ValueError)
    assert issubclass(MoonkvError, Exception)


def test_response_errors(engine: Engine) -> None:
    with pytest.raises(ResponseError) as caught:
        engine.command("INCR")
    assert type(caught.value) is ResponseError
    assert str(caught.value) == "ERR wrong number of arguments for 'incr' command"
    assert caught.value.code == "ERR"


def test_wrong_type(engine: Engine) -> None:
    engine.command("RPUSH", "l", 1)
    with pytest.raises(WrongTypeError) as caught:
        engine.command("INCR", "l")
    assert caught.value.code == "WRONGTYPE"
    with pytest.raises(WrongTypeError):
        engine.eval("return redis.call('INCR', KEYS[1])", ["l"])
    (error,) = engine.eval("return {redis.pcall('INCR', KEYS[1])}", ["l"])
    assert isinstance(error, WrongTypeError)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ERR x", "ERR"),
        ("SOLDOUT", "SOLDOUT"),
        ("MY_OWN-2 x", "MY_OWN-2"),
        ("plain words", ""),
        ("123 x", ""),
        ("", ""),
    ],
)
def test_codes(text: str, code: str) -> None:
    assert ResponseError(text).code == code


def test_an_error_of_the_script_itself(engine: Engine) -> None:
    with pytest.raises(ResponseError, match="^SOLDOUT only 3$") as caught:
        engine.eval("return redis.error_reply('SOLDOUT only 3')")
    assert caught.value.code == "SOLDOUT"
    with pytest.raises(ResponseError, match="my words") as caught:
        engine.eval("error('my words')")
    assert caught.value.code == "ERR"


def test_exceptions_pickle() -> None:
    error = pickle.loads(pickle.dumps(WrongTypeError("WRONGTYPE x")))
    assert type(error) is WrongTypeError and error.code == "WRONGTYPE"
    assert type(error).__module__ == "moonkv"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "explode"}, "on_error must be 'rollback' or 'keep', not 'explode'"),
        ({"lua_random": ""}, "lua_random must be 'denied', 'seeded' or 'continued', not ''"),
        ({"lua_false": "0"}, "lua_false must be 'nil' or 'integer', not '0'"),
        ({"script_timeout": -1}, "script_timeout"),
        ({"script_timeout": 0}, "script_timeout"),
        ({"script_timeout": float("nan")}, "script_timeout"),
        ({"script_timeout": float("inf")}, "script_timeout"),
        ({"script_memory": -1}, "script_memory must be 0 or more, not -1"),
        ({"script_memory": 100}, "script_memory must be at least 65536 bytes"),
        ({"script_instructions": 0}, "script_instructions must be at least 1"),
        ({"protocol": 4}, "protocol must be 2 or 3, not 4"),
    ],
)
def test_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Engine(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"on_error": None}, {"script_timeout": "5"}, {"protocol": "2"}, {"unknown": 1}]
)
def test_options_of_the_wrong_type(options: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Engine(**options)  # type: ignore[arg-type]


def test_numbers_that_make_no_sense(engine: Engine, clocked: Engine) -> None:
    with pytest.raises(OptionError, match="the clock is the system's"):
        engine.advance_clock(1)
    with pytest.raises(OptionError, match="milliseconds must be 0 or more, not -1"):
        clocked.advance_clock(-1)
    with pytest.raises(OptionError, match="overflow"):
        clocked.advance_clock(2**63 - 1)
    with pytest.raises(OptionError, match="budget"):
        engine.tick(-0.1)


def test_all_exceptions_are_exported() -> None:
    errors = {
        name
        for name in dir(moonkv._errors)
        if name.endswith("Error")
    }
    assert errors <= set(moonkv.__all__)
