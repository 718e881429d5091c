//! The families of commands, each with its templates and the arguments that only it knows.

mod bitmap;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod lex;
mod list;
mod scripting;
mod set;
mod stream;
mod string;
mod zset;

pub(crate) use generic::LIMITS;

use crate::grammar::{Argv, Template};
use crate::source::Source;
use std::collections::HashSet;

/// One family of commands.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// The keys it mostly works on.
    pub(crate) home: &'static [&'static str],
    templates: &'static [&'static str],
    /// Appends what a `$name` of its own stands for.
    argument: fn(&str, &mut Source, &mut Argv) -> bool,
}

const FAMILIES: &[Family] = &[
    string::FAMILY,
    bitmap::FAMILY,
    hyperloglog::FAMILY,
    list::FAMILY,
    set::FAMILY,
    hash::FAMILY,
    zset::FAMILY,
    lex::FAMILY,
    geo::FAMILY,
    stream::FAMILY,
    generic::FAMILY,
    scripting::FAMILY,
];

/// Appends an argument that only one family knows.
pub(crate) fn argument(name: &str, source: &mut Source, argv: &mut Argv) {
    let known = FAMILIES.iter().any(|family| (family.argument)(name, source, argv));
    assert!(known, "no family knows what ${name} is");
}

/// A command that neither side has.
const UNKNOWN: &str = "NOSUCH ( $text )";

/// Most families have no arguments of their own.
fn nothing(_: &str, _: &mut Source, _: &mut Argv) -> bool {
    false
}

/// What there is to draw from.
pub(crate) struct Menu {
    /// The templates whose commands exist, by family.
    families: Vec<(&'static Family, Vec<Template>)>,
    pub(crate) has_transactions: bool,
    pub(crate) has_limits: bool,
}

impl Menu {
    /// What can be made of commands with these names, subcommands as `container|name`; of
    /// these families only, if any are named.
    pub(crate) fn new(names: &HashSet<&str>, wanted: &[String]) -> Menu {
        let is_wanted = |family: &&Family| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == family.name)
        };
        let exists = |(first, second): &(String, String)| {
            let full = format!("{first}|{second}");
            let container = names.iter().any(|name| name.starts_with(&format!("{first}|")));
            names.contains(first.as_str()) && (!container || names.contains(full.as_str()))
        };
        let of_family = |family: &'static Family| {
            let templates = family.templates.iter().map(|text| Template::new(text));
            let there = templates
                .filter(|template| template.text == UNKNOWN || template.names.iter().all(exists));
            (family, there.collect::<Vec<_>>())
        };
        let families = FAMILIES.iter().filter(is_wanted).map(of_family);
        Menu {
            families: families.filter(|(_, templates)| !templates.is_empty()).collect(),
            has_limits: names.contains("config|set"),
            has_transactions: ["multi", "exec", "discard", "watch"]
                .iter()
                .all(|n| names.contains(n)),
        }
    }

    /// How many forms of commands there are.
    pub(crate) fn len(&self) -> usize {
        self.families.iter().map(|(_, templates)| templates.len()).sum()
    }

    /// Some commands that belong together, mostly one.
    pub(crate) fn draw(&self, source: &mut Source) -> Vec<Argv> {
        let (family, templates) = source.pick(&self.families);
        source.home = family.home;
        let total = templates.iter().map(|template| template.weight).sum();
        let mut at = source.below(total);
        let chosen = templates.iter().find(|template| {
            let found = at < template.weight;
            at = at.saturating_sub(template.weight);
            found
        });
        chosen.map(|template| template.expand(source)).unwrap_or_default()
    }
}

#[test]
fn every_template_can_be_expanded() {
    let mut source = Source::new(1);
    for family in FAMILIES {
        source.home = family.home;
        for text in family.templates {
            let template = Template::new(text);
            for _ in 0..200 {
                let step = template.expand(&mut source);
                assert!(step.iter().all(|argv| !argv.is_empty()), "{text}");
            }
        }
    }
}
