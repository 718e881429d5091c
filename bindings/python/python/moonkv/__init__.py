"""moonkv: an embedded, in-process, Redis-compatible key-value engine with atomic Lua scripts.

>>> import moonkv
>>> engine = moonkv.Engine(decode_responses=True)
>>> engine.command("SET", "greeting", "hello")
'OK'
>>> engine.eval("return redis.call('GET', KEYS[1]) .. ' ' .. ARGV[1]", ["greeting"], ["world"])
'hello world'

Every script is atomic: while it runs nothing else does, and if it ends in an error nothing it did
remains. See :class:`Engine` for the options and the rules, :meth:`Engine.command` for what goes in
and what comes back.
"""

from ._errors import (
    BusyError,
    ClosedError,
    MoonkvError,
    NoScriptError,
    OptionError,
    PoisonedError,
    ReentrantError,
    ResponseError,
    TransactionError,
    WrongTypeError,
)
from ._moonkv import (
    Engine,
    Listener,
    Profile,
    PubSub,
    Savepoint,
    Script,
    Session,
    Tick,
    Transaction,
    __version__,
)

__all__ = [
    "BusyError",
    "ClosedError",
    "Engine",
    "Listener",
    "MoonkvError",
    "NoScriptError",
    "OptionError",
    "PoisonedError",
    "Profile",
    "PubSub",
    "ReentrantError",
    "ResponseError",
    "Savepoint",
    "Script",
    "Session",
    "Tick",
    "Transaction",
    "TransactionError",
    "WrongTypeError",
    "__version__",
]
