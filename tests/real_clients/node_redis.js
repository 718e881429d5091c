// node-redis at work on a listener: node node_redis.js PORT
const assert = require("node:assert/strict");
const { createClient, createClientPool, defineScript, WatchError } = require("redis");

const url = `redis://127.0.0.1:${process.argv[2]}`;
const clients = [];

async function client(options = {}) {
  const made = createClient({ url, ...options });
  made.on("error", (error) => { throw error; });
  clients.push(made);
  return made.connect();
}

async function until(holds) {
  while (!(await holds())) await new Promise((next) => setTimeout(next, 2));
}

async function commands(options) {
  const redis = await client(options);
  assert.equal(await redis.set("s", "1", { EX: 100, NX: true }), "OK");
  assert.equal(await redis.set("s", "2", { NX: true }), null);
  await redis.hSet("h", { a: 1, b: "two" });
  assert.deepEqual({ ...(await redis.hGetAll("h")) }, { a: "1", b: "two" });
  await redis.zAdd("z", [{ score: 1.5, value: "x" }, { score: 2, value: "y" }]);
  const ranked = (await redis.zRangeWithScores("z", 0, -1)).map((each) => ({ ...each }));
  assert.deepEqual(ranked, [{ value: "x", score: 1.5 }, { value: "y", score: 2 }]);
  assert.equal(await redis.zScore("z", "y"), 2);
  await assert.rejects(redis.lPush("s", "x"), /WRONGTYPE/);
  assert.equal(await redis.sIsMember("none", "x"), 0);
}

async function transactions(options) {
  const redis = await client(options);
  const many = await Promise.all(Array.from({ length: 2000 }, () => redis.incr("n")));
  assert.deepEqual(many, Array.from({ length: 2000 }, (_, i) => i + 1));
  assert.deepEqual(await redis.multi().set("a", "1").incr("a").get("a").exec(), ["OK", 2, "2"]);
  const watches = await client(options);
  await watches.watch("a");
  await redis.set("a", "changed");
  await assert.rejects(watches.multi().set("a", "mine").exec(), WatchError);
}

async function scripts(options) {
  const add = defineScript({
    NUMBER_OF_KEYS: 1,
    SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    parseCommand(parser, key, count) {
      parser.pushKey(key);
      parser.push(count.toString());
    },
    transformReply: (reply) => reply,
  });
  const redis = await client({ ...options, scripts: { add } });
  assert.equal(await redis.add("k", 5), 5);
  await redis.scriptFlush();
  assert.equal(await redis.add("k", 5), 10, "it is loaded again");
}

async function channels(options) {
  const [listens, tells] = [await client(options), await client(options)];
  const heard = [];
  await listens.subscribe("news", (text, channel) => heard.push([channel, text]));
  await listens.pSubscribe("w*", (text, channel) => heard.push([channel, text]));
  await tells.publish("news", "hello");
  await tells.publish("weather", "rain");
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [["news", "hello"], ["weather", "rain"]]);
  await listens.unsubscribe("news");
  assert.equal(await tells.publish("news", "nobody"), 0);
}

async function scans(options) {
  const redis = await client(options);
  await redis.mSet(Array.from({ length: 500 }, (_, i) => [`many:${i}`, `${i}`]));
  const found = new Set();
  for await (const keys of redis.scanIterator({ MATCH: "many:*", COUNT: 30 })) {
    keys.forEach((key) => found.add(key));
  }
  assert.equal(found.size, 500);
}

async function streams(options) {
  const [reads, adds] = [await client(options), await client(options)];
  await adds.xGroupCreate("st", "g", "$", { MKSTREAM: true });
  const read = reads.xReadGroup("g", "c", { key: "st", id: ">" }, { BLOCK: 20000, COUNT: 5 });
  const id = await adds.xAdd("st", "*", { n: "1" });
  const [{ name, messages }] = await read;
  assert.deepEqual([name, messages[0].id, { ...messages[0].message }], ["st", id, { n: "1" }]);
  assert.equal(await adds.xAck("st", "g", id), 1);
}

async function blocking(options) {
  const [waits, pushes] = [await client(options), await client(options)];
  const popped = waits.blPop("queue", 20);
  await until(async () => /blocked_clients:1\r/.test(await pushes.info("clients")));
  await pushes.rPush("queue", "job");
  assert.deepEqual({ ...(await popped) }, { key: "queue", element: "job" });
}

async function pools(options) {
  const pool = await createClientPool({ url, ...options }, { maximum: 4, acquireTimeout: 60_000 }).connect();
  const numbers = await Promise.all(Array.from({ length: 300 }, () => pool.incr("pooled")));
  assert.deepEqual(numbers.sort((a, b) => a - b), Array.from({ length: 300 }, (_, i) => i + 1));
  await pool.close();
}

async function caches() {
  const clientSideCache = { ttl: 0, maxEntries: 100, evictPolicy: "LRU" };
  const [redis, other] = [await client({ RESP: 3, clientSideCache }), await client()];
  await other.set("cached", "old");
  for (let i = 0; i < 3; i++) assert.equal(await redis.get("cached"), "old");
  const calls = async () => /cmdstat_get:calls=(\d+)/.exec(await other.info("commandstats"))[1];
  const before = await calls();
  assert.equal(await redis.get("cached"), "old");
  assert.equal(await calls(), before, "it was not asked for again");
  await other.set("cached", "new");
  await until(async () => (await redis.get("cached")) === "new");
}

async function main() {
  setTimeout(() => { throw new Error("it takes too long"); }, 400_000).unref();
  for (const RESP of [2, 3]) {
    await (await client()).flushAll();
    const parts = [commands, transactions, scripts, channels, scans, streams, blocking, pools];
    for (const part of parts) {
      await part({ RESP }).catch((cause) => {
        throw new Error(`in ${part.name} with RESP${RESP}`, { cause });
      });
    }
  }
  await caches();
  clients.forEach((each) => each.destroy());
}

main();
