//! Drawing members of a collection at random: what HRANDFIELD and ZRANDMEMBER share.
//!
//! A positive count asks for different members, a negative one for as many draws, each from all
//! members. This room knows collections only by what [`Members`] says of them.

use super::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Random;
use crate::reply::ReplyBuf;
use std::collections::HashSet;

/// The most draws that one call makes: beyond, the reply alone would take gigabytes, and a process
/// that holds the engine is not to die of that.
const DRAWS_MOST: u64 = 1 << 24;

/// A collection whose members can be drawn, each with something it is worth: a score, a value.
pub(super) trait Members<'a>: Copy {
    /// What a member is worth.
    type Worth: Copy;

    /// How many there are.
    fn count(self) -> usize;

    /// Whether the collection is in its small form, which is cheap to walk and dear to index.
    fn is_small(self) -> bool;

    /// All, in the order in which they are shown when all are asked for.
    fn all(self) -> impl Iterator<Item = (&'a [u8], Self::Worth)>;

    /// One, each as likely as any other.
    fn draw(self, random: &mut Random) -> Option<(&'a [u8], Self::Worth)>;
}

/// How many members to draw, and whether to show what they are worth.
pub(super) struct Draw {
    count: i64,
    pub(super) with_worth: bool,
}

impl Draw {
    /// Reads a count and perhaps a word behind it, which are all that is left.
    pub(super) fn parse(mut args: Args<'_>, word: &str) -> Result<Self, CommandError> {
        let count = args.integer()?;
        if count == i64::MIN {
            return Err(CommandError::text(
                "ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807",
            ));
        }
        let with_worth = args.take_word(word);
        if !args.is_empty() {
            return Err(CommandError::Syntax);
        }
        if with_worth && count.unsigned_abs() > i64::MAX as u64 / 2 {
            return Err(CommandError::OUT_OF_RANGE);
        }
        Ok(Draw { count, with_worth })
    }

    /// How many members will be shown of so many.
    fn shown(&self, count: usize) -> Result<usize, CommandError> {
        match usize::try_from(self.count) {
            Ok(most) => Ok(most.min(count)),
            Err(_) if self.count.unsigned_abs() > DRAWS_MOST => Err(CommandError::OUT_OF_RANGE),
            Err(_) => Ok(self.count.unsigned_abs() as usize),
        }
    }

    /// Begins the reply: an array of members, or of pairs.
    pub(super) fn begin(&self, reply: &mut ReplyBuf, count: usize) -> CommandResult {
        let shown = self.shown(count)?;
        if self.with_worth {
            reply.pairs(shown);
        } else {
            reply.array(shown);
        }
        Ok(())
    }

    /// Shows as many members as [`Draw::shown`] tells.
    pub(super) fn run<'a, M: Members<'a>>(
        &self,
        members: M,
        random: &mut Random,
        mut show: impl FnMut(&'a [u8], M::Worth),
    ) {
        let shown = self.shown(members.count()).unwrap_or(0);
        if self.count < 0 {
            repeated(members, shown, random, show);
        } else if shown == members.count() {
            members.all().for_each(|(member, worth)| show(member, worth));
        } else if members.is_small() || shown > members.count() / 3 {
            different_by_walk(members, shown, random, show);
        } else {
            different_by_draws(members, shown, random, show);
        }
    }
}

/// So many draws, each from all members.
fn repeated<'a, M: Members<'a>>(
    members: M,
    draws: usize,
    random: &mut Random,
    mut show: impl FnMut(&'a [u8], M::Worth),
) {
    if members.is_small() {
        let all: Vec<_> = members.all().collect();
        let drawn = (0..draws).filter_map(|_| all.get(random.below(all.len())));
        return drawn.for_each(|&(member, worth)| show(member, worth));
    }
    let drawn = (0..draws).filter_map(|_| members.draw(random));
    drawn.for_each(|(member, worth)| show(member, worth));
}

/// Different members, in order: each is taken with the chance that as many are still wanted of
/// those still to come.
fn different_by_walk<'a, M: Members<'a>>(
    members: M,
    mut wanted: usize,
    random: &mut Random,
    mut show: impl FnMut(&'a [u8], M::Worth),
) {
    for (left, (member, worth)) in (1..=members.count()).rev().zip(members.all()) {
        if random.below(left) < wanted {
            wanted -= 1;
            show(member, worth);
        }
    }
}

/// Different members, few of many: what was drawn before is drawn again.
fn different_by_draws<'a, M: Members<'a>>(
    members: M,
    wanted: usize,
    random: &mut Random,
    mut show: impl FnMut(&'a [u8], M::Worth),
) {
    let mut drawn = HashSet::with_capacity(wanted);
    while drawn.len() < wanted {
        let Some((member, worth)) = members.draw(random) else { return };
        if drawn.insert(member) {
            show(member, worth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of one byte below a bound, which are worth themselves.
    #[derive(Clone, Copy)]
    struct Numbers {
        bytes: &'static [u8; 120],
        is_small: bool,
    }

    impl<'a> Members<'a> for Numbers {
        type Worth = u8;

        fn count(self) -> usize {
            self.bytes.len()
        }

        fn is_small(self) -> bool {
            self.is_small
        }

        fn all(self) -> impl Iterator<Item = (&'a [u8], u8)> {
            self.bytes.chunks(1).map(|member| (member, member[0]))
        }

        fn draw(self, random: &mut Random) -> Option<(&'a [u8], u8)> {
            self.all().nth(random.below(self.count()))
        }
    }

    const BYTES: [u8; 120] = {
        let mut bytes = [0; 120];
        let mut at = 0;
        while at < bytes.len() {
            bytes[at] = at as u8;
            at += 1;
        }
        bytes
    };

    fn drawn(count: i64, is_small: bool, random: &mut Random) -> Vec<u8> {
        let mut shown = Vec::new();
        let draw = Draw { count, with_worth: true };
        draw.run(Numbers { bytes: &BYTES, is_small }, random, |member, worth| {
            assert_eq!(member, [worth]);
            shown.push(worth);
        });
        shown
    }

    #[test]
    fn every_member_is_as_likely_as_any_other() {
        for (count, is_small) in
            [(7_i64, true), (7, false), (60, false), (119, true), (-7, true), (-60, false)]
        {
            let (mut random, mut times) = (Random::default(), [0; 120]);
            let rounds = 40_000 / count.unsigned_abs() as usize;
            for _ in 0..rounds {
                let shown = drawn(count, is_small, &mut random);
                assert_eq!(shown.len(), count.unsigned_abs() as usize);
                shown.iter().for_each(|&at| times[usize::from(at)] += 1);
                let different: HashSet<u8> = shown.iter().copied().collect();
                assert!(count < 0 || different.len() == shown.len(), "{shown:?}");
            }
            // 333 times each in the mean; 100 away from that is more than five deviations.
            assert!(times.iter().all(|n| (233..433).contains(n)), "{count}: {times:?}");
        }
    }

    #[test]
    fn all_are_shown_in_order_and_none_of_none() {
        let mut random = Random::default();
        for count in [120, 121, i64::MAX] {
            assert_eq!(drawn(count, false, &mut random), BYTES);
        }
        assert!(drawn(0, false, &mut random).is_empty());
        assert!(drawn(0, true, &mut random).is_empty());
    }

    #[test]
    fn a_reply_of_gigabytes_is_refused() {
        let draw = |count| Draw { count, with_worth: false }.shown(3);
        assert_eq!(draw(-1_000_000), Ok(1_000_000));
        assert_eq!(draw(-i64::MAX), Err(CommandError::OUT_OF_RANGE));
        assert_eq!(draw(i64::MAX), Ok(3));
    }
}
