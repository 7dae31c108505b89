"""What a page answers when it cannot do what was asked: a title and a sentence for people."""

from http import HTTPStatus

import storage
from gateway.http.problems import Problem


class PageError(Exception):
    """An error that a page has found itself."""

    def __init__(self, status: HTTPStatus, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


class NotSignedIn(Exception):
    """Nobody is signed in, or their key was revoked."""


def no_such_page() -> PageError:
    """Also for what belongs to another account: the two are not told apart."""
    return PageError(HTTPStatus.NOT_FOUND, "There is no such page", "Check the address, or go back to where you came.")


def as_page_error(error: Exception) -> PageError | None:
    """How an error of another room looks on a page; None when it is a fault of ours."""
    match error:
        case PageError():
            return error
        case Problem():
            return PageError(error.type.status, error.type.title, error.detail)
        case storage.NotFound():
            return PageError(HTTPStatus.NOT_FOUND, "There is no such thing", str(error))
        case storage.Conflict() | storage.AlreadyExists():
            return PageError(HTTPStatus.CONFLICT, "That is not possible now", str(error))
        case storage.StorageUnavailable():
            return PageError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The gateway’s database cannot be used now",
                "Nothing was kept. Try again in a moment; if it lasts, tell the gateway’s operator.",
            )
        case _:
            return None
