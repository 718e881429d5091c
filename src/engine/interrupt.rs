//! Asking the host, while a call waits, whether it shall wait on.
//!
//! A host may have to see to signals on the very thread that waits; Python must for Ctrl-C. It is
//! asked now and then, with no lock held, so that it may do as it likes meanwhile.

use super::Engine;
use super::shared::{Shared, Shut, StateGuard};
use super::state::{State, Turn};
use super::waiting::{LONG, Outcome, Ticket, Waits};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often the host is asked.
const EVERY: Duration = Duration::from_millis(50);

/// Tells whether a call that waits shall end.
pub(super) type Interrupt = dyn Fn() -> bool + Send + Sync;

impl Engine {
    /// Has the host asked, about twenty times a second, whether a call that waits shall end: one
    /// that waits for a key, or for the end of another session's transaction. It is asked on the
    /// thread that waits. At `true` the call ends with the error of [`Engine::cancel`], or with
    /// [`crate::Error::Busy`]; a panic counts as `true`. Not asked while a script runs: it has its limits.
    ///
    /// ```
    /// # use moonkv::Engine;
    /// # fn main() -> Result<(), moonkv::Error> {
    /// let engine = Engine::new()?;
    /// engine.set_interrupt(Some(Box::new(|| true)));
    /// let error = engine.command(&["BLPOP", "empty", "0"]).unwrap_err();
    /// assert_eq!(error.to_string(), "ERR the call was cancelled by the host");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_interrupt(&self, ask: Option<Box<dyn Fn() -> bool + Send + Sync>>) {
        let mut place = self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner);
        *place = ask.map(Arc::from);
    }
}

impl Shared {
    fn interrupt(&self) -> Option<Arc<Interrupt>> {
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sleeps until a call that waits for a key is served, or ends otherwise.
    pub(super) fn sleep(&self, waits: &Waits) -> Outcome {
        match self.interrupt() {
            Some(ask) => sleep_asking(&waits.ticket, waits.most, &*ask),
            None => waits.ticket.sleep(waits.most),
        }
    }

    /// Sleeps until no other session's transaction is open.
    #[cold]
    pub(super) fn wait_longer<'a>(
        &'a self,
        id: usize,
        mut state: StateGuard<'a>,
    ) -> Result<StateGuard<'a>, Shut> {
        let ask = self.interrupt();
        let until = self.options.busy_timeout.and_then(|most| Instant::now().checked_add(most));
        loop {
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            let slice = if ask.is_some() { left.min(EVERY) } else { left };
            let waits = |state: &mut Option<State>| {
                state.as_ref().is_some_and(|state| state.turn(id) != Turn::Yes)
            };
            let waited = self.turn.wait_timeout_while(state, slice, waits);
            let (woken, result) = waited.map_err(|_| Shut::Poisoned)?;
            if !result.timed_out() {
                return Ok(woken);
            }
            drop(woken);
            if until.is_some() && slice == left || ask.as_ref().is_some_and(|ask| ends(&**ask)) {
                return Err(Shut::Busy);
            }
            state = self.lock()?;
        }
    }
}

/// What the host says. A panic of its own must leave nobody waiting in its name.
fn ends(ask: &Interrupt) -> bool {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(true)
}

fn sleep_asking(ticket: &Ticket, most: Option<Duration>, ask: &Interrupt) -> Outcome {
    let until = most.and_then(|most| Instant::now().checked_add(most));
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| *left <= EVERY) {
            return ticket.sleep(Some(left));
        }
        if ticket.ends_within(EVERY) {
            return ticket.sleep(None);
        }
        if ends(ask) {
            ticket.end(Outcome::Cancelled);
        }
    }
}
