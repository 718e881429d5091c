"""What is told of scripts: where they failed, what became of their runs, where the time went."""

import pytest

import moonkv


def test_an_error_tells_where_it_was() -> None:
    engine = moonkv.Engine()
    script = "local function take()\n  error('empty')\nend\ntake()"
    with pytest.raises(moonkv.ResponseError) as caught:
        engine.eval(script)
    error = caught.value
    assert error.script == engine.script_load(script)
    assert (error.library, error.line) == (None, 2)
    assert error.traceback == [
        "[C]: in function 'error'",
        "user_script:2: in function 'take'",
        "user_script:4: in main chunk",
    ]
    with pytest.raises(moonkv.ResponseError) as caught:
        engine.command("INCR")
    assert caught.value.script is None and caught.value.traceback is None


def test_statistics() -> None:
    engine = moonkv.Engine(clock_start_ms=7_000, script_statistics=True)
    script = engine.prepare("return redis.call('INCR', KEYS[1])")
    script(["n"])
    engine.command("LPUSH", "list", "x")
    with pytest.raises(moonkv.WrongTypeError):
        script(["list"])
    [stats] = engine.script_stats()
    assert (stats["name"], stats["library"]) == (script.sha1, None)
    assert (stats["runs"], stats["errors"], stats["last_error_ms"]) == (2, 1, 7_000)
    assert stats["last_error"].startswith("WRONGTYPE ")
    assert 0 < stats["worst"] <= stats["total"]
    engine.reset_script_stats()
    assert engine.script_stats()[0]["runs"] == 0
    plain = moonkv.Engine()
    plain.eval("return 1")
    assert plain.script_stats()[0]["total"] is None


def test_profile() -> None:
    engine = moonkv.Engine()
    profile = engine.profile("for i = 1, 3 do\n  redis.call('INCR', KEYS[1])\nend\nreturn 5", ["n"])
    assert (profile.result, profile.error) == (5, None)
    assert profile.total > 0
    assert "main:2;redis.call INCR " in profile.collapsed()
    assert "redis.call INCR" in profile.table()
    failed = engine.profile("error('no')")
    assert failed.result is None
    assert isinstance(failed.error, moonkv.ResponseError) and failed.error.line == 1
    with pytest.raises(TypeError):
        engine.profile("return 1", [None])  # type: ignore[list-item]
    engine.close()
    assert isinstance(engine.profile("return 1").error, moonkv.ClosedError)
