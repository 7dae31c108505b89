"""What Prometheus gets of a school that is at work: that it is measured, and that nothing of its mail is in it."""

from ipaddress import ip_network

from storage import Transaction
from tests.end_to_end.conftest import api_client, running_school, until
from tests.monitoring.conftest import Scraped

CANARY = "karearea-4711"
LOOPBACK = (ip_network("127.0.0.0/8"),)  # where nobody listens


def is_answered_and_bounced(tx: Transaction) -> bool:
    """The student answers, and there is no such address as the other."""
    [bounced] = tx.execute("SELECT count(*) FROM outbox WHERE state = 'bounced'").fetchone()
    [came] = tx.execute("SELECT count(*) FROM messages WHERE direction = 'in'").fetchone()
    return bool(bounced and came == 2)


async def test_a_letter_and_its_answer_are_measured_and_nothing_of_them_is_told() -> None:
    async with running_school(webhook_networks=LOOPBACK) as school, api_client(school) as selma:
        student = school.school.students[0]
        letter = {
            "from": school.school.mailboxes[0],
            "to": [{"name": f"Aroha {CANARY}", "address": student.address}],
            "cc": [{"name": None, "address": f"{CANARY}@elsewhere.example"}],
            "subject": f"Subject {CANARY}",
            "html": f"<p>Body {CANARY}</p>",
            "objects": [{"type": "student", "id": f"S-{CANARY}"}],
            "created_by": f"Jane {CANARY}",
            "metadata": {"note": CANARY},
        }
        posted = await selma.post("/v1/messages", json=letter, headers={"idempotency-key": CANARY})
        assert posted.status_code == 202, posted.text
        hook = await selma.post(
            "/v1/webhooks", json={"url": f"http://127.0.0.1:9/{CANARY}", "description": f"Hook {CANARY}"}
        )
        assert hook.status_code == 201, hook.text
        await until(school, is_answered_and_bounced)
        answer = await selma.get("/metrics")
        assert answer.status_code == 200, answer.text
        scraped = Scraped(answer.text)

    told = [CANARY, student.address, student.name, posted.json()["id"], posted.json()["thread_id"], school.key_value]
    assert [one for one in told if one in scraped.text] == []
    assert scraped.number("graph_calls_total", kind="send", status="202") == 1
    assert scraped.number("letter_step_seconds_count", step="arrive") == 1
    assert scraped.number("letter_seconds_count") == 1
    assert scraped.number("letter_transitions_total", state="bounced") == 1
    assert scraped.number("store_commit_seconds_count") > 0
    assert scraped.number("notifications_accepted_total") >= 2
    assert scraped.number("hints_open", mailbox=school.school.mailboxes[0], folder="inbox") >= 0
    assert scraped.number("subscription_left_seconds", mailbox=school.school.mailboxes[0], folder="inbox") > 3600
    assert 0 <= scraped.number("folder_pull_age_seconds", mailbox=school.school.mailboxes[0], folder="inbox") < 60
