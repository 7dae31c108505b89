"""What is measured in memory, and that no label can be anything that comes from outside."""

import ast
import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import gateway.graph
from gateway.graph import Call, GraphError, Throttled
from gateway.host.post import Answer
from gateway.meters import DeliveryMeter, GraphMeter, LoopMeter, Meters, StoreMeter
from gateway.meters.graph import KINDS, OTHER
from gateway.sending.machine import State
from gateway.sending.steps import Step
from storage.measures import Commit

ROUTES = ("users", "subscriptions", "$batch", "applications(", "directory/", "AttachmentSessions")


def registered(meter: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in meter.collectors:
        registry.register(collector)
    return registry


def value(meter: Any, name: str, **labels: str) -> float | None:
    return registered(meter).get_sample_value(f"selma_gateway_{name}", labels)


def a_call(method: str = "GET", route: str = "users/{id}", status: int | None = 200, duration_s: float = 0.2) -> Call:
    return Call(
        method=method, route=route, status=status, duration_s=duration_s, request_id=None, client_request_id="1"
    )


def constants(tree: ast.AST) -> Iterator[str]:
    """Whole strings, no parts of strings that are put together."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif not isinstance(node, ast.JoinedStr):
            yield from constants(node)


def test_every_route_of_the_client_has_a_kind() -> None:
    folder = Path(gateway.graph.__file__).parent
    found = {text for file in folder.glob("*.py") for text in constants(ast.parse(file.read_text(encoding="utf-8")))}
    routes = {text for text in found if text.startswith(ROUTES) and text.count("\n") == 0 and " " not in text}
    assert routes - {route for _, route in KINDS} == set()


def test_a_call_is_counted_by_what_it_is_for_and_its_status() -> None:
    meter = GraphMeter()
    meter.called(a_call("POST", "users/{id}/messages/{id}/send", 202, 1.5))
    meter.called(a_call("POST", "users/{id}/messages/{id}/send", None))
    assert value(meter, "graph_calls_total", kind="send", status="202") == 1
    assert value(meter, "graph_calls_total", kind="send", status="none") == 1
    assert value(meter, "graph_call_seconds_sum", kind="send") == pytest.approx(1.7)


@pytest.mark.parametrize(
    "call",
    [
        a_call(route="users/aroha@student.example/messages"),
        a_call(method="BREW"),
        a_call(route="https://graph.microsoft.com/v1.0/users"),
    ],
)
def test_what_is_not_foreseen_is_other_whatever_it_is(call: Call) -> None:
    meter = GraphMeter()
    meter.called(call)
    assert value(meter, "graph_calls_total", kind=OTHER, status="200") == 1
    meter.called(a_call("GET", "users", 799))
    assert value(meter, "graph_calls_total", kind="directory", status=OTHER) == 1


def test_a_call_is_handed_on_to_whoever_else_listens() -> None:
    meter, heard = GraphMeter(), list[Call]()
    meter.heard_by(heard.append)(call := a_call())
    assert heard == [call]
    assert value(meter, "graph_calls_total", kind="directory", status="200") == 1


def test_how_long_graph_wants_to_be_left_alone_is_measured_as_far_as_it_says_so() -> None:
    meter = GraphMeter()
    meter.told_to_wait(GraphError(status=503, retry_after=timedelta(seconds=5)))
    meter.told_to_wait(Throttled(status=429))
    assert value(meter, "graph_retry_after_seconds_sum") == 5
    assert value(meter, "graph_retry_after_seconds_count") == 1
    assert value(meter, "graph_throttled_total") == 1


def test_every_step_and_state_of_a_letter_is_there_from_the_first_scrape() -> None:
    meter = StoreMeter()
    assert [value(meter, "letter_step_seconds_count", step=step.value) for step in Step] == [0] * len(Step)
    assert [value(meter, "letter_transitions_total", state=state.value) for state in State] == [0] * len(State)


def test_commits_are_measured_and_what_their_writes_had_to_tell() -> None:
    meter = StoreMeter()
    measures = [("letter.entered.sent", 1.0), ("letter.step.arrive", 4.0), ("letter", 9.0), ("of another house", 1.0)]
    meter.committed(Commit(writes=7, took_s=0.5, disk_s=0.25, measures=measures))
    meter.failed(3)
    assert value(meter, "store_commit_seconds_sum") == 0.25
    assert value(meter, "store_group_seconds_sum") == 0.5
    assert value(meter, "store_group_writes_sum") == 7
    assert value(meter, "store_groups_failed_total") == 1
    assert value(meter, "letter_seconds_sum") == 9
    assert value(meter, "letter_step_seconds_sum", step="arrive") == 4
    assert value(meter, "letter_transitions_total", state="sent") == 1


class FakeLoop:
    """Calls late, by as much as a test wants."""

    def __init__(self) -> None:
        self.now = 100.0
        self.real = asyncio.get_running_loop()
        self.calls: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        self.calls.append((when, callback, args))
        return asyncio.TimerHandle(when, callback, args, self.real)

    def run_one(self, late_s: float) -> None:
        when, callback, args = self.calls.pop()
        self.now = when + late_s
        callback(*args)


async def test_the_loop_is_late_by_as_much_as_it_calls_later_than_it_was_asked_to() -> None:
    meter, loop = LoopMeter(), FakeLoop()
    with meter.watching(loop):
        for late_s in (0.0, 0.75, 2.0):
            loop.run_one(late_s)
    assert value(meter, "event_loop_lag_seconds_count") == 3
    assert value(meter, "event_loop_lag_seconds_sum") == 2.75


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(status=204, problem=None, took_ms=250), "taken"),
        (Answer(status=500, problem="It answered 500.", took_ms=250), "refused"),
        (Answer(status=None, problem="It could not be reached.", took_ms=250), "no_answer"),
    ],
)
def test_attempts_at_webhooks_are_measured_by_their_outcome(answer: Answer, outcome: str) -> None:
    meter = DeliveryMeter()
    meter.attempted(answer)
    assert value(meter, "webhook_delivery_seconds_sum", outcome=outcome) == 0.25


def test_the_number_of_series_is_bounded() -> None:
    meters = Meters()
    for route in range(10_000):
        meters.graph.called(a_call(route=f"users/{route}", status=200 + route % 400))
    series = [sample for family in registered(meters).collect() for sample in family.samples]
    assert len(series) < 900
