// A messaging platform: tells its customer of a message that came in, and sends what the customer answers.
//
//   REDIS_URL=redis://:password@127.0.0.1:7480 node autoreply.js acme sms.incoming 15550100 "opening hours?"
//
// Needs ioredis (npm install ioredis), and an endpoint with "tellResponse": true, whose receiver answers, as
// application/json, for example {"messages": [{"content": "9 to 5"}]}.
const { randomUUID } = require("node:crypto");
const { Redis } = require("ioredis");

const [application, eventType, sender, text] = process.argv.slice(2);

async function main() {
  const posthaste = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:7480");

  // The platform's own name of what happened. It comes back with the outcome, so that nothing has to be remembered.
  const incoming = `${sender}.${randomUUID()}`;
  const payload = JSON.stringify({ from: sender, content: text });
  const stream = `messages:${application}`;
  const published = await posthaste.xadd(stream, "*", "type", eventType, "payload", payload, "id", incoming);

  let last = published;
  for (;;) {
    const outcomes = `outcomes:${application}`;
    const answer = await posthaste.xread("COUNT", 100, "BLOCK", 5000, "STREAMS", outcomes, last);
    for (const [, entries] of answer ?? []) {
      for (const [id, fields] of entries) {
        last = id;
        const outcome = fieldsOf(fields);
        // Others may have come in meanwhile; a real platform acts on all of them and never ends.
        if (outcome.message !== `msg_${published}` || outcome.state === "pending") continue;
        if (outcome.state !== "delivered") throw new Error("nobody answered");
        act(outcome);
        return posthaste.quit();
      }
    }
  }
}

// Does what the customer wants. Whether it is JSON was looked at already, and its shape is for us to check.
function act(outcome) {
  const [to] = outcome.event_id.split(".");
  if (outcome.response_json === "valid") {
    for (const message of JSON.parse(outcome.response_body)?.messages ?? []) {
      console.log(`send to ${message.to_number ?? to}: ${message.content}`);
    }
  } else if (outcome.response_json === "broken") {
    console.log(`the customer should know: this is not JSON: ${outcome.response_body}`);
  } else {
    console.log("nothing to send");
  }
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
