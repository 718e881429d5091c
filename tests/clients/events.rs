//! Every command that changes keys, and what is told of the keys.

use super::both::Side;

/// Called one after the other on the same data. Deadlines lie far ahead or in the past, so that
/// nothing depends on the time.
pub const COMMANDS: &str = "\
SET s v
SET s v EX 100
SET s v KEEPTTL
SET s v XX GET
SET n1 v NX
SET n1 v NX
SETNX n2 x
SETNX n2 x
SETEX e1 100 v
PSETEX e1 100000 v
SET s2 v EXAT 1
SET s2 v PXAT 1
GETSET s w
GETDEL n2
GETDEL none
GETEX s
GETEX s EX 10
GETEX s PERSIST
GETEX s PERSIST
GETEX s EXAT 1
GET s
GET nokey
MSET a 1 b 2
MSETNX a 1 c 2
MSETNX c 1 d 2
APPEND a 5
APPEND a2 5
SETRANGE a 1 x
SETRANGE a 1 
SETRANGE nosuch 0 
INCR num
DECR num
INCRBY num 5
DECRBY num 2
INCRBYFLOAT num 1.5
SETBIT bits 5 1
BITFIELD bits SET u8 0 5 INCRBY u8 8 1 GET u8 0
BITFIELD bits GET u8 0
BITFIELD_RO bits GET u8 0
BITFIELD bits SET u8 0 5
HSET floats f 1
HINCRBYFLOAT floats f 1
HINCRBYFLOAT floats f 0
BITFIELD bits SET u8 0 6 SET u8 0 5
BITFIELD bits INCRBY u8 0 0
BITFIELD bits OVERFLOW FAIL INCRBY u8 100 256
BITFIELD bits SET u8 200 0
SETBIT bits 200 0
SETBIT bits 300 0
SET ten 10
SETBIT ten 0 0
BITOP OR bdest a b
BITOP OR bdest nokey1 nokey2
BITOP OR bdest nokey1 nokey2
PFADD hll a b
PFADD hll a
PFADD hll2
PFCOUNT hll
PFMERGE hll3 hll hll2
LPUSH l 1 2
RPUSH l 3
LPUSHX l 4
RPUSHX l 5
LPUSHX nol 1
LINSERT l BEFORE 3 x
LINSERT l BEFORE zz x
LSET l 0 y
LREM l 0 x
LREM l 0 nope
LTRIM l 0 2
LTRIM l 0 -1
LPOP l
RPOP l
RPOP l
LPOP l
RPUSH l 1 2 3 4 5
LPOP l 2
RPOP l 10
LPOP l 5
RPUSH l a b c
RPOPLPUSH l l2
LMOVE l l2 LEFT RIGHT
LMOVE l l LEFT RIGHT
LMOVE l l2 LEFT LEFT
LMPOP 2 l l2 LEFT COUNT 2
LMPOP 2 l l2 LEFT COUNT 2
RPUSH l a b
BLPOP l 1
BRPOP l 1
RPUSH l a b
BLMOVE l l2 LEFT LEFT 1
BRPOPLPUSH l l2 1
BLMPOP 1 1 l2 LEFT
LTRIM l2 5 6
RPUSH l3 a
LREM l3 0 a
SADD set a b c
SADD set a
SREM set a
SREM set zz
SPOP set
SPOP set
SADD set a b c
SPOP set 2
SPOP set 10
SADD set a b c
SMOVE set set2 a
SMOVE set set2 zz
SMOVE set set b
SMOVE set set2 b
SMOVE set set2 c
SMOVE set2 set a
SINTERSTORE sd set set2
SUNIONSTORE sd set set2
SDIFFSTORE sd set set2
SDIFFSTORE sd nokey
SDIFFSTORE sd nokey
SUNIONSTORE sd set2
SREM set2 b c
HSET h f v
HSET h f v2 g w
HSETNX h f v
HSETNX h k v
HMSET h a b
HINCRBY h n 1
HINCRBYFLOAT h n 1.5
HDEL h a
HDEL h zzz
HDEL h f g k n
HGET h f
ZADD z 1 a 2 b 3 c
ZADD z 1 a
ZADD z 2 a
ZADD z XX 5 zz
ZADD z INCR 2 a
ZADD z NX INCR 2 a
ZINCRBY z 1 a
ZREM z a
ZREM z zz
ZADD z 1 a 2 b 3 c 4 d
ZREMRANGEBYRANK z 0 0
ZREMRANGEBYSCORE z 2 2
ZREMRANGEBYSCORE z 200 200
ZADD z 0 l
ZREMRANGEBYLEX z - +
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g
ZPOPMIN z
ZPOPMAX z 2
BZPOPMIN z 1
BZPOPMAX z 1
BZMPOP 1 1 z MIN
ZMPOP 1 z MIN COUNT 10
ZADD z 1 a 2 b
ZADD y 1 a
ZUNIONSTORE zd 2 z y
ZINTERSTORE zd 2 z y
ZDIFFSTORE zd 2 z y
ZDIFFSTORE zd 1 nokey
ZDIFFSTORE zd 1 nokey
ZRANGESTORE zd z 0 -1
ZRANGESTORE zd z 5 6
ZRANGESTORE zd z 5 6
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOADD geo 13.361389 38.115556 Palermo
GEOSEARCHSTORE gd geo FROMLONLAT 15 37 BYRADIUS 200 km
GEOSEARCHSTORE gd geo FROMLONLAT 15 37 BYRADIUS 1 m
GEOSEARCHSTORE gd geo FROMLONLAT 15 37 BYRADIUS 1 m
GEORADIUS geo 15 37 200 km STORE gd
GEORADIUS geo 15 37 1 m STORE gd
XADD st 1-1 a b
XADD st MAXLEN 1 2-1 a b
XADD st NOMKSTREAM 3-1 a b
XADD nost NOMKSTREAM 3-1 a b
XADD st MINID 3 4-1 a b
XDEL st 3-1
XDEL st 99-1
XTRIM st MAXLEN 0
XTRIM st MAXLEN 0
XADD st 5-1 a b
XGROUP CREATE st g 0
XGROUP CREATE st2 g $ MKSTREAM
XGROUP SETID st g 0
XGROUP CREATECONSUMER st g c1
XGROUP CREATECONSUMER st g c1
XREADGROUP GROUP g c2 STREAMS st >
XREADGROUP GROUP g c2 STREAMS st 0
XREADGROUP GROUP g c3 STREAMS st >
XCLAIM st g c4 0 5-1
XAUTOCLAIM st g c5 0 0
XACK st g 5-1
XGROUP DELCONSUMER st g c1
XGROUP DELCONSUMER st g zz
XGROUP DESTROY st g
XGROUP DESTROY st g
XSETID st 9-9
XREAD STREAMS st 0
DEL a b nokey
UNLINK c d
SET a v
EXPIRE a 100
PEXPIRE a 100000
EXPIREAT a 9999999999
PEXPIREAT a 9999999999000
EXPIRE a 5 NX
EXPIRE nokey 5
PERSIST a
PERSIST a
EXPIRE a -1
EXPIRE a 1
SET a v
RENAME a b
RENAME b b
RENAMENX b c
RENAMENX c n1
RENAME c n1
COPY n1 c
COPY n1 c
COPY n1 c REPLACE
COPY n1 c DB 1
MOVE n1 1
MOVE n1 1
SET m v
MOVE m 2
RPUSH sort 3 1 2
SORT sort STORE sorted
SORT nokey STORE sorted
SORT nokey STORE sorted
DUMP sort
TOUCH sort
EXISTS nokey2
TYPE nokey2
OBJECT ENCODING nokey2
OBJECT FREQ nokey2
STRLEN nokey
GETRANGE nokey 0 1
HGETALL nokey
LRANGE nokey 0 1
SMEMBERS nokey
ZSCORE nokey a
TTL nokey
XLEN nokey
MGET nokey nokey2
GETBIT nokey 1
LLEN nokey
SINTER nokey nokey2
PFCOUNT nokey
GEOPOS nokey a
EXPIRETIME nokey
SSCAN nokey 0
ZUNION 2 nokey nokey2
XRANGE nokey - +
DUMP nokey
WATCH nokey
UNWATCH
EVAL redis.call('set','x','1')redis.call('del','x') 0
SWAPDB 0 1
SWAPDB 0 1
SET str v
LPUSH str x
INCR str
SET sp v PXAT 1
GET sp
SET sp v PXAT 1
DEL sp
SET sp v PXAT 1
SET sp v
GETSET newk v
GETEX nokey EX 10
HDEL nokey a
FLUSHDB";

/// What is told of each command, in order.
pub fn record(mut side: impl Side) -> Vec<String> {
    side.open('c');
    side.open('l');
    side.call('c', &["CONFIG SET notify-keyspace-events KEAnm"]);
    side.call('l', &["PSUBSCRIBE __key*__:*"]);
    let tell = |command: &str| {
        side.call('c', &[command]);
        side.call('l', &["PING"]);
        side.written('c');
        told(&side.written('l'))
    };
    COMMANDS.lines().map(tell).collect()
}

/// The channels with what was told on them.
fn told(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split("\r\n").filter(|line| !line.starts_with('$')).collect();
    let is_channel = |line: &str| line.starts_with("__key") && !line.contains('*');
    let pairs = lines.windows(2).filter(|pair| is_channel(pair[0]));
    pairs.map(|pair| pair.join(" ")).collect::<Vec<_>>().join(" | ")
}
