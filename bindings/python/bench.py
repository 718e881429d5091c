"""How long calls from Python take, in microseconds; build with --release first.

Run it with: python bindings/python/bench.py
It fails if a prepared one-line script takes more than the limit.
"""

import sys
import timeit
from collections.abc import Callable

from moonkv import Engine

LIMIT_US = 1.5


def measure_us(call: Callable[[], object], count: int = 100_000) -> float:
    return min(timeit.repeat(call, number=count, repeat=7)) / count * 1e6


def main() -> None:
    engine = Engine()
    add = engine.prepare("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    get = engine.prepare("return redis.call('GET', KEYS[1])")
    one = engine.prepare("return 1")
    keys, args, sha1 = (b"n",), (b"1",), add.sha1
    engine.command("RPUSH", "l", *(f"element:{n}" for n in range(1000)))
    calls: dict[str, Callable[[], object]] = {
        "an empty Python function": lambda: None,
        "script: INCRBY, tuples of bytes": lambda: add(keys, args),
        "script: INCRBY, fresh lists of str and int": lambda: add(["n"], [1]),
        "script: GET": lambda: get(keys),
        "script: return 1": lambda: one(),
        "evalsha: INCRBY": lambda: engine.evalsha(sha1, keys, args),
        "command: GET": lambda: engine.command("GET", "n"),
        "command: SET": lambda: engine.command("SET", "k", b"value"),
    }
    took_us = {name: measure_us(call) for name, call in calls.items()}
    name = "command: LRANGE of 1000 elements"
    took_us[name] = measure_us(lambda: engine.command("LRANGE", "l", 0, -1), 2000)
    for name, us in took_us.items():
        print(f"{name:45} {us:8.3f}")
    if took_us["script: INCRBY, tuples of bytes"] > LIMIT_US:
        sys.exit(f"over the limit of {LIMIT_US} microseconds")


if __name__ == "__main__":
    main()
