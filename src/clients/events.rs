//! Which events of keys are told: the letters of `notify-keyspace-events`.

/// A set of classes of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events(u32);

impl Events {
    /// Told on the channel of the key.
    pub(crate) const KEYSPACE: Events = Events(1);
    /// Told on the channel of the event.
    pub(crate) const KEYEVENT: Events = Events(1 << 1);
    /// Commands that know no type: DEL, EXPIRE, RENAME.
    pub(crate) const GENERIC: Events = Events(1 << 2);
    pub(crate) const STRING: Events = Events(1 << 3);
    pub(crate) const LIST: Events = Events(1 << 4);
    pub(crate) const SET: Events = Events(1 << 5);
    pub(crate) const HASH: Events = Events(1 << 6);
    pub(crate) const ZSET: Events = Events(1 << 7);
    /// A key was removed because its time was up.
    pub(crate) const EXPIRED: Events = Events(1 << 8);
    /// A key was removed because memory was short.
    pub(crate) const EVICTED: Events = Events(1 << 9);
    pub(crate) const STREAM: Events = Events(1 << 10);
    /// A key was asked for that does not exist.
    pub(crate) const MISS: Events = Events(1 << 11);
    /// Values of modules, of which there are none.
    const MODULE: Events = Events(1 << 12);
    /// A key has come to be.
    pub(crate) const NEW: Events = Events(1 << 13);

    /// What is no change of a command's, or told beside one.
    pub(crate) const NO_CHANGE: Events =
        Events(Self::EXPIRED.0 | Self::EVICTED.0 | Self::MISS.0 | Self::NEW.0);

    /// What the letter `A` stands for.
    const ALL: Events = Events(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::ZSET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// The letters, in the order in which they are told.
    const LETTERS: [(u8, Events); 15] = [
        (b'A', Self::ALL),
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::MISS),
    ];

    /// Both sets together.
    pub(crate) const fn and(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }

    /// Whether one class or more of another set is in this one.
    #[inline]
    pub(crate) const fn has_any(self, other: Events) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of another set is.
    const fn has(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set that letters stand for; none if one of them stands for nothing.
    pub(crate) fn parse(letters: &[u8]) -> Option<Events> {
        letters.iter().try_fold(Events::default(), |set, letter| {
            let (_, classes) = Self::LETTERS.iter().find(|(own, _)| own == letter)?;
            Some(set.and(*classes))
        })
    }

    /// The letters that stand for a set, as few as will do. Redis does not tell of `n` beside `A`,
    /// though it is none of those that `A` stands for, and so it is here.
    pub(crate) fn letters(self) -> String {
        let all = self.has(Self::ALL);
        let hidden = Self::ALL.and(Self::NEW);
        let told = |&&(letter, classes): &&(u8, Events)| {
            self.has(classes) && (letter == b'A' || !(all && hidden.has(classes)))
        };
        Self::LETTERS.iter().filter(told).map(|(letter, _)| char::from(*letter)).collect()
    }
}

/// Something that happens to a key: its class, and the name it is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) class: Events,
    pub(crate) name: &'static str,
}

const fn of(class: Events, name: &'static str) -> Event {
    Event { class, name }
}

