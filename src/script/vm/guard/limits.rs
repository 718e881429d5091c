//! What a run may take, and what is said of one that took more.

use std::fmt;
use std::time::Duration;

/// The limits of one run. `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) instructions: Option<u64>,
    /// Bytes the run may add to what the state holds at its start.
    pub(crate) memory: Option<usize>,
}

/// Why a run has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doom {
    Time {
        limit_ms: u64,
        elapsed_ms: u64,
    },
    /// No limit means the system itself had no memory.
    Memory {
        limit_bytes: Option<usize>,
        held_bytes: usize,
        asked_bytes: usize,
    },
    Instructions {
        limit: u64,
    },
    Cancelled,
    /// By `SCRIPT KILL` or `FUNCTION KILL`.
    Killed,
}

impl Doom {
    /// The reply's text. It allocates: call it when no Lua call is under way.
    pub(crate) fn message(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Doom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Doom::Time { limit_ms, elapsed_ms } => write!(
                f,
                "ERR script exceeded its time limit of {limit_ms} ms (script_timeout_ms) and was \
                 stopped after {elapsed_ms} ms"
            ),
            Doom::Memory { limit_bytes: Some(limit), held_bytes, asked_bytes } => write!(
                f,
                "ERR script exceeded its memory limit of {limit} bytes (script_memory) and was \
                 stopped: it held {held_bytes} bytes and asked for {asked_bytes} more"
            ),
            Doom::Memory { limit_bytes: None, asked_bytes, .. } => write!(
                f,
                "ERR script was stopped: the system had no memory left when it asked for \
                 {asked_bytes} bytes"
            ),
            Doom::Instructions { limit } => write!(
                f,
                "ERR script exceeded its limit of {limit} instructions (script_instructions) and \
                 was stopped"
            ),
            Doom::Cancelled => f.write_str("ERR script was cancelled by the host"),
            // The text is the same for functions.
            Doom::Killed => f.write_str("ERR Script killed by user with SCRIPT KILL..."),
        }
    }
}
