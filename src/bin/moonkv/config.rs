//! The directives of a Redis server: from its command line, and from its configuration files.

use crate::serve::as_redis;
use moonkv::{ListenOptions, Options};
use std::fs;

/// A name with its values.
type Directive = (String, Vec<String>);

/// Directives in the order in which they came; later ones win.
#[derive(Debug, Default)]
pub(crate) struct Directives(Vec<Directive>);

/// How deep files may include one another.
const INCLUDES_MOST: usize = 16;

impl Directives {
    /// Reads a command line: a file, if it does not begin with `--`, then names with values.
    pub(crate) fn parse(words: &[String]) -> Result<Directives, String> {
        let mut directives = Directives::default();
        let mut words = words.iter().map(String::as_str).peekable();
        if let Some(path) = words.next_if(|word| !word.starts_with("--")) {
            directives.read(path, INCLUDES_MOST)?;
        }
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("what is '{word}'?"))?;
            let mut values = Vec::new();
            while let Some(value) = words.next_if(|word| !word.starts_with("--")) {
                values.push(value.to_owned());
            }
            let name = if name == "unix" { "unixsocket" } else { name };
            directives.0.push((name.to_ascii_lowercase(), values));
        }
        Ok(directives)
    }

    /// Reads a file of directives, one a line.
    fn read(&mut self, path: &str, includes: usize) -> Result<(), String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words = moonkv::split_words(line.as_bytes());
            let words = words.ok_or_else(|| format!("{path}:{}: unbalanced quotes", number + 1))?;
            let mut words = words.into_iter().map(|word| String::from_utf8_lossy(&word).into());
            let name = words.next().unwrap_or_else(String::new).to_ascii_lowercase();
            let values: Vec<String> = words.collect();
            match (&*name, &*values) {
                ("include", [_, ..]) if includes == 0 => {
                    return Err(format!("{path}: files include one another"));
                }
                ("include", [path]) => self.read(path, includes - 1)?,
                _ => self.0.push((name, values)),
            }
        }
        Ok(())
    }

    /// What they come to.
    pub(crate) fn settle(self) -> Result<(Options, ListenOptions), String> {
        let (mut options, mut listen) = as_redis();
        for (name, values) in self.0 {
            let words: Vec<&str> = values.iter().map(String::as_str).collect();
            settle_listener(&name, &words, &mut listen)
                .ok_or_else(|| format!("bad value of {name}: '{}'", words.join(" ")))?;
            // Several pairs of seconds and changes add up, and nothing takes them back.
            let points = options.config.iter().find(|(earlier, _)| earlier == "save");
            let points = points.filter(|_| name == "save" && words.len() > 1);
            let points = points.map_or(String::new(), |(_, earlier)| format!("{earlier} "));
            // Each parameter is given once: the last time counts.
            options.config.retain(|(earlier, _)| *earlier != name);
            match (&*name, &*words) {
                ("databases", [count]) => {
                    options.databases =
                        count.parse().map_err(|_| format!("bad number of databases: {count}"))?;
                }
                ("dir", [directory]) => options.directory = Some(directory.into()),
                _ => options.config.push((name, points + &words.join(" "))),
            }
        }
        Ok((options, listen))
    }
}

/// Looks at a directive that is the listener's, too. None if the value is none.
fn settle_listener(name: &str, values: &[&str], listen: &mut ListenOptions) -> Option<()> {
    match (name, values) {
        ("port", [port]) => listen.port = Some(port.parse().ok()?).filter(|port| *port != 0),
        ("bind", addresses) => {
            // A minus in front means that the address may be missing.
            let address = |text: &&str| text.trim_start_matches('-').to_owned();
            listen.bind = addresses.iter().map(address).collect();
        }
        ("unixsocket", [path]) => {
            listen.unix = Some(path.into()).filter(|_| !path.is_empty());
        }
        ("unixsocketperm", [mode]) => {
            listen.unix_permissions = Some(u32::from_str_radix(mode, 8).ok()?);
        }
        ("requirepass", [password]) => {
            listen.password = Some((*password).to_owned()).filter(|text| !text.is_empty());
        }
        ("protected-mode", ["no"]) => listen.exposed = true,
        ("protected-mode", ["yes"]) => listen.exposed = false,
        ("tcp-backlog", [count]) => listen.backlog = count.parse().ok()?,
        _ => (),
    }
    Some(())
}
