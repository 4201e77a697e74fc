// Set a customer up, publish over HTTP, look at the attempts. Needs the Svix SDK: npm install svix
//
//   API_URL=http://127.0.0.1:7481 API_TOKEN=... node manage.js https://receiver.example/hook
const { setTimeout: sleep } = require("node:timers/promises");
const { Svix } = require("svix");

const [url] = process.argv.slice(2);
const api = new Svix(process.env.API_TOKEN ?? "", { serverUrl: process.env.API_URL });

async function main() {
  // An application is one customer. Under a uid of your own, asking again gives you the one that is there.
  await api.application.getOrCreate({ name: "Acme", uid: "acme" });
  await api.eventType.update("invoice.paid", { description: "An invoice was paid" });

  const endpoint = await api.endpoint.create("acme", { url, eventTypes: ["invoice.paid"] });
  const { key } = await api.endpoint.getSecret("acme", endpoint.id);
  console.log("endpoint", endpoint.id, "verifies with", key);

  const message = await api.message.create("acme", { eventType: "invoice.paid", payload: { n: 1 } });
  console.log("published", message.id);

  // Attempts are made within milliseconds; a program that needs to know follows the outcome stream instead.
  let attempts = [];
  while (attempts.length === 0) {
    await sleep(100);
    attempts = (await api.messageAttempt.listByMsg("acme", message.id)).data;
  }
  console.log("attempt", attempts[0].responseStatusCode);

  // Nothing more for this endpoint, until it is enabled again.
  const { disabled } = await api.endpoint.patch("acme", endpoint.id, { disabled: true });
  console.log("disabled", disabled);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
