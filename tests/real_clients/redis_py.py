"""redis-py at work on a listener: python redis_py.py PORT"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import LockNotOwnedError, RedisClusterException, ResponseError, WatchError
from redis.retry import Retry

PORT = int(sys.argv[1])


def client(**options: Any) -> redis.Redis:
    return redis.Redis(port=PORT, decode_responses=True, socket_timeout=30, **options)


def raises(kind: type[Exception], call: Callable[[], Any], text: str = "") -> None:
    try:
        result = call()
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__} but {result!r}")


def strings_and_errors(r: redis.Redis) -> None:
    assert r.ping() is True
    assert r.set("s", "1", ex=100, nx=True) is True and r.set("s", "2", nx=True) is None
    assert r.incrbyfloat("s", 0.5) == 1.5 and 0 < r.pttl("s") <= 100_000
    assert r.set("s", "3", get=True) == "1.5" and r.getdel("s") == "3" and r.get("s") is None
    raises(ResponseError, lambda: r.execute_command("NOSUCH"), "unknown command")
    r.rpush("list", 1)
    raises(ResponseError, lambda: r.incr("list"), "WRONGTYPE")
    assert redis.Redis(port=PORT).echo(b"\x00\xff\r\n") == b"\x00\xff\r\n"


def collections(r: redis.Redis) -> None:
    assert r.hset("h", mapping={"a": 1, "b": "two"}) == 2 and r.hgetall("h") == {"a": "1", "b": "two"}
    assert r.zadd("z", {"x": 1.5, "y": 2}) == 2
    ranked = r.zrange("z", 0, -1, withscores=True)
    assert [tuple(pair) for pair in ranked] == [("x", 1.5), ("y", 2.0)], ranked
    assert r.zscore("z", "y") == 2.0 and r.sadd("set", *range(600)) == 600
    assert r.smembers("set") == {str(i) for i in range(600)}
    assert set(r.sscan_iter("set", count=20)) == r.smembers("set")
    r.mset({f"many:{i}": i for i in range(500)})
    assert len(set(r.scan_iter("many:*", count=30))) == 500
    assert r.geoadd("geo", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")) == 2
    assert 166 < r.geodist("geo", "Palermo", "Catania", "km") < 167
    assert r.bitfield("bits").set("u8", 0, 200).incrby("u8", 0, 100).execute() == [0, 44]
    assert r.pfadd("hll", *range(100)) == 1 and 95 <= r.pfcount("hll") <= 105
    assert r.sort("list") == ["1"] and r.object("encoding", "set") in ("hashtable", "intset")


def pipelines(r: redis.Redis) -> None:
    with r.pipeline(transaction=False) as pipe:
        for i in range(5000):
            pipe.incr("counter")
        assert pipe.execute() == list(range(1, 5001))
    with r.pipeline() as pipe:
        pipe.set("t", 1).incr("t").lpush("t", "x").get("t")
        replies = pipe.execute(raise_on_error=False)
        assert replies[:2] == [True, 2] and isinstance(replies[2], ResponseError) and replies[3] == "2"
    with r.pipeline() as pipe:
        pipe.watch("t")
        r.set("t", "changed")
        pipe.multi()
        pipe.set("t", "mine")
        raises(WatchError, pipe.execute)
    r.set("sum", 0)

    def add(pipe: Any) -> None:
        before = int(pipe.get("sum"))
        pipe.multi()
        pipe.set("sum", before + 1)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(r.transaction, add, "sum") for _ in range(80)]:
            done.result()
    assert r.get("sum") == "80"


def scripts(r: redis.Redis) -> None:
    script = r.register_script("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
    assert script(keys=["n"], args=["x"]) == ["n", "x", 1]
    r.script_flush()
    assert script(keys=["n"], args=["x"]) == ["n", "x", 2], "it is loaded again"
    assert r.script_exists(script.sha, "0" * 40) == [True, False]
    library = "#!lua name=lib\nredis.register_function('twice', function(k, a) return a[1] * 2 end)"
    assert r.function_load(library, replace=True) == "lib" and r.fcall("twice", 0, 21) == 42
    raises(ResponseError, lambda: r.eval("return redis.error_reply('OWN error')", 0), "OWN error")


def channels(r: redis.Redis) -> None:
    heard: list[Any] = []
    listens = r.pubsub(ignore_subscribe_messages=True)
    listens.subscribe(news=heard.append)
    listens.psubscribe(**{"w*": heard.append})
    thread = listens.run_in_thread(sleep_time=0.01)
    until(lambda: r.pubsub_numsub("news") == [("news", 1)] and r.pubsub_numpat() == 1)
    assert r.publish("news", "hello") == 1 and r.publish("weather", "rain") == 1
    until(lambda: len(heard) == 2)
    assert [message["data"] for message in heard] == ["hello", "rain"]
    assert heard[1]["pattern"] == "w*" and heard[1]["channel"] == "weather"
    thread.stop()
    thread.join()
    until(lambda: r.pubsub_numsub("news") == [("news", 0)])


def locks(r: redis.Redis) -> None:
    held, total = threading.Lock(), 0

    def work() -> None:
        nonlocal total
        with r.lock("lock", timeout=30, sleep=0.001):
            assert held.acquire(blocking=False), "two hold it"
            total += 1
            held.release()

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work) for _ in range(40)]:
            done.result()
    assert total == 40 and r.exists("lock") == 0
    lock = r.lock("lock", timeout=30)
    assert lock.acquire() and lock.extend(10) and 30_000 < r.pttl("lock") <= 40_000
    r.set("lock", "another's")
    raises(LockNotOwnedError, lock.release)
    assert not r.lock("lock").acquire(blocking=False)


def streams(r: redis.Redis) -> None:
    ids = [r.xadd("st", {"n": i}) for i in range(10)]
    assert r.xgroup_create("st", "g", id="0") is True
    raises(ResponseError, lambda: r.xgroup_create("st", "g"), "BUSYGROUP")
    first = entries(r.xreadgroup("g", "one", {"st": ">"}, count=4))
    second = entries(r.xreadgroup("g", "two", {"st": ">"}))
    assert [entry[0] for entry in first + second] == ids and first[0][1] == {"n": "0"}
    assert r.xack("st", "g", *ids[:2]) == 2 and r.xpending("st", "g")["pending"] == 8
    pending = r.xpending_range("st", "g", "-", "+", 10, consumername="one")
    assert [entry["message_id"] for entry in pending] == ids[2:4]
    claimed = r.xautoclaim("st", "g", "two", min_idle_time=0, count=1)
    assert claimed[0] == ids[3] and claimed[1] == [(ids[2], {"n": "2"})], claimed
    assert r.xinfo_groups("st")[0]["consumers"] == 2 and r.xtrim("st", 3, approximate=False) == 7
    assert r.xinfo_stream("st")["length"] == 3 and r.xlen("st") == 3
    later = threading.Timer(0.05, lambda: client().xadd("st", {"n": "late"}))
    later.start()
    assert entries(r.xread({"st": "$"}, block=20_000))[0][1] == {"n": "late"}
    later.join()


def entries(reply: Any) -> list[Any]:
    """The entries of the one stream that was read; RESP3 has a map of lists."""
    if isinstance(reply, dict):
        ((_, found),) = reply.items()
        return found[0] if found and isinstance(found[0], list) else found
    ((_, found),) = reply
    return found


def blocking(r: redis.Redis) -> None:
    with ThreadPoolExecutor(4) as threads:
        waits = [
            threads.submit(r.blpop, "queue", 20),
            threads.submit(r.bzpopmin, "zqueue", 20),
            threads.submit(r.blmove, "from", "to", 20, "LEFT", "RIGHT"),
        ]
        until(lambda: r.info("clients")["blocked_clients"] == 3)
        r.rpush("queue", "job")
        r.zadd("zqueue", {"low": 1, "high": 2})
        r.rpush("from", "moved")
        popped, ranked, moved = (wait.result() for wait in waits)
    assert tuple(popped) == ("queue", "job") and moved == "moved", (popped, moved)
    assert tuple(ranked) == ("zqueue", "low", 1.0), ranked
    assert r.blpop("queue", 0.01) is None and r.lrange("to", 0, -1) == ["moved"]


def pools() -> None:
    pool = redis.BlockingConnectionPool(port=PORT, max_connections=4, timeout=30)
    r = redis.Redis(connection_pool=pool)
    with ThreadPoolExecutor(16) as threads:
        assert sorted(threads.map(lambda _: r.incr("pooled"), range(400))) == list(range(1, 401))
    pool.disconnect()
    assert r.get("pooled") == b"400", "it connects again"
    killed = client(retry=Retry(NoBackoff(), 3), client_name="victim")
    own = killed.client_id()
    assert client().client_kill_filter(_id=own) == 1
    assert killed.ping() and killed.client_id() != own, "it connects again by itself"


def server(r: redis.Redis) -> None:
    r.client_setname("tester")
    assert r.client_getname() == "tester"
    assert any(each["name"] == "tester" for each in r.client_list())
    assert r.info()["redis_version"] == "7.0.15" and r.dbsize() > 0
    r.config_set("maxmemory-policy", "allkeys-lru")
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    r.config_set("maxmemory-policy", "noeviction")
    assert r.command_count() > 200 and r.command_getkeys("MSET", "a", 1, "b", 2) == ["a", "b"]
    assert abs(r.time()[0] - time.time()) < 3600 and r.memory_usage("h") > 0
    assert r.acl_whoami() == "default" and "default" in r.acl_users()
    raises(RedisClusterException, lambda: RedisCluster(host="127.0.0.1", port=PORT))


def databases_and_passwords(r: redis.Redis) -> None:
    other = client(db=3)
    other.set("only", "there")
    assert not r.exists("only") and r.move("only", 3) is False and other.dbsize() == 1
    assert r.acl_setuser("ann", enabled=True, passwords=["+pw"], keys=["a:*"], categories=["+@all"])
    ann = client(username="ann", password="pw")
    assert ann.set("a:1", "x") is True
    raises(redis.exceptions.NoPermissionError, lambda: ann.get("b"))
    stranger = client(username="ann", password="no", retry=Retry(NoBackoff(), 0))
    raises(redis.exceptions.AuthenticationError, stranger.ping)


def caching() -> None:
    """What a client-side cache stands on: messages that keys changed, behind the replies."""
    told: list[Any] = []
    r = redis.Redis(port=PORT, protocol=3, single_connection_client=True, socket_timeout=30)
    r.connection._parser.set_invalidation_push_handler(lambda push, *_: told.append(push))
    assert r.execute_command("CLIENT", "TRACKING", "ON") in (True, b"OK")
    r.get("cached")
    client().set("cached", "new")
    until(lambda: r.ping() and told)
    assert told == [[b"invalidate", [b"cached"]]], told


def until(holds: Callable[[], Any]) -> None:
    while not holds():
        time.sleep(0.002)


def main() -> None:
    signal.alarm(400)
    for protocol in (2, 3):
        r = client(protocol=protocol)
        r.flushall()
        for part in (
            strings_and_errors,
            collections,
            pipelines,
            scripts,
            channels,
            locks,
            streams,
            blocking,
            server,
            databases_and_passwords,
        ):
            try:
                part(r)
            except BaseException:
                print(f"in {part.__name__} with RESP{protocol}")
                raise
    pools()
    caching()


main()
