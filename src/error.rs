//! The two kinds of error, and nothing else.
//!
//! [`CommandError`] is what a command answers: its text is the exact text on the wire, as in
//! Redis 7.0, and every such text is in this file. [`Error`] is what a call on an engine returns
//! to a Rust caller.

use crate::acl::Reason;
use std::borrow::Cow;
use std::fmt;

const BUSY_SCRIPT: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

/// The error a command answers with. `Display` is the exact wire text, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// A key holds another type than the command works on.
    WrongType,
    /// The data takes more memory than it may.
    OutOfMemory,
    /// Fewer replicas follow than `min-replicas-to-write` asks for: none ever does.
    NoReplicas,
    /// Another server is followed, and only that one may write.
    ReadOnlyReplica,
    /// Another server is followed, and cannot be heard.
    MasterDown,
    /// The same for a command of a script that may run then.
    StaleCommand,
    /// Options that do not parse.
    Syntax,
    /// A text that is not an integer of 64 bits.
    NotInteger,
    /// An integer that does not fit 32 bits.
    NotInteger32,
    /// A text that is not a floating-point number.
    NotFloat,
    /// One end of a range of scores is no number.
    MinMaxNotFloat,
    /// One end of a range of members is malformed.
    MinMaxNotLex,
    /// A count that must not be negative is, or is no number.
    NotPositive,
    /// An increment would leave 64 bits.
    Overflow,
    /// A decrement by the one number that has no opposite.
    DecrementOverflow,
    /// An increment would give NaN or infinity.
    NanOrInfinity,
    /// A score would become NaN.
    ScoreNan,
    /// The key must exist and does not.
    NoSuchKey,
    /// An index beyond the list's ends.
    IndexOutOfRange,
    /// An offset beyond what a string may hold.
    OffsetOutOfRange,
    /// A string would grow past `proto-max-bulk-len`.
    StringTooLong,
    /// A hash field holds text where an integer is needed.
    HashNotInteger,
    /// A hash field holds text where a number is needed.
    HashNotFloat,
    /// A deadline that is zero, negative or too far away; the command's name is part of it.
    InvalidExpire(&'static str),
    /// `RESTORE` would overwrite a key and was not told to.
    BusyKey,
    /// A payload for `RESTORE` from a later version, or damaged on its way.
    PayloadFooter,
    /// A payload for `RESTORE` that is no value.
    PayloadFormat,
    /// A bit's offset that is no number, or beyond what a string may hold.
    BitOffset,
    /// A string that is no HyperLogLog.
    NotHyperLogLog,
    /// A HyperLogLog whose registers do not add up.
    CorruptHyperLogLog,
    /// A SCAN cursor that is no number.
    InvalidCursor,
    /// There is no database of this number.
    DbIndex,
    /// A text that is no ID of a stream's entry.
    InvalidStreamId,
    /// The first of a range of IDs is to be left out and is the last there is.
    InvalidStreamStart,
    /// The last of a range of IDs is to be left out and is the first there is.
    InvalidStreamEnd,
    /// An entry would not come behind the others.
    StreamIdTooSmall,
    /// An entry that is too large, or a number within its millisecond that has no next.
    StreamEntryTooLarge,
    /// Too few or too many arguments; the command's full name is part of it.
    Arity(&'static str),
    /// The same from a script.
    ScriptArity,
    /// No such command; the text is made by [`CommandError::unknown_command`].
    ScriptUnknown,
    /// A command that scripts may not call.
    ScriptForbidden,
    /// A write in a script that promised not to.
    ScriptReadOnly,
    /// A command that a function of the host's may not run.
    HostForbidden,
    /// A write where a function of the host's promised not to, or who called it.
    HostReadOnly,
    /// `EVALSHA` of something that is not in the cache.
    NoScript,
    /// A function that does not exist.
    NoFunction,
    /// A library that does not exist.
    NoLibrary,
    /// A name of a library or function with something else in it than letters and digits.
    BadName,
    /// A client sends what is no request; the connection ends after it.
    Protocol(&'static str),
    /// Any other text.
    Text(Cow<'static, str>),
    /// Any other text that quotes what was given, whose bytes may be any.
    Quoting(Box<[u8]>),
}

impl CommandError {
    /// A call that waited was ended by the host.
    pub(crate) const CANCELLED: Self = Self::text("ERR the call was cancelled by the host");

    /// What a script that has written answers to who wants to end it, where its writes stay.
    pub(crate) const UNKILLABLE: Self = Self::text(
        "UNKILLABLE Sorry the script already executed write commands against the dataset. You can \
         either wait the script termination or kill the server in a hard way using the SHUTDOWN \
         NOSAVE command.",
    );

    /// A script, or a function, has run for longer than others are to wait.
    pub(crate) const fn busy(is_function: bool) -> Self {
        Self::text(if is_function { BUSY_FUNCTION } else { BUSY_SCRIPT })
    }

    /// The end of a transaction that a command of these arguments was refused in.
    pub(crate) fn aborted(&self) -> Self {
        let text = format!("EXECABORT Transaction discarded because of: {self}");
        CommandError::Text(Cow::Owned(text))
    }

    /// A count that no reply could have room for.
    pub(crate) const OUT_OF_RANGE: Self = Self::text("ERR value is out of range");

    /// A number of keys that is not positive, or is no number.
    pub(crate) const NUMKEYS_NOT_POSITIVE: Self =
        Self::text("ERR numkeys should be greater than 0");

    /// A count that must be positive is not, or is no number.
    pub(crate) const COUNT_NOT_POSITIVE: Self = Self::text("ERR count should be greater than 0");

    /// A number of keys to combine that is not positive.
    pub(crate) fn no_input_key(command: &str) -> Self {
        let text = format!("ERR at least 1 input key is needed for '{command}' command");
        CommandError::Text(Cow::Owned(text))
    }

    /// Which gate it is that refuses a call, as the checker of scripts names it.
    #[cfg(feature = "cli")]
    pub(crate) fn gate(&self) -> &'static str {
        match self {
            CommandError::ScriptUnknown => "unknown-command",
            CommandError::ScriptArity => "arity",
            CommandError::ScriptReadOnly => "no-writes",
            _ => "forbidden-command",
        }
    }

    /// An error with a text of its own, prefix and all.
    pub(crate) const fn text(text: &'static str) -> Self {
        CommandError::Text(Cow::Borrowed(text))
    }

    /// A client sends a request whose argument begins with another byte than `$`.
    pub(crate) fn expected_bulk(found: u8) -> Self {
        CommandError::quoting(&[b"ERR Protocol error: expected '$', got '", &[found], b"'"])
    }

    /// An error that quotes bytes from outside, made of these parts.
    pub(crate) fn quoting(parts: &[&[u8]]) -> Self {
        CommandError::Quoting(parts.concat().into())
    }

    /// [`CommandError::Arity`] of a command that the host has added.
    pub(crate) fn wrong_arity(name: &str) -> Self {
        let text = format!("ERR wrong number of arguments for '{name}' command");
        CommandError::Text(Cow::Owned(text))
    }

    /// A function of the host's panicked.
    pub(crate) fn host_panic(name: &str, message: &str) -> Self {
        let text = format!("ERR the host function '{name}' panicked: {message}");
        CommandError::Text(Cow::Owned(text))
    }

    /// An error that the host words: without a code in front, a word in capitals, it gets `ERR`.
    pub(crate) fn of_host(text: &[u8]) -> Self {
        let word = text.split(|&byte| byte == b' ').next().unwrap_or_default();
        let is_capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let has_code = word.len() > 1 && word.iter().all(|byte| is_capital(byte) || *byte == b'_');
        CommandError::quoting(&[if has_code { b"" } else { &b"ERR "[..] }, text])
    }

    /// The answer to a command that does not exist: the name and the beginning of its arguments
    /// are shown, 128 bytes of each.
    pub(crate) fn unknown_command(argv: &[&[u8]]) -> Self {
        let (name, rest) = argv.split_first().map_or((&b""[..], argv), |(n, r)| (*n, r));
        let mut shown = Vec::new();
        for argument in rest {
            if shown.len() >= 128 {
                break;
            }
            let room = 128 - shown.len();
            shown.extend_from_slice(&[b"'", clipped(argument, room), b"' "].concat());
        }
        let name = clipped(name, 128);
        let between = b"', with args beginning with: ";
        CommandError::quoting(&[b"ERR unknown command '", name, between, &shown])
    }

    /// The answer to options that a subcommand does not have; `name` is its full name.
    pub(crate) fn subcommand_syntax(name: &str, word: &[u8]) -> Self {
        let help = name.split('|').next().unwrap_or(name).to_ascii_uppercase();
        let begin = b"ERR unknown subcommand or wrong number of arguments for '";
        let parts = [begin, clipped(word, 128), b"'. Try ", help.as_bytes(), b" HELP."];
        CommandError::quoting(&parts)
    }

    /// A script asked a command, by this name, to wait.
    pub(crate) fn no_block_in_script(name: &[u8]) -> Self {
        let rest = b" command is not allowed with BLOCK option from scripts";
        CommandError::quoting(&[b"ERR ", clipped(name, usize::MAX), rest])
    }

    /// A user may not make a call.
    pub(crate) fn denied(reason: Reason, name: &str) -> Self {
        let what = match reason {
            Reason::Key => "access one of the keys used as arguments".to_owned(),
            Reason::Channel => "access one of the channels used as arguments".to_owned(),
            Reason::Auth | Reason::Command => format!("run the '{name}' command"),
        };
        CommandError::Text(format!("NOPERM this user has no permissions to {what}").into())
    }

    /// The same in a script.
    pub(crate) const fn denied_in_script(reason: Reason) -> Self {
        CommandError::text(match reason {
            Reason::Key => {
                "ERR The user executing the script can't access at least one of the keys mentioned \
                 in the command arguments"
            }
            Reason::Channel => {
                "ERR The user executing the script can't publish to the channel mentioned in the \
                 command"
            }
            Reason::Auth | Reason::Command => {
                "ERR The user executing the script can't run this command or subcommand"
            }
        })
    }

    /// The same of a call that was allowed when it was queued.
    pub(crate) fn denied_since(reason: Reason) -> Self {
        let why = match reason {
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => {
                "no permission to access one of the channels used as arguments to the command"
            }
            Reason::Auth | Reason::Command => "no permission to execute the command or subcommand",
        };
        let text = format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
             EXEC call. This command is no longer allowed for the following reason: {why}"
        );
        CommandError::Text(text.into())
    }

    /// A stream has no such group.
    pub(crate) fn no_group(key: &[u8], group: &[u8]) -> Self {
        let (key, group) = (clipped(key, usize::MAX), clipped(group, usize::MAX));
        let begin = b"NOGROUP No such consumer group '";
        CommandError::quoting(&[begin, group, b"' for key name '", key, b"'"])
    }

    /// There is no such stream, or it has no such group; `where_` is what follows the names.
    pub(crate) fn no_key_or_group(key: &[u8], group: &[u8], where_: &str) -> Self {
        let (key, group) = (clipped(key, usize::MAX), clipped(group, usize::MAX));
        let middle = b"' or consumer group '";
        let parts = [b"NOGROUP No such key '", key, middle, group, b"'", where_.as_bytes()];
        CommandError::quoting(&parts)
    }

    /// XCLAIM knows no such option.
    pub(crate) fn unknown_claim_option(word: &[u8]) -> Self {
        let word = clipped(word, usize::MAX);
        CommandError::quoting(&[b"ERR Unrecognized XCLAIM option '", word, b"'"])
    }

    /// The answer to a longitude or latitude beyond the grid.
    pub(crate) fn geo_range(lon: f64, lat: f64) -> Self {
        CommandError::Text(format!("ERR invalid longitude,latitude pair {lon:.6},{lat:.6}").into())
    }

    /// The answer to options that show what is found along with what stores it.
    pub(crate) fn geo_store(what: &str) -> Self {
        let text = "is not compatible with WITHDIST, WITHHASH and WITHCOORD options";
        CommandError::Text(format!("ERR {what} {text}").into())
    }

    /// The answer to a search for places without one of two options that it takes, to the command
    /// as the caller spelled it.
    pub(crate) fn geo_choice(options: &str, command: &[u8]) -> Self {
        let command = String::from_utf8_lossy(command);
        let text = format!("ERR exactly one of {options} can be specified for {command}");
        CommandError::Text(Cow::Owned(text))
    }

    /// The answer to a subcommand that does not exist.
    pub(crate) fn unknown_subcommand(command: &str, name: &[u8]) -> Self {
        let help = command.to_ascii_uppercase();
        let name = clipped(name, 128);
        let parts = [b"ERR unknown subcommand '", name, b"'. Try ", help.as_bytes(), b" HELP."];
        CommandError::quoting(&parts)
    }

    /// The answer to a PFDEBUG of something it does not know.
    pub(crate) fn unknown_debug(name: &[u8]) -> Self {
        let name = clipped(name, usize::MAX);
        CommandError::quoting(&[b"ERR Unknown PFDEBUG subcommand '", name, b"'"])
    }
}

/// At most so many bytes of a text from outside, up to a NUL as C prints it.
pub(crate) fn clipped(bytes: &[u8], room: usize) -> &[u8] {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes.get(..end.min(room)).unwrap_or(bytes)
}

/// An error's end: as C prints it, and without the line ends behind it. Not every error takes those
/// away; `tests/odd_words.rs` says which.
pub(crate) fn error_end(bytes: &[u8]) -> &[u8] {
    let shown = clipped(bytes, usize::MAX);
    let end = shown.iter().rposition(|byte| !is_line_end(byte)).map_or(0, |at| at + 1);
    shown.get(..end).unwrap_or(shown)
}

/// A text without the line ends around it, as C prints it.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = error_end(bytes);
    let start = end.iter().position(|byte| !is_line_end(byte)).unwrap_or(0);
    end.get(start..).unwrap_or(end)
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::NoReplicas => "NOREPLICAS Not enough good replicas to write.",
            Self::ReadOnlyReplica => "READONLY You can't write against a read only replica.",
            Self::MasterDown => {
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            }
            Self::StaleCommand => "ERR Can not execute the command on a stale replica",
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Syntax => "ERR syntax error",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NotInteger32 => {
                "ERR value is out of range, value must between -2147483648 and 2147483647"
            }
            Self::NotFloat => "ERR value is not a valid float",
            Self::MinMaxNotFloat => "ERR min or max is not a float",
            Self::MinMaxNotLex => "ERR min or max not valid string range item",
            Self::NotPositive => "ERR value is out of range, must be positive",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::DecrementOverflow => "ERR decrement would overflow",
            Self::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            Self::ScoreNan => "ERR resulting score is not a number (NaN)",
            Self::NoSuchKey => "ERR no such key",
            Self::IndexOutOfRange => "ERR index out of range",
            Self::OffsetOutOfRange => "ERR offset is out of range",
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::HashNotInteger => "ERR hash value is not an integer",
            Self::HashNotFloat => "ERR hash value is not a float",
            Self::InvalidExpire(name) => {
                return write!(f, "ERR invalid expire time in '{name}' command");
            }
            Self::BusyKey => "BUSYKEY Target key name already exists.",
            Self::PayloadFooter => "ERR DUMP payload version or checksum are wrong",
            Self::PayloadFormat => "ERR Bad data format",
            Self::DbIndex => "ERR DB index is out of range",
            Self::BitOffset => "ERR bit offset is not an integer or out of range",
            Self::NotHyperLogLog => "WRONGTYPE Key is not a valid HyperLogLog string value.",
            Self::CorruptHyperLogLog => "INVALIDOBJ Corrupted HLL object detected",
            Self::InvalidCursor => "ERR invalid cursor",
            Self::InvalidStreamId => "ERR Invalid stream ID specified as stream command argument",
            Self::InvalidStreamStart => "ERR invalid start ID for the interval",
            Self::InvalidStreamEnd => "ERR invalid end ID for the interval",
            Self::StreamIdTooSmall => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
            Self::StreamEntryTooLarge => "ERR Elements are too large to be stored",
            Self::Arity(name) => {
                return write!(f, "ERR wrong number of arguments for '{name}' command");
            }
            Self::ScriptArity => "ERR Wrong number of args calling Redis command from script",
            Self::ScriptUnknown => "ERR Unknown Redis command called from script",
            Self::ScriptForbidden => "ERR This Redis command is not allowed from script",
            Self::ScriptReadOnly => "ERR Write commands are not allowed from read-only scripts.",
            Self::HostForbidden => "ERR This command is not allowed from a host function",
            Self::HostReadOnly => "ERR Write commands are not allowed in a read-only host function",
            Self::NoScript => "NOSCRIPT No matching script. Please use EVAL.",
            Self::NoFunction => "ERR Function not found",
            Self::NoLibrary => "ERR Library not found",
            Self::BadName => {
                "ERR Library names can only contain letters, numbers, or underscores(_) and must be at \
                 least one character long"
            }
            Self::Protocol(what) => return write!(f, "ERR Protocol error: {what}"),
            Self::Text(text) => text,
            Self::Quoting(text) => return f.write_str(&String::from_utf8_lossy(text)),
        };
        f.write_str(text)
    }
}

