"""The seven things people write Redis scripts for."""

import pytest

from moonkv import Engine, NoScriptError, ResponseError


def test_counter_with_a_limit(engine: Engine) -> None:
    count = engine.prepare("""
        local n = tonumber(redis.call('GET', KEYS[1]) or '0')
        if n >= tonumber(ARGV[1]) then return -1 end
        return redis.call('INCR', KEYS[1])
    """)
    assert [count(["visits"], [3]) for _ in range(5)] == [1, 2, 3, -1, -1]
    assert engine.command("GET", "visits") == b"3"


TRANSFER = """
    local amount = tonumber(ARGV[1])
    local have = tonumber(redis.call('GET', KEYS[1]) or '0')
    if have < amount then
        return redis.error_reply('FUNDS only ' .. have .. ' left')
    end
    redis.call('DECRBY', KEYS[1], amount)
    redis.call('INCRBY', KEYS[2], amount)
    return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
"""


def test_atomic_transfer(engine: Engine) -> None:
    transfer = engine.prepare(TRANSFER)
    engine.command("MSET", "alice", 100, "bob", 0)
    assert transfer(["alice", "bob"], [70]) == [b"30", b"70"]
    with pytest.raises(ResponseError, match="FUNDS only 30 left") as caught:
        transfer(["alice", "bob"], [70])
    assert caught.value.code == "FUNDS"
    assert engine.command("MGET", "alice", "bob") == [b"30", b"70"]


def test_transfer_that_fails_half_way_leaves_no_trace(engine: Engine) -> None:
    engine.command("SET", "alice", 100)
    engine.command("RPUSH", "bob", "not a number")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        engine.eval(TRANSFER, ["alice", "bob"], [70])
    assert engine.command("GET", "alice") == b"100"


def test_batch_with_a_threshold(engine: Engine) -> None:
    values = {"cpu": 91, "disk": 40, "heat": 77, "load": 12}
    for name, value in values.items():
        engine.command("SET", name, value)
    above = engine.prepare("""
        local found = {}
        for i, key in ipairs(KEYS) do
            local value = tonumber(redis.call('GET', key))
            if value and value > tonumber(ARGV[1]) then
                found[#found + 1] = {key, value}
            end
        end
        return found
    """)
    assert above([*values, "missing"], [50]) == [[b"cpu", 91], [b"heat", 77]]
    assert above(values, [99]) == []


def test_sliding_window_rate_limiter(clocked: Engine) -> None:
    # The time comes in as an argument: the same calls always give the same answers.
    allow = clocked.prepare("""
        local now, window, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
        if redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
        redis.call('ZADD', KEYS[1], now, ARGV[4])
        redis.call('EXPIRE', KEYS[1], math.ceil(window / 1000))
        return 1
    """)
    key = ["rate:alice"]
    times = [0, 100, 200, 300, 1000, 1050, 1101]
    allowed = [allow(key, [now, 1000, 3, f"request-{now}"]) for now in times]
    assert allowed == [1, 1, 1, 0, 1, 0, 1]
    assert clocked.command("ZRANGE", *key, 0, -1) == [
        b"request-200",
        b"request-1000",
        b"request-1101",
    ]
    assert clocked.command("TTL", *key) == 1
    clocked.advance_clock(1001)
    assert clocked.command("EXISTS", *key) == 0


def test_load_once_and_run_by_sha(engine: Engine) -> None:
    script = "return redis.call('APPEND', KEYS[1], ARGV[1])"
    sha1 = engine.script_load(script)
    assert [engine.evalsha(sha1, ["log"], ["ab"]) for _ in range(3)] == [2, 4, 6]
    engine.script_flush()
    try:
        engine.evalsha(sha1, ["log"], ["ab"])
    except NoScriptError:
        assert engine.eval(script, ["log"], ["ab"]) == 8
    assert engine.evalsha(sha1, ["log"], ["ab"]) == 10


def test_errors_handled_by_the_script(engine: Engine) -> None:
    safe = engine.prepare("""
        local reply = redis.pcall('INCR', KEYS[1])
        if type(reply) == 'table' and reply.err then
            redis.call('SET', KEYS[1], 1)
            return {'repaired', reply.err}
        end
        return {'counted', reply}
    """)
    engine.command("SET", "n", "not a number")
    assert safe(["n"]) == [b"repaired", b"ERR value is not an integer or out of range"]
    assert safe(["n"]) == [b"counted", 2]


def test_status_replies(engine: Engine) -> None:
    assert engine.eval("return redis.status_reply('QUEUED')") == "QUEUED"
    assert engine.eval("return {ok = 'FINE'}") == "FINE"
    assert engine.eval("return redis.call('SET', KEYS[1], 'x')", ["k"]) == "OK"
    assert engine.eval("return redis.call('SET', KEYS[1], 'x').ok", ["k"]) == b"OK"
