"""redis-py's asyncio client at work on a listener: python redis_py_async.py PORT"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis
from redis.exceptions import WatchError

PORT = int(sys.argv[1])


def client(**options: Any) -> redis.Redis:
    return redis.Redis(port=PORT, decode_responses=True, socket_timeout=30, **options)


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    while not await holds():
        await asyncio.sleep(0.002)


async def blocked(r: redis.Redis, count: int) -> bool:
    return (await r.info("clients"))["blocked_clients"] == count


async def many_at_once(r: redis.Redis) -> None:
    numbers = await asyncio.gather(*(r.incr("n") for _ in range(60)))
    assert sorted(numbers) == list(range(1, 61))
    async with r.pipeline(transaction=True) as pipe:
        assert await pipe.set("a", 1).incr("a").get("a").execute() == [True, 2, "2"]
    async with r.pipeline() as pipe:
        await pipe.watch("a")
        await r.set("a", "changed")
        pipe.multi()
        pipe.set("a", "mine")
        try:
            await pipe.execute()
        except WatchError:
            pass
        else:
            raise AssertionError("a watched key was changed")


async def channels(r: redis.Redis) -> None:
    async with r.pubsub(ignore_subscribe_messages=True) as listens:
        await listens.subscribe("news")
        await listens.psubscribe("w*")

        async def there() -> bool:
            subscribed = await r.pubsub_numsub("news") == [("news", 1)]
            return subscribed and await r.pubsub_numpat() == 1

        await until(there)
        for i in range(100):
            assert await r.publish("news", i) == 1
        assert await r.publish("weather", "rain") == 1
        heard: list[Any] = []
        while len(heard) < 101:
            message = await listens.get_message(timeout=10)
            if message:
                heard.append(message["data"])
        assert heard == [*map(str, range(100)), "rain"]


async def locks(r: redis.Redis) -> None:
    total = 0

    async def work() -> None:
        nonlocal total
        async with r.lock("lock", timeout=30, sleep=0.001):
            before = total
            await asyncio.sleep(0)
            total = before + 1

    await asyncio.gather(*(work() for _ in range(30)))
    assert total == 30, "two held it at once"


async def waiting(r: redis.Redis) -> None:
    waits = [asyncio.create_task(client().blpop("queue", 30)) for _ in range(20)]
    await until(lambda: blocked(r, 20))
    for wait in waits[:10]:
        wait.cancel()
    await asyncio.gather(*waits[:10], return_exceptions=True)
    # Who was cancelled has disconnected and takes nothing.
    await until(lambda: blocked(r, 10))
    await r.rpush("queue", *range(10))
    popped = await asyncio.gather(*waits[10:])
    assert sorted(int(pair[1]) for pair in popped) == list(range(10)) and await r.llen("queue") == 0


async def workers(r: redis.Redis) -> None:
    """A group of consumers that share a stream; each entry is done once."""
    await r.xgroup_create("jobs", "g", mkstream=True)
    done: list[str] = []

    async def work(name: str) -> None:
        own = client()
        while True:
            reply = await own.xreadgroup("g", name, {"jobs": ">"}, count=3, block=20_000)
            pairs = reply.items() if isinstance(reply, dict) else reply
            for _, found in pairs:
                for id, fields in found[0] if isinstance(reply, dict) else found:
                    await own.xack("jobs", "g", id)
                    if fields["n"] == "stop":
                        await own.aclose()
                        return
                    done.append(fields["n"])

    running = [asyncio.create_task(work(f"w{i}")) for i in range(4)]
    for i in range(200):
        await r.xadd("jobs", {"n": i})
    while len(done) < 200:
        await asyncio.sleep(0.002)
    while not all(each.done() for each in running):
        await r.xadd("jobs", {"n": "stop"})
        await asyncio.sleep(0.005)
    await asyncio.gather(*running)
    assert sorted(map(int, done)) == list(range(200))
    assert (await r.xpending("jobs", "g"))["pending"] <= 12


async def pools() -> None:
    pool = redis.BlockingConnectionPool(port=PORT, max_connections=3, timeout=30)
    r = redis.Redis(connection_pool=pool)
    await asyncio.gather(*(r.incr("pooled") for _ in range(100)))
    assert await r.get("pooled") == b"100"
    await r.aclose()
    await pool.disconnect()


async def main() -> None:
    for protocol in (2, 3):
        async with client(protocol=protocol) as r:
            await r.flushall()
            for part in (many_at_once, channels, locks, waiting, workers):
                try:
                    await part(r)
                except BaseException:
                    print(f"in {part.__name__} with RESP{protocol}")
                    raise
    await pools()


signal.alarm(400)
asyncio.run(main())