/// What a command handler returns; its reply is in the reply buffer.
pub(crate) type CommandResult = Result<(), CommandError>;

/// Where a script was when it failed.
///
/// Its `Display` is what Lua's `debug.traceback` would show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traceback {
    /// The script's SHA-1 in hexadecimal digits, or the function's name.
    pub name: String,
    /// The library the function is of; none of a script.
    pub library: Option<String>,
    /// The line that failed, from 1; none if that is not known.
    pub line: Option<u32>,
    /// The calls that were under way, the innermost first, such as
    /// `user_script:3: in function 'take'`. Of very many those in the middle are left out, which
    /// `...` stands for.
    pub frames: Vec<String>,
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stack traceback:")?;
        self.frames.iter().try_for_each(|frame| write!(f, "\n\t{frame}"))
    }
}

/// Why a call on an engine gave no reply.
///
/// ```
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = moonkv::Engine::new()?;
/// let error = engine.command(&["INCR"]).unwrap_err();
/// assert_eq!(error.to_string(), "ERR wrong number of arguments for 'incr' command");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The command or script answered with an error; the text is Redis's, without the `-`.
    Reply {
        /// Bytes that are not UTF-8 are replaced.
        message: String,
        /// Where the script was that failed, if one did.
        traceback: Option<Box<Traceback>>,
    },
    /// The engine was closed.
    Closed,
    /// The engine was called from inside one of its own callbacks on the same thread.
    Reentrant,
    /// Another session's transaction is open, and did not end in time, or cannot end because
    /// this very thread holds it. Or a script runs for long, and the call has to be made again
    /// when it is over; see [`crate::Engine::set_meanwhile`].
    Busy,
    /// A transaction was begun, ended or rolled back to where that has no meaning.
    Transaction {
        /// Why not.
        message: String,
    },
    /// A panic inside the engine was caught earlier; its data can no longer be trusted.
    Poisoned,
    /// The options an engine was to be opened with make no sense.
    Options {
        /// Which one, and why.
        message: String,
    },
    /// An address could not be listened on, or must not be as it was asked for.
    Listen {
        /// Which one, and why not.
        message: String,
    },
    /// The Lua interpreter could not be set up.
    Interpreter {
        /// What failed.
        message: String,
    },
}

