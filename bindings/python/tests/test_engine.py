"""What an engine does, method by method and option by option."""

import gc
import hashlib
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

import moonkv
from moonkv import ClosedError, Engine, NoScriptError, ReentrantError, ResponseError, Script

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def test_command(engine: Engine) -> None:
    assert engine.command("SET", "a", 1) == "OK"
    assert engine.command("GET", "a") == b"1"
    assert engine.command("GET", "missing") is None
    with pytest.raises(ResponseError):
        engine.command()


def test_engines_share_nothing(engine: Engine) -> None:
    with Engine() as other:
        other.command("SET", "a", 1)
        assert engine.command("GET", "a") is None


def test_eval_forms(engine: Engine) -> None:
    script = "return {KEYS[1] or '-', ARGV[1] or '-'}"
    assert engine.eval(script) == [b"-", b"-"]
    assert engine.eval(script, ("k",)) == [b"k", b"-"]
    assert engine.eval(script.encode(), args=["a"]) == [b"-", b"a"]
    assert engine.eval(script, keys=["k"], args=["a"]) == [b"k", b"a"]


def test_evalsha(engine: Engine) -> None:
    sha1 = engine.script_load(ADD)
    assert sha1 == hashlib.sha1(ADD.encode()).hexdigest()
    assert engine.evalsha(sha1, ["n"], [2]) == 2
    assert engine.evalsha(sha1.upper().encode(), keys=["n"], args=[3]) == 5
    with pytest.raises(NoScriptError) as caught:
        engine.evalsha("0" * 40)
    assert caught.value.code == "NOSCRIPT"


def test_script_exists_and_flush(engine: Engine) -> None:
    sha1 = engine.script_load("return 1")
    assert engine.script_exists() == []
    assert engine.script_exists(sha1, b"0" * 40, sha1.encode()) == [True, False, True]
    engine.script_flush()
    assert engine.script_exists(sha1) == [False]
    with pytest.raises(NoScriptError):
        engine.evalsha(sha1)


def test_prepared_script_outlives_flush(engine: Engine) -> None:
    add = engine.prepare(ADD)
    assert add.sha1 == hashlib.sha1(ADD.encode()).hexdigest()
    assert add.sha1 in repr(add)
    assert add(["n"], [2]) == 2
    engine.script_flush()
    assert add(keys=("n",), args=(3,)) == 5


def test_scripts_that_do_not_compile(engine: Engine) -> None:
    for compile_it in (engine.prepare, engine.script_load, engine.eval):
        with pytest.raises(ResponseError, match="compiling script"):
            compile_it("return (")


def test_script_keeps_its_engine() -> None:
    script = Engine().prepare(ADD)
    gc.collect()
    assert script(["n"], [1]) == 1


def test_close() -> None:
    engine = Engine()
    script = engine.prepare("return 1")
    engine.close()
    engine.close()
    engine.cancel()
    calls: list[Any] = [
        lambda: engine.command("PING"),
        lambda: engine.eval("return 1"),
        lambda: engine.evalsha("0" * 40),
        lambda: engine.script_load("return 1"),
        lambda: engine.script_exists("0" * 40),
        lambda: engine.script_flush(),
        lambda: engine.prepare("return 1"),
        lambda: engine.tick(1),
        lambda: engine.set_log(None),
        lambda: engine.fork(),
        lambda: script(),
    ]
    for call in calls:
        with pytest.raises(ClosedError, match="closed"):
            call()


def test_context_manager_closes() -> None:
    with Engine() as engine:
        assert isinstance(engine, Engine)
    with pytest.raises(ClosedError):
        engine.command("PING")
    with pytest.raises(ZeroDivisionError), Engine():
        _ = 1 / 0


def test_on_error() -> None:
    script = "redis.call('SET', KEYS[1], 'written') error('after')"
    for on_error, left in (("rollback", None), ("keep", b"written")):
        engine = Engine(on_error=on_error)  # type: ignore[arg-type]
        with pytest.raises(ResponseError, match="after"):
            engine.eval(script, ["k"])
        assert engine.command("GET", "k") == left


