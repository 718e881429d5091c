//! What scripts find: the globals, and what the libraries among them have. Asked of an engine.

use crate::engine::Engine;
use crate::error::Error;
use crate::options::Options;
use std::collections::BTreeSet;

/// Gives the names of all globals, and of what is in those that are tables.
const NAMES: &str = "local names = {}
    for name, value in pairs(_G) do
        names[#names + 1] = name
        if type(value) == 'table' and name ~= '_G' then
            for field in pairs(value) do names[#names + 1] = name .. '.' .. tostring(field) end
        end
    end
    return names";

/// Globals that only scripts have, and functions of libraries have not.
const SCRIPTS_ONLY: [&str; 2] = ["KEYS", "ARGV"];

pub(super) struct World {
    names: BTreeSet<String>,
}

impl World {
    pub(super) fn new() -> Result<World, Error> {
        let engine = Engine::open(&Options::redis())?;
        let none: [&str; 0] = [];
        let reply = engine.eval(NAMES, &none, &none)?;
        let names = reply.as_array().unwrap_or_default().iter();
        let mut names: BTreeSet<String> =
            names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        names.extend(SCRIPTS_ONLY.map(str::to_owned));
        names.insert("redis.register_function".to_owned());
        Ok(World { names })
    }

    /// Whether there is a global of this name.
    pub(super) fn has(&self, name: &str, in_library: bool) -> bool {
        self.names.contains(name) && !(in_library && SCRIPTS_ONLY.contains(&name))
    }

    /// Whether a global is a library.
    pub(super) fn is_library(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.names.range(prefix.clone()..).next().is_some_and(|next| next.starts_with(&prefix))
    }

    /// Whether a library has a field.
    pub(super) fn library_has(&self, library: &str, field: &str) -> bool {
        self.names.contains(&format!("{library}.{field}"))
    }
}
