"""However the delta tells of a folder, the store comes to hold what is ours in it, each once, and nothing else."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from gateway.graph import Message, Unavailable
from tests.machines.school import SchoolMachine
from tests.threads.conftest import ADMISSIONS, AROHA, Letter

INBOX = "inbox"


class Delta(SchoolMachine):
    """One Inbox. Mail is ours when it answers the letter; it may leave the folder at any time, and come back."""

    def begin(self) -> None:
        self.letter: Letter = self.runner.run(self.school.write_to(AROHA))
        self.ours: set[str] = set()
        self.elsewhere: dict[str, Message] = {}
        self.number = 0

    # What happens in the folder

    @rule(is_ours=st.booleans(), is_hidden=st.booleans(), is_announced=st.booleans())
    def mail_arrives(self, is_ours: bool, is_hidden: bool, is_announced: bool) -> None:
        self.number += 1
        id = f"mail-{self.number}"
        conversation = self.letter.conversation if is_ours else f"conversation-{self.number}"
        self.school.arrive(id, sender=AROHA, conversation=conversation, message_id=f"<{id}@student.example>")
        self.ours |= {id} if is_ours else set()
        self.school.mail.hidden |= {id} if is_hidden else set()
        if is_announced:
            self.runner.run(self.school.hint(id))

    @precondition(lambda self: self.there())
    @rule(data=st.data(), is_told=st.booleans())
    def mail_is_moved_away_or_removed(self, data: st.DataObject, is_told: bool) -> None:
        id = data.draw(st.sampled_from(self.there()))
        self.elsewhere[id] = self.school.mail.folder(ADMISSIONS, INBOX).items[id]
        self.school.mail.take_away(ADMISSIONS, INBOX, id)
        if is_told:
            self.runner.run(self.school.hint(id, change_type="deleted"))

    @precondition(lambda self: self.elsewhere)
    @rule(data=st.data())
    def mail_is_moved_back(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.elsewhere)))
        self.school.mail.put(ADMISSIONS, INBOX, self.elsewhere.pop(id))

    @precondition(lambda self: self.there())
    @rule(data=st.data())
    def mail_is_changed(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.there()))
        self.school.mail.put(ADMISSIONS, INBOX, self.school.mail.folder(ADMISSIONS, INBOX).items[id])

    @precondition(lambda self: self.school.mail.hidden)
    @rule()
    def what_was_not_visible_is_there_now(self) -> None:
        self.school.mail.show(*sorted(self.school.mail.hidden))

    # How it is told

    @rule()
    def the_pages_are_told_again(self) -> None:
        self.school.mail.say_again()

    @rule()
    def the_tokens_expire(self) -> None:
        self.school.mail.forget_tokens()

    @rule()
    def the_tokens_expire_and_nothing_else_told_of_the_latest_mail(self) -> None:
        self.mail_arrives(is_ours=True, is_hidden=False, is_announced=False)
        self.the_tokens_expire()

    @rule(pages=st.integers(0, 2))
    def graph_is_down_after_some_pages(self, pages: int) -> None:
        self.school.mail.trouble = [*[None] * pages, Unavailable(status=503)]

    @rule(page_size=st.sampled_from([1, 2, 50]), wait_s=st.sampled_from([1, 60, 900]))
    def what_is_due_is_pulled(self, page_size: int, wait_s: int) -> None:
        self.school.mail.page_size = page_size
        self.school.clock.advance(timedelta(seconds=wait_s))
        self.runner.run(self.school.pull())

    @invariant()
    def nothing_else_is_stored_and_nothing_twice(self) -> None:
        if hasattr(self, "runner"):
            stored = self.stored()
            assert len(stored) == len(set(stored))
            assert set(stored) <= self.ours

    @rule()
    def settle(self) -> None:
        """Mail that has left stays stored if it was seen; what is in the folder must be."""
        self.school.mail.trouble = []
        self.school.mail.show(*sorted(self.school.mail.hidden))
        for _ in range(2):
            self.school.clock.advance(timedelta(minutes=15))
            self.runner.run(self.school.pull())
        assert self.ours & set(self.there()) <= set(self.stored())

    # The model

    def there(self) -> list[str]:
        """What is in the folder, visible or not."""
        return sorted(self.school.mail.folder(ADMISSIONS, INBOX).items)

    def stored(self) -> list[str]:
        """What the store holds, by Graph's id."""
        return [one.graph_id or "" for one in self.runner.run(self.school.stored())]


TestDelta = Delta.TestCase
TestDelta.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
