//! Libraries of functions: loaded once, kept until they are deleted, called by name.
//!
//! A library is loaded apart from the others and joins them as a whole, so that one that fails
//! changes nothing. Functions are found by their names in any case; those of libraries are exact.

use super::failure::Origin;
use super::flags::FunctionFlags;
use super::metadata::{self, Metadata};
use super::stats::{Counts, ScriptStats};
use super::vm::{Function, Registered, Vm};
use crate::error::CommandError;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A library that is loaded.
pub(crate) struct Library {
    /// Its whole text.
    pub(crate) code: Box<[u8]>,
    pub(crate) functions: Vec<Registered>,
}

/// What a call needs to know of a function.
#[derive(Clone)]
pub(crate) struct Callee {
    pub(super) function: Function,
    pub(super) flags: FunctionFlags,
    pub(super) name: Arc<[u8]>,
    library: Arc<[u8]>,
    /// Its place among the counts.
    pub(super) place: usize,
}

impl Callee {
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin::Function { name: &self.name, library: &self.library }
    }
}

/// What becomes of libraries that are there already when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestorePolicy {
    /// They stay; a library of the same name is an error.
    Append,
    /// Those of the same names go.
    Replace,
    /// All go.
    Flush,
}

/// Libraries by their names, and their functions.
#[derive(Default)]
pub(crate) struct Functions {
    libraries: BTreeMap<Arc<[u8]>, Library>,
    /// By the name in lower case.
    callees: HashMap<Box<[u8]>, Callee, FixedState>,
    /// What became of their runs; none where a function was deleted.
    counts: Vec<Option<Counts>>,
}

impl Functions {
    /// A function by its name, in any case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Callee> {
        if !name.iter().any(u8::is_ascii_uppercase) {
            return self.callees.get(name);
        }
        self.callees.get(&*name.to_ascii_lowercase())
    }

    /// All libraries, by name.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = (&[u8], &Library)> {
        self.libraries.iter().map(|(name, library)| (&**name, library))
    }

    /// Where the runs of a function are counted.
    #[inline]
    pub(super) fn counts(&mut self, place: usize) -> Option<&mut Counts> {
        self.counts.get_mut(place)?.as_mut()
    }

    /// What was counted, by library and name.
    pub(super) fn stats(&self, timed: bool) -> Vec<ScriptStats> {
        let told = |callee: &Callee| {
            let counts = self.counts.get(callee.place)?.as_ref()?;
            Some(counts.told(callee.origin(), timed))
        };
        let mut stats: Vec<ScriptStats> = self.callees.values().filter_map(told).collect();
        stats.sort_by(|a, b| (&a.library, &a.name).cmp(&(&b.library, &b.name)));
        stats
    }

    /// Counts from zero again.
    pub(super) fn reset_stats(&mut self) {
        self.counts.iter_mut().flatten().for_each(|counts| *counts = Counts::default());
    }

    /// A free place among the counts.
    fn take_place(&mut self) -> usize {
        let free = self.counts.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.counts.push(None);
            self.counts.len() - 1
        });
        if let Some(counts) = self.counts.get_mut(place) {
            *counts = Some(Counts::default());
        }
        place
    }

    /// Loads a library and adds it; returns its name. One of the same name goes, or is an error.
    pub(super) fn load(
        &mut self,
        vm: &mut Vm,
        code: &[u8],
        replace: bool,
    ) -> Result<Vec<u8>, CommandError> {
        let Metadata { name, body } = metadata::parse(code)?;
        let is_there = self.libraries.contains_key(&*name);
        if is_there && !replace {
            return Err(CommandError::quoting(&[b"ERR Library '", &name, b"' already exists"]));
        }
        let functions = vm.load_library(body)?;
        let problem = match functions.is_empty() {
            true => Some(CommandError::text("ERR No functions registered")),
            false => self.clash(&functions, |library| *library == *name),
        };
        if let Some(error) = problem {
            functions.iter().for_each(|registered| vm.release(registered.function));
            return Err(error);
        }
        self.delete(vm, &name);
        self.insert(name.as_slice().into(), Library { code: code.into(), functions });
        Ok(name)
    }

    /// The error of a function whose name is taken, but for those of libraries that will go.
    fn clash(
        &self,
        functions: &[Registered],
        goes: impl Fn(&[u8]) -> bool,
    ) -> Option<CommandError> {
        let is_taken = |registered: &&Registered| {
            self.find(&registered.name).is_some_and(|callee| !goes(&callee.library))
        };
        let taken = functions.iter().find(is_taken)?;
        Some(CommandError::quoting(&[b"ERR Function ", &taken.name, b" already exists"]))
    }

    fn insert(&mut self, name: Arc<[u8]>, library: Library) {
        for Registered { name: own, flags, function, .. } in &library.functions {
            let (function, flags, library) = (*function, *flags, Arc::clone(&name));
            let (name, place) = (Arc::from(&**own), self.take_place());
            let callee = Callee { function, flags, name, library, place };
            self.callees.insert(own.to_ascii_lowercase().into(), callee);
        }
        self.libraries.insert(name, library);
    }

    /// Deletes a library; false if there is none of that name.
    pub(super) fn delete(&mut self, vm: &mut Vm, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(name) else { return false };
        for registered in library.functions {
            let callee = self.callees.remove(&*registered.name.to_ascii_lowercase());
            if let Some(counts) = callee.and_then(|callee| self.counts.get_mut(callee.place)) {
                *counts = None;
            }
            vm.release(registered.function);
        }
        true
    }

    /// Deletes all libraries.
    pub(super) fn flush(&mut self, vm: &mut Vm) {
        self.callees.clear();
        self.counts.clear();
        for library in std::mem::take(&mut self.libraries).into_values() {
            library.functions.iter().for_each(|registered| vm.release(registered.function));
        }
        vm.collect();
    }

    /// Adds what was loaded apart, or gives it back with an error.
    pub(super) fn join(
        &mut self,
        vm: &mut Vm,
        fresh: Functions,
        policy: RestorePolicy,
    ) -> Result<(), (Functions, CommandError)> {
        match policy {
            RestorePolicy::Flush => self.flush(vm),
            RestorePolicy::Append | RestorePolicy::Replace => {
                if let Some(error) = self.refusal(&fresh, policy) {
                    return Err((fresh, error));
                }
            }
        }
        for (name, library) in fresh.libraries {
            self.delete(vm, &name);
            self.insert(name, library);
        }
        Ok(())
    }

    /// Why libraries cannot join, if they cannot.
    fn refusal(&self, fresh: &Functions, policy: RestorePolicy) -> Option<CommandError> {
        if policy == RestorePolicy::Append
            && let Some(name) =
                fresh.libraries.keys().find(|&name| self.libraries.contains_key(name))
        {
            return Some(CommandError::quoting(&[b"ERR Library ", name, b" already exists"]));
        }
        let goes = |library: &[u8]| fresh.libraries.contains_key(library);
        fresh.libraries.values().find_map(|library| self.clash(&library.functions, goes))
    }
}
