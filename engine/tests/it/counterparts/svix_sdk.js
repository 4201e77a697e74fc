// What a customer's program does with the Svix SDK. Arguments: address of the API, token, URL of a receiver.

const assert = require("node:assert/strict");
const { Svix, Webhook } = require("svix");

const [address, token, url] = process.argv.slice(2);
const svix = new Svix(token, { serverUrl: address });

/** Calls, and is refused with this status. */
async function refused(status, call) {
  await assert.rejects(call, (error) => error.code === status || assert.fail(`${error.code}: ${error}`));
}

/** Asks again and again until there is an answer. */
async function eventually(what, ask) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert(Date.now() < deadline, `no ${what} within 30 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function applications() {
  await refused(401, () => new Svix("a wrong token", { serverUrl: address }).application.list());
  const acme = await svix.application.create({ name: "Acme", uid: "acme" });
  assert(acme.createdAt instanceof Date);
  assert.equal((await svix.application.get("acme")).id, acme.id);
  assert.equal((await svix.application.patch("acme", { name: "Acme Corporation" })).name, "Acme Corporation");
  await refused(409, () => svix.application.create({ name: "Another", uid: "acme" }));
  assert.equal((await svix.application.getOrCreate({ name: "Another", uid: "acme" })).id, acme.id);
  await svix.application.update("other", { name: "Other", uid: "other" });
  const first = await svix.application.list({ limit: 1 });
  const second = await svix.application.list({ limit: 1, iterator: first.iterator });
  assert.deepEqual([first, second].map((page) => [page.data[0].uid, page.done]), [["acme", false], ["other", true]]);
}

async function eventTypes() {
  const schemas = { 1: { type: "object", examples: [{ n: 0 }] } };
  await svix.eventType.create({ name: "invoice.paid", description: "An invoice was paid", schemas });
  await svix.eventType.update("invoice.old", { description: "Old" });
  assert.equal((await svix.eventType.patch("invoice.old", { description: "Older" })).description, "Older");
  await svix.eventType.delete("invoice.old");
  assert.deepEqual((await svix.eventType.list()).data.map((one) => one.name), ["invoice.paid"]);
}

async function endpoints() {
  const endpoint = await svix.endpoint.create("acme", { url, uid: "billing", eventTypes: ["invoice.paid"] });
  assert.equal((await svix.endpoint.get("acme", "billing")).id, endpoint.id);
  await svix.endpoint.updateHeaders("acme", "billing", { headers: { "X-Shop": "42" } });
  await svix.endpoint.patchHeaders("acme", "billing", { headers: { "X-Token": "hush" } });
  const headers = await svix.endpoint.getHeaders("acme", "billing");
  assert.deepEqual([headers.headers, headers.sensitive], [{ "x-shop": "42" }, ["x-token"]]);
  assert.equal((await svix.endpoint.patch("acme", "billing", { description: "books" })).description, "books");
  const other = await svix.endpoint.update("acme", "other", { url, disabled: true });
  assert.deepEqual([other.uid, other.disabled], ["other", true]);
  const { key } = await svix.endpoint.getSecret("acme", "billing");
  new Webhook(key);
  await svix.endpoint.rotateSecret("acme", "billing", {});
  assert.notEqual((await svix.endpoint.getSecret("acme", "billing")).key, key);
  await refused(422, () => svix.endpoint.create("acme", { url: "not a URL" }));
  return endpoint;
}

async function messages(endpoint) {
  const publish = (n, options) => svix.message.create("acme", { eventType: "invoice.paid", payload: { n } }, options);
  const message = await publish(1);
  const repeated = [await publish(2, { idempotencyKey: "two" }), await publish(2, { idempotencyKey: "two" })];
  assert.equal(repeated[0].id, repeated[1].id, "a message was published twice under one key");
  assert.deepEqual((await svix.message.get("acme", message.id)).payload, { n: 1 });
  assert.equal((await svix.message.list("acme", { limit: 10, eventTypes: ["invoice.paid"] })).data.length, 2);

  const attempts = svix.messageAttempt;
  const attempt = await eventually("attempt", async () => (await attempts.listByMsg("acme", message.id)).data[0]);
  assert.deepEqual([attempt.responseStatusCode, attempt.response], [200, "thank you"]);
  assert.deepEqual([attempt.status, attempt.endpointId], [0, endpoint.id]);
  assert.equal((await attempts.get("acme", message.id, attempt.id)).id, attempt.id);
  const both = async () => (await attempts.listByEndpoint("acme", "billing", { status: 0 })).data.length === 2;
  await eventually("second attempt", both);
  const [destination] = (await attempts.listAttemptedDestinations("acme", message.id)).data;
  assert.deepEqual([destination.id, destination.status], [endpoint.id, 0]);
}

async function repair() {
  const [message] = (await svix.messageAttempt.listAttemptedMessages("acme", "billing", { limit: 1 })).data;
  assert.deepEqual([message.payload, message.status], [{ n: 2 }, 0]);
  await svix.messageAttempt.resend("acme", message.id, "billing");
  const example = await svix.endpoint.sendExample("acme", "billing", { eventType: "invoice.paid" });
  assert.equal(example.eventType, "invoice.paid");
  await eventually("statistics", async () => (await svix.endpoint.getStats("acme", "billing")).success === 3);
  const again = async () => (await svix.messageAttempt.listByMsg("acme", message.id)).data.length === 2;
  await eventually("message sent again", again);
  const since = new Date("2020-01-01T00:00:00Z");
  const tasks = [
    await svix.endpoint.recover("acme", "billing", { since }),
    await svix.endpoint.replayMissing("acme", "billing", { since }),
  ];
  const [newest] = (await svix.messageAttempt.listByMsg("acme", message.id)).data;
  await svix.messageAttempt.expungeContent("acme", message.id, newest.id);
  assert.equal((await svix.messageAttempt.get("acme", message.id, newest.id)).response, "");
  await svix.message.expungeContent("acme", message.id);
  assert.notDeepEqual((await svix.message.get("acme", message.id)).payload, { n: 2 });
  for (const { id } of tasks) {
    await eventually("end of a task", async () => (await svix.backgroundTask.get(id)).status === "finished");
  }
}

async function portal(endpoint) {
  const access = await svix.authentication.appPortalAccess("acme", { expiry: 3600 });
  assert(access.url.endsWith(`/portal#key=${access.token}`), access.url);
  const portal = new Svix(access.token, { serverUrl: address });
  assert.equal((await portal.endpoint.get("acme", "billing")).id, endpoint.id);
  await refused(403, () => portal.message.create("acme", { eventType: "invoice.paid", payload: {} }));
  await refused(404, () => portal.application.get("other"));
  await portal.authentication.logout();
  await refused(401, () => portal.endpoint.get("acme", "billing"));
}

async function all() {
  await applications();
  await eventTypes();
  const endpoint = await endpoints();
  await messages(endpoint);
  await repair();
  await portal(endpoint);
  await svix.endpoint.delete("acme", "billing");
  await svix.application.delete("acme");
  await refused(404, () => svix.application.get("acme"));
}

all().then(
  () => console.log("ok"),
  (error) => {
    console.error(error, JSON.stringify(error.body));
    process.exit(1);
  },
);
