"""Several Python threads on one engine, and the interpreter's lock."""

import _thread
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from moonkv import Engine, ResponseError

SPIN = "redis.log(redis.LOG_NOTICE, 'running') while true do end"


class Spinning:
    """A thread with an endless script in it; entered once the script runs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.running = threading.Event()
        self.error: ResponseError | None = None
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            self.engine.eval(SPIN)
        except ResponseError as error:
            self.error = error

    def __enter__(self) -> "Spinning":
        self.engine.set_log(lambda level, message: self.running.set())
        self.thread.start()
        assert self.running.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.cancel()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_calls_are_serialised(engine: Engine) -> None:
    add = engine.prepare("""
        local n = tonumber(redis.call('GET', KEYS[1]) or 0)
        redis.call('SET', KEYS[1], n + 1)
        return n + 1
    """)

    def work(_: int) -> list[int]:
        return [add(["n"]) for _ in range(2000)]

    with ThreadPoolExecutor(4) as pool:
        results = [n for part in pool.map(work, range(4)) for n in part]
    assert sorted(results) == list(range(1, 8001))


def test_many_kinds_of_calls_at_once(engine: Engine) -> None:
    def work(worker: int) -> bool:
        key = f"k{worker}"
        for n in range(500):
            script = engine.prepare(f"return redis.call('INCR', KEYS[1]) + {n % 7}")
            assert script([key]) == n + 1 + n % 7
            assert engine.command("GET", key) == b"%d" % (n + 1)
            engine.script_flush()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_cancel_from_another_thread() -> None:
    with Engine(script_timeout=None) as engine:
        with Spinning(engine) as spinning:
            pass
        assert spinning.error is not None
        assert "cancelled" in str(spinning.error)
        assert engine.eval("return 1") == 1


def test_python_runs_while_a_script_does() -> None:
    with Engine(script_timeout=None) as engine, Spinning(engine) as spinning:
        steps, end = 0, time.monotonic() + 0.2
        while time.monotonic() < end:
            steps += 1
        assert spinning.thread.is_alive()
        assert steps > 1000
        with Engine() as other:
            assert other.command("PING") == "PONG"


def test_python_runs_while_a_thread_waits_for_the_engine() -> None:
    with Engine(script_timeout=None) as engine:
        replies: list[object] = []
        waiting = threading.Thread(target=lambda: replies.append(engine.command("PING")))
        with Spinning(engine):
            waiting.start()
            time.sleep(0.1)
            assert waiting.is_alive() and not replies
        waiting.join(10)
        assert replies == ["PONG"]


def test_log_callbacks_from_several_threads(engine: Engine) -> None:
    lines: list[bytes] = []
    engine.set_log(lambda level, message: lines.append(message))
    script = engine.prepare("redis.log(2, ARGV[1]) return 1")

    def work(worker: int) -> int:
        return sum(script(args=[worker]) for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [300] * 4
    assert sorted(lines) == sorted(b"%d" % worker for worker in range(4) for _ in range(300))


def test_close_waits_for_the_call_under_way() -> None:
    engine = Engine(script_timeout=0.2)
    spinning = Spinning(engine)
    engine.set_log(lambda level, message: spinning.running.set())
    spinning.thread.start()
    assert spinning.running.wait(10)
    engine.close()
    spinning.thread.join(10)
    assert "time limit" in str(spinning.error)


def test_ctrl_c_is_raised_once_the_script_has_ended() -> None:
    engine = Engine(script_timeout=0.3)
    start = time.monotonic()
    threading.Timer(0.05, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        try:
            engine.eval("while true do end")
        except ResponseError:
            # Anywhere from here on.
            while time.monotonic() - start < 10:
                pass
    assert time.monotonic() - start < 5


def test_arguments_changed_by_another_thread_during_the_call(engine: Engine) -> None:
    stop = threading.Event()
    keys: list[bytes] = [b"0" * 100]
    buffer = bytearray(b"a" * 100)

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            keys[:] = [b"%d" % (n % 10) * 100] * (n % 3 + 1)
            buffer[:] = b"%c" % (97 + n % 26) * (50 + n % 100)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        script = engine.prepare("return {KEYS[1], ARGV[1]}")
        for _ in range(3000):
            key, argument = script(keys, [buffer])
            assert len(set(key)) == 1 and len(key) == 100
            assert len(set(argument)) == 1
    finally:
        stop.set()
        thread.join()
