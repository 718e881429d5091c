from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeAlias, final

from ._errors import MoonkvError

__all__ = [
    "Engine",
    "Listener",
    "Profile",
    "PubSub",
    "Savepoint",
    "Script",
    "Session",
    "Tick",
    "Transaction",
    "__version__",
]

_Argument: TypeAlias = bytes | bytearray | memoryview | str | int | float
_Text: TypeAlias = bytes | bytearray | memoryview | str

__version__: str

class Tick(NamedTuple):
    expired: int
    complete: bool

@final
class Script:
    @property
    def sha1(self) -> str: ...
    def __call__(
        self,
        keys: Iterable[_Argument] = (),
        args: Iterable[_Argument] = (),
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        instructions: int | None = ...,
    ) -> Any: ...

@final
class Profile:
    @property
    def result(self) -> Any: ...
    @property
    def error(self) -> MoonkvError | None: ...
    @property
    def total(self) -> float: ...
    def table(self) -> str: ...
    def collapsed(self) -> str: ...

@final
class Savepoint:
    @property
    def number(self) -> int: ...
    def rollback(self) -> None: ...
    def release(self) -> None: ...
    def __enter__(self) -> Savepoint: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Transaction:
    def __enter__(self) -> Session: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class PubSub:
    def subscribe(self, *channels: _Argument) -> None: ...
    def psubscribe(self, *patterns: _Argument) -> None: ...
    def unsubscribe(self, *channels: _Argument) -> None: ...
    def punsubscribe(self, *patterns: _Argument) -> None: ...
    def get_message(self, timeout: float | None = 0.0) -> dict[str, Any] | None: ...
    def listen(self) -> PubSub: ...
    def close(self) -> None: ...
    def __iter__(self) -> PubSub: ...
    def __next__(self) -> dict[str, Any]: ...
    def __enter__(self) -> PubSub: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Session:
    def command(self, *args: _Argument) -> Any: ...
    def eval(
        self,
        script: _Text,
        keys: Iterable[_Argument] = (),
        args: Iterable[_Argument] = (),
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        instructions: int | None = ...,
    ) -> Any: ...
    def evalsha(
        self,
        sha1: _Text,
        keys: Iterable[_Argument] = (),
        args: Iterable[_Argument] = (),
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        instructions: int | None = ...,
    ) -> Any: ...
    def run(
        self,
        script: Script,
        keys: Iterable[_Argument] = (),
        args: Iterable[_Argument] = (),
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        instructions: int | None = ...,
    ) -> Any: ...
    def transaction(self) -> Transaction: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def in_transaction(self) -> bool: ...
    def savepoint(self) -> Savepoint: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Session: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Engine:
    def __new__(
        cls,
        *,
        on_error: Literal["rollback", "keep"] = "rollback",
        lua_random: Literal["denied", "seeded", "continued"] = "denied",
        lua_false: Literal["nil", "integer"] = "nil",
        script_timeout: float | None = 5.0,
        script_memory: int | None = 268435456,
        script_instructions: int | None = None,
        clock_start_ms: int | None = None,
        databases: int = 16,
        busy_timeout: float | None = 5.0,
        config: dict[str, Any] | None = None,
        protocol: Literal[2, 3] = 2,
        decode_responses: bool = False,
        script_statistics: bool = False,
        directory: str | PathLike[str] | None = None,
    ) -> Engine: ...
    def command(self, *args: _Argument) -> Any: ...
    def eval(
        self,
        script: _Text,
        keys: Iterable[_Argument] = (),
        args: Iterable[_Argument] = (),
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        instructions: int | None = ...,
    ) -> Any: ...
    def evalsha(
        self,
        sha1: _Text,
        keys: Iterable[_Argument] = (),
        args: Iterable[_Argument] = (),
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        instructions: int | None = ...,
    ) -> Any: ...
    def script_load(self, script: _Text) -> str: ...
    def script_exists(self, *sha1s: _Text) -> list[bool]: ...
    def script_flush(self) -> None: ...
    def script_stats(self) -> list[dict[str, Any]]: ...
    def reset_script_stats(self) -> None: ...
    def profile(
        self, script: _Text, keys: Iterable[_Argument] = (), args: Iterable[_Argument] = ()
    ) -> Profile: ...
    def prepare(self, script: _Text) -> Script: ...
    def session(self) -> Session: ...
    def listen(
        self,
        host: str = "127.0.0.1",
        port: int | None = 0,
        *,
        unix: str | PathLike[str] | None = None,
        unix_permissions: int | None = None,
        password: str | None = None,
        exposed: bool = False,
    ) -> Listener: ...
    def pubsub(self) -> PubSub: ...
    def transaction(self) -> Transaction: ...
    def cancel(self) -> None: ...
    def tick(self, budget: float) -> Tick: ...
    def advance_clock(self, milliseconds: int) -> int: ...
    def load(self, path: str | PathLike[str] | None = None) -> int | None: ...
    def set_log(self, callback: Callable[[int, bytes], object] | None) -> None: ...
    def register(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        arity: int = -1,
        flags: str = "write",
        keys: tuple[int, int, int] = (0, 0, 0),
    ) -> None: ...
    def unregister(self, name: str) -> bool: ...
    def fork(self) -> Engine: ...
    def close(self) -> None: ...
    def __enter__(self) -> Engine: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Listener:
    @property
    def port(self) -> int | None: ...
    @property
    def unix(self) -> Path | None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Listener: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...