def test_lua_random() -> None:
    with pytest.raises(ResponseError, match="lua_random"):
        Engine().eval("return math.random(100)")
    seeded = Engine(lua_random="seeded")
    assert seeded.eval("return math.random(100)") == seeded.eval("return math.random(100)")
    continued = Engine(lua_random="continued")
    runs = [continued.eval("return math.random(100)") for _ in range(3)]
    assert runs == seeded.eval("return {math.random(100), math.random(100), math.random(100)}")
    assert len(set(runs)) > 1


def test_lua_false() -> None:
    assert Engine().eval("return {true, false}") == [1, None]
    assert Engine(lua_false="integer").eval("return {true, false}") == [1, 0]


def test_script_timeout() -> None:
    with pytest.raises(ResponseError, match="time limit of 20 ms"):
        Engine(script_timeout=0.02).eval("while true do end")
    assert Engine(script_timeout=None).eval("for i = 1, 100000 do end return 1") == 1


def test_script_memory() -> None:
    grow = "local t = {} for i = 1, 1e7 do t[i] = i .. 'x' end"
    engine = Engine(script_memory=1 << 20)
    with pytest.raises(ResponseError, match="memory limit of 1048576 bytes"):
        engine.eval(grow)
    assert engine.eval("return 1") == 1


def test_script_instructions() -> None:
    with pytest.raises(ResponseError, match="limit of 100000 instructions"):
        Engine(script_instructions=100_000).eval("while true do end")


def test_default_memory_limit_is_as_documented() -> None:
    with pytest.raises(ResponseError, match=f"memory limit of {256 << 20} bytes"):
        Engine().eval("return #string.rep('x', 300 * 1024 * 1024)")


def test_clock_and_tick(clocked: Engine) -> None:
    for i in range(10):
        clocked.command("SET", f"k{i}", i, "PX", 100)
    assert clocked.tick(1) == (0, True)
    assert clocked.advance_clock(0) == 1_000_000
    # As in Redis, a key is past its deadline a millisecond after it.
    assert clocked.advance_clock(100) == 1_000_100
    assert clocked.tick(1) == (0, True)
    assert clocked.advance_clock(1) == 1_000_101
    tick = clocked.tick(budget=1.0)
    assert tick == moonkv.Tick(expired=10, complete=True)
    assert (tick.expired, tick.complete) == (10, True)


def test_tick_with_no_budget_comes_back(clocked: Engine) -> None:
    for i in range(10_000):
        clocked.command("SET", i, i, "PX", 1)
    clocked.advance_clock(2)
    assert not clocked.tick(0).complete
    while not clocked.tick(0.001).complete:
        pass
    assert clocked.command("EXISTS", 1) == 0


def test_fork() -> None:
    engine = Engine(decode_responses=True, clock_start_ms=7, on_error="keep")
    engine.command("SET", "gold", 10)
    fork = engine.fork()
    assert fork.command("DECRBY", "gold", 7) == 3
    assert engine.command("GET", "gold") == "10"
    assert fork.advance_clock(1) == 8
    with pytest.raises(ResponseError):
        fork.eval("redis.call('SET', 'k', 1) error('x')")
    assert fork.command("GET", "k") == "1"
    engine.close()
    assert fork.command("GET", "gold") == "3"


def test_log(engine: Engine) -> None:
    lines: list[tuple[int, bytes]] = []
    script = "redis.log(tonumber(ARGV[1]), ARGV[2]) return 1"
    assert engine.eval(script, args=[3, "unheard"]) == 1
    engine.set_log(lambda level, message: lines.append((level, message)))
    for level in range(4):
        engine.eval(script, args=[level, b"\xff" * level])
    engine.set_log(None)
    engine.eval(script, args=[3, "unheard"])
    assert lines == [(level, b"\xff" * level) for level in range(4)]
    with pytest.raises(TypeError, match="callable"):
        engine.set_log(3)  # type: ignore[arg-type]


def test_log_callback_that_raises(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    unraised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)

    def callback(level: int, message: bytes) -> None:
        raise ValueError(message)

    engine.set_log(callback)
    script = "redis.call('SET', 'k', 1) redis.log(redis.LOG_WARNING, 'x') return 'done'"
    assert engine.eval(script) == b"done"
    assert engine.command("GET", "k") == b"1"
    (report,) = unraised
    assert report.exc_type is ValueError
    assert report.object is callback


