"""How long letters take, step by step, as it is told to whoever observes the store."""

from collections.abc import Sequence
from datetime import timedelta

from gateway.sending.commits import doubt_all
from storage.measures import Commit
from tests.sending.conftest import Office, a_letter


class Observer:
    """What was measured, in order."""

    def __init__(self) -> None:
        self.measures: list[tuple[str, float]] = []

    def committed(self, commit: Commit) -> None:
        self.measures += commit.measures

    def failed(self, writes: int) -> None:
        raise AssertionError(writes)

    def took(self) -> dict[str, float]:
        return {what.removeprefix("letter.step."): value for what, value in self.measures if ".entered." not in what}

    def entered(self) -> Sequence[str]:
        return [what.removeprefix("letter.entered.") for what, _ in self.measures if ".entered." in what]


async def test_the_steps_of_a_letter_make_the_whole_of_its_way(office: Office) -> None:
    office.store.observer = observer = Observer()
    slow = {"before create_draft": timedelta(seconds=3), "before send_draft": timedelta(seconds=4)}
    office.mail.on_call = lambda step: office.clock.advance(slow.get(step, timedelta()))
    await office.post()
    office.clock.advance(timedelta(seconds=10))
    await office.worker.run_due()
    await office.pass_time(timedelta(minutes=2), steps=4)
    assert observer.entered() == ["accepted", "drafting", "drafted", "submitting", "submitted", "sent"]
    took = observer.took()
    assert took.pop("letter") == sum(took.values())
    assert took == {"draft": 13, "wait": 0, "submit": 4, "arrive": 60}


async def test_a_letter_for_later_is_measured_from_when_it_was_to_leave(office: Office) -> None:
    office.store.observer = observer = Observer()
    await office.post(a_letter(send_at=office.clock.now() + timedelta(days=1)))
    office.clock.advance(timedelta(days=1, seconds=5))
    await office.worker.run_due()
    assert observer.took()["draft"] == 5


async def test_what_a_backup_brought_back_is_not_measured_by_how_long_it_was_away(office: Office) -> None:
    message_id = await office.post()
    await office.worker.run_due()
    assert await office.state(message_id) == "submitted"
    office.store.observer = observer = Observer()
    office.clock.advance(timedelta(days=30))
    await office.store.write(doubt_all, now=office.clock.now())
    await office.pass_time(timedelta(minutes=2), steps=4)
    assert await office.state(message_id) == "sent"
    assert (observer.entered(), observer.took()) == (["sent"], {})
