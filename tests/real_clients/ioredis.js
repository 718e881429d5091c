// ioredis at work on a listener: node ioredis.js PORT
const assert = require("node:assert/strict");
const Redis = require("ioredis");

const port = Number(process.argv[2]);
const clients = [];
function client(options = {}) {
  const made = new Redis({ port, ...options });
  clients.push(made);
  return made;
}

async function until(holds) {
  while (!(await holds())) await new Promise((next) => setTimeout(next, 2));
}

async function commands() {
  const redis = client();
  assert.equal(await redis.set("s", "1", "EX", 100, "NX"), "OK");
  assert.equal(await redis.set("s", "2", "NX"), null);
  await redis.hset("h", { a: 1, b: "two" });
  assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "two" });
  assert.deepEqual(await redis.getBuffer("missing"), null);
  const bytes = Buffer.from([0, 255, 13, 10]);
  await redis.set("bytes", bytes);
  assert.deepEqual(await redis.getBuffer("bytes"), bytes);
  await assert.rejects(redis.lpush("s", "x"), /^ReplyError: WRONGTYPE/);
}

async function pipelines() {
  const redis = client({ enableAutoPipelining: true });
  const many = await Promise.all(Array.from({ length: 2000 }, () => redis.incr("n")));
  assert.deepEqual(many, Array.from({ length: 2000 }, (_, i) => i + 1));
  const replies = await redis.pipeline().set("a", 1).lpush("a", "x").get("a").exec();
  assert.equal(replies[0][1], "OK");
  assert.match(replies[1][0].message, /^WRONGTYPE/);
  assert.equal(replies[2][1], "1");
  const done = await client().multi().incr("a").incr("a").exec();
  assert.deepEqual(done, [[null, 2], [null, 3]]);
  await assert.rejects(client().multi().set("a").exec(), /^ReplyError: EXECABORT/);
}

async function scripts() {
  const redis = client({ keyPrefix: "p:" });
  redis.defineCommand("add", {
    numberOfKeys: 1,
    lua: "return {KEYS[1], redis.call('INCRBY', KEYS[1], ARGV[1])}",
  });
  assert.deepEqual(await redis.add("k", 5), ["p:k", 5]);
  await redis.script("FLUSH");
  assert.deepEqual(await redis.add("k", 5), ["p:k", 10], "it is loaded again");
}

async function channels() {
  const [listens, tells] = [client(), client()];
  const heard = [];
  listens.on("message", (channel, text) => heard.push([channel, text]));
  listens.on("pmessage", (pattern, channel, text) => heard.push([pattern, channel, text]));
  assert.equal(await listens.subscribe("news"), 1);
  assert.equal(await listens.psubscribe("w*"), 2);
  await tells.publish("news", "hello");
  await tells.publish("weather", "rain");
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [["news", "hello"], ["w*", "weather", "rain"]]);
  // It subscribes again by itself after it was disconnected.
  const before = await tells.pubsub("NUMSUB", "news");
  assert.deepEqual(before, ["news", 1]);
  assert.ok((await tells.client("KILL", "TYPE", "pubsub")) >= 1);
  await until(async () => (await tells.publish("news", "again")) === 1);
  await until(() => heard.some(([, text]) => text === "again"));
}

async function scans() {
  const redis = client();
  await redis.mset(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`many:${i}`, i])));
  const found = new Set();
  for await (const keys of redis.scanStream({ match: "many:*", count: 30 })) {
    keys.forEach((key) => found.add(key));
  }
  assert.equal(found.size, 500);
}

async function blocking() {
  const [waits, pushes] = [client(), client()];
  const popped = waits.blpop("queue", 20);
  await until(async () => /blocked_clients:1\r/.test(await pushes.info("clients")));
  await pushes.rpush("queue", "job");
  assert.deepEqual(await popped, ["queue", "job"]);
  await pushes.xgroup("CREATE", "st", "g", "$", "MKSTREAM");
  const read = waits.xreadgroup("GROUP", "g", "c", "BLOCK", 20000, "STREAMS", "st", ">");
  const id = await pushes.xadd("st", "*", "n", 1);
  assert.deepEqual(await read, [["st", [[id, ["n", "1"]]]]]);
}

async function monitors() {
  const [redis, monitor] = [client(), await client().monitor()];
  clients.push(monitor);
  const seen = [];
  monitor.on("monitor", (time, args, source, database) => seen.push([args, database]));
  await redis.set("seen", "x y");
  await until(() => seen.length > 0);
  assert.deepEqual(seen[0], [["set", "seen", "x y"], "0"]);
}

async function main() {
  setTimeout(() => { throw new Error("it takes too long"); }, 400_000).unref();
  await client().flushall();
  for (const part of [commands, pipelines, scripts, channels, scans, blocking, monitors]) {
    await part().catch((error) => { throw new Error(`in ${part.name}`, { cause: error }); });
  }
  clients.forEach((each) => each.disconnect());
}

main();
