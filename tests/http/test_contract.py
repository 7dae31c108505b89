"""`/openapi.json` and `/docs`: true, complete, and our own."""

import re
from typing import Any

import httpx
import pytest

from gateway.http.app import OPERATIONS
from gateway.http.openapi import has_body
from gateway.http.problem_types import TYPES
from tests.http.scene import Scene


@pytest.fixture
async def contract(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


async def test_every_operation_is_in_the_contract_with_what_it_takes_and_gives(contract: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in contract["paths"].items() for method in methods}
    assert described == {(one.method, re.sub(r":\w+", "", one.path)) for one in OPERATIONS}
    for operation in OPERATIONS:
        shown = contract["paths"][re.sub(r":\w+", "", operation.path)][operation.method.lower()]
        assert shown["security"] == [{"key": []}]
        assert operation.scope.value in shown["description"]
        assert str(int(operation.status)) in shown["responses"]
        assert {"401", "403", "422", "500", "503"} <= set(shown["responses"])
        assert ("requestBody" in shown) == (operation.raw or has_body(operation))
        parts = re.findall(r"{(\w+)}", re.sub(r":\w+", "", operation.path))
        assert parts == [one["name"] for one in shown["parameters"] if one["in"] == "path"]


async def test_operation_ids_are_unique(contract: dict[str, Any]) -> None:
    ids = [one["operationId"] for methods in contract["paths"].values() for one in methods.values()]
    assert len(set(ids)) == len(ids)


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        here = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return here.union(*(references(one) for one in node.values()))
    return set[str]().union(*(references(one) for one in node)) if isinstance(node, list) else set()


async def test_every_reference_leads_somewhere(contract: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in contract["components"]["schemas"]}
    assert references(contract)
    assert references(contract) <= known


async def test_errors_are_described_by_their_types(contract: dict[str, Any]) -> None:
    for methods in contract["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if int(status) < 400:
                    continue
                assert list(response["content"]) == ["application/problem+json"]
                named = re.findall(r"/problems/([\w-]+)", response["description"])
                assert named
                assert {int(TYPES[name].status) for name in named} == {int(status)}


async def test_a_body_says_what_is_required_and_refuses_the_rest(contract: dict[str, Any]) -> None:
    schemas = contract["components"]["schemas"]
    assert set(schemas["NewMessage"]["required"]) == {"from"}
    for name in ("NewMessage", "Person", "NewAttachment", "ObjectRef", "AccountSettings", "NewMailbox"):
        assert schemas[name]["additionalProperties"] is False


async def test_the_example_of_a_letter_is_accepted(scene: Scene, contract: dict[str, Any]) -> None:
    [example] = contract["components"]["schemas"]["NewMessage"]["examples"]
    async with scene.client() as client:
        assert (await client.post("/v1/messages", json=example)).status_code == 202


async def test_the_readable_page_is_whole_and_loads_nothing_from_elsewhere(api: httpx.AsyncClient) -> None:
    page = await api.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for operation in OPERATIONS:
        assert re.sub(r":\w+", "", operation.path) in page.text
    for problem_type in TYPES.values():
        assert problem_type.uri in page.text
    assert not re.findall(r"(?:src|href)=\"(?!#|/)", page.text)
    assert "<script" not in page.text
    anchors = set(re.findall(r'href="#([\w-]+)"', page.text))
    assert anchors <= set(re.findall(r'id="([\w-]+)"', page.text))
    assert (await api.get("/docs/style.css")).headers["content-type"] == "text/css; charset=utf-8"


async def test_the_contract_is_open_to_all(scene: Scene) -> None:
    async with scene.client(key="") as anyone:
        assert (await anyone.get("/openapi.json")).status_code == 200
        assert (await anyone.get("/docs")).status_code == 200
