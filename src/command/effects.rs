//! What replicas are told of a command: the call itself if it has changed something, or what it has
//! said in its place.
//!
//! A call is told as it came where that makes the same changes anywhere and at any time. Where it
//! depends on the clock, on chance, on what waits or on how numbers are added, the handler tells
//! what has become of it.

use super::context::Context;
use super::dispatch::call;

use super::spec::Command;
use crate::clients::removal;
use crate::error::CommandResult;
use crate::number::IntText;

/// Calls a handler, and tells replicas what it has changed.
#[inline]
pub(super) fn run_told(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
    argc_of_name: usize,
) -> CommandResult {
    if !cx.keys.news().feed.is_open() {
        return call(cx, command, argv, argc_of_name);
    }
    let before = cx.keys.change_count();
    let feed = &mut cx.keys.news_mut().feed;
    let outer = feed.begin_command();
    feed.wanders = command.wanders();
    let outcome = call(cx, command, argv, argc_of_name);
    let feed = &mut cx.keys.news_mut().feed;
    feed.wanders = false;
    let has_told = feed.end_command(outer);
    if !has_told && command.writes() && cx.keys.change_count() != before {
        cx.put_effect(argv);
    }
    outcome
}

impl Context<'_> {
    /// Whether there are replicas, which want to be told what the command at work does.
    #[inline]
    pub(super) fn has_replicas(&self) -> bool {
        self.keys.news().feed.is_open()
    }

    /// Has replicas told this in place of the call, or one of several things.
    pub(super) fn effect(&mut self, command: &[&[u8]]) {
        if self.has_replicas() {
            self.keys.news_mut().feed.set_told();
            self.put_effect(command);
        }
    }

    /// Has replicas told nothing but what was said, instead of the call.
    pub(super) fn effect_is_told(&mut self) {
        self.keys.news_mut().feed.set_told();
    }

    /// Has replicas told that a key is gone, in place of the call.
    pub(super) fn effect_of_removal(&mut self, lazily: bool, key: &[u8]) {
        self.effect(&[removal(lazily), key]);
    }

    /// Has replicas told how many elements were popped from an end of a key.
    pub(super) fn effect_of_pops(&mut self, command: &[u8], key: &[u8], count: usize) {
        let count = IntText::new(count as i64);
        self.effect(&[command, key, count.as_bytes()]);
    }

    fn put_effect(&mut self, command: &[&[u8]]) {
        let database = self.keys.database();
        let news = self.keys.news_mut();
        if !news.feed.muted {
            news.effect(database, command);
        }
    }
}
