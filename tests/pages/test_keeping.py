"""How long what is kept, on the settings page; and what is done on pages stands in the audit log."""

import pytest

from gateway.http.pages.keeping import keeping
from storage import audit, retention
from tests.http.scene import MAILBOX, Scene
from tests.pages.desk import Desk


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({}, "Threads are kept for ever; the audit log for ever."),
        ({"threads": 1}, "Threads are kept 1 day after their last message; the audit log for ever."),
        (
            {"student": 2555, "threads": 365, "audit": 1095},
            "Threads are kept 365 days, those of students 2,555 days after their last message; "
            "the audit log 1,095 days.",
        ),
        (
            {"class": 30},
            "Threads are kept for ever, those of classes 30 days after their last message; the audit log for ever.",
        ),
    ],
    ids=["no rule", "one rule", "three rules", "a type alone"],
)
def test_the_rules_are_one_sentence(rules: dict[str, int], sentence: str) -> None:
    assert keeping(rules) == sentence


async def test_the_settings_page_says_how_long_what_is_kept(desk: Desk, scene: Scene) -> None:
    await scene.store.write(retention.set_rules, scene.account_id, {"threads": 365})
    assert "Threads are kept 365 days after their last message" in (await desk.open("/settings")).text


async def test_what_is_done_on_pages_is_in_the_audit_log(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    await desk.send("/settings/check")
    await desk.send("/settings/completeness")
    await desk.send("/settings/mailboxes/remove", address=MAILBOX)
    await desk.open("/settings/letters")
    await scene.services.trail.flush()
    found = list(reversed(await scene.store.read(audit.newest, scene.account_id, limit=20)))
    assert [one.act for one in found] == [
        "key.sign_in",
        "account.check",
        "completeness.check",
        "mailbox.remove",
        "letter.list",
    ]
    assert {one.actor.via for one in found} == {"page"}
    assert "mailbox_id" in found[3].targets
