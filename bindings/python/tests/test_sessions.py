"""Sessions: queued commands, transactions, savepoints, calls that wait, parameters."""

import _thread
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from moonkv import (
    BusyError,
    ClosedError,
    Engine,
    NoScriptError,
    OptionError,
    ReentrantError,
    ResponseError,
    Session,
    TransactionError,
)

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
CANCELLED = "cancelled by the host"


def test_multi_and_exec(engine: Engine) -> None:
    sha1 = engine.script_load(ADD)
    add = engine.prepare(ADD)
    with engine.session() as session:
        assert session.command("MULTI") == "OK"
        assert session.command("SET", "n", 1) == "QUEUED"
        assert session.eval(ADD, ["n"], [2]) == "QUEUED"
        assert session.evalsha(sha1, ["n"], [3]) == "QUEUED"
        assert session.run(add, ["n"], [4]) == "QUEUED"
        assert session.command("LPUSH", "n", 1) == "QUEUED"
        assert engine.command("EXISTS", "n") == 0
        *replies, error = session.command("EXEC")
        assert replies == ["OK", 3, 6, 10]
        assert isinstance(error, ResponseError) and error.code == "WRONGTYPE"
    with pytest.raises(ResponseError, match="need a session"):
        engine.command("MULTI")


def test_watch(engine: Engine) -> None:
    with engine.session() as session:
        session.command("WATCH", "k")
        engine.command("SET", "k", 1)
        session.command("MULTI")
        session.command("SET", "k", 2)
        assert session.command("EXEC") is None
    assert engine.command("GET", "k") == b"1"


def test_each_session_has_its_database() -> None:
    with Engine(databases=3) as engine, engine.session() as one, engine.session() as two:
        one.command("SELECT", 2)
        one.command("SET", "k", 1)
        assert two.command("GET", "k") is None
        with pytest.raises(ResponseError, match="out of range"):
            two.command("SELECT", 3)


