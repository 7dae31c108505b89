"""One mailbox: folders, messages, and an account of every change to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.sandbox.changes import ChangeLog, ChangeType
from gateway.sandbox.clock import Clock
from gateway.sandbox.identity import Identities
from gateway.sandbox.model import Folder, Message, User

ROOT: Final = "msgfolderroot"
WELL_KNOWN_FOLDERS: Final = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
    "archive": "Archive",
    "junkemail": "Junk Email",
    "outbox": "Outbox",
    "conversationhistory": "Conversation History",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change as notifications tell it: the item as it stood in the folder where it happened."""

    mailbox: "Mailbox"
    folder_id: str
    change_type: ChangeType
    id: str
    immutable_id: str
    change_key: str
    is_move: bool = False


Index = dict[str, dict[str, Message]]


class Mailbox:
    """Messages by immutable id; also by default id, Message-ID, conversation. Tells each change to `listener`."""

    def __init__(self, user: User, *, identities: Identities, clock: Clock, listener: Callable[[Event], None]) -> None:
        self.user = user
        self.change_number = 0
        self._identities = identities
        self._clock = clock
        self._listener = listener
        self._messages: dict[str, Message] = {}
        self._by_id: dict[str, Message] = {}
        self._by_message_id: Index = {}
        self._by_conversation: Index = {}
        self._by_property: Index = {}
        self._folders: dict[str, Folder] = {}
        self._well_known: dict[str, Folder] = {}
        self._items: dict[str, dict[str, Message]] = {}
        self._logs: dict[str, ChangeLog] = {}
        root = self.add_folder("Top of Information Store", parent_folder_id=identities.folder_id(), name=ROOT)
        for name, display_name in WELL_KNOWN_FOLDERS.items():
            self.add_folder(display_name, parent_folder_id=root.id, name=name)

    # Folders

    def add_folder(self, display_name: str, *, parent_folder_id: str | None = None, name: str | None = None) -> Folder:
        """Make a folder, below the root unless told otherwise. `name` is its well-known name, if it has one."""
        folder = Folder(
            id=self._identities.folder_id(),
            display_name=display_name,
            parent_folder_id=self._well_known[ROOT].id if parent_folder_id is None else parent_folder_id,
            well_known_name=name,
        )
        self._folders[folder.id] = folder
        self._items[folder.id] = {}
        self._logs[folder.id] = ChangeLog()
        if name is not None:
            self._well_known[name] = folder
        return folder

    def folder(self, reference: str) -> Folder | None:
        """By id, which is case-sensitive, or by well-known name, which is not."""
        return self._folders.get(reference) or self._well_known.get(reference.lower())

    def well_known(self, name: str) -> Folder:
        return self._well_known[name]

    def folders(self, parent_folder_id: str | None = None) -> list[Folder]:
        """The folders right below one, by default below the root."""
        parent = self._well_known[ROOT].id if parent_folder_id is None else parent_folder_id
        return [folder for folder in self._folders.values() if folder.parent_folder_id == parent]

    def log(self, folder_id: str) -> ChangeLog:
        return self._logs[folder_id]

    # Messages

    def find(self, id: str) -> Message | None:
        """By default or immutable id. A default id that a move or a send has overtaken finds nothing."""
        return self._by_id.get(id) or self._messages.get(id)

    def messages(self, folder_id: str | None = None) -> Iterator[Message]:
        """All messages, or those of one folder, oldest arrival first."""
        return iter((self._messages if folder_id is None else self._items[folder_id]).values())

    def with_message_id(self, internet_message_id: str) -> list[Message]:
        return list(self._by_message_id.get(internet_message_id, {}).values())

    def in_conversation(self, conversation_id: str) -> list[Message]:
        return list(self._by_conversation.get(conversation_id, {}).values())

    def tagged(self, property_id: str, value: str) -> list[Message]:
        """Those with this extended property. The value is compared without case, the name in the id with it."""
        return list(self._by_property.get(_tag(property_id, value), {}).values())

    def add(self, message: Message, *, is_announced: bool = False) -> Message:
        """Put a message into its folder; the listener hears of one that is announced no second time."""
        message.added_date_time = self._clock.now()
        self._messages[message.immutable_id] = message
        self._enter(message)
        self._record(ChangeType.CREATED, message, is_told=not is_announced)
        return message

    def announce(self, message: Message) -> None:
        """Tell the listener of a message that nobody can find yet."""
        message.change_key = self._identities.change_key(self.change_number + 1)
        self._tell(ChangeType.CREATED, message)

    def update(self, message: Message, /, **changes: Any) -> None:
        """Set fields of a message; it changes, whatever the fields were before."""
        self._leave(message)
        for name, value in changes.items():
            setattr(message, name, value)
        message.last_modified_date_time = self._clock.now()
        self._enter(message)
        self._record(ChangeType.UPDATED, message)

    def move(self, message: Message, folder_id: str) -> None:
        """To another folder: a new default id, the same immutable id; deleted here, created there."""
        self._leave(message)
        self._record(ChangeType.DELETED, message, is_move=True)
        message.id = self._identities.message_id()
        message.folder_id = folder_id
        message.last_modified_date_time = self._clock.now()
        self._enter(message)
        self._record(ChangeType.CREATED, message, is_move=True)

    def remove(self, message: Message) -> None:
        """Out of the mailbox, for good."""
        del self._messages[message.immutable_id]
        self._leave(message)
        self._record(ChangeType.DELETED, message)

    def _indexed(self, message: Message) -> Iterator[tuple[Index, str]]:
        yield self._items, message.folder_id
        yield self._by_message_id, message.internet_message_id
        yield self._by_conversation, message.conversation_id
        for property_id, value in message.extended_properties.items():
            yield self._by_property, _tag(property_id, value)

    def _enter(self, message: Message) -> None:
        self._by_id[message.id] = message
        for index, key in self._indexed(message):
            index.setdefault(key, {})[message.immutable_id] = message

    def _leave(self, message: Message) -> None:
        del self._by_id[message.id]
        for index, key in self._indexed(message):
            del index[key][message.immutable_id]

    def _record(self, kind: ChangeType, message: Message, *, is_move: bool = False, is_told: bool = True) -> None:
        self.change_number += 1
        message.change_key = self._identities.change_key(self.change_number)
        self._logs[message.folder_id].record(
            number=self.change_number, kind=kind, immutable_id=message.immutable_id, id=message.id
        )
        if is_told:
            self._tell(kind, message, is_move=is_move)

    def _tell(self, kind: ChangeType, message: Message, *, is_move: bool = False) -> None:
        self._listener(
            Event(
                mailbox=self,
                folder_id=message.folder_id,
                change_type=kind,
                id=message.id,
                immutable_id=message.immutable_id,
                change_key=message.change_key,
                is_move=is_move,
            )
        )


def _tag(property_id: str, value: str) -> str:
    return f"{property_id}\0{value.lower()}"
