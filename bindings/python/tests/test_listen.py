"""An engine behind a socket, from Python."""

import socket
import threading
from pathlib import Path

import pytest

import moonkv


def ask(client: socket.socket, line: bytes) -> bytes:
    client.sendall(line + b"\r\n")
    return client.recv(1000)


def connect(listener: moonkv.Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port or 0), timeout=60)


def test_clients_and_the_process_share_keys() -> None:
    with moonkv.Engine() as engine, engine.listen() as listener:
        with connect(listener) as client:
            assert ask(client, b"SET a 1") == b"+OK\r\n"
            assert engine.command("INCR", "a") == 2
            assert ask(client, b"GET a") == b"$1\r\n2\r\n"
            listener.close()
            assert client.recv(10) == b""
        listener.close()


def test_a_function_of_python_runs_on_the_listener_s_thread() -> None:
    engine = moonkv.Engine()
    threads = []

    def where(_: bytes) -> str:
        threads.append(threading.get_ident())
        return "here"

    engine.register("GAME.WHERE", where, arity=2)
    with engine.listen() as listener, connect(listener) as client:
        assert ask(client, b"GAME.WHERE x") == b"$4\r\nhere\r\n"
    assert threads and threads[0] != threading.get_ident()


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with moonkv.Engine() as engine:
        with engine.listen(port=None, unix=path, unix_permissions=0o700) as listener:
            assert listener.port is None and listener.unix == path
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                assert ask(client, b"PING") == b"+PONG\r\n"
        assert not path.exists()


def test_what_is_refused() -> None:
    engine = moonkv.Engine()
    with pytest.raises(moonkv.MoonkvError, match="set a password"):
        engine.listen("0.0.0.0")
    with engine.listen() as listener:
        with pytest.raises(moonkv.MoonkvError, match="cannot listen"):
            engine.listen(port=listener.port)


def test_a_listener_that_is_forgotten_ends() -> None:
    engine = moonkv.Engine()
    listener = engine.listen()
    client = connect(listener)
    # Once it is answered it is no longer among those that wait to be accepted.
    client.sendall(b"PING\r\n")
    assert client.recv(10) == b"+PONG\r\n"
    del listener
    assert client.recv(10) == b""
    client.close()