def test_scripts(engine: Engine) -> None:
    session = engine.session()
    assert session.eval(ADD, ("n",), (1,)) == 1
    assert session.eval(ADD, keys=["n"], args=iter([b"2"])) == 3
    with pytest.raises(NoScriptError):
        session.evalsha("0" * 40)
    with Engine() as other, pytest.raises(OptionError, match="another engine's"):
        session.run(other.prepare(ADD), ["n"], [1])
    with pytest.raises(TypeError):
        session.run("return 1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        session.eval(ADD, "n", [1])


def test_a_transaction_commits_or_rolls_back(engine: Engine) -> None:
    session = engine.session()
    with session.transaction() as same:
        assert same is session and session.in_transaction()
        session.command("SET", "n", 1)
    assert not session.in_transaction()
    with pytest.raises(ZeroDivisionError), session.transaction():
        session.command("INCR", "n")
        _ = 1 / 0
    assert engine.command("GET", "n") == b"1"
    with pytest.raises(ResponseError), engine.transaction() as session:
        session.command("INCR", "n")
        session.command("LPUSH", "n", "x")
    with pytest.raises(ClosedError, match="the session is closed"):
        session.command("PING")
    with engine.transaction() as session:
        session.command("INCR", "n")
    assert engine.command("GET", "n") == b"2"


def test_a_block_may_end_its_transaction_itself(engine: Engine) -> None:
    with engine.transaction() as session:
        session.command("SET", "n", 1)
        session.rollback()
    assert engine.command("EXISTS", "n") == 0
    with pytest.raises(ZeroDivisionError), engine.transaction() as session:
        session.command("SET", "n", 1)
        session.commit()
        _ = 1 / 0
    assert engine.command("GET", "n") == b"1"


def test_savepoints(engine: Engine) -> None:
    with engine.transaction() as session:
        session.command("RPUSH", "l", "a")
        with session.savepoint() as first:
            assert first.number == 1
            session.command("RPUSH", "l", "b")
            with pytest.raises(ZeroDivisionError), session.savepoint() as second:
                assert second.number == 2
                session.command("RPUSH", "l", "c")
                _ = 1 / 0
            assert session.command("LRANGE", "l", 0, -1) == [b"a", b"b"]
            with pytest.raises(TransactionError, match="no savepoint 2"):
                second.rollback()
            first.rollback()
            session.command("RPUSH", "l", "d")
        with pytest.raises(TransactionError, match="no savepoint 1"):
            first.release()
        with session.savepoint() as by_hand:
            by_hand.release()
    assert engine.command("LRANGE", "l", 0, -1) == [b"a", b"d"]


def test_a_savepoint_whose_transaction_is_over(engine: Engine) -> None:
    with engine.session() as session:
        with session.transaction(), session.savepoint():
            session.commit()
        with pytest.raises(ZeroDivisionError), session.transaction(), session.savepoint():
            session.rollback()
            _ = 1 / 0


def test_misuse(engine: Engine) -> None:
    session = engine.session()
    misuses: list[Callable[[], object]] = [session.commit, session.rollback, session.savepoint]
    for misuse in misuses:
        with pytest.raises(TransactionError, match="^no transaction is open$"):
            misuse()
    with session.transaction():
        with pytest.raises(TransactionError, match="use a savepoint"):
            session.begin()
        with pytest.raises(TransactionError), session.transaction():
            pass
        assert session.in_transaction()
        with pytest.raises(BusyError, match="another session's transaction"):
            engine.command("PING")
        with pytest.raises(BusyError), engine.transaction():
            pass
        # Nothing waits in a transaction.
        assert session.command("BLPOP", "nothing", 0) is None
    session.command("MULTI")
    with pytest.raises(TransactionError, match="MULTI"):
        session.begin()


def test_close(engine: Engine) -> None:
    session = engine.session()
    session.begin()
    session.command("SET", "k", 1)
    session.close()
    session.close()
    session.cancel()
    assert engine.command("EXISTS", "k") == 0
    calls: list[Callable[[], object]] = [
        lambda: session.command("PING"),
        lambda: session.eval("return 1"),
        lambda: session.begin(),
        lambda: session.in_transaction(),
        lambda: session.savepoint(),
        lambda: session.transaction().__enter__(),
    ]
    for call in calls:
        with pytest.raises(ClosedError, match="the session is closed"):
            call()


def test_a_session_that_is_let_go_undoes_what_it_began(engine: Engine) -> None:
    session = engine.session()
    session.begin()
    session.command("SET", "k", 1)
    del session
    gc.collect()
    assert engine.command("EXISTS", "k") == 0


def test_the_engine_closes_first() -> None:
    engine = Engine()
    session = engine.session()
    session.begin()
    engine.close()
    for call in (lambda: session.command("PING"), session.commit, session.savepoint):
        with pytest.raises(ClosedError, match="the engine is closed"):
            call()
    with pytest.raises(ClosedError):
        engine.session()
    with pytest.raises(ClosedError):
        engine.transaction()
    session.close()


def test_a_session_keeps_its_engine() -> None:
    session = Engine().session()
    gc.collect()
    assert session.command("INCR", "n") == 1


def test_inside_the_log_callback(engine: Engine) -> None:
    session = engine.session()
    caught: list[Exception] = []

    def log(level: int, message: bytes) -> None:
        try:
            session.command("PING")
        except ReentrantError as error:
            caught.append(error)
        session.cancel()

    engine.set_log(log)
    assert session.eval("redis.log(3, 'x') return 1") == 1
    assert len(caught) == 1


class Waiting:
    """A thread whose call waits for a key."""

    def __init__(self, session: Session, *command: Any) -> None:
        self.session, self.command = session, command
        self.reply: Any = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        time.sleep(0.05)
        assert self.thread.is_alive()

    def run(self) -> None:
        try:
            self.reply = self.session.command(*self.command)
        except Exception as error:
            self.reply = error

    def end(self, again: Callable[[], object] = lambda: None) -> Any:
        end = time.monotonic() + 10
        while self.thread.is_alive() and time.monotonic() < end:
            again()
            self.thread.join(0.01)
        assert not self.thread.is_alive()
        return self.reply


def test_a_call_that_waits_is_woken(engine: Engine) -> None:
    waiting = Waiting(engine.session(), "BLPOP", "jobs", 0)
    assert engine.command("DBSIZE") == 0
    engine.command("RPUSH", "jobs", "a", "b")
    assert waiting.end() == [b"jobs", b"a"]
    # Longer than the engine asks for signals.
    start = time.monotonic()
    assert engine.session().command("BLPOP", "nothing", 0.13) is None
    assert 0.13 <= time.monotonic() - start < 5


def test_a_call_that_waits_is_cancelled(engine: Engine) -> None:
    session = engine.session()
    ways: list[Callable[[], object]] = [session.cancel, engine.cancel]
    for way in ways:
        error = Waiting(session, "BLPOP", "jobs", 0).end(way)
        assert isinstance(error, ResponseError) and CANCELLED in str(error)
    engine.command("RPUSH", "jobs", "a")
    assert engine.command("LLEN", "jobs") == 1


def test_a_call_that_waits_ends_when_its_session_or_engine_closes() -> None:
    engine = Engine()
    waiting = Waiting(session := engine.session(), "BLPOP", "jobs", 0)
    session.close()
    assert CANCELLED in str(waiting.end())
    waiting = Waiting(engine.session(), "BLPOP", "jobs", 0)
    engine.close()
    assert isinstance(waiting.end(), ClosedError)


def interrupted(work: Callable[[], object]) -> float:
    """Presses Ctrl-C soon; returns how long it took to be raised."""
    threading.Timer(0.1, _thread.interrupt_main).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work()
    return time.monotonic() - start


def test_ctrl_c_ends_a_call_that_waits(engine: Engine) -> None:
    session = engine.session()
    assert interrupted(lambda: session.command("BLPOP", "jobs", 0)) < 5
    assert interrupted(lambda: engine.command("BLPOP", "jobs", 0)) < 5
    engine.command("RPUSH", "jobs", "a")
    assert session.command("BLPOP", "jobs", 0) == [b"jobs", b"a"]
    copy = engine.fork()
    assert interrupted(lambda: copy.command("BLPOP", "jobs", 60)) < 5


def test_ctrl_c_ends_waiting_for_a_transaction() -> None:
    with Engine(busy_timeout=None) as engine:
        session, over = engine.session(), threading.Event()

        def hold() -> None:
            with session.transaction():
                held.set()
                over.wait(10)

        held = threading.Event()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        try:
            assert interrupted(lambda: engine.command("PING")) < 5
        finally:
            over.set()
            thread.join(10)
        assert engine.command("PING") == "PONG"


def test_busy_timeout() -> None:
    with Engine(busy_timeout=0.05) as engine, engine.transaction() as session:
        waiting = Waiting.__new__(Waiting)
        waiting.session, waiting.command = engine.session(), ("PING",)
        thread = threading.Thread(target=waiting.run)
        thread.start()
        thread.join(10)
        assert isinstance(waiting.reply, BusyError)
        assert session.command("PING") == "PONG"


def test_others_wait_for_the_end_of_a_transaction(engine: Engine) -> None:
    with engine.transaction() as session:
        session.command("SET", "k", "half")
        waiting = Waiting(engine.session(), "GET", "k")
        session.command("SET", "k", "whole")
    assert waiting.end() == b"whole"


def test_parameters() -> None:
    config = {"hash-max-listpack-entries": 2, "hash-max-listpack-value": "8"}
    with Engine(config=config) as engine:
        engine.command("HSET", "h", "a", 1, "b", 2)
        assert engine.command("OBJECT", "ENCODING", "h") == b"listpack"
        engine.command("HSET", "h", "c", 3)
        assert engine.command("OBJECT", "ENCODING", "h") == b"hashtable"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"databases": 0}, "databases must be 1 to 65536"),
        ({"databases": -1}, "databases must be 0 or more, not -1"),
        ({"busy_timeout": -1}, "busy_timeout"),
        ({"config": {"no-such-parameter": 1}}, "no-such-parameter"),
        ({"config": {"hash-max-listpack-entries": "many"}}, "hash-max-listpack-entries"),
    ],
)
def test_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Engine(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"config": [("a", 1)]}, {"config": {1: 1}}, {"config": {"a": True}}]
)
def test_options_of_the_wrong_type(options: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Engine(**options)  # type: ignore[arg-type]


def test_a_session_let_go_while_a_script_logs() -> None:
    # Letting go takes the engine's lock, which the thread that logs has, while it wants Python's.
    with Engine() as engine:
        engine.set_log(lambda level, message: time.sleep(0.0001))
        script = engine.prepare("for i = 1, 300 do redis.log(3, 'x') end")
        running = threading.Thread(target=script)
        running.start()
        while running.is_alive():
            engine.session()
        running.join(10)
