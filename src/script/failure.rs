//! What a caller learns of a run that failed: the error's text, as Redis 7.0 words it, and where the
//! script was.

use super::vm::Failure;
use crate::error::Traceback;

/// Whose run it is.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// A script, by its SHA-1.
    Script(&'a [u8]),
    /// A function of a library.
    Function { name: &'a [u8], library: &'a [u8] },
}

impl Origin<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Origin::Script(name) | Origin::Function { name, .. } => name,
        }
    }

    pub(super) fn name(&self) -> String {
        lossy(self.bytes())
    }

    pub(super) fn library(&self) -> Option<String> {
        match self {
            Origin::Script(_) => None,
            Origin::Function { library, .. } => Some(lossy(library)),
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An error as it reaches the caller: its text, the script's SHA-1 or the function's name, and the
/// place.
pub(super) fn text(failure: &Failure, origin: Origin<'_>) -> Vec<u8> {
    let mut text = failure.message.clone();
    text.extend_from_slice(b" script: ");
    text.extend_from_slice(origin.bytes());
    if let Some((source, line)) = &failure.place {
        text.extend_from_slice(b", on ");
        text.extend_from_slice(source);
        text.extend_from_slice(format!(":{line}.").as_bytes());
    }
    text
}

/// Where the script was.
pub(super) fn traceback(failure: Failure, origin: Origin<'_>) -> Traceback {
    let line = failure.place.and_then(|(_, line)| u32::try_from(line).ok());
    let line = line.filter(|line| *line > 0).or(failure.trace.line);
    Traceback { name: origin.name(), library: origin.library(), line, frames: failure.trace.frames }
}
