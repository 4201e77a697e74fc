// Publish messages and follow them until each is delivered or given up. Needs ioredis: npm install ioredis
//
//   REDIS_URL=redis://:password@127.0.0.1:7480 node publish.js acme invoice.paid
const { randomUUID } = require("node:crypto");
const { Redis } = require("ioredis");

const [application, eventType] = process.argv.slice(2);

async function main() {
  const posthaste = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:7480");

  // One pipeline is one round trip. Each answer is an id, and comes once its message is on disk. The field "id" is a
  // name of your own: published again under it (after a lost connection, say), a message is not delivered twice.
  const run = randomUUID();
  const batch = posthaste.pipeline();
  for (let n = 1; n <= 3; n++) {
    const payload = JSON.stringify({ n });
    batch.xadd(`messages:${application}`, "*", "type", eventType, "payload", payload, "id", `${run}-${n}`);
  }
  const ids = (await batch.exec()).map(([error, id]) => {
    if (error) throw error;
    return id;
  });
  console.log("published", ...ids);

  // Outcomes come after their message in the same order of ids, so that the first message is where to begin. A
  // program that follows for ever keeps `last` somewhere, and goes on from there after a restart.
  const underWay = new Set(ids.map((id) => `msg_${id}`));
  let last = ids[0];
  while (underWay.size > 0) {
    const stream = `outcomes:${application}`;
    const answer = await posthaste.xread("COUNT", 1000, "BLOCK", 5000, "STREAMS", stream, last);
    for (const [, entries] of answer ?? []) {
      for (const [id, fields] of entries) {
        last = id;
        const outcome = fieldsOf(fields);
        console.log(outcome.message, "attempt", outcome.attempt, outcome.outcome, outcome.state);
        if (outcome.state !== "pending") underWay.delete(outcome.message);
      }
    }
  }
  await posthaste.quit();
}

// An entry is a list of names and values in turn.
function fieldsOf(list) {
  const fields = {};
  for (let i = 0; i < list.length; i += 2) fields[list[i]] = list[i + 1];
  return fields;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