impl Error {
    /// The error that a host's function answers with. A text without a code in front, a word in
    /// capitals such as `NOGOLD`, gets `ERR`.
    pub fn reply(message: impl Into<String>) -> Error {
        Error::Reply { message: message.into(), traceback: None }
    }

    /// Where the script was that failed, if it is the error of one.
    ///
    /// ```
    /// # fn main() -> Result<(), moonkv::Error> {
    /// let engine = moonkv::Engine::new()?;
    /// let script = "local function take()\n  error('empty')\nend\ntake()";
    /// let error = engine.eval(script, &[""; 0], &[""; 0]).unwrap_err();
    /// let traceback = error.traceback().unwrap();
    /// assert_eq!(traceback.line, Some(2));
    /// assert_eq!(traceback.frames[1], "user_script:2: in function 'take'");
    /// # Ok(())
    /// # }
    /// ```
    pub fn traceback(&self) -> Option<&Traceback> {
        match self {
            Error::Reply { traceback, .. } => traceback.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Reply { message, .. } => f.write_str(message),
            Error::Closed => f.write_str("ERR the engine is closed"),
            Error::Reentrant => {
                f.write_str("ERR the engine was called from inside one of its own callbacks")
            }
            Error::Busy => f.write_str("ERR another session's transaction is open"),
            Error::Transaction { message } => write!(f, "ERR {message}"),
            Error::Poisoned => {
                f.write_str("ERR the engine is poisoned by an earlier internal failure")
            }
            Error::Options { message } => write!(f, "ERR invalid options: {message}"),
            Error::Listen { message } => write!(f, "ERR cannot listen: {message}"),
            Error::Interpreter { message } => {
                write!(f, "ERR the Lua interpreter could not be set up: {message}")
            }
        }
    }
}

impl std::error::Error for Error {}
