"""What `deploy/examples` shows really runs, against the school of the demo."""

import asyncio
import base64
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import HTTPServer
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from gateway.clock import SystemClock
from gateway.demo import Demo

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
# The vector of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, MOMENT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "command",
    [["sh", "letter.sh"], [sys.executable, "letter.py"], ["php", "letter.php"]],
    ids=["curl", "python", "php"],
)
async def test_a_letter_leaves_as_the_example_says(school: Demo, command: list[str]) -> None:
    student = school.school.students[0]
    process = await asyncio.create_subprocess_exec(
        *command,
        school.school.mailboxes[0],
        student.address,
        student.student_id,
        cwd=EXAMPLES,
        env={**os.environ, "GATEWAY": school.url, "GATEWAY_API_KEY": school.key_value, "no_proxy": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()
    assert b"status: sent" in out
    if command[0] != "php":
        assert b"message.accepted" in out
        assert b"message.sent" in out


async def test_the_client_says_what_was_refused_and_posts_one_letter_for_one_key(school: Demo) -> None:
    client = loaded("selma_gateway")
    mailbox, student = school.school.mailboxes[0], school.school.students[0]
    to = [client.Person(address=student.address)]
    letter = client.Letter(sender=mailbox, to=to, subject="Hello", html="<p>x</p>", objects=[("student", "S1")])
    bad = client.Letter(sender=mailbox, to=to, subject="", html="<p>x</p>", objects=[("student", "S1")])

    def use() -> None:
        with client.Gateway(school.url, school.key_value) as gateway:
            assert gateway.post(letter, idempotency_key="1") == gateway.post(letter, idempotency_key="1")
            with pytest.raises(client.Problem) as refused:
                gateway.post(bad, idempotency_key="2")
            assert refused.value.type == "/problems/invalid-request"
            assert refused.value.errors[0]["pointer"] == "/subject"

    await asyncio.to_thread(use)


class TestVerifying:
    def headers(self, **changes: str) -> dict[str, str]:
        usual = {"webhook-id": ID, "webhook-timestamp": str(MOMENT), "webhook-signature": SIGNATURE}
        return usual | {name.replace("_", "-"): value for name, value in changes.items()}

    def test_the_published_vector_is_genuine(self) -> None:
        client = loaded("selma_gateway")
        assert client.verify(SECRET, self.headers(), BODY, now=MOMENT) == ID
        two = self.headers(webhook_signature=f"v1,AAAA {SIGNATURE}")
        assert client.verify(SECRET, two, BODY, now=MOMENT + 300) == ID

    @pytest.mark.parametrize(
        ("changes", "body", "late"),
        [
            ({"webhook_signature": "v1,AAAA"}, BODY, 0),
            ({"webhook_signature": ""}, BODY, 0),
            ({"webhook_signature": SIGNATURE.replace("v1", "v2")}, BODY, 0),
            ({"webhook_id": "msg_other"}, BODY, 0),
            ({"webhook_timestamp": str(MOMENT + 1)}, BODY, 0),
            ({"webhook_timestamp": "soon"}, BODY, 0),
            ({}, BODY + b" ", 0),
            ({}, BODY, 301),
            ({}, BODY, -301),
        ],
    )
    def test_what_was_changed_or_is_old_is_not(self, changes: dict[str, str], body: bytes, late: int) -> None:
        client = loaded("selma_gateway")
        with pytest.raises(client.BadSignature):
            client.verify(SECRET, self.headers(**changes), body, now=MOMENT + late)

    def test_php_says_the_same(self) -> None:
        asked = f"is_genuine('{SECRET}', '{ID}', '{MOMENT}', '%s', '{BODY.decode()}', {MOMENT})"
        script = f"require '{EXAMPLES}/webhook.php'; echo (int) {asked % SIGNATURE}, (int) {asked % 'v1,AAAA'};"
        done = subprocess.run(["php", "-r", script], capture_output=True, text=True, check=True)
        assert done.stdout == "10"


def test_the_receiver_takes_what_the_schemes_own_library_signed() -> None:
    loaded("selma_gateway")
    receiver = loaded("webhook")
    secret, now, body = "whsec_" + base64.b64encode(b"k" * 32).decode(), SystemClock().now(), '{"type": "message.sent"}'
    receiver.Receiver.secret = secret
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("evt_1", now, body),
    }
    with HTTPServer(("127.0.0.1", 0), receiver.Receiver) as server, ThreadPoolExecutor() as pool:
        for content, status in ((body, 204), (body, 204), ('{"type": "message.bounced"}', 401)):
            answered = pool.submit(server.handle_request)
            address = f"http://127.0.0.1:{server.server_port}"
            assert httpx.post(address, trust_env=False, headers=headers, content=content).status_code == status
            answered.result()
    assert receiver.Receiver.seen == {"evt_1"}
