<?php
// letter.php FROM TO STUDENT: post a letter, wait until it has left, and print what happened. PHP 8, nothing else.
declare(strict_types=1);

[, $from, $to, $student] = $argv;

/** Ask the gateway; after a lost answer, a 429 or a 503 once more. Throws with the problem's detail. */
function ask(string $method, string $path, ?array $body = null, array $headers = []): array
{
    $headers[] = 'Authorization: Bearer ' . getenv('GATEWAY_API_KEY');
    $http = ['method' => $method, 'ignore_errors' => true, 'timeout' => 30];
    if ($body !== null) {
        $headers[] = 'Content-Type: application/json';
        $http['content'] = json_encode($body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
    }
    $http['header'] = implode("\r\n", $headers);
    for ($triesLeft = 4;; $triesLeft--) {
        $content = @file_get_contents(getenv('GATEWAY') . $path, false, stream_context_create(['http' => $http]));
        $status = $content === false ? 0 : (int) explode(' ', $http_response_header[0])[1];
        if (!in_array($status, [0, 429, 503], true) || $triesLeft === 0) {
            break;
        }
        sleep(2);
    }
    $answer = $content === false ? [] : json_decode($content, true, 512, JSON_THROW_ON_ERROR);
    if ($status < 200 || $status >= 300) {
        throw new RuntimeException("$status " . ($answer['type'] ?? '') . ': ' . ($answer['detail'] ?? 'no answer'));
    }
    return $answer;
}

$letter = [
    'from' => $from,
    'to' => [['address' => $to]],
    'subject' => 'Your enrolment',
    'html' => '<p>Kia ora</p>',
    'objects' => [['type' => 'student', 'id' => $student]],
    'created_by' => 'Jane Doe',
];
// Keep the key with your record of the letter: one key is one letter, however often it is posted.
$accepted = ask('POST', '/v1/messages', $letter, ['Idempotency-Key: ' . bin2hex(random_bytes(16))]);
echo "accepted: {$accepted['id']}\n";

do {
    sleep(1);
    $status = ask('GET', "/v1/messages/{$accepted['id']}")['status'];
} while (in_array($status, ['queued', 'sending', 'submitted'], true));
echo "status: $status\n";
exit($status === 'sent' ? 0 : 1);
