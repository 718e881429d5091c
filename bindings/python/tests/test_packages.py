"""The scripts of packages that nobody here wrote: each compiles as its package ships it, and the
packages' own code runs on an engine.

They are read from the installed packages; none is copied here. Those of npm are installed into
`target/packages` once; what cannot be had is skipped, and pytest says so.
"""

import importlib
import json
import operator
import pkgutil
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from moonkv import Engine

HERE = Path(__file__).parent / "packages"
TARGET = Path(__file__).parents[3] / "target" / "packages"


def npm_folder() -> Path:
    """Where the packages of npm are, installed if need be."""
    folder = TARGET
    wanted = (HERE / "package.json").read_text()
    stamp = folder / "package.json"
    if stamp.exists() and stamp.read_text() == wanted and (folder / ".installed").exists():
        return folder
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"npm could not install the packages: {done.stderr[-300:]}")
    (folder / ".installed").touch()
    return folder


@pytest.fixture(scope="session")
def npm_scripts() -> dict[str, dict[str, str]]:
    """All scripts of the packages of npm, as each package puts them together."""
    command = ["node", str(HERE / "scripts.js"), str(npm_folder())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    scripts: dict[str, dict[str, str]] = json.loads(done.stdout)
    return scripts


def python_scripts(package: str, folder: str, ending: str = ".lua") -> dict[str, bytes]:
    """The script files that a Python package ships."""
    pytest.importorskip(package.partition(".")[0], reason=f"{package} is not installed")
    files = (resources.files(package) / folder).iterdir()
    return {file.name: file.read_bytes() for file in files if file.name.endswith(ending)}


def load_all(engine: Engine, scripts: dict[str, Any]) -> None:
    for name, text in scripts.items():
        sha1 = engine.script_load(text)
        assert len(sha1) == 40, name


class TestEveryScriptCompiles:
    @pytest.mark.parametrize(
        ("package", "least"), [("bullmq", 50), ("bull", 25), ("bottleneck", 14), ("bee-queue", 5)]
    )
    def test_npm(
        self, engine: Engine, npm_scripts: dict[str, dict[str, str]], package: str, least: int
    ) -> None:
        scripts = npm_scripts[package]
        assert len(scripts) >= least, "the package ships its scripts in another way now"
        load_all(engine, scripts)

    @pytest.mark.parametrize(
        ("package", "folder", "least"),
        [
            ("limits", "resources/redis/lua_scripts", 6),
            ("dramatiq", "brokers/redis", 2),
            ("walrus", "scripts", 10),
        ],
    )
    def test_python_files(self, engine: Engine, package: str, folder: str, least: int) -> None:
        scripts = python_scripts(package, folder)
        assert len(scripts) >= least, "the package ships its scripts in another way now"
        load_all(engine, scripts)

    def test_pydocket(self, engine: Engine) -> None:
        """Its files become scripts by what the functions declare that stand for them."""
        docket = pytest.importorskip("docket", reason="pydocket is not installed")
        from docket._lua import RedisScript

        scripts: dict[str, str] = {}
        for found in pkgutil.walk_packages(docket.__path__, "docket."):
            if "__main__" in found.name:
                continue
            try:
                holder = vars(importlib.import_module(found.name))
            except ModuleNotFoundError:
                continue  # It is for those who have other packages too, and has no scripts.
            texts = {name: text for name, text in holder.items() if isinstance(text, RedisScript)}
            scripts |= {name: text.lua for name, text in texts.items()}
        assert len(scripts) >= 14, "the package keeps its scripts in another way now"
        load_all(engine, scripts)

    @pytest.mark.parametrize(
        ("module", "least"),
        [("rq.scripts", 4), ("rq.rate_limit", 4), ("redis.lock", 3)],
    )
    def test_python_texts(self, engine: Engine, module: str, least: int) -> None:
        loaded = pytest.importorskip(module, reason=f"{module} is not installed")
        kinds = [kind for kind in vars(loaded).values() if isinstance(kind, type)]
        holders = [vars(loaded), *map(vars, kinds)]
        scripts = {
            name: text
            for holder in holders
            for name, text in holder.items()
            if isinstance(text, str) and "redis.call(" in text and name.endswith("SCRIPT")
        }
        assert len(scripts) >= least, "the package keeps its scripts in another way now"
        load_all(engine, scripts)


@pytest.fixture
def redis_client(clocked: Engine) -> Iterator[Any]:
    """redis-py on an engine whose clock stands still."""
    pytest.importorskip("redis", reason="the PyPI package redis is not installed")
    from embedded_redis import client

    with client(clocked) as connected:
        yield connected


class TestRedisPy:
    def test_the_client_is_itself(self, redis_client: Any) -> None:
        assert redis_client.set("k", "v")
        assert redis_client.get("k") == b"v"
        with redis_client.pipeline() as pipe:
            pipe.incr("n").hset("h", mapping={"a": 1, "b": 2}).hgetall("h")
            assert pipe.execute() == [1, 2, {b"a": b"1", b"b": b"2"}]
        double = redis_client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)")
        assert double(keys=["n"], args=[4]) == 9

    def test_lock(self, clocked: Engine, redis_client: Any) -> None:
        from redis.exceptions import LockError, LockNotOwnedError

        lock = redis_client.lock("door", timeout=2, blocking=False)
        with lock:
            assert lock.locked() and lock.owned()
            assert not redis_client.lock("door", timeout=2, blocking=False).acquire()
            lock.extend(3)
            assert redis_client.pttl("door") == 5000
            lock.reacquire()
            assert redis_client.pttl("door") == 2000
        with pytest.raises(LockError):
            lock.release()
        assert lock.acquire()
        clocked.advance_clock(2001)
        with pytest.raises(LockNotOwnedError):
            lock.release()


