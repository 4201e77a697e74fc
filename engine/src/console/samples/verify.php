<?php
const SECRET = "whsec_..."; // of the endpoint

/** Returns the status to answer with. $body is the request's, byte for byte: file_get_contents("php://input"). */
function receive(string $body, array $headers): int
{
    $id = $headers["webhook-id"] ?? "";
    $timestamp = $headers["webhook-timestamp"] ?? "";
    // Old requests are not taken again from somebody who kept one.
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return 401;
    }
    $key = base64_decode(substr(SECRET, strlen("whsec_")));
    $expected = "v1," . base64_encode(hash_hmac("sha256", "$id.$timestamp.$body", $key, true));
    // While a secret is being replaced there are two signatures, with a space between.
    foreach (explode(" ", $headers["webhook-signature"] ?? "") as $signature) {
        if (hash_equals($expected, $signature)) {
            return 204; // The same message may come twice: $id tells.
        }
    }
    return 401;
}
