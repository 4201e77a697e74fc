import { Webhook } from "standardwebhooks";

const SECRET = "whsec_..."; // of the endpoint

/** Returns the status to answer with. `body` is the request's, as text; names of headers in lower case. */
export function receive(body, headers) {
  let event;
  try {
    event = new Webhook(SECRET).verify(body, headers);
  } catch {
    return 401;
  }
  // The same message may come twice: headers["webhook-id"] tells.
  console.log(event);
  return 204;
}
