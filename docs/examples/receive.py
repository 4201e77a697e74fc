"""Receive webhooks and refuse forged ones. Needs the reference library: pip install standardwebhooks

    WEBHOOK_SECRET=whsec_... python receive.py 9000

The secret is the endpoint's: GET /api/v1/app/{app}/endpoint/{endpoint}/secret.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen = set()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection open for the next message

    def do_POST(self):
        # The signature is over the bytes as they came: verify first, parse later.
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            webhook.verify(body, dict(self.headers.items()))
        except (WebhookVerificationError, ValueError) as error:
            # ValueError is how the library refuses signatures that have no form at all.
            return self.answer(400, str(error))
        # A message may come more than once, always under the same id. A real program keeps the ids in its database.
        id = self.headers["webhook-id"]
        if id not in seen:
            seen.add(id)
            # In one piece: others may be printing at the same time.
            print(f"received {id} {json.loads(body)}\n", end="", flush=True)
        # Any 2xx means: delivered. Answer soon (5 s by default), and do the work afterwards.
        self.answer(204)

    def answer(self, status, text=""):
        self.send_response(status)
        # 204 has no body, and no length of it.
        if status != 204:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
