import { createHmac, timingSafeEqual } from "node:crypto";

const SECRET = "whsec_..."; // of the endpoint
const TOLERANCE_SECONDS = 300;

/** Returns the status to answer with. `body` is the request's, as text; names of headers in lower case. */
export function receive(body, headers) {
  const id = headers["webhook-id"];
  const timestamp = Number(headers["webhook-timestamp"]);
  // Old requests are not taken again from somebody who kept one.
  if (!(Math.abs(Date.now() / 1000 - timestamp) < TOLERANCE_SECONDS)) return 401;
  const key = Buffer.from(SECRET.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest();
  // While a secret is being replaced there are two signatures, with a space between.
  const signatures = (headers["webhook-signature"] ?? "").split(" ");
  const isOurs = signatures.some((signature) => {
    const [version, text] = signature.split(",");
    const given = Buffer.from(text ?? "", "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
  return isOurs ? 204 : 401;
}
