//! Commands that are allowed, told in few words: categories where they fit, then single commands.

use super::Selector;
use crate::command::{CATEGORIES, Found, catalog, numbered};
use std::collections::BTreeSet;

impl Selector {
    /// Rules that allow just these commands, beginning with all or none.
    pub(crate) fn commands_line(&self) -> String {
        let adds = !self.future;
        let mut told = if adds { "-@all".to_owned() } else { "+@all".to_owned() };
        let mut reached = Selector::new(false);
        if !adds {
            reached = Selector::free();
        }
        for category in self.fitting_categories(adds) {
            told += &format!(" {}@{category}", if adds { '+' } else { '-' });
            reached.set_category(category.as_bytes(), adds);
        }
        for found in numbered() {
            self.tell_single(found, &mut reached.commands, &mut told);
        }
        for (number, arguments) in &self.first_arguments {
            let named = catalog().find(|(found, _)| found.number == *number);
            let name = named.map_or("", |(found, _)| found.command.name);
            for argument in arguments {
                told += &format!(" +{name}|{}", String::from_utf8_lossy(argument));
            }
        }
        told
    }

    /// The categories that have more in common with what is to be added, or taken away, than not;
    /// those first that differ least. What one has told does not count for the others.
    fn fitting_categories(&self, adds: bool) -> Vec<&'static str> {
        let members = |category: &str| -> BTreeSet<usize> {
            let of = catalog().filter(|(_, categories)| categories.contains(&category));
            of.map(|(found, _)| found.number).collect()
        };
        let mut left: Vec<(&'static str, BTreeSet<usize>)> =
            CATEGORIES.iter().map(|category| (*category, members(category))).collect();
        let (mut chosen, mut told) = (Vec::new(), BTreeSet::new());
        loop {
            let fit = |members: &BTreeSet<usize>| {
                let open = members.iter().filter(|number| !told.contains(*number));
                let is_same = |number: &&usize| self.commands.contains(number) == adds;
                let (same, differ): (Vec<&usize>, Vec<&usize>) = open.partition(is_same);
                (same.len(), differ.len())
            };
            let fits = left.iter().enumerate().map(|(at, (_, members))| (at, fit(members)));
            let fits = fits.filter(|(_, (same, differ))| same > differ);
            let best = fits.min_by_key(|(_, (same, differ))| (*differ, usize::MAX - *same));
            let Some((at, _)) = best else { return chosen };
            let (category, members) = left.remove(at);
            chosen.push(category);
            told.extend(members);
        }
    }

    /// Tells of a command what the categories did not: of a container as a whole first.
    fn tell_single(&self, found: Found, reached: &mut BTreeSet<usize>, told: &mut String) {
        for row in found.family() {
            let wanted = self.commands.contains(&row.number);
            if reached.contains(&row.number) == wanted {
                continue;
            }
            *told += &format!(" {}{}", if wanted { '+' } else { '-' }, row.command.name);
            let covered = found
                .family()
                .filter(|other| row.number == found.number || other.number == row.number);
            for number in covered.map(|other| other.number) {
                match wanted {
                    true => reached.insert(number),
                    false => reached.remove(&number),
                };
            }
        }
    }
}
