#!/bin/sh
# letter.sh FROM TO STUDENT: post a letter, wait until it has left, and print what happened.
set -eu
: "${GATEWAY:?the address of the gateway}" "${GATEWAY_API_KEY:?an API key with the scopes send and read}"
from=$1 to=$2 student=$3

ask() {
    curl --silent --show-error --fail-with-body --max-time 60 --header "Authorization: Bearer $GATEWAY_API_KEY" "$@"
}

# The value of a field that is a string. Anything more is work for jq or for a programming language.
field() {
    sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'
}

# The same key however often this has to be sent: one letter.
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
body='{"from":"'$from'","to":[{"address":"'$to'"}],"subject":"Your enrolment","html":"<p>Kia ora</p>",'
body=$body'"objects":[{"type":"student","id":"'$student'"}],"created_by":"Jane Doe"}'

# curl sends it again, with the same key, after a timeout, a 429 or a 503, and obeys Retry-After.
accepted=$(ask --retry 5 --header "Idempotency-Key: $key" --header "Content-Type: application/json" --data "$body" \
    "$GATEWAY/v1/messages")
id=$(printf '%s' "$accepted" | field id)
echo "accepted: $id"

status=queued
until [ "$status" = sent ]; do
    case $status in
    queued | sending | submitted) sleep 1 ;;
    *) echo "it did not leave: $status" >&2 && exit 1 ;;
    esac
    # `status` stands in the message once; of its thread and people nothing is called so.
    status=$(ask "$GATEWAY/v1/messages/$id" | sed 's/,/\n/g' | field status | head -n 1)
done
echo "status: $status"

echo "events:"
ask "$GATEWAY/v1/events?limit=1000" | sed 's/{"id"/\n{"id"/g' | grep "$id" | field type
