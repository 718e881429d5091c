//! Files that are there whole or not at all: written under another name, synced, and renamed.

use crate::server::hex_digits;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Takes the bytes of a file one piece after the other.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> io::Result<()>;

/// Writes a file of a directory; what had the name before is replaced only when the new one is
/// whole and on the disk.
pub(super) fn replace(
    directory: &Path,
    name: &str,
    write: impl FnOnce(Sink<'_>) -> io::Result<()>,
) -> io::Result<()> {
    // Engines may share a directory, and one may be started anew while another's file is left.
    let temporary = directory.join(format!("temp-{}-{}.rdb", std::process::id(), hex_digits(8)));
    let written = fill(&temporary, write)
        .and_then(|()| fs::rename(&temporary, directory.join(name)))
        .and_then(|()| sync_directory(directory));
    if written.is_err() {
        // The first error is the one to be told.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn fill(path: &Path, write: impl FnOnce(Sink<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write(&mut |bytes| file.write_all(bytes))?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A name is on the disk when its directory is, where directories can be synced.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
