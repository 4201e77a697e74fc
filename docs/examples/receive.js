// Receive webhooks and refuse forged ones. Needs the reference library: npm install standardwebhooks
//
//   WEBHOOK_SECRET=whsec_... node receive.js 9000
//
// The secret is the endpoint's: GET /api/v1/app/{app}/endpoint/{endpoint}/secret.
const { createServer } = require("node:http");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set();

const server = createServer(async (request, response) => {
  // The signature is over the bytes as they came: verify first, parse later.
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces).toString();
  try {
    webhook.verify(body, request.headers);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return response.writeHead(400).end(error.message);
  }
  // A message may come more than once, always under the same id. A real program keeps the ids in its database.
  const id = request.headers["webhook-id"];
  if (!seen.has(id)) {
    seen.add(id);
    console.log("received", id, JSON.stringify(JSON.parse(body)));
  }
  // Any 2xx means: delivered. Answer soon (5 s by default), and do the work afterwards.
  response.writeHead(204).end();
});

server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});
