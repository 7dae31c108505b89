"""What Entra and Graph answered, in plain words and with the cure, for people who may see it."""

from dataclasses import dataclass

from gateway.graph import AccessDenied, GraphError, Throttled, TokenError, Unauthorized, Unavailable, Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Two sentences or more for people: what came back, and what to do about it."""

    found: str
    cure: str


def explain(error: GraphError | TokenError) -> Explanation:
    """An error that says something of the connection. What it says of a mailbox is `probe`'s to know."""
    if isinstance(error, TokenError):
        return Explanation(found=_refusal(error), cure=error.cure)
    found, cure = _trouble(error)
    return Explanation(found=f"{found}{_reference(error)}.", cure=cure)


def _refusal(error: TokenError) -> str:
    """What Entra said, first in plain words, then as Microsoft's support wants to hear it."""
    number = f"AADSTS{error.aadsts}" if error.aadsts is not None else error.error
    told = f" Correlation ID {error.correlation_id}." if error.correlation_id else ""
    return f"{error.explanation}{f' ({number})' if number else ''}{told}"


def _trouble(error: GraphError) -> tuple[str, str]:
    match error:
        case AccessDenied():
            return (
                "Graph answered, but does not let this app look people up",
                "Grant User.ReadBasic.All as an Application permission. Sending and replies work without it; a "
                "mailbox's address is then used as it is entered.",
            )
        case Unauthorized():
            return (
                "Graph does not accept the token",
                "Grant the three permissions with admin consent, and compare the chosen cloud with the school's.",
            )
        case Throttled():
            return "Graph answered that it is asked too often now", "Try again in some minutes."
        case Unreachable():
            return (
                "Graph could not be reached",
                "Check this machine's network, its firewall and proxy, and with a private certificate authority "
                "GATEWAY_CA_FILE.",
            )
        case Unavailable():
            return (
                "Graph answered that it is out of order",
                "Try again in some minutes; Microsoft's status page tells of longer trouble.",
            )
        case _:
            return (
                "Something answered, but not as Graph does",
                "Check whether a proxy stands in between, and GATEWAY_GRAPH_URL if it is set.",
            )


def _reference(error: GraphError) -> str:
    """Status, code and request id, which Microsoft's support asks for."""
    request = f"request {error.request_id}" if error.request_id else ""
    answer = " ".join(str(part) for part in (error.status, error.code) if part)
    both = ", ".join(part for part in (answer, request) if part)
    return f" ({both})" if both else ""
