//! Libraries of functions in a payload of their own: each is a kind and the library's text.

use super::read::Reader;
use super::write::Writer;
use super::{Damage, check_footer, seal};

/// In front of a library as a candidate of Redis 7.0 wrote it.
const LIBRARY_BEFORE_RELEASE: u8 = 246;
const LIBRARY: u8 = 245;

/// What is wrong behind the libraries of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LibraryDamage {
    /// The kind is another one.
    Kind,
    /// It was written before Redis 7.0 was released.
    Name,
    /// The text is not whole.
    Text,
}

/// The payload of some libraries.
pub(crate) fn dump_libraries<'a>(codes: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Writer::new();
    for code in codes {
        out.byte(LIBRARY);
        out.string(code);
    }
    let mut out = out.finish();
    seal(&mut out, 0);
    out
}

/// The libraries of a payload, up to the first damage.
pub(crate) fn libraries(
    payload: &[u8],
) -> Result<impl Iterator<Item = Result<Vec<u8>, LibraryDamage>>, Damage> {
    let mut reader = Reader::new(check_footer(payload).ok_or(Damage::Footer)?);
    Ok(std::iter::from_fn(move || {
        let code = match reader.byte()? {
            LIBRARY => reader.string().ok_or(LibraryDamage::Text),
            LIBRARY_BEFORE_RELEASE => Err(LibraryDamage::Name),
            _ => Err(LibraryDamage::Kind),
        };
        Some(code.map(|code| code.into_vec()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8]) -> Result<Vec<Vec<u8>>, LibraryDamage> {
        libraries(payload).unwrap().collect()
    }

    #[test]
    fn libraries_come_back() {
        let codes: [&[u8]; 3] = [b"#!lua name=a\n", &[b'x'; 1000], b"17"];
        assert_eq!(read(&dump_libraries(codes.into_iter())).unwrap(), codes);
    }

    #[test]
    fn damage_is_told_by_its_place() {
        let damage = |body: &[u8]| {
            let mut payload = body.to_vec();
            seal(&mut payload, 0);
            read(&payload).unwrap_err()
        };
        assert_eq!(damage(b"\x00\x01a"), LibraryDamage::Kind);
        assert_eq!(damage(b"\xf6"), LibraryDamage::Name);
        assert_eq!(damage(b"\xf5\x05abc"), LibraryDamage::Text);
        assert_eq!(damage(b"\xf5\x01a\xf5"), LibraryDamage::Text);
        assert_eq!(libraries(b"garbage").err(), Some(Damage::Footer));
    }
}