/// All there are but those that have their command's name.
#[rustfmt::skip]
impl Event {
    pub(crate) const APPEND: Event = of(Events::STRING, "append");
    pub(crate) const DEL: Event = of(Events::GENERIC, "del");
    pub(crate) const EXPIRE: Event = of(Events::GENERIC, "expire");
    pub(crate) const EVICTED: Event = of(Events::EVICTED, "evicted");
    pub(crate) const EXPIRED: Event = of(Events::EXPIRED, "expired");
    pub(crate) const GEORADIUSSTORE: Event = of(Events::ZSET, "georadiusstore");
    pub(crate) const GEOSEARCHSTORE: Event = of(Events::ZSET, "geosearchstore");
    pub(crate) const HDEL: Event = of(Events::HASH, "hdel");
    pub(crate) const HINCRBY: Event = of(Events::HASH, "hincrby");
    pub(crate) const HINCRBYFLOAT: Event = of(Events::HASH, "hincrbyfloat");
    pub(crate) const HSET: Event = of(Events::HASH, "hset");
    pub(crate) const INCRBY: Event = of(Events::STRING, "incrby");
    pub(crate) const INCRBYFLOAT: Event = of(Events::STRING, "incrbyfloat");
    pub(crate) const KEYMISS: Event = of(Events::MISS, "keymiss");
    pub(crate) const LINSERT: Event = of(Events::LIST, "linsert");
    pub(crate) const LPOP: Event = of(Events::LIST, "lpop");
    pub(crate) const LPUSH: Event = of(Events::LIST, "lpush");
    pub(crate) const LREM: Event = of(Events::LIST, "lrem");
    pub(crate) const LSET: Event = of(Events::LIST, "lset");
    pub(crate) const LTRIM: Event = of(Events::LIST, "ltrim");
    pub(crate) const NEW: Event = of(Events::NEW, "new");
    pub(crate) const PERSIST: Event = of(Events::GENERIC, "persist");
    pub(crate) const PFADD: Event = of(Events::STRING, "pfadd");
    pub(crate) const RESTORE: Event = of(Events::GENERIC, "restore");
    pub(crate) const RPOP: Event = of(Events::LIST, "rpop");
    pub(crate) const RPUSH: Event = of(Events::LIST, "rpush");
    pub(crate) const SADD: Event = of(Events::SET, "sadd");
    pub(crate) const SET: Event = of(Events::STRING, "set");
    pub(crate) const SETBIT: Event = of(Events::STRING, "setbit");
    pub(crate) const SETRANGE: Event = of(Events::STRING, "setrange");
    pub(crate) const SORTSTORE: Event = of(Events::LIST, "sortstore");
    pub(crate) const SPOP: Event = of(Events::SET, "spop");
    pub(crate) const SREM: Event = of(Events::SET, "srem");
    pub(crate) const XADD: Event = of(Events::STREAM, "xadd");
    pub(crate) const XDEL: Event = of(Events::STREAM, "xdel");
    pub(crate) const XGROUP_CREATE: Event = of(Events::STREAM, "xgroup-create");
    pub(crate) const XGROUP_CREATECONSUMER: Event = of(Events::STREAM, "xgroup-createconsumer");
    pub(crate) const XGROUP_DELCONSUMER: Event = of(Events::STREAM, "xgroup-delconsumer");
    pub(crate) const XGROUP_DESTROY: Event = of(Events::STREAM, "xgroup-destroy");
    pub(crate) const XGROUP_SETID: Event = of(Events::STREAM, "xgroup-setid");
    pub(crate) const XSETID: Event = of(Events::STREAM, "xsetid");
    pub(crate) const XTRIM: Event = of(Events::STREAM, "xtrim");
    pub(crate) const ZADD: Event = of(Events::ZSET, "zadd");
    pub(crate) const ZINCR: Event = of(Events::ZSET, "zincr");
    pub(crate) const ZPOPMAX: Event = of(Events::ZSET, "zpopmax");
    pub(crate) const ZPOPMIN: Event = of(Events::ZSET, "zpopmin");
    pub(crate) const ZRANGESTORE: Event = of(Events::ZSET, "zrangestore");
    pub(crate) const ZREM: Event = of(Events::ZSET, "zrem");
    pub(crate) const COPY_TO: Event = of(Events::GENERIC, "copy_to");
    pub(crate) const MOVE_FROM: Event = of(Events::GENERIC, "move_from");
    pub(crate) const MOVE_TO: Event = of(Events::GENERIC, "move_to");
    pub(crate) const RENAME_FROM: Event = of(Events::GENERIC, "rename_from");
    pub(crate) const RENAME_TO: Event = of(Events::GENERIC, "rename_to");

    /// The event of a command that tells its own name.
    pub(crate) const fn of_command(class: Events, name: &'static str) -> Event {
        of(class, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, told: Option<&str>) {
        let parsed = Events::parse(given.as_bytes());
        assert_eq!(parsed.map(Events::letters).as_deref(), told, "{given}");
    }

    #[test]
    fn letters_come_back_in_an_order_of_their_own() {
        check("", Some(""));
        check("KEA", Some("AKE"));
        check("Elg$", Some("g$lE"));
        check("KEg$lshzxetd", Some("AKE"));
        check("g$lshzxed", Some("g$lshzxed"));
        check("KEAnm", Some("AKEm"));
        check("gxmnKEt", Some("gxtnKEm"));
        check("mnt", Some("tnm"));
        check("KEq", None);
    }
}
