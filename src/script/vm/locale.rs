//! Numbers in scripts are written and read with a point, whatever locale the host has set.
//!
//! Lua's core uses sprintf and strtod, which follow the thread's locale. While a script runs the
//! thread has the "C" locale; the pair of calls costs a few nanoseconds.

/// The thread has the "C" locale while this lives. It owns a destructor: keep it outside of every
/// protected call, never in a frame that Lua may jump over.
#[cfg(unix)]
pub(crate) struct LocaleGuard {
    before: libc::locale_t,
    /// A locale belongs to a thread, so this may not travel.
    _thread: std::marker::PhantomData<*const ()>,
}

#[cfg(unix)]
impl LocaleGuard {
    pub(crate) fn enter() -> Self {
        let c_locale = c_locale();
        // SAFETY: a live locale object, or null, which changes nothing.
        let before = unsafe { libc::uselocale(c_locale) };
        Self { before, _thread: std::marker::PhantomData }
    }
}

#[cfg(unix)]
impl Drop for LocaleGuard {
    fn drop(&mut self) {
        // SAFETY: what uselocale gave on this thread; null changes nothing.
        unsafe { libc::uselocale(self.before) };
    }
}

/// The process's one "C" locale object; null when the system could not make it.
#[cfg(unix)]
fn c_locale() -> libc::locale_t {
    use std::sync::OnceLock;
    static C_LOCALE: OnceLock<usize> = OnceLock::new();
    let address = *C_LOCALE.get_or_init(|| {
        // SAFETY: a valid mask and name; no base locale.
        let made =
            unsafe { libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), std::ptr::null_mut()) };
        made as usize
    });
    address as libc::locale_t
}

/// Elsewhere nothing is done: Windows has no uselocale, and its C runtime starts in the "C" locale,
/// where it stays unless the host calls setlocale.
#[cfg(not(unix))]
pub(crate) struct LocaleGuard;

#[cfg(not(unix))]
impl LocaleGuard {
    pub(crate) fn enter() -> Self {
        Self
    }
}
