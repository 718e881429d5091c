"""The exceptions of moonkv.

They are Python classes rather than native ones, so that one of them can be a ``ValueError`` too
and all of them can be pickled.
"""


class MoonkvError(Exception):
    """Base of all exceptions of moonkv."""

    __module__ = "moonkv"


class ResponseError(MoonkvError):
    """A command or script answered with an error; the message is Redis's, whole.

    >>> import moonkv
    >>> moonkv.ResponseError("WRONGTYPE Operation against a key").code
    'WRONGTYPE'
    """

    __module__ = "moonkv"

    script: str | None = None
    """Of an error that ended a script: its SHA-1, or the function's name."""
    library: str | None = None
    """The library the function is of."""
    line: int | None = None
    """The line that failed."""
    traceback: list[str] | None = None
    """The calls that were under way, the innermost first, as Lua's ``debug.traceback`` words
    them."""

    @property
    def code(self) -> str:
        """The word in capital letters that the message begins with, such as ``"ERR"``; empty if
        it begins with none."""
        word = str(self).partition(" ")[0]
        return word if word == word.upper() and word[:1].isalpha() else ""


class NoScriptError(ResponseError):
    """``NOSCRIPT``: no script with this SHA-1 is cached."""

    __module__ = "moonkv"


class WrongTypeError(ResponseError):
    """``WRONGTYPE``: the key holds another type than the command works on."""

    __module__ = "moonkv"


class ClosedError(MoonkvError):
    """The engine was closed."""

    __module__ = "moonkv"


class ReentrantError(MoonkvError):
    """The engine was called from inside its own log callback."""

    __module__ = "moonkv"


class BusyError(MoonkvError):
    """Another session's transaction is open and did not end within ``busy_timeout``, or cannot
    end because this very thread holds it."""

    __module__ = "moonkv"


class TransactionError(MoonkvError):
    """A transaction was begun, ended or rolled back to where that has no meaning."""

    __module__ = "moonkv"


class PoisonedError(MoonkvError):
    """An internal failure was caught earlier; the engine's data can no longer be trusted."""

    __module__ = "moonkv"


class OptionError(MoonkvError, ValueError):
    """An option or a number has no meaning."""

    __module__ = "moonkv"