class TestLimits:
    @pytest.mark.parametrize(
        "strategy",
        ["FixedWindowRateLimiter", "MovingWindowRateLimiter", "SlidingWindowCounterRateLimiter"],
    )
    def test_strategies(self, engine: Engine, strategy: str) -> None:
        limits = pytest.importorskip("limits", reason="the PyPI package limits is not installed")
        from embedded_redis import pool
        from limits.storage import RedisStorage

        storage = RedisStorage("redis://localhost", connection_pool=pool(engine))
        limiter = getattr(limits.strategies, strategy)(storage)
        three = limits.parse("3/hour")
        assert [limiter.hit(three, "user") for _ in range(5)] == [True, True, True, False, False]
        assert not limiter.test(three, "user")
        assert limiter.hit(three, "another")
        assert limiter.get_window_stats(three, "another").remaining == 2
        assert limiter.get_window_stats(three, "user").remaining == 0
        limiter.clear(three, "user")
        assert limiter.hit(three, "user", cost=3)
        assert not limiter.hit(three, "user")
        storage.reset()
        assert engine.command("DBSIZE") == 0


# The cache of walrus calls what redis-py has declared old.
@pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")
class TestWalrus:
    @pytest.fixture
    def database(self, clocked: Engine) -> Any:
        walrus = pytest.importorskip("walrus", reason="the PyPI package walrus is not installed")
        from embedded_redis import pool

        return walrus.Database(connection_pool=pool(clocked))

    def test_lock(self, clocked: Engine, database: Any) -> None:
        first, second = database.lock("door", ttl=1000), database.lock("door", ttl=1000)
        assert first.acquire()
        assert not second.acquire(block=False)
        assert not second.release()
        assert first.release()
        with second:
            assert not first.acquire(block=False)
        assert first.acquire()
        clocked.advance_clock(1001)
        assert second.acquire(block=False)

    def test_rate_limits(self, database: Any) -> None:
        for limiter in (
            database.rate_limit("page", limit=2, per=100),
            database.rate_limit_lua("post", limit=2, per=100),
        ):
            limited = [limiter.limit("user") for _ in range(4)]
            assert limited == [False, False, True, True]
            assert not limiter.limit("other")

    def test_array(self, database: Any) -> None:
        array = database.Array("letters")
        array.extend(["a", "b", "c", "d"])
        array.append("e")
        assert len(array) == 5
        assert [array[0], array[4], array[9]] == [b"a", b"e", None]
        array[1] = "B"
        assert array.pop() == b"e"
        assert array.pop(0) == b"a"
        assert list(array) == [b"B", b"c", b"d"]

    def test_cache_and_compare_and_set(self, clocked: Engine, database: Any) -> None:
        cache = database.cache(default_timeout=10)
        calls = []

        def double(number: int) -> int:
            calls.append(number)
            return number * 2

        slow = cache.cached(timeout=5)(double)
        assert [slow(2), slow(2), slow(3)] == [4, 4, 6]
        assert calls == [2, 3]
        clocked.advance_clock(5001)
        assert slow(2) == 4
        assert calls == [2, 3, 2]
        cache.set_many({"a": 1, "b": [2]})
        assert cache.get_many(["a", "b"]) == {"a": 1, "b": [2]}
        database.set("version", "1")
        assert database.cas("version", "1", "2")
        assert not database.cas("version", "1", "3")
        assert database.get("version") == b"2"


