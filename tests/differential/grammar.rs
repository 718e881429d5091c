//! Templates: what a family's commands look like, written down as one would in a manual.
//!
//! A template is words between spaces. `$name` is a random argument, `a|b` one of several words,
//! `[ ... ]` may be left out, `( ... )` comes once or a few times, `;` begins another command of
//! the same step. A first word like `5*` says how much more often than others it is drawn.

use crate::source::Source;

/// A command with its arguments.
pub(crate) type Argv = Vec<Vec<u8>>;

/// A template, taken apart.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) text: &'static str,
    pub(crate) weight: usize,
    parts: Vec<Part>,
    /// The first two words of each command in it, in lower case.
    pub(crate) names: Vec<(String, String)>,
}

#[derive(Debug)]
enum Part {
    Word(&'static str),
    Choice(Vec<Part>),
    Random(&'static str),
    Optional(Vec<Part>),
    Repeated(Vec<Part>),
    NextCommand,
}

impl Template {
    pub(crate) fn new(text: &'static str) -> Template {
        let (weight, form) = match text.split_once("* ") {
            Some((digits, rest)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                (digits.parse().unwrap_or(1), rest)
            }
            _ => (1, text),
        };
        let names = form.split(" ; ").map(|command| {
            let mut words = command.split(' ').map(str::to_ascii_lowercase);
            (words.next().unwrap_or_default(), words.next().unwrap_or_default())
        });
        let names = names.collect();
        Template { text, weight, parts: parse(&mut form.split(' '), ""), names }
    }

    /// Some commands of this form.
    pub(crate) fn expand(&self, source: &mut Source) -> Vec<Argv> {
        let mut out = vec![Argv::new()];
        expand(&self.parts, source, &mut out);
        out
    }
}

fn parse(words: &mut dyn Iterator<Item = &'static str>, end: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(word) = words.next() {
        match word {
            word if word == end => return parts,
            "[" => parts.push(Part::Optional(parse(words, "]"))),
            "(" => parts.push(Part::Repeated(parse(words, ")"))),
            ";" => parts.push(Part::NextCommand),
            word if word.contains('|') => {
                parts.push(Part::Choice(word.split('|').map(simple).collect()));
            }
            word => parts.push(simple(word)),
        }
    }
    assert!(end.is_empty(), "a template lacks its {end}");
    parts
}

fn simple(word: &'static str) -> Part {
    match word.strip_prefix('$') {
        Some(name) => Part::Random(name),
        None => Part::Word(word),
    }
}

fn expand(parts: &[Part], source: &mut Source, out: &mut Vec<Argv>) {
    for part in parts {
        let argv = out.last_mut().expect("a command was begun");
        match part {
            Part::Word(word) => argv.push(word.as_bytes().to_vec()),
            Part::Random(name) => source.argument(name, argv),
            Part::Choice(parts) => {
                let chosen = source.below(parts.len());
                expand(&parts[chosen..=chosen], source, out);
            }
            Part::Optional(parts) if source.chance(45) => expand(parts, source, out),
            Part::Optional(_) => (),
            Part::Repeated(parts) => {
                let times = if source.chance(50) { 1 } else { 1 + source.below(5) };
                (0..times).for_each(|_| expand(parts, source, out));
            }
            Part::NextCommand => out.push(Argv::new()),
        }
    }
}

#[test]
fn templates_expand() {
    let mut source = Source::new(7);
    let template = Template::new("3* SET k ( a|b ) [ EX 5 ] ; DEL k");
    assert_eq!(template.weight, 3);
    let seen: std::collections::BTreeSet<usize> =
        (0..100).map(|_| template.expand(&mut source)[0].len()).collect();
    assert!(seen.contains(&3) && seen.contains(&5) && seen.len() > 3, "{seen:?}");
    let step = template.expand(&mut source);
    assert_eq!(step[1], [b"DEL".to_vec(), b"k".to_vec()]);
    let names = [("set", "k"), ("del", "k")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(template.names, names);
}
