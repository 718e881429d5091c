"""Seven things people write Redis scripts for.

Run it with: python examples/python/use_cases.py
"""

import moonkv

# The clock is our own, so that every run prints the same.
engine = moonkv.Engine(decode_responses=True, clock_start_ms=0)


# 1. A counter with a limit.
count = engine.prepare("""
    local n = tonumber(redis.call('GET', KEYS[1]) or '0')
    if n >= tonumber(ARGV[1]) then return -1 end
    return redis.call('INCR', KEYS[1])
""")
print([count(["visits"], [3]) for _ in range(5)])  # -> [1, 2, 3, -1, -1]


# 2. An atomic transfer between two keys.
transfer = engine.prepare("""
    local amount = tonumber(ARGV[1])
    local have = tonumber(redis.call('GET', KEYS[1]) or '0')
    if have < amount then
        return redis.error_reply('FUNDS only ' .. have .. ' left')
    end
    redis.call('DECRBY', KEYS[1], amount)
    redis.call('INCRBY', KEYS[2], amount)
    return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
""")
engine.command("SET", "alice", 100)
print(transfer(["alice", "bob"], [70]))  # -> ['30', '70']
try:
    transfer(["alice", "bob"], [70])
except moonkv.ResponseError as error:
    print(error)  # -> FUNDS only 30 left


# 3. A batch, filtered by a threshold.
for name, value in {"cpu": 91, "disk": 40, "heat": 77}.items():
    engine.command("SET", name, value)
above = engine.prepare("""
    local found = {}
    for _, key in ipairs(KEYS) do
        local value = tonumber(redis.call('GET', key))
        if value and value > tonumber(ARGV[1]) then found[#found + 1] = {key, value} end
    end
    return found
""")
print(above(["cpu", "disk", "heat"], [50]))  # -> [['cpu', 91], ['heat', 77]]


# 4. A sliding-window rate limiter. The time comes in as an argument.
allow = engine.prepare("""
    local now, window, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
    if redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
    redis.call('ZADD', KEYS[1], now, ARGV[4])
    redis.call('EXPIRE', KEYS[1], math.ceil(window / 1000))
    return 1
""")
times_ms = [0, 100, 200, 300, 1000, 1050, 1101]
allowed = [allow(["rate:alice"], [now, 1000, 3, f"request-{now}"]) for now in times_ms]
print(allowed)  # -> [1, 1, 1, 0, 1, 0, 1]


# 5. Load once, run by SHA-1.
sha1 = engine.script_load("return redis.call('APPEND', KEYS[1], ARGV[1])")
print([engine.evalsha(sha1, ["log"], ["ab"]) for _ in range(3)])  # -> [2, 4, 6]
try:
    engine.evalsha("0" * 40)
except moonkv.NoScriptError as error:
    print(error.code)  # -> NOSCRIPT


# 6. Errors that the script handles itself.
safe = engine.prepare("""
    local reply = redis.pcall('INCR', KEYS[1])
    if type(reply) == 'table' and reply.err then return 'failed: ' .. reply.err end
    return reply
""")
engine.command("SET", "word", "abc")
print(safe(["word"]))  # -> failed: ERR value is not an integer or out of range


# 7. Status replies.
print(engine.eval("return redis.status_reply('QUEUED')"))  # -> QUEUED
print(engine.eval("return redis.call('SET', KEYS[1], ARGV[1])", ["k"], ["v"]))  # -> OK

engine.close()
