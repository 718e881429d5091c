// BullMQ, queues and workers made of Lua scripts, at work on a listener: node bullmq.js PORT
const assert = require("node:assert/strict");
const { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]) };
const opened = [];

function open(Kind, ...words) {
  const options = typeof words.at(-1) === "object" ? words.pop() : {};
  const made = new Kind(...words, { connection, ...options });
  made.on("error", (error) => { throw error; });
  opened.push(made);
  return made;
}

async function until(holds) {
  while (!(await holds())) await new Promise((next) => setTimeout(next, 5));
}

async function jobs() {
  const [queue, events] = [open(Queue, "jobs"), open(QueueEvents, "jobs")];
  await events.waitUntilReady();
  const [done, heard] = [[], new Set()];
  events.on("completed", ({ jobId, returnvalue }) => heard.add(`${jobId}=${returnvalue}`));
  for (let i = 0; i < 3; i++) {
    open(Worker, "jobs", async (job) => {
      done.push(job.data.n);
      await job.updateProgress(50);
      return job.data.n * 2;
    }, { concurrency: 5 });
  }
  const data = Array.from({ length: 300 }, (_, n) => ({ name: "double", data: { n } }));
  const added = await queue.addBulk(data);
  await until(() => heard.size === 300);
  assert.deepEqual(done.sort((a, b) => a - b), data.map((job) => job.data.n), "each once");
  assert.ok(added.every((job) => heard.has(`${job.id}=${job.data.n * 2}`)));
  const last = await queue.add("double", { n: 21 });
  assert.equal(await last.waitUntilFinished(events, 20_000), 42);
  assert.equal((await queue.getJobCounts("completed")).completed, 301);
  assert.equal((await queue.getJob(last.id)).progress, 50);
}

async function delays() {
  const queue = open(Queue, "delays");
  const done = [];
  const begun = Date.now();
  await queue.add("later", { name: "second" }, { delay: 300 });
  await queue.add("later", { name: "first" }, { delay: 100 });
  await queue.add("now", { name: "at once" });
  assert.equal(await queue.getDelayedCount(), 2);
  open(Worker, "delays", async (job) => done.push([job.data.name, Date.now() - begun]));
  await until(() => done.length === 3);
  assert.deepEqual(done.map(([name]) => name), ["at once", "first", "second"]);
  assert.ok(done[1][1] >= 99 && done[2][1] >= 299, `${done}`);
}

async function retries() {
  const queue = open(Queue, "retries");
  const tries = [];
  open(Worker, "retries", async (job) => {
    tries.push([job.name, job.attemptsMade]);
    if (job.name === "never") throw new UnrecoverableError("no use");
    if (job.name === "always" || job.attemptsMade < 2) throw new Error("not yet");
    return "at last";
  });
  const often = { attempts: 3, backoff: { type: "exponential", delay: 20 } };
  const third = await queue.add("third", {}, often);
  const always = await queue.add("always", {}, { attempts: 2, backoff: { type: "fixed", delay: 10 } });
  const never = await queue.add("never", {}, often);
  await until(async () => (await third.isCompleted()) && (await always.isFailed()) && never.isFailed());
  const count = (name) => tries.filter(([tried]) => tried === name).length;
  assert.deepEqual(["third", "always", "never"].map(count), [3, 2, 1]);
  assert.equal((await queue.getJob(always.id)).failedReason, "not yet");
  await (await queue.getJob(always.id)).retry();
  await until(async () => count("always") === 3 && always.isFailed());
}

async function priorities() {
  const queue = open(Queue, "priorities");
  for (const priority of [30, 10, 20, 0, 10]) {
    await queue.add("job", { priority }, priority ? { priority } : {});
  }
  await queue.add("job", { priority: "lifo" }, { lifo: true });
  assert.equal(await queue.getPrioritizedCount(), 4);
  const done = [];
  open(Worker, "priorities", async (job) => done.push(job.data.priority));
  await until(() => done.length === 6);
  assert.deepEqual(done, ["lifo", 0, 10, 10, 20, 30]);
}

