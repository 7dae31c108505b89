"""What the code does not do, read from the code itself."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gateway
from gateway.http.pages.assets import MEDIA_TYPES, Assets
from storage import api_keys

ROOT = Path(__file__).parents[2]
STATIC = Path(gateway.__file__).parent / "http" / "pages" / "static"
TEMPLATES = STATIC.parent / "templates"
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "input", "os.system", "os.popen"}
NEVER_IMPORTED = {"subprocess", "pickle", "marshal", "shelve", "dill", "yaml", "xml", "lxml", "ctypes", "imp", "code"}
# Where `random` may be: jitter, and the ids of traces, which are no secret. The sandbox serves no school.
NO_SECRET = {
    "gateway/graph/client.py",
    "gateway/graph/transport.py",
    "gateway/host/deliver.py",
    "gateway/tracing/ids.py",
    "subscriptions/keeper.py",
}
# Tables of words that stand in the module itself.
OUR_WORDS = {"gateway/subscribing.py", "gateway/threads/html.py", "gateway/threads/reports/notices.py"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One of ours, read once: what it imports, and each call with the name that is called."""

    name: str
    imports: frozenset[str]
    calls: tuple[tuple[str, ast.Call], ...]

    @property
    def called(self) -> set[str]:
        return {name for name, _ in self.calls}


@cache
def modules() -> tuple[Module, ...]:
    return tuple(
        read(path)
        for package in ("gateway", "subscriptions", "storage")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "sandbox" not in path.parts
    )


def read(path: Path) -> Module:
    imports: set[str] = set()
    calls = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                imports |= {one.name.partition(".")[0] for one in names}
            case ast.ImportFrom(module=str(module), level=0):
                imports.add(module.partition(".")[0])
            case ast.Call(func=function):
                calls.append((name_of(function), node))
    return Module(name=path.relative_to(ROOT).as_posix(), imports=frozenset(imports), calls=tuple(calls))


def name_of(function: ast.expr) -> str:
    """`a.b.c`, or `.c` of something that has no name."""
    if isinstance(function, ast.Name):
        return function.id
    return f"{name_of(function.value)}.{function.attr}" if isinstance(function, ast.Attribute) else ""


def test_the_code_runs_no_commands_and_no_code_from_text() -> None:
    assert len(modules()) > 200
    for one in modules():
        assert not one.imports & NEVER_IMPORTED, one.name
        assert not one.called & NEVER_CALLED, one.name
        assert not {call for call in one.called if call.startswith(("os.exec", "os.spawn"))}, one.name
        assert not {call for call in one.called if call.endswith(("format_map", "subprocess_shell"))}, one.name


def test_templates_are_files_of_ours_alone() -> None:
    environments = 0
    for one in modules():
        assert not {call for call in one.called if call.endswith((".from_string", "Template"))}, one.name
        for name, call in one.calls:
            if name == "Environment":
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                assert given["autoescape"] == "True", one.name
                assert given["loader"].startswith("PackageLoader("), one.name
                environments += 1
    assert environments >= 2
    assert not [path.name for path in TEMPLATES.rglob("*.html") if re.search(r"\|\s*safe\b", path.read_text("utf-8"))]


def test_no_regular_expression_is_made_of_what_people_wrote() -> None:
    """What goes into a pattern is a constant of the module, or is escaped."""
    for one in modules():
        for name, call in one.calls:
            if not name.startswith("re.") or name == "re.escape" or one.name in OUR_WORDS:
                continue
            names = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)}
            ours = all(node.isupper() or node == "re" for node in names)
            assert ours or "re.escape(" in ast.unparse(call.args[0]), f"{one.name}:{call.lineno}"


def test_what_must_not_be_guessed_is_made_by_secrets() -> None:
    assert {one.name for one in modules() if "random" in one.imports} <= NO_SECRET
    made = {call for one in modules() for call in one.called if call.startswith("secrets.")}
    assert made >= {"secrets.token_bytes", "secrets.token_urlsafe"}


def test_keys_have_so_many_random_bits_that_guessing_is_hopeless() -> None:
    made = {api_keys.new_value() for _ in range(100)}
    assert len(made) == 100
    assert {len(one.removeprefix(api_keys.PREFIX)) * 6 // 8 * 8 for one in made} == {256}


def test_only_files_of_the_pages_are_served() -> None:
    served = Assets.load().by_name
    assert set(served) == {path.name for path in STATIC.iterdir()}
    assert {name.rpartition(".")[2] for name in served} <= set(MEDIA_TYPES)
    assert not [one.name for one in modules() if one.called & {"StaticFiles", "FileResponse"}]


def test_keys_and_secrets_are_typed_into_masked_fields() -> None:
    fields = [one for path in TEMPLATES.rglob("*.html") for one in re.findall(r"<input[^>]+>", path.read_text("utf-8"))]
    secret = [
        one for one in fields if re.search(r'name="(?:key|new_secret|client_secret)"', one) and "hidden" not in one
    ]
    assert len(secret) >= 2
    assert [one for one in secret if 'type="password"' not in one] == []


def test_no_script_of_ours_writes_markup_or_makes_code() -> None:
    forbidden = re.compile(
        r"\.(?:inner|outer)HTML\s*=(?!=)|insertAdjacentHTML|document\.write|\beval\(|new Function|postMessage|__proto__"
        r"|setTimeout\(\s*[\"'`]"
    )
    for path in STATIC.glob("*.js"):
        assert forbidden.findall(path.read_text("utf-8")) == [], path.name
