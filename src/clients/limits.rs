//! How much a client may leave untaken: `client-output-buffer-limit`.

/// The limits of one class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// Beyond these bytes it is closed at once; 0 for no limit.
    pub(crate) hard: usize,
    /// Beyond these it is closed after a while.
    pub(crate) soft: usize,
    /// That while.
    pub(crate) soft_seconds: i64,
}

/// The limits of all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputLimits {
    pub(crate) normal: OutputLimit,
    pub(crate) replica: OutputLimit,
    /// Clients that listen to channels.
    pub(crate) pubsub: OutputLimit,
}

impl Default for OutputLimits {
    /// Redis's own.
    fn default() -> OutputLimits {
        let limit = |hard, soft, soft_seconds| OutputLimit { hard, soft, soft_seconds };
        OutputLimits {
            normal: limit(0, 0, 0),
            replica: limit(256 << 20, 64 << 20, 60),
            pubsub: limit(32 << 20, 8 << 20, 60),
        }
    }
}

impl OutputLimit {
    /// Whether a client is to be closed that has left so many bytes untaken. `over_since` is when
    /// it first left more than the soft limit, which is noted here.
    pub(crate) fn closes(&self, bytes: usize, now_ms: i64, over_since: &mut Option<i64>) -> bool {
        if self.soft == 0 || bytes <= self.soft {
            *over_since = None;
        }
        let is_over = self.soft > 0 && bytes > self.soft;
        let since = is_over.then(|| *over_since.get_or_insert(now_ms));
        let too_long = since.is_some_and(|since| now_ms - since > self.soft_seconds * 1000);
        too_long || self.hard > 0 && bytes > self.hard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_at_once_soft_after_a_while() {
        let limit = OutputLimit { hard: 100, soft: 10, soft_seconds: 2 };
        let mut since = None;
        assert!(!limit.closes(10, 0, &mut since));
        assert!(!limit.closes(11, 1000, &mut since));
        assert!(!limit.closes(11, 3000, &mut since));
        assert!(limit.closes(11, 3001, &mut since));
        assert!(!limit.closes(5, 3002, &mut since), "it has caught up");
        assert!(!limit.closes(11, 3003, &mut since), "and begins anew");
        assert!(limit.closes(101, 3003, &mut since));
        let none = OutputLimit { hard: 0, soft: 0, soft_seconds: 0 };
        assert!(!none.closes(usize::MAX, 0, &mut None));
    }
}