async function flows() {
  const flow = open(FlowProducer);
  const done = [];
  open(Worker, "flows", async (job) => {
    done.push(job.name);
    if (job.name !== "parent") return job.data.n;
    return Object.values(await job.getChildrenValues()).reduce((sum, n) => sum + n, 0);
  });
  const child = (n) => ({ name: `child${n}`, queueName: "flows", data: { n } });
  const tree = await flow.add({
    name: "parent",
    queueName: "flows",
    children: [child(1), { ...child(2), children: [child(10)] }, child(3)],
  });
  await until(() => tree.job.isCompleted());
  assert.equal(done.at(-1), "parent");
  assert.equal(done.length, 5);
  assert.ok(done.indexOf("child10") < done.indexOf("child2"));
  assert.equal((await open(Queue, "flows").getJob(tree.job.id)).returnvalue, 6);
}

async function limits() {
  const queue = open(Queue, "limits");
  const times = [];
  const limiter = { max: 5, duration: 300 };
  open(Worker, "limits", async () => times.push(Date.now()), { limiter, concurrency: 20 });
  await queue.addBulk(Array.from({ length: 15 }, (_, n) => ({ name: "job", data: { n } })));
  await until(() => times.length === 15);
  assert.ok(times[14] - times[0] >= 500, `${times.map((time) => time - times[0])}`);
}

async function repeats() {
  const queue = open(Queue, "repeats");
  const done = [];
  open(Worker, "repeats", async (job) => done.push(job.name));
  await queue.upsertJobScheduler("often", { every: 50 }, { name: "tick" });
  await queue.upsertJobScheduler("cron", { pattern: "0 0 1 1 *" }, { name: "yearly" });
  assert.equal((await queue.getJobSchedulers()).length, 2);
  await until(() => done.length >= 4);
  assert.ok(done.every((name) => name === "tick"));
  assert.ok(await queue.removeJobScheduler("often"));
  assert.ok(!(await queue.removeJobScheduler("often")));
  assert.deepEqual((await queue.getJobSchedulers()).map(({ key }) => key), ["cron"]);
}

async function housekeeping() {
  const queue = open(Queue, "kept");
  const worker = open(Worker, "kept", async () => {});
  await queue.pause();
  await queue.add("job", {}, { jobId: "own" });
  await queue.add("job", {}, { jobId: "own" });
  await queue.add("job", {}, { deduplication: { id: "once", ttl: 60_000 } });
  await queue.add("job", {}, { deduplication: { id: "once", ttl: 60_000 } });
  const counts = await queue.getJobCounts();
  assert.equal(counts.waiting + counts.paused, 2);
  await queue.resume();
  await until(async () => (await queue.getCompletedCount()) === 2);
  assert.equal((await queue.clean(0, 100, "completed")).length, 2);
  await worker.close();
  await queue.addBulk(Array.from({ length: 50 }, () => ({ name: "job", data: {} })));
  await queue.drain();
  assert.equal(await queue.count(), 0);
  await queue.obliterate({ force: true });
  const redis = await queue.client;
  assert.deepEqual(await redis.keys("bull:kept:*"), []);
}

async function stalls() {
  // A worker that vanishes with a job in hand: another gets the job once its lock is gone.
  const queue = open(Queue, "stalls");
  const quick = { lockDuration: 200, stalledInterval: 100 };
  const gone = open(Worker, "stalls", () => new Promise(() => {}), {
    ...quick,
    skipLockRenewal: true,
    skipStalledCheck: true,
  });
  const job = await queue.add("job", {});
  await until(() => job.isActive());
  await gone.close(true);
  open(Worker, "stalls", async () => "saved", quick);
  await until(() => job.isCompleted());
  assert.equal((await queue.getJob(job.id)).returnvalue, "saved");
}

async function main() {
  setTimeout(() => { throw new Error("it takes too long"); }, 400_000).unref();
  const parts = [
    jobs, delays, retries, priorities, flows, limits, repeats, housekeeping, stalls,
  ];
  for (const part of parts) {
    await part().catch((cause) => { throw new Error(`in ${part.name}`, { cause }); });
  }
  await Promise.all(opened.map((each) => each.close(each instanceof Worker ? true : undefined)));
}

main();
