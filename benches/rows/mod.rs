//! What is measured of each family: a call inside a script, what has been done before it, and what
//! the script makes for itself before the time that counts.

/// What one call looks like and what must have been done before, by family. `k` is the key, `i`
/// counts the calls; a name in lower case tells what is special. Words of [`PREPARED`] stand for
/// what a script makes before its loop.
pub type Row = (&'static str, &'static str, &'static str);

/// What a script makes before its loop if the word is in its call. To make it and to read it takes
/// time on both sides, which is measured alone and does not count. `n` is the number of calls.
pub const PREPARED: &[(&str, &str)] = &[
    ("item[", "local item = {} for i = 1, n do item[i] = 'item' .. i end"),
    // The same in no order, for what looks up: data that is asked for in the order in which it was
    // made lies side by side for whoever allocates each piece by itself.
    ("mixed[", "local mixed = {} for i = 1, n do mixed[i] = 'item' .. i * 7919 % n + 1 end"),
    ("id[", "local id = {} for i = 1, n do id[i] = i .. '-1' end"),
    ("payload", "local payload = c('DUMP', 'source')"),
];

const VALUE: &str = "redis.call('SET', KEYS[1], 'value')";
const TEN_FIELDS: &str = "for i = 1, 10 do redis.call('HSET', KEYS[1], 'field' .. i, i) end";
const HUNDRED_ELEMENTS: &str = "for i = 1, 100 do redis.call('RPUSH', KEYS[1], 'value' .. i) end";
const TEN_INTEGERS: &str = "for i = 1, 10 do redis.call('SADD', KEYS[1], i * 3) end";
const TEN_ITEMS: &str = "for i = 1, 10 do redis.call('SADD', KEYS[1], 'item' .. i) end";
const MANY_ITEMS: &str = "for i = 1, 20000 do redis.call('SADD', KEYS[1], 'item' .. i) end";
const TWO_SETS: &str = "for i = 1, 50 do redis.call('SADD', KEYS[1], 'item' .. i)
    redis.call('SADD', 'other', 'item' .. i * 3) end";
const TEN_SCORES: &str = "for i = 1, 10 do redis.call('ZADD', KEYS[1], i, 'member' .. i) end";
const MANY_SCORES: &str = "for i = 1, 20000 do redis.call('ZADD', KEYS[1], i, 'item' .. i) end";
const PLACES: &str = "for i = 1, 1000 do
    redis.call('GEOADD', KEYS[1], i % 90, i % 70 + i / 1000, 'place' .. i) end";
const BITS: &str = "for i = 1, 800, 3 do redis.call('SETBIT', KEYS[1], i, 1) end";
const ENTRIES: &str = "for i = 1, 1000 do redis.call('XADD', KEYS[1], i .. '-1', 'field', i) end";
const PENDING: &str = "redis.call('XGROUP', 'CREATE', KEYS[1], 'group', '0', 'MKSTREAM')
    for i = 1, 20000 do redis.call('XADD', KEYS[1], i .. '-1', 'field', 'value') end";
const DENSE: &str = "for i = 1, 20000 do redis.call('PFADD', KEYS[1], i) end";
// Answers that are all different are as many new strings to Lua, which makes and collects them on
// either side: of most data for reading the values are the same, or few.
const MANY_FIELDS: &str =
    "for i = 1, 20000 do redis.call('HSET', KEYS[1], 'item' .. i, 'value') end";
const FEW_SCORES: &str =
    "for i = 1, 20000 do redis.call('ZADD', KEYS[1], i % 100, 'item' .. i) end";
const MANY_KEYS: &str = "for i = 1, 20000 do redis.call('SET', 'item' .. i, 'value') end";
const SOURCE_TEXT: &str = "redis.call('SET', 'source', 'a value')";
const SOURCE_HASH: &str = "for i = 1, 10 do redis.call('HSET', 'source', 'field' .. i, i) end";
const SOURCE_SCORES: &str = "for i = 1, 10 do redis.call('ZADD', 'source', i, 'member' .. i) end";
const SOURCE_LIST: &str = "for i = 1, 10 do redis.call('RPUSH', 'source', 'value' .. i) end";
const SOURCE_SET: &str = "for i = 1, 10 do redis.call('SADD', 'source', 'item' .. i) end";
const SOURCE_STREAM: &str =
    "for i = 1, 10 do redis.call('XADD', 'source', i .. '-1', 'field', i) end";

pub const ROWS: &[(&str, &[Row])] = &[
    (
        "string",
        &[
            ("GET", "c('GET', k)", VALUE),
            ("SET", "c('SET', k, 'value')", ""),
            ("SET px", "c('SET', k, 'value', 'PX', 100000)", ""),
            ("SET many", "c('SET', item[i], 'value')", ""),
            ("GET many", "c('GET', mixed[i])", MANY_KEYS),
            ("GETEX", "c('GETEX', k)", VALUE),
            ("INCR", "c('INCR', k)", ""),
            ("INCRBYFLOAT", "c('INCRBYFLOAT', k, '0.5')", ""),
            ("APPEND", "c('APPEND', k, 'x')", ""),
            ("GETRANGE", "c('GETRANGE', k, 2, 5)", "redis.call('SET', KEYS[1], 'some value')"),
            ("MGET", "c('MGET', k, 'a', 'b')", "redis.call('MSET', KEYS[1], 'v', 'a', 'w')"),
            ("MSET", "c('MSET', k, 'v', 'a', 'w')", ""),
        ],
    ),
    (
        "bitmap",
        &[
            ("SETBIT", "c('SETBIT', k, i % 1000, 1)", BITS),
            ("GETBIT", "c('GETBIT', k, i % 1000)", BITS),
            ("BITCOUNT", "c('BITCOUNT', k)", BITS),
            ("BITPOS", "c('BITPOS', k, 0, 10)", BITS),
            ("BITFIELD", "c('BITFIELD', k, 'INCRBY', 'u8', 8, 1)", BITS),
            ("BITOP", "c('BITOP', 'AND', 'to', k, k)", BITS),
        ],
    ),
    (
        "hyperloglog",
        &[
            ("PFADD", "c('PFADD', k, i)", ""),
            ("PFADD dense", "c('PFADD', k, i)", DENSE),
            ("PFCOUNT", "c('PFCOUNT', k)", "redis.call('PFADD', KEYS[1], 'a', 'b')"),
            ("PFMERGE", "c('PFMERGE', 'to', k)", "redis.call('PFADD', KEYS[1], 'a', 'b')"),
        ],
    ),
    (
        "hash",
        &[
            ("HSET", "c('HSET', k, 'field5', 'value')", TEN_FIELDS),
            ("HGET", "c('HGET', k, 'field5')", TEN_FIELDS),
            ("HMGET", "c('HMGET', k, 'field2', 'field5', 'none')", TEN_FIELDS),
            ("HGETALL", "c('HGETALL', k)", TEN_FIELDS),
            ("HINCRBY", "c('HINCRBY', k, 'field5', 1)", TEN_FIELDS),
            ("HDEL, HSET", "c('HDEL', k, 'field5') c('HSET', k, 'field5', 'v')", TEN_FIELDS),
            ("HSET large", "c('HSET', k, item[i], 'value')", ""),
            ("HGET large", "c('HGET', k, mixed[i])", MANY_FIELDS),
        ],
    ),
    (
        "list",
        &[
            ("LPUSH", "c('LPUSH', k, 'value')", ""),
            ("RPOP", "c('RPOP', k)", "for i = 1, 20000 do redis.call('LPUSH', KEYS[1], i) end"),
            ("LINDEX", "c('LINDEX', k, 50)", HUNDRED_ELEMENTS),
            ("LSET", "c('LSET', k, 50, 'other')", HUNDRED_ELEMENTS),
            ("LRANGE", "c('LRANGE', k, 0, 9)", HUNDRED_ELEMENTS),
            ("LMOVE", "c('LMOVE', k, k, 'LEFT', 'RIGHT')", HUNDRED_ELEMENTS),
            ("LPOS", "c('LPOS', k, 'value50')", HUNDRED_ELEMENTS),
        ],
    ),
    (
        "set",
        &[
            ("SADD integer", "c('SADD', k, 15)", TEN_INTEGERS),
            ("SADD", "c('SADD', k, 'item5')", TEN_ITEMS),
            ("SADD large", "c('SADD', k, item[i])", ""),
            ("SISMEMBER integer", "c('SISMEMBER', k, 15)", TEN_INTEGERS),
            ("SISMEMBER", "c('SISMEMBER', k, 'item5')", TEN_ITEMS),
            ("SISMEMBER large", "c('SISMEMBER', k, mixed[i])", MANY_ITEMS),
            ("SREM, SADD", "c('SREM', k, 'item5') c('SADD', k, 'item5')", TEN_ITEMS),
            ("SREM large", "c('SREM', k, mixed[i])", MANY_ITEMS),
            ("SCARD", "c('SCARD', k)", TEN_ITEMS),
            ("SMEMBERS", "c('SMEMBERS', k)", TEN_ITEMS),
            ("SMEMBERS integer", "c('SMEMBERS', k)", TEN_INTEGERS),
            ("SPOP large", "c('SPOP', k)", MANY_ITEMS),
            ("SRANDMEMBER", "c('SRANDMEMBER', k)", TEN_ITEMS),
            ("SRANDMEMBER large", "c('SRANDMEMBER', k, 5)", MANY_ITEMS),
            ("SINTER", "c('SINTER', k, 'other')", TWO_SETS),
            ("SINTERCARD", "c('SINTERCARD', 2, k, 'other')", TWO_SETS),
            ("SUNIONSTORE", "c('SUNIONSTORE', 'to', k, 'other')", TWO_SETS),
            ("SDIFF", "c('SDIFF', k, 'other')", TWO_SETS),
        ],
    ),
    (
        "sorted-set",
        &[
            ("ZADD", "c('ZADD', k, i, 'member5')", TEN_SCORES),
            ("ZADD large", "c('ZADD', k, i, item[i])", ""),
            ("ZINCRBY", "c('ZINCRBY', k, 1, 'member5')", TEN_SCORES),
            ("ZINCRBY large", "c('ZINCRBY', k, 1, mixed[i])", MANY_SCORES),
            ("ZSCORE", "c('ZSCORE', k, 'member5')", TEN_SCORES),
            ("ZSCORE large", "c('ZSCORE', k, mixed[i])", FEW_SCORES),
            ("ZRANK large", "c('ZRANK', k, mixed[i])", MANY_SCORES),
            ("ZRANGE large", "c('ZRANGE', k, 500, 509)", MANY_SCORES),
            ("ZRANGEBYSCORE large", "c('ZRANGEBYSCORE', k, 500, 509)", MANY_SCORES),
            ("ZCOUNT large", "c('ZCOUNT', k, 500, 5000)", MANY_SCORES),
            ("ZPOPMIN large", "c('ZPOPMIN', k)", MANY_SCORES),
            ("ZREM large", "c('ZREM', k, mixed[i])", MANY_SCORES),
            ("ZUNION", "c('ZUNION', 2, k, 'none')", TEN_SCORES),
        ],
    ),
    (
        "geo",
        &[
            ("GEOADD", "c('GEOADD', k, 13.5, 37.25, 'place')", PLACES),
            ("GEODIST", "c('GEODIST', k, 'place1', 'place500')", PLACES),
            ("GEOPOS", "c('GEOPOS', k, 'place500')", PLACES),
            ("GEOHASH", "c('GEOHASH', k, 'place500')", PLACES),
            ("GEOSEARCH", "c('GEOSEARCH', k, 'FROMLONLAT', 30, 30, 'BYRADIUS', 500, 'km')", PLACES),
        ],
    ),
    (
        "stream",
        &[
            ("XADD", "c('XADD', k, id[i], 'field', 'value')", ""),
            ("XADD automatic", "c('XADD', k, '*', 'field', 'value')", ""),
            ("XADD maxlen", "c('XADD', k, 'MAXLEN', '~', 100, id[i], 'field', 'value')", ""),
            ("XLEN", "c('XLEN', k)", ENTRIES),
            ("XRANGE", "c('XRANGE', k, '500', '+', 'COUNT', 5)", ENTRIES),
            ("XREAD", "c('XREAD', 'COUNT', 5, 'STREAMS', k, '500')", ENTRIES),
            ("XREADGROUP", "c('XREADGROUP', 'GROUP', 'group', 'c', 'STREAMS', k, '>')", PENDING),
            (
                "XREADGROUP, XACK",
                "c('XREADGROUP', 'GROUP', 'group', 'c', 'COUNT', 1, 'STREAMS', k, '>')
                 c('XACK', k, 'group', id[i])",
                PENDING,
            ),
        ],
    ),
    (
        "generic",
        &[
            ("EXISTS", "c('EXISTS', k)", VALUE),
            ("TYPE", "c('TYPE', k)", VALUE),
            ("EXPIRE", "c('EXPIRE', k, 100)", VALUE),
            ("PTTL", "c('PTTL', k)", "redis.call('SET', KEYS[1], 'value', 'EX', 100)"),
            ("SET, DEL", "c('SET', k, 'value') c('DEL', k)", ""),
            ("DEL", "c('DEL', mixed[i])", MANY_KEYS),
            ("SCAN", "c('SCAN', 0)", MANY_KEYS),
            ("COPY", "c('COPY', 'source', k, 'REPLACE')", SOURCE_HASH),
            ("DUMP string", "c('DUMP', 'source')", SOURCE_TEXT),
            ("DUMP hash", "c('DUMP', 'source')", SOURCE_HASH),
            ("DUMP sorted set", "c('DUMP', 'source')", SOURCE_SCORES),
            ("DUMP list", "c('DUMP', 'source')", SOURCE_LIST),
            ("DUMP set", "c('DUMP', 'source')", SOURCE_SET),
            ("DUMP stream", "c('DUMP', 'source')", SOURCE_STREAM),
            ("RESTORE string", "c('RESTORE', k, 0, payload, 'REPLACE')", SOURCE_TEXT),
            ("RESTORE hash", "c('RESTORE', k, 0, payload, 'REPLACE')", SOURCE_HASH),
            ("RESTORE sorted set", "c('RESTORE', k, 0, payload, 'REPLACE')", SOURCE_SCORES),
            ("RESTORE list", "c('RESTORE', k, 0, payload, 'REPLACE')", SOURCE_LIST),
            ("RESTORE set", "c('RESTORE', k, 0, payload, 'REPLACE')", SOURCE_SET),
            ("RESTORE stream", "c('RESTORE', k, 0, payload, 'REPLACE')", SOURCE_STREAM),
            ("SORT", "c('SORT', k)", TEN_INTEGERS),
        ],
    ),
    ("connection", &[("PING", "c('PING')", ""), ("ECHO", "c('ECHO', 'some text')", "")]),
    ("server", &[("DBSIZE", "c('DBSIZE')", VALUE)]),
];
