import pytest

from subscriptions.addresses import resource_of, same_resource

INBOX = "users/622eaaff-0683-4862-9de4-f2ec83c2bd98/mailFolders('inbox')/messages"


@pytest.mark.parametrize(
    "spelling",
    [
        f"/{INBOX}",
        INBOX.upper(),
        f"{INBOX}/",
        f"{INBOX}?$select=id,conversationId",
        f"/{INBOX}?$select=Subject,bodyPreview",
    ],
)
def test_a_resource_is_the_same_in_any_spelling_and_whatever_is_selected_of_it(spelling: str) -> None:
    assert same_resource(spelling, resource_of("622eaaff-0683-4862-9de4-f2ec83c2bd98", "inbox"))


@pytest.mark.parametrize("other", [INBOX.replace("inbox", "sentitems"), INBOX.replace("622e", "722e"), "", "?"])
def test_another_folder_or_mailbox_is_another_resource(other: str) -> None:
    assert not same_resource(other, INBOX)
