"""First steps: open an engine, run commands, run a script as one atomic step.

Run it with: python examples/python/first.py
"""

import moonkv

with moonkv.Engine(decode_responses=True) as engine:
    # Commands are Redis's, with their arguments as bytes, text or numbers.
    engine.command("SET", "stock:apple", 3)
    print(engine.command("GET", "stock:apple"))  # -> 3

    # A script runs as one atomic step: take as many as there are, never more.
    take = engine.prepare("""
        local left = tonumber(redis.call('GET', KEYS[1]))
        if left < tonumber(ARGV[1]) then
            return redis.error_reply('SOLDOUT only ' .. left)
        end
        return redis.call('DECRBY', KEYS[1], ARGV[1])
    """)
    print(take(["stock:apple"], [2]))  # -> 1

    # An error reply is raised; its code is the word it begins with.
    try:
        take(["stock:apple"], [2])
    except moonkv.ResponseError as error:
        print(error.code, "-", error)  # -> SOLDOUT - SOLDOUT only 1

    # A script that fails leaves no trace.
    try:
        engine.eval("redis.call('SET', 'stock:apple', 0) error('changed my mind')")
    except moonkv.ResponseError:
        print(engine.command("GET", "stock:apple"))  # -> 1
