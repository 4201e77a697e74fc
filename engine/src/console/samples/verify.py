from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_..."  # of the endpoint

def receive(body: bytes, headers: dict) -> int:
    """Returns the status to answer with. `body` is the request's, byte for byte; names of headers in lower case."""
    try:
        event = Webhook(SECRET).verify(body, headers)
    except WebhookVerificationError:
        return 401
    # The same message may come twice: headers["webhook-id"] tells.
    print(event)
    return 204
