//! Replicas: what they are told beside what a real redis-server tells its own, one that follows an
//! engine, and what the engine knows of them.

#![cfg(all(feature = "listen", unix))]
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod follow;
mod stream;
mod wire;
