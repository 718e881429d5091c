//! The cache of compiled scripts, by SHA-1 and by text.
//!
//! Scripts are kept without limit in number until they are flushed. A script that a host holds a
//! handle to outlives the flush, and only then is found by nothing but its handle.

use super::failure::Origin;
use super::flags::ScriptFlags;
use super::stats::{Counts, ScriptStats};
use super::vm::Function;
use crate::table::hash;
use hashbrown::HashTable;
use sha1::{Digest, Sha1};

/// A SHA-1 in lower-case hexadecimal digits: the identity of a script.
pub(crate) type Sha1Hex = [u8; 40];

/// The SHA-1 of some bytes, as hexadecimal digits.
pub(crate) fn sha1_hex(bytes: &[u8]) -> Sha1Hex {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut hex = [0; 40];
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(Sha1::digest(bytes)) {
        *pair = [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]];
    }
    hex
}

/// Names a script for as long as it is cached or held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScriptId(u32);

/// A compiled script.
pub(super) struct CachedScript {
    pub(super) sha: Sha1Hex,
    pub(super) function: Function,
    pub(super) flags: ScriptFlags,
    counts: Counts,
    source: Box<[u8]>,
    /// Handles the host holds.
    held: u32,
    cached: bool,
}

/// All scripts that are cached or held.
#[derive(Default)]
pub(super) struct Cache {
    scripts: Vec<Option<CachedScript>>,
    free: Vec<u32>,
    by_sha: HashTable<u32>,
    by_source: HashTable<u32>,
}

impl Cache {
    /// How many scripts there are, and the bytes of their texts.
    pub(super) fn sizes(&self) -> (usize, usize) {
        let scripts = || self.scripts.iter().flatten();
        (self.by_sha.len(), scripts().map(|script| script.source.len()).sum())
    }

    /// A script by its identity.
    pub(super) fn get(&self, id: ScriptId) -> Option<&CachedScript> {
        self.scripts.get(id.0 as usize)?.as_ref()
    }

    /// Where the runs of a script are counted.
    #[inline]
    pub(super) fn counts(&mut self, id: ScriptId) -> Option<&mut Counts> {
        Some(&mut self.scripts.get_mut(id.0 as usize)?.as_mut()?.counts)
    }

    /// What was counted, by SHA-1.
    pub(super) fn stats(&self, timed: bool) -> Vec<ScriptStats> {
        let scripts = self.scripts.iter().flatten();
        let told = |script: &CachedScript| script.counts.told(Origin::Script(&script.sha), timed);
        let mut stats: Vec<ScriptStats> = scripts.map(told).collect();
        stats.sort_by(|a, b| a.name.cmp(&b.name));
        stats
    }

    /// Counts from zero again.
    pub(super) fn reset_stats(&mut self) {
        let scripts = self.scripts.iter_mut().flatten();
        scripts.for_each(|script| script.counts = Counts::default());
    }

    /// A cached script by its text: cheaper than its SHA-1 when the text is at hand.
    pub(super) fn find_source(&self, source: &[u8]) -> Option<ScriptId> {
        let is_it = |&id: &u32| self.script(id).is_some_and(|s| *s.source == *source);
        self.by_source.find(hash(source), is_it).map(|&id| ScriptId(id))
    }

    /// A cached script by its SHA-1, in digits of either case.
    pub(super) fn find_sha(&self, sha: &[u8]) -> Option<ScriptId> {
        let mut lower: Sha1Hex = sha.try_into().ok()?;
        lower.make_ascii_lowercase();
        let is_it = |&id: &u32| self.script(id).is_some_and(|s| s.sha == lower);
        self.by_sha.find(hash(&lower), is_it).map(|&id| ScriptId(id))
    }

    fn script(&self, id: u32) -> Option<&CachedScript> {
        self.scripts.get(id as usize)?.as_ref()
    }

    /// Caches a script that is not in the cache yet.
    pub(super) fn insert(
        &mut self,
        source: &[u8],
        function: Function,
        flags: ScriptFlags,
    ) -> ScriptId {
        let sha = sha1_hex(source);
        let script = CachedScript {
            sha,
            function,
            flags,
            counts: Counts::default(),
            source: source.into(),
            held: 0,
            cached: true,
        };
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.scripts.push(None);
                (self.scripts.len() - 1) as u32
            }
        };
        if let Some(place) = self.scripts.get_mut(id as usize) {
            *place = Some(script);
        }
        let scripts = &self.scripts;
        let of = |id: &u32| scripts.get(*id as usize).and_then(Option::as_ref);
        let sha_of = |id: &u32| of(id).map_or(0, |s| hash(&s.sha));
        let source_of = |id: &u32| of(id).map_or(0, |s| hash(&s.source));
        self.by_sha.insert_unique(hash(&sha), id, sha_of);
        self.by_source.insert_unique(hash(source), id, source_of);
        ScriptId(id)
    }

    /// Counts one more handle of a script.
    pub(super) fn hold(&mut self, id: ScriptId) {
        if let Some(Some(script)) = self.scripts.get_mut(id.0 as usize) {
            script.held += 1;
        }
    }

    /// Counts one handle less; gives back the function of a script that nothing refers to.
    pub(super) fn let_go(&mut self, id: ScriptId) -> Option<Function> {
        let place = self.scripts.get_mut(id.0 as usize)?;
        let script = place.as_mut()?;
        script.held = script.held.saturating_sub(1);
        if script.held > 0 || script.cached {
            return None;
        }
        self.free.push(id.0);
        place.take().map(|script| script.function)
    }

    /// Empties the cache; returns the functions of all scripts that nothing refers to.
    pub(super) fn flush(&mut self) -> Vec<Function> {
        self.by_sha.clear();
        self.by_source.clear();
        let mut released = Vec::new();
        for (id, place) in self.scripts.iter_mut().enumerate() {
            let Some(script) = place else { continue };
            script.cached = false;
            if script.held == 0 {
                released.push(script.function);
                self.free.push(id as u32);
                *place = None;
            }
        }
        released
    }
}
