<?php
// A receiver of the gateway's webhooks (https://www.standardwebhooks.com/). WEBHOOK_SECRET is what the gateway gave when
// the webhook was made. Try it: php -S 127.0.0.1:9000 webhook.php
declare(strict_types=1);

const TOLERANCE_S = 300;

/** Whether the gateway sent this, and now. The body is the bytes as they came. */
function is_genuine(string $secret, string $id, string $moment, string $signatures, string $body, int $now): bool
{
    if (!ctype_digit($moment) || abs($now - (int) $moment) > TOLERANCE_S) {
        return false;
    }
    $key = base64_decode(substr($secret, strlen('whsec_')), true);
    if ($key === false) {
        return false;
    }
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$moment.$body", $key, true));
    // While a secret is replaced there are two signatures: one that fits is enough.
    foreach (explode(' ', $signatures) as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}

if (PHP_SAPI !== 'cli') {
    $body = (string) file_get_contents('php://input');
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $moment = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
    if (!is_genuine((string) getenv('WEBHOOK_SECRET'), $id, $moment, $signatures, $body, time())) {
        http_response_code(401);
        exit;
    }
    // Keep it under its webhook-id, which comes again after a lost answer; do the work later.
    error_log($id . ' ' . json_decode($body, true)['type']);
    http_response_code(204);
}
