"""Comparing payloads: same keys and JSON types as a sample, and every property as Graph's metadata declares it."""

import json
import re
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent / "samples"
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_TYPES: dict[str, tuple[type, ...]] = {
    "Edm.String": (str,),
    "Edm.Guid": (str,),
    "Edm.DateTimeOffset": (str,),
    "Edm.Binary": (str,),
    "Edm.Boolean": (bool,),
    "Edm.Int32": (int,),
    "Edm.Int64": (int,),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NOT_IN_METADATA = {"notificationContentType"}
"""Answered by the service, as the documentation prints it, and yet not declared."""


def sample(name: str) -> Any:
    """A payload by its file's name without `.json`."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


def differences(actual: Any, expected: Any, *, where: str = "$", optional: frozenset[str] = frozenset()) -> list[str]:
    """What the sample has and the payload lacks, or has with another type. A null fits everything."""
    if expected is None or actual is None:
        return []
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return [f"{where}: an object is expected, not {actual!r}"]
        missing = [f"{where}.{key}: missing" for key in expected if key not in actual and key not in optional]
        return missing + [
            found
            for key in expected.keys() & actual.keys()
            for found in differences(actual[key], expected[key], where=f"{where}.{key}", optional=optional)
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return [f"{where}: a list is expected, not {actual!r}"]
        if not expected or not actual:
            return []
        return [
            found
            for number, item in enumerate(actual)
            for found in differences(item, expected[0], where=f"{where}[{number}]", optional=optional)
        ]
    if type(actual) is not type(expected):
        return [f"{where}: {type(expected).__name__} is expected, not {actual!r}"]
    return []


@cache
def _schema() -> dict[str, ElementTree.Element]:
    root = ElementTree.parse(SAMPLES / "csdl-mail.xml").getroot()
    kinds = ("EntityType", "ComplexType", "EnumType")
    return {element.attrib["Name"]: element for kind in kinds for element in root.iter(f"{_EDM}{kind}")}


def declared(type_name: str) -> dict[str, str]:
    """Property names of a type and of those it is derived from, with their types."""
    element = _schema()[type_name]
    base = element.attrib.get("BaseType", "").removeprefix("graph.")
    own = {
        child.attrib["Name"]: child.attrib["Type"]
        for child in element
        if child.tag in (f"{_EDM}Property", f"{_EDM}NavigationProperty")
    }
    return {**(declared(base) if base else {}), **own}


def violations(entity: dict[str, Any], type_name: str, *, where: str = "$") -> list[str]:
    """Properties of an entity that the metadata does not declare, or declares with another type."""
    known = declared(type_name)
    found = []
    for name, value in entity.items():
        if name.startswith("@") or name in NOT_IN_METADATA:
            continue
        if name not in known:
            found.append(f"{where}.{name}: not declared on {type_name}")
        else:
            found += _check(value, known[name], f"{where}.{name}")
    return found


def _check(value: Any, type_name: str, where: str) -> list[str]:
    if value is None:
        return []
    if type_name.startswith("Collection("):
        if not isinstance(value, list):
            return [f"{where}: not a collection"]
        inner = type_name[len("Collection(") : -1]
        return [each for number, item in enumerate(value) for each in _check(item, inner, f"{where}[{number}]")]
    if type_name.startswith("Edm."):
        fits = isinstance(value, _TYPES[type_name]) and not (type_name.startswith("Edm.Int") and value is True)
        if fits and type_name == "Edm.DateTimeOffset":
            fits = _TIME.fullmatch(value) is not None
        return [] if fits else [f"{where}: {value!r} is no {type_name}"]
    name = type_name.removeprefix("graph.")
    if _schema()[name].tag == f"{_EDM}EnumType":
        members = [member.attrib["Name"] for member in _schema()[name]]
        return [] if value in members else [f"{where}: {value!r} is no {name}"]
    if not isinstance(value, dict):
        return [f"{where}: not an object"]
    derived = value.get("@odata.type", "").rpartition(".")[2]
    return violations(value, derived if derived in _schema() else name, where=where)
