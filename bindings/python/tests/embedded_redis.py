"""redis-py on an engine of this process: its connections end at a session instead of a server.

What is in between is redis-py as it is: commands are packed, and replies parsed, by its own code.
"""

import socket
from typing import Any

import redis
from redis.connection import Connection, ConnectionPool

from moonkv import Engine, MoonkvError, Session


class SessionSocket:
    """The part of a socket that redis-py uses, with a session at the other end."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.received = b""
        self.replies = bytearray()

    def sendall(self, data: bytes) -> None:
        self.received += bytes(data)
        while (command := self.next_command()) is not None:
            try:
                reply = self.session.command(*command)
            except MoonkvError as error:
                reply = error
            self.replies += encode(reply)

    def next_command(self) -> list[bytes] | None:
        """The next whole command of what was sent: an array of bulk strings."""
        head, end, rest = self.received.partition(b"\r\n")
        if not end:
            return None
        assert head[:1] == b"*"
        words = []
        for _ in range(int(head[1:])):
            head, end, rest = rest.partition(b"\r\n")
            length = int(head[1:] or 0)
            if not end or len(rest) < length + 2:
                return None
            words.append(rest[:length])
            rest = rest[length + 2 :]
        self.received = rest
        return words

    def recv(self, most: int, *_flags: int) -> bytes:
        if not self.replies:
            raise socket.timeout("nothing was asked that is not answered")
        taken = bytes(self.replies[:most])
        del self.replies[:most]
        return taken

    def recv_into(self, buffer: memoryview, *_rest: int) -> int:
        taken = self.recv(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)

    def settimeout(self, _seconds: float | None) -> None:
        pass

    def gettimeout(self) -> float | None:
        return None

    def setblocking(self, _blocking: bool) -> None:
        pass

    def shutdown(self, _how: int) -> None:
        pass

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.session.close()


def encode(reply: Any) -> bytes:
    """A reply as a server writes it."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case str():
            return b"+%s\r\n" % reply.encode()
        case Exception():
            return b"-%s\r\n" % str(reply).encode()
        case _:
            return b"*%d\r\n" % len(reply) + b"".join(encode(element) for element in reply)


class EngineConnection(Connection):
    def __init__(self, engine: Engine, **options: Any) -> None:
        self.engine = engine
        Connection.__init__(self, **options)  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        return SessionSocket(self.engine.session())


def pool(engine: Engine, **options: Any) -> ConnectionPool:
    return ConnectionPool(connection_class=EngineConnection, engine=engine, protocol=2, **options)


def client(engine: Engine, **options: Any) -> redis.Redis:
    return redis.Redis(connection_pool=pool(engine, **options))
