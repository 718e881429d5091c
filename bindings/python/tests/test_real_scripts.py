"""Scripts that people run on Redis servers today, from the packages where they live.

They are read from the installed packages when the tests run; none is copied here.
"""

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from moonkv import Engine, Script


class Registered:
    """What registering a script gives: called with the client it is to run on."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def __call__(self, keys: list[Any], args: list[Any], client: "Client") -> Any:
        return self.script(keys, args)


class Client:
    """The part of redis-py's client that its Lock uses, over an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def register_script(self, text: str) -> Registered:
        return Registered(self.engine.prepare(text))

    def get_encoder(self) -> Any:
        class Encoder:
            encode = staticmethod(lambda value: value if isinstance(value, bytes) else value.encode())

        return Encoder()

    def set(self, name: str, value: Any, nx: bool = False, px: int | None = None) -> Any:
        options: list[Any] = ["NX"] if nx else []
        if px is not None:
            options += ["PX", px]
        return self.engine.command("SET", name, value, *options)

    def get(self, name: str) -> Any:
        return self.engine.command("GET", name)


class TestRedisLock:
    """redis.lock.Lock: first its scripts by themselves, then the class as it is."""

    @pytest.fixture
    def lock(self) -> Any:
        pytest.importorskip("redis", reason="the PyPI package redis is not installed")
        from redis.lock import Lock

        # The class keeps its registered scripts; each test has its own engine.
        class Fresh(Lock):
            lua_release = lua_extend = lua_reacquire = None

        return Fresh

    def test_release(self, clocked: Engine, lock: Any) -> None:
        release = clocked.prepare(lock.LUA_RELEASE_SCRIPT)
        assert release(["door"], ["mine"]) == 0
        clocked.command("SET", "door", "mine")
        assert release(["door"], ["other"]) == 0
        assert clocked.command("GET", "door") == b"mine"
        assert release(["door"], ["mine"]) == 1
        assert clocked.command("EXISTS", "door") == 0

    def test_extend(self, clocked: Engine, lock: Any) -> None:
        extend = clocked.prepare(lock.LUA_EXTEND_SCRIPT)
        assert extend(["door"], ["mine", 500, "0"]) == 0
        clocked.command("SET", "door", "mine")
        assert extend(["door"], ["mine", 500, "0"]) == 0, "it has no deadline to extend"
        clocked.command("SET", "door", "mine", "PX", 1000)
        clocked.advance_clock(400)
        assert extend(["door"], ["other", 500, "0"]) == 0
        assert extend(["door"], ["mine", 500, "0"]) == 1
        assert clocked.command("PTTL", "door") == 1100
        assert extend(["door"], ["mine", 500, "1"]) == 1
        assert clocked.command("PTTL", "door") == 500

    def test_reacquire(self, clocked: Engine, lock: Any) -> None:
        reacquire = clocked.prepare(lock.LUA_REACQUIRE_SCRIPT)
        assert reacquire(["door"], ["mine", 1000]) == 0
        clocked.command("SET", "door", "mine", "PX", 1000)
        clocked.advance_clock(999)
        assert reacquire(["door"], ["other", 1000]) == 0
        assert reacquire(["door"], ["mine", 1000]) == 1
        assert clocked.command("PTTL", "door") == 1000
        clocked.advance_clock(1001)
        assert reacquire(["door"], ["mine", 1000]) == 0

    def test_the_class_itself(self, clocked: Engine, lock: Any) -> None:
        from redis.exceptions import LockError, LockNotOwnedError

        client = Client(clocked)
        mine = lock(client, "door", timeout=2, blocking=False)
        other = lock(client, "door", timeout=2, blocking=False)
        assert mine.acquire()
        assert mine.locked() and mine.owned() and not other.owned()
        assert not other.acquire()

        clocked.advance_clock(500)
        assert mine.extend(3)
        assert clocked.command("PTTL", "door") == 4500
        assert mine.reacquire()
        assert clocked.command("PTTL", "door") == 2000

        mine.release()
        assert not mine.locked()
        with pytest.raises(LockError):
            mine.release()

        assert other.acquire()
        clocked.advance_clock(2001)
        with pytest.raises(LockNotOwnedError):
            other.release()
        assert mine.acquire()


