"""Channels: messages asked for, waited for, and undone."""

import threading

import pytest

from moonkv import ClosedError, Engine, ResponseError


def test_messages_are_as_in_redis_py(engine: Engine) -> None:
    with engine.pubsub() as news:
        assert news.get_message() is None
        news.subscribe("a", b"b")
        news.psubscribe("u:*")
        assert engine.command("PUBLISH", "a", "1") == 1
        assert engine.command("PUBLISH", "u:1", "2") == 1
        told = {"type": "message", "pattern": None, "channel": b"a", "data": b"1"}
        assert news.get_message(timeout=5) == told
        told = {"type": "pmessage", "pattern": b"u:*", "channel": b"u:1", "data": b"2"}
        assert news.get_message() == told
        news.unsubscribe()
        news.punsubscribe("u:*")
        assert engine.command("PUBLISH", "a", "3") == 0
    with pytest.raises(ClosedError):
        news.get_message()
    with pytest.raises(ClosedError):
        news.subscribe("a")


def test_a_script_that_fails_tells_nobody(engine: Engine) -> None:
    news = engine.pubsub()
    news.subscribe("c")
    with pytest.raises(ResponseError):
        engine.eval("redis.call('PUBLISH', 'c', 'm') error('no')")
    assert news.get_message() is None
    engine.eval("redis.call('PUBLISH', 'c', 'm')")
    assert news.get_message() is not None


def test_listening_ends_with_the_engine(engine: Engine) -> None:
    news = engine.pubsub()
    news.subscribe("c")
    heard: list[bytes] = []

    def listen() -> None:
        heard.extend(message["data"] for message in news.listen())

    listener = threading.Thread(target=listen)
    listener.start()
    for text in ("1", "2"):
        engine.command("PUBLISH", "c", text)
    while len(heard) < 2:
        assert listener.is_alive()
    engine.close()
    listener.join(timeout=30)
    assert not listener.is_alive()
    assert heard == [b"1", b"2"]


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_is_a_number_of_seconds(engine: Engine, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be"):
        engine.pubsub().get_message(timeout=timeout)
