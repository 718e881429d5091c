//! The calls that took long, the latest first.

use std::collections::VecDeque;

/// The most arguments that are kept of a call; one tells how many more there were.
const ARGUMENTS_MOST: usize = 32;
/// The most bytes that are kept of an argument.
const BYTES_MOST: usize = 128;

/// A call that took long.
pub(crate) struct SlowCall {
    pub(crate) id: u64,
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) us: i64,
    pub(crate) argv: Vec<Vec<u8>>,
    /// The address and the name of who called.
    pub(crate) address: Box<[u8]>,
    pub(crate) name: Box<[u8]>,
}

/// The calls that took long.
#[derive(Default)]
pub(crate) struct SlowLog {
    calls: VecDeque<SlowCall>,
    next_id: u64,
    most: usize,
}

impl SlowLog {
    /// Keeps at most so many.
    pub(super) fn keep(&mut self, most: usize) {
        self.most = most;
    }

    pub(super) fn add(
        &mut self,
        argv: &[&[u8]],
        secret: &[usize],
        us: i64,
        now_ms: i64,
        (address, name): (&[u8], &[u8]),
    ) {
        let (id, at, argv) = (self.next_id, now_ms / 1000, kept(argv, secret));
        let call = SlowCall { id, at, us, argv, address: address.into(), name: name.into() };
        self.next_id += 1;
        self.calls.push_front(call);
        self.calls.truncate(self.most);
    }

    /// The calls, the latest first.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &SlowCall> {
        self.calls.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Forgets them all. Numbers are not used again.
    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}

/// What is kept of a call's arguments.
fn kept(argv: &[&[u8]], secret: &[usize]) -> Vec<Vec<u8>> {
    let too_many = argv.len() > ARGUMENTS_MOST;
    let shown = if too_many { ARGUMENTS_MOST - 1 } else { argv.len() };
    let show = |(at, argument): (usize, &&[u8])| match secret.contains(&at) {
        true => b"(redacted)".to_vec(),
        false => clip(argument),
    };
    let mut kept: Vec<Vec<u8>> = argv.iter().take(shown).enumerate().map(show).collect();
    if too_many {
        kept.push(format!("... ({} more arguments)", argv.len() - shown).into_bytes());
    }
    kept
}

fn clip(argument: &[u8]) -> Vec<u8> {
    match argument.split_at_checked(BYTES_MOST) {
        Some((begin, rest)) if !rest.is_empty() => {
            [begin, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
        }
        _ => argument.to_vec(),
    }
}
