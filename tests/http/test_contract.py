"""`/openapi.json` and `/docs`: true, complete, and our own."""

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.http import reading
from gateway.http.app import OPERATIONS
from gateway.http.links import LINKS
from gateway.http.openapi import has_body
from gateway.http.problem_types import TYPES
from tests.http.matrix import BY_NAME, MATRIX, request_for, set_stage
from tests.http.scene import Scene


@pytest.fixture
async def contract(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


async def test_every_operation_is_in_the_contract_with_what_it_takes_and_gives(contract: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in contract["paths"].items() for method in methods}
    assert described >= {(one.method, re.sub(r":\w+", "", one.path)) for one in OPERATIONS}
    for operation in OPERATIONS:
        shown = contract["paths"][re.sub(r":\w+", "", operation.path)][operation.method.lower()]
        assert shown["security"] == [{"key": []}]
        assert operation.scope.value in shown["description"]
        assert str(int(operation.status)) in shown["responses"]
        assert {"401", "403", "422", "429", "500", "503"} <= set(shown["responses"])
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
    known = {f"#/components/{kind}/{name}" for kind, all in contract["components"].items() for name in all}
    assert references(contract)
    assert references(contract) <= known


async def test_errors_are_described_by_their_types(contract: dict[str, Any]) -> None:
    for methods in contract["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if int(status) < 400 or "application/json" in response["content"]:
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


# People open these; what a browser needs of them is theirs.
FOR_PEOPLE = ("/", "/sign-in", "/sign-out", "/settings", "/objects", "/reviews", "/embed", "/static", "/docs/style.css")


async def test_every_route_for_machines_is_in_the_contract_and_no_other(scene: Scene, contract: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in contract["paths"].items() for method in methods}
    there = {
        (method, re.sub(r":\w+", "", route.path))
        for route in scene.app.router.routes  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
    }
    pages = {one for one in there if one[1] == "/" or one[1].startswith(FOR_PEOPLE[1:])}
    assert there - pages == described


async def test_every_link_leads_to_an_operation_that_has_its_parameter(contract: dict[str, Any]) -> None:
    shown = {one["operationId"]: one for methods in contract["paths"].values() for one in methods.values()}
    assert set(LINKS) <= set(shown)
    for operation in shown.values():
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                target = shown[link["operationId"]]
                assert set(link["parameters"]) <= {one["name"] for one in target["parameters"] if one.get("required")}


async def test_the_contract_is_valid_openapi(contract: dict[str, Any]) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(contract).iter_errors()] == []


def shapes(contract: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    components = {"components": contract["components"]}
    return Draft202012Validator({**schema, **components}, format_checker=Draft202012Validator.FORMAT_CHECKER)


async def test_every_example_of_an_answer_has_the_shape_that_is_promised(contract: dict[str, Any]) -> None:
    missing = []
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    if path.startswith("/v1/") and not content.get("examples"):
                        missing.append(f"{method} {path} {status}")
                    for example in content.get("examples", {}).values():
                        shapes(contract, content["schema"]).validate(example["value"])
    assert missing == []


async def test_every_body_has_examples_that_its_model_takes(contract: dict[str, Any]) -> None:
    for operation in (one for one in OPERATIONS if has_body(one)):
        examples = operation.takes.model_config.get("json_schema_extra", {}).get("examples", [])
        assert examples, operation.path
        shown = contract["components"]["schemas"][operation.takes.__name__]
        for example in examples:
            reading.checked(example, operation.takes)
            shapes(contract, shown).validate(example)


async def test_the_headers_that_a_route_reads_and_gives_are_in_the_contract(contract: dict[str, Any]) -> None:
    posting = contract["paths"]["/v1/messages"]["post"]
    assert {"Idempotency-Key", "X-Request-Id"} <= {
        one["name"] for one in posting["parameters"] if one["in"] == "header"
    }
    assert {"Location", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"} <= set(
        posting["responses"]["202"]["headers"]
    )
    assert "Retry-After" in posting["responses"]["429"]["headers"]
    assert "Retry-After" in posting["responses"]["503"]["headers"]
    assert "WWW-Authenticate" in posting["responses"]["401"]["headers"]
    stream = contract["paths"]["/v1/events/stream"]["get"]
    assert "Last-Event-ID" in {one["name"] for one in stream["parameters"]}


async def test_a_route_that_makes_something_says_where_it_is(scene: Scene, contract: dict[str, Any]) -> None:
    async with scene.client() as client:
        for number, (name, entry) in enumerate(MATRIX.items()):
            operation = BY_NAME[name]
            if entry.good not in (201, 202):
                continue
            answer = await client.request(**request_for(operation, entry, await set_stage(scene, number)))
            described = contract["paths"][re.sub(r":\w+", "", operation.path)][operation.method.lower()]
            headers = described["responses"][str(answer.status_code)]["headers"]
            assert ("location" in answer.headers) == ("Location" in headers), name
            if operation.gives is not None:
                schema = described["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
                shapes(contract, schema).validate(answer.json())


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
