//! The RESP door as clients meet it: by raw sockets, beside a real redis-server.

#![cfg(all(feature = "listen", unix))]
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod client;
mod lifecycle;
mod operators;
mod protocol;
mod shared;
mod soak;

use client::Client;
use moonkv::{Engine, ListenOptions, Listener, Options};

/// An engine with a listener on a free port.
fn open(change: impl FnOnce(&mut ListenOptions)) -> (Engine, Listener) {
    open_with(|_| (), change)
}

fn open_with(
    change: impl FnOnce(&mut Options),
    change_listening: impl FnOnce(&mut ListenOptions),
) -> (Engine, Listener) {
    let (mut options, mut listening) = (Options::redis(), ListenOptions::default());
    change(&mut options);
    change_listening(&mut listening);
    let engine = Engine::open(&options).expect("the options make sense");
    let listener = engine.listen(&listening).expect("there is a free port");
    (engine, listener)
}

/// The same, of an engine with one parameter set.
fn open_set(name: &str, value: &str) -> (Engine, Listener) {
    open_with(|options| options.config.push((name.into(), value.into())), |_| ())
}

fn connect(listener: &Listener) -> Client {
    Client::tcp(listener.port().expect("it listens on TCP"))
}
