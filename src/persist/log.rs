//! The directory of an append-only log, as Redis 7.0 keeps it: a manifest that names the file the
//! log begins with and those that go on from there. It is written with the first alone: nothing is
//! appended here.

use super::files::{self, Sink};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a log is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// What the names of its files begin with.
    pub(crate) name: String,
}

/// A line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    file: String,
    number: u64,
    kind: PartKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartKind {
    Base,
    Increment,
    History,
}

impl Place {
    fn manifest_name(&self) -> String {
        format!("{}.manifest", self.name)
    }

    /// The parts of the log that the manifest names; none if there is none.
    fn parts(&self) -> io::Result<Vec<Part>> {
        match fs::read_to_string(self.directory.join(self.manifest_name())) {
            Ok(text) => text.lines().map(part).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Begins the log anew with a file; those that it had before go.
    pub(super) fn rewrite(&self, write: impl FnOnce(Sink<'_>) -> io::Result<()>) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let before = self.parts()?;
        let bases = before.iter().filter(|part| part.kind == PartKind::Base);
        let number = bases.map(|part| part.number).max().unwrap_or(0) + 1;
        let base = format!("{}.{number}.base.rdb", self.name);
        files::replace(&self.directory, &base, write)?;
        let line = format!("file {base} seq {number} type b\n");
        files::replace(&self.directory, &self.manifest_name(), |give| give(line.as_bytes()))?;
        for part in before.iter().filter(|part| part.file != base) {
            // One that is left takes room and does no harm.
            let _ = fs::remove_file(self.directory.join(&part.file));
        }
        Ok(())
    }

    /// The file the log begins with; none if there is no log. An error if it goes on from there.
    pub(crate) fn base(&self) -> io::Result<Option<Vec<u8>>> {
        let mut base = None;
        for part in self.parts()? {
            let path = self.directory.join(&part.file);
            match part.kind {
                PartKind::Base => base = Some(fs::read(path)?),
                PartKind::Increment if fs::metadata(path)?.len() > 0 => {
                    let text = format!("'{}' has changes, which are not replayed", part.file);
                    return Err(io::Error::new(io::ErrorKind::Unsupported, text));
                }
                PartKind::Increment | PartKind::History => (),
            }
        }
        Ok(base)
    }
}

fn part(line: &str) -> io::Result<Part> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the manifest is damaged");
    let ["file", file, "seq", number, "type", kind] = *words else { return Err(damaged()) };
    let kind = match kind {
        "b" => PartKind::Base,
        "i" => PartKind::Increment,
        "h" => PartKind::History,
        _ => return Err(damaged()),
    };
    // A name leads nowhere else.
    let is_plain = Path::new(file).file_name().is_some_and(|name| name == file);
    match (is_plain, number.parse()) {
        (true, Ok(number)) => Ok(Part { file: file.to_owned(), number, kind }),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_manifest_are_read_or_refused() {
        let line = "file appendonly.aof.2.base.rdb seq 2 type b";
        let file = "appendonly.aof.2.base.rdb".to_owned();
        assert_eq!(part(line).unwrap(), Part { file, number: 2, kind: PartKind::Base });
        for line in ["", "file a seq 1", "file a seq x type b", "file a seq 1 type c"] {
            assert!(part(line).is_err(), "{line}");
        }
        assert!(part("file ../a seq 1 type b").is_err());
    }
}
