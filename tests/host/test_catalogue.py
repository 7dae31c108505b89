"""Every event that the code can record is in the catalogue, and nothing else is."""

import ast
import re
from pathlib import Path

import gateway
import storage
import subscriptions
from gateway.host.catalogue import EVENTS

KINDS = {name.partition(".")[0] for name in EVENTS}
EVENT = re.compile(rf"(?:{'|'.join(sorted(KINDS))})\.[a-z_]+")
ACTS = {"thread.link", "thread.unlink", "review.accept"}  # what the audit log calls them
AUDITING = {"does", "reads", "records_itself", "audit.record", "at.did", "at.write", "call.deed.is_called"}
NOT_EVENTS = re.compile(r".*\.(db|html|json|css|js)")


def is_event(text: str) -> bool:
    return EVENT.fullmatch(text) is not None and not NOT_EVENTS.fullmatch(text) and text not in ACTS


def literals() -> set[str]:
    found: set[str] = set()
    for package in (gateway, subscriptions, storage):
        for path in Path(package.__path__[0]).rglob("*.py"):
            if path.name == "catalogue.py" or "sandbox" in path.parts:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            of_the_audit_log = {id(one) for call in calls_of(tree) for one in ast.walk(call)}
            found |= {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in of_the_audit_log
                and is_event(node.value)
            }
    return found


def calls_of(tree: ast.AST) -> list[ast.Call]:
    """What is called in the audit log has names of the same form."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node.func) in AUDITING]


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return f"{name_of(function.value)}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def test_what_is_recorded_is_in_the_catalogue_and_the_other_way_round() -> None:
    built_from_a_state = {name for name in EVENTS if name.startswith("message.")}
    assert literals() - EVENTS.keys() == set()
    assert EVENTS.keys() - literals() - built_from_a_state - {"webhook.test"} == set()