class TestLimits:
    """The scripts of the rate limiter `limits`."""

    @pytest.fixture
    def load(self, clocked: Engine) -> Callable[[str], Script]:
        pytest.importorskip("limits", reason="the PyPI package limits is not installed")
        folder = resources.files("limits") / "resources" / "redis" / "lua_scripts"
        return lambda name: clocked.prepare((folder / f"{name}.lua").read_bytes())

    def test_all_compile(self, clocked: Engine, load: Callable[[str], Script]) -> None:
        folder = resources.files("limits") / "resources" / "redis" / "lua_scripts"
        names = [file.name for file in folder.iterdir() if file.name.endswith(".lua")]
        assert len(names) >= 6
        for name in names:
            load(name.removesuffix(".lua"))

    def test_incr_expire(self, clocked: Engine, load: Callable[[str], Script]) -> None:
        incr = load("incr_expire")
        assert incr(["hits"], [10, 2]) == 2
        assert clocked.command("TTL", "hits") == 10
        clocked.advance_clock(4000)
        assert incr(["hits"], [10, 1]) == 3
        assert clocked.command("TTL", "hits") == 6, "only the first hit sets the deadline"
        clocked.advance_clock(6001)
        assert incr(["hits"], [10, 1]) == 1

    def test_moving_window(self, clocked: Engine, load: Callable[[str], Script]) -> None:
        acquire, window = load("acquire_moving_window"), load("moving_window")
        limit, expiry = 3, 10

        def hit(now: float, amount: int) -> Any:
            return acquire(["moves"], [now, limit, expiry, amount])

        assert window(["moves"], [90.0, limit]) is None
        assert hit(100.0, 4) is None, "more than the limit in one go"
        assert hit(100.0, 2) == 1
        assert hit(101.0, 2) is None
        assert hit(101.0, 1) == 1
        assert hit(105.0, 1) is None
        assert clocked.command("LRANGE", "moves", 0, -1) == [b"101", b"100", b"100"]
        assert clocked.command("TTL", "moves") == expiry
        assert hit(110.5, 1) == 1
        assert clocked.command("LRANGE", "moves", 0, -1) == [b"110.5", b"101", b"100"]
        assert window(["moves"], [110.5 - expiry, limit]) == [b"101", 2]
        assert window(["moves"], [99.0, limit]) == [b"100", 3]
        assert window(["moves"], [200.0, limit]) is None

    def test_moving_window_in_large_steps(
        self, clocked: Engine, load: Callable[[str], Script]
    ) -> None:
        acquire, window = load("acquire_moving_window"), load("moving_window")
        assert acquire(["moves"], [1700000000.25, 20_000, 60, 12_000]) == 1
        assert clocked.command("LLEN", "moves") == 12_000
        assert acquire(["moves"], [1700000001.25, 20_000, 60, 12_000]) is None
        # Lua's tostring, as the script itself calls it, keeps 14 digits.
        assert window(["moves"], [1699999941.25, 20_000]) == [b"1700000000.25", 12_000]

    def test_sliding_window(self, clocked: Engine, load: Callable[[str], Script]) -> None:
        acquire, window = load("acquire_sliding_window"), load("sliding_window")
        keys, limit, expiry = ["previous", "current"], 10, 60

        def hit(amount: int) -> Any:
            return acquire(keys, [limit, expiry, amount])

        assert window(keys, [expiry]) == [None, -2, None, -2]
        assert hit(11) is None
        assert hit(4) == 1
        assert hit(7) is None
        assert hit(6) == 1
        assert window(keys, [expiry]) == [None, -2, b"10", 120_000]
        clocked.advance_clock(75_000)
        # The window has moved on; three quarters of the previous one still count: 7 of 10.
        assert hit(4) is None
        assert hit(3) == 1
        assert hit(1) is None
        assert window(keys, [expiry]) == [b"10", 45_000, b"3", 105_000]
        clocked.advance_clock(45_001)
        assert window(keys, [expiry]) == [b"3", 59_999, b"0", 119_999]

    def test_clear_keys(self, clocked: Engine, load: Callable[[str], Script]) -> None:
        clear = load("clear_keys")
        assert clear(["LIMITS*"]) == 0
        for i in range(12_000):
            clocked.command("SET", f"LIMITS:{i}", i)
        clocked.command("SET", "other", 1)
        assert clear(["LIMITS*"]) == 12_000
        assert clocked.command("KEYS", "*") == [b"other"]