def test_log_callback_may_not_call_its_engine(engine: Engine) -> None:
    script = engine.prepare("return 1")
    caught: list[BaseException] = []
    calls: list[Any] = [
        lambda: engine.command("PING"),
        lambda: engine.eval("return 1"),
        lambda: script(),
        lambda: engine.prepare("return 2"),
        lambda: engine.tick(1),
        lambda: engine.close(),
        lambda: engine.set_log(None),
    ]

    def callback(level: int, message: bytes) -> None:
        for call in calls:
            try:
                call()
            except ReentrantError as error:
                caught.append(error)

    engine.set_log(callback)
    assert engine.eval("redis.log(redis.LOG_WARNING, 'x') return 1") == 1
    assert len(caught) == len(calls)
    assert engine.command("PING") == "PONG"


def test_log_callback_may_call_another_engine(engine: Engine) -> None:
    with Engine() as other:
        engine.set_log(lambda level, message: other.command("RPUSH", "log", message))
        engine.eval("redis.log(3, 'a') redis.log(3, 'b')")
        assert other.command("LRANGE", "log", 0, -1) == [b"a", b"b"]


def test_log_callback_may_cancel(engine: Engine) -> None:
    engine.set_log(lambda level, message: engine.cancel())
    with pytest.raises(ResponseError, match="cancelled"):
        engine.eval("redis.log(3, 'x') while true do end")
    engine.set_log(None)
    assert engine.eval("return 1") == 1


def test_callback_is_let_go() -> None:
    class Callback:
        def __call__(self, level: int, message: bytes) -> None: ...

    def watched(engine: Engine) -> "weakref.ref[Callback]":
        callback = Callback()
        engine.set_log(callback)
        return weakref.ref(callback)

    engine = Engine()
    first, second = watched(engine), watched(engine)
    assert first() is None and second() is not None
    engine.close()
    assert second() is None


def test_cycle_through_the_callback_is_collected() -> None:
    engine = Engine()
    script = engine.prepare("return 1")
    engine.set_log(lambda level, message: script())
    gone = weakref.ref(engine), weakref.ref(script)
    del engine, script
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_native_classes_are_closed_and_named() -> None:
    assert (Engine.__module__, Script.__module__, moonkv.Tick.__module__) == ("moonkv",) * 3
    with pytest.raises(TypeError):
        Script()
    with pytest.raises(TypeError):
        Engine("rollback")  # type: ignore[call-arg]


def test_files(tmp_path: Path) -> None:
    with Engine(directory=tmp_path) as game:
        assert game.load() is None
        game.command("MSET", "gold", 10, "silver", 20)
        assert game.command("SAVE") == "OK"
    with Engine(directory=str(tmp_path)) as later:
        assert later.load() == 2
        assert later.command("GET", "gold") == b"10"
    with Engine() as elsewhere:
        elsewhere.command("SET", "before", 1)
        assert elsewhere.load(tmp_path / "none.rdb") is None
        assert elsewhere.command("EXISTS", "before") == 1
        assert elsewhere.load(str(tmp_path / "dump.rdb")) == 2
        assert elsewhere.command("KEYS", "before") == []
        with pytest.raises(ResponseError, match="nothing is saved"):
            elsewhere.load()
        with pytest.raises(ResponseError, match="nothing is saved"):
            elsewhere.command("SAVE")
        (tmp_path / "bad.rdb").write_bytes((tmp_path / "dump.rdb").read_bytes()[:-9])
        with pytest.raises(ResponseError, match="RDB"):
            elsewhere.load(tmp_path / "bad.rdb")
        assert elsewhere.command("GET", "silver") == b"20"


def test_a_directory_is_meant_from_where_the_engine_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    with Engine(directory="data") as engine:
        monkeypatch.chdir(tmp_path.parent)
        engine.command("SET", "a", 1)
        engine.command("SAVE")
    assert (tmp_path / "data" / "dump.rdb").exists()
