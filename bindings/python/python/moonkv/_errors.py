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

    _where: tuple[str | None, str | None, int | None, list[str] | None] = (None, None, None, None)

    @property
    def script(self) -> str | None:
        """Of an error that ended a script: its SHA-1, or the function's name."""
        return self._where[0]

    @property
    def library(self) -> str | None:
        """The library the function is of."""
        return self._where[1]

    @property
    def line(self) -> int | None:
        """The line that failed."""
        return self._where[2]

    @property
    def traceback(self) -> list[str] | None:
        """The calls that were under way, the innermost first, as Lua's ``debug.traceback`` words
        them."""
        return self._where[3]

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