class TestDramatiq:
    @pytest.fixture
    def broker(self, engine: Engine) -> Any:
        return self.open_broker(engine)

    def open_broker(self, engine: Engine, **options: Any) -> Any:
        reason = "the PyPI package dramatiq is not installed"
        dramatiq = pytest.importorskip("dramatiq.brokers.redis", reason=reason)
        from embedded_redis import client

        broker = dramatiq.RedisBroker(client=client(engine), middleware=[], **options)
        broker.declare_queue("work")
        return broker

    def message(self, number: int) -> Any:
        from dramatiq import Message

        return Message("work", "run", (number,), {}, {})

    def test_messages_are_worked_off(self, engine: Engine, broker: Any) -> None:
        for number in range(5):
            broker.enqueue(self.message(number))
        assert broker.do_qsize("work") == 5
        consumer = broker.consume("work", prefetch=3, timeout=1)
        taken = [next(consumer) for _ in range(3)]
        assert [message.args for message in taken] == [(0,), (1,), (2,)]
        assert broker.do_qsize("work") == 5 + 3, "those that are worked on count twice"
        consumer.ack(taken[0])
        consumer.nack(taken[1])
        consumer.requeue([taken[2]])
        assert engine.command("HLEN", "dramatiq:work.msgs") == 3
        assert engine.command("ZCARD", "dramatiq:work.XQ") == 1
        rest = [next(consumer) for _ in range(2)]
        assert [message.args for message in rest] == [(3,), (4,)]

    def test_maintenance_brings_back_what_a_dead_worker_held(
        self, engine: Engine, broker: Any
    ) -> None:
        broker.enqueue(self.message(7))
        dead = broker.consume("work", timeout=1)
        assert next(dead).args == (7,)
        # A heartbeat that is older than the timeout: that of the year 1970.
        engine.command("ZADD", "dramatiq:__heartbeats__", 1, broker.broker_id)
        other = self.open_broker(engine, maintenance_chance=1_000_000)
        consumer = other.consume("work", timeout=1)
        assert next(message for message in consumer if message is not None).args == (7,)

    def test_delay_and_flush(self, broker: Any) -> None:
        broker.enqueue(self.message(1), delay=60_000)
        assert broker.do_qsize("work") == 1
        broker.flush_all()
        assert broker.do_qsize("work") == 0


class TestRq:
    @pytest.fixture
    def connection(self, engine: Engine) -> Any:
        pytest.importorskip("rq", reason="the PyPI package rq is not installed")
        from embedded_redis import client

        return client(engine)

    def test_jobs_are_queued_and_worked_off(self, connection: Any) -> None:
        from rq import Queue
        from rq.job import JobStatus

        queue = Queue("work", connection=connection)
        jobs = [queue.enqueue(operator.mul, number, 10) for number in (1, 2)]
        assert queue.count == 2
        assert queue.job_ids == [job.id for job in jobs]
        dequeued = Queue.dequeue_any([queue], None, connection=connection)
        assert dequeued is not None
        taken, _ = dequeued
        assert taken.id == jobs[0].id
        assert taken.perform() == 10
        assert queue.count == 1
        assert jobs[1].get_status() is JobStatus.QUEUED
        jobs[1].cancel()
        assert jobs[1].get_status() is JobStatus.CANCELED
        assert queue.count == 0

    def test_unique_jobs(self, connection: Any) -> None:
        from rq import Queue
        from rq.exceptions import DuplicateJobError

        queue = Queue("work", connection=connection)
        queue.enqueue(operator.neg, 1, job_id="only", unique=True)
        with pytest.raises(DuplicateJobError):
            queue.enqueue(operator.neg, 1, job_id="only", unique=True)
        assert queue.count == 1

    def test_rate_limit_registry(self, connection: Any) -> None:
        from rq.rate_limit import RateLimitRegistry

        registry = RateLimitRegistry("key", connection)
        with connection.pipeline() as pipe:
            registry.register(2, pipe)
            for number in range(3):
                registry.add_to_rate_limited(f"job-{number}", pipe, timestamp=number)
                pipe.hset(f"rq:job:job-{number}", mapping={"origin": "work", "status": "rate_limited"})
            pipe.execute()
        assert registry.concurrency == 2
        assert registry.acquire_and_enqueue(2) == ["job-0", "job-1"]
        assert registry.get_allowed_job_ids() == ["job-0", "job-1"]
        assert registry.get_rate_limited_job_ids() == ["job-2"]
        assert connection.lrange("rq:queue:work", 0, -1) == [b"job-0", b"job-1"]
