//! What is said of one `redis.call`: by the gate, of its keys, and of what it answers.

use super::Severity;
use super::value::{Origin, Value};
use super::walk::{Place, Walk};
use crate::command::{Foreseen, foresee, is_known};
use crate::error::CommandError;

/// An argument that is not known: no word of any command.
const UNKNOWN: &[u8] = b"\0";

/// The slots there are on a cluster.
const SLOTS: u16 = 16_384;

impl Walk<'_> {
    /// Looks at a call of a command. `more` says that further arguments may follow, `is_caught` that
    /// an error is an answer.
    pub(super) fn command(
        &mut self,
        arguments: &[(Value, Place)],
        more: bool,
        is_caught: bool,
        place: Place,
    ) {
        let Some((Value::Text(name), at)) = arguments.first() else {
            // What runs is not known, so it may well write.
            self.writes += 1;
            return;
        };
        let argv: Vec<&[u8]> = arguments.iter().map(|(value, _)| bytes(value)).collect();
        // What follows a container's name decides what is called; and a name with a dot may be a
        // command of the host's own.
        let is_open = argv.get(1).is_none_or(|word| *word == UNKNOWN)
            && is_known(name.as_bytes(), None)
            && (more || argv.len() > 1);
        match foresee(&argv, more, self.read_only) {
            Ok(foreseen) => self.admitted(&foreseen, arguments, place),
            Err(CommandError::ScriptUnknown) if is_open || name.contains('.') => self.writes += 1,
            Err(error) => {
                let text = error.to_string();
                let text = text.strip_prefix("ERR ").unwrap_or(&text);
                let shown = name.to_uppercase();
                let severity = if is_caught { Severity::Warning } else { Severity::Error };
                self.say(*at, severity, error.gate(), format!("{shown}: {text}"));
            }
        }
    }

    fn admitted(&mut self, foreseen: &Foreseen, arguments: &[(Value, Place)], place: Place) {
        let name = foreseen.name.replace('|', " ").to_uppercase();
        self.writes += usize::from(foreseen.writes);
        if foreseen.varies {
            let message = format!("{name} may answer otherwise each time, on the same data");
            self.say(place, Severity::Note, "nondeterministic", message);
        }
        for key in &foreseen.keys {
            if let Some((value, at)) = arguments.get(*key) {
                self.key(&name, value, *at);
            }
        }
    }

    /// Looks at what is used as a key.
    fn key(&mut self, name: &str, value: &Value, at: Place) {
        let not_in_keys = "which a cluster cannot know of; pass it in KEYS";
        let message = match value {
            Value::Text(key) => {
                self.literal_key(key, at);
                format!("{name} uses the key '{key}', {not_in_keys}")
            }
            Value::Argument => format!("{name} uses an element of ARGV as a key, {not_in_keys}"),
            Value::Joined(Origin::Own) => {
                format!("{name} uses a key that the script puts together, {not_in_keys}")
            }
            Value::Joined(Origin::Key) => {
                let message = format!(
                    "{name} uses a key that is made of one in KEYS: on a cluster it is in the same \
                     slot only if they share a hash tag"
                );
                return self.say(at, Severity::Note, "derived-key", message);
            }
            _ => return,
        };
        self.say(at, Severity::Warning, "undeclared-key", message);
    }

    /// Two keys that are written down are on one node of a cluster if they are in one slot.
    fn literal_key(&mut self, key: &str, at: Place) {
        let slot = slot(key.as_bytes());
        match &self.first_key {
            None => self.first_key = Some((key.to_owned(), slot)),
            Some((first, of_first)) if *of_first != slot => {
                let message = format!("'{key}' and '{first}' are in different slots of a cluster");
                self.say(at, Severity::Warning, "cross-slot", message);
            }
            Some(_) => (),
        }
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Text(text) => text.as_bytes(),
        _ => UNKNOWN,
    }
}

/// The slot of a key: of what is between its first braces, if there is anything.
fn slot(key: &[u8]) -> u16 {
    let open = key.iter().position(|&byte| byte == b'{');
    let tag = open.and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|&byte| byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
    crc.checksum(tag.unwrap_or(key)) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_those_of_a_cluster() {
        // As CLUSTER KEYSLOT of redis-server answers.
        for (key, expected) in
            [("foo", 12182), ("bar", 5061), ("{foo}x", 12182), ("a{}b", slot(b"a{}b")), ("", 0)]
        {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(slot(b"x{foo}{bar}"), 12182);
    }
}
