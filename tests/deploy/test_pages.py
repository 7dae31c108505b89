"""What stands in `deploy/` is so: settings, commands and files that it names exist, its limits fit the gateway's."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gateway.cli.app import app
from gateway.http.middleware import body_limits
from gateway.serving import GRACE_S
from gateway.settings import SETTINGS, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
WAYS = ("systemd", "nginx", "caddy", "container", "kubernetes")
FILES = [DEPLOY / "README.md", *(file for way in WAYS for file in sorted((DEPLOY / way).iterdir()) if file.is_file())]
PAGES = [file for file in FILES if file.suffix == ".md"]
VARIABLE = re.compile(r"(?<![A-Z_])GATEWAY_[A-Z0-9_]*[A-Z0-9]")
COMMAND = re.compile(r"(?<!-[a-z] )(?<!generic )(?<![\w/.=-])selma-gateway((?: +[^\s`|&;#]+)+)")
CODE = re.compile(r"^ *```.*?^ *```$|`[^`]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SIZES = {"k": 1024, "m": 1024**2}
IDS = [str(file.relative_to(DEPLOY)) for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_every_setting_that_is_named_is_one(file: Path) -> None:
    known = {one.variable for one in SETTINGS} | {f"{one.variable}_FILE" for one in SETTINGS if one.secret}
    assert set(VARIABLE.findall(file.read_text())) <= known


def commands_of(text: str) -> Iterator[list[str]]:
    """The words behind `selma-gateway` in code that stands in a page."""
    for code in CODE.findall(text):
        for found in COMMAND.finditer(code):
            yield found[1].split()


def wrong_with(words: list[str]) -> str | None:
    """Why the gateway would not understand it; None when it would."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        if not words or words[0] == "…":
            return None
        name, *words = words
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - options
    return f"{command.name} has no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(DEPLOY)) for page in PAGES])
def test_every_command_that_is_named_is_there(page: Path) -> None:
    found = list(commands_of(page.read_text()))
    assert found
    assert [f"{' '.join(words)}: {wrong}" for words in found if (wrong := wrong_with(words))] == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(DEPLOY)) for page in PAGES])
def test_every_file_and_heading_that_is_linked_is_there(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not heading or heading in headings_of(file), target


def headings_of(page: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def location_of(path: str) -> str:
    """The block of nginx's file that a path comes to, by nginx's rules."""
    server = (DEPLOY / "nginx" / "selma-gateway.conf").read_text().split("\nserver {")[-1]
    blocks = re.findall(r"location (=|\^~|~)? ?(\S+) \{(.*?)\n    \}", server, re.DOTALL)
    for kind, pattern, block in blocks:
        if kind == "=" and path == pattern:
            return block
    plain = [one for one in blocks if one[0] in ("", "^~") and path.startswith(one[1])]
    longest = max(plain, key=lambda one: len(one[1]))
    if longest[0] != "^~":
        for kind, pattern, block in blocks:
            if kind == "~" and re.search(pattern, path):
                return block
    return longest[2]


def most_of(path: str) -> int:
    """Bytes of a body that nginx lets through."""
    server = (DEPLOY / "nginx" / "selma-gateway.conf").read_text().split("\nserver {")[-1]
    setting = re.compile(r"client_max_body_size (\d+)([km]);")
    found = setting.search(location_of(path)) or setting.search(server)
    assert found is not None
    return int(found[1]) * SIZES[found[2]]


def test_nginx_lets_through_what_the_gateway_takes_and_little_more() -> None:
    for path, limit in body_limits(Settings(rich_notifications=True)):
        assert limit < most_of(path or "/settings") <= 2 * max(limit, 256 * 1024), path


def test_nginx_keeps_no_mail_and_no_proof() -> None:
    text = (DEPLOY / "nginx" / "selma-gateway.conf").read_text()
    assert "proxy_request_buffering off;" in location_of("/v1/files")
    assert "access_log off;" in location_of("/embed/a.token/events/stream")
    assert "proxy_max_temp_file_size 0;" in text
    assert "$request_uri" not in text.split("\nserver {")[-1]
    [log_format] = re.findall(r"log_format .*?;", text, re.DOTALL)
    assert not {"$request ", "$request_uri", "$args", "$query_string"} & set(re.findall(r"\$\w+ ?", log_format))


def manifests() -> list[Any]:
    """Everything of Kubernetes, as objects."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def kind(name: str) -> Any:
    """The one object of a kind."""
    [found] = [one for one in manifests() if one["kind"] == name]
    return found


def test_there_is_only_ever_one_pod_and_it_may_nothing() -> None:
    one = kind("StatefulSet")["spec"]
    pod = one["template"]["spec"]
    [container] = pod["containers"]
    assert one["replicas"] == 1
    assert one["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["path"] for probe in probes} == {"/healthz"}
    assert kind("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())


def test_the_containers_may_write_nothing_and_believe_only_their_own_proxy() -> None:
    services, networks = compose()["services"], compose()["networks"]
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    gateway, caddy = services["gateway"], services["caddy"]
    assert networks["inside"]["internal"]
    assert gateway["environment"]["GATEWAY_TRUSTED_PROXIES"] == caddy["networks"]["inside"]["ipv4_address"]
    assert set(gateway["networks"]) & set(caddy["networks"]) == {"inside"}
    assert "ports" not in gateway


def test_the_user_and_the_release_are_the_same_everywhere() -> None:
    containerfile = (DEPLOY / "container" / "Containerfile").read_text()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    security = kind("StatefulSet")["spec"]["template"]["spec"]["securityContext"]
    user = security["runAsUser"]
    assert f"USER {user}:{user}" in containerfile
    assert f"-o {user} -g {user} /var/lib/selma-gateway" in containerfile
    assert {security["runAsGroup"], security["fsGroup"]} == {user}
    assert compose()["services"]["gateway"]["image"] == f"selma-gateway:{version}"
    assert f"selma-gateway:{version}" in containerfile
    assert kind("Kustomization")["images"][0]["newTag"] == version


def test_a_stop_has_more_time_than_the_gateway_takes() -> None:
    unit = (DEPLOY / "systemd" / "selma-gateway.service").read_text()
    given = {
        "systemd": re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0],
        "compose": compose()["services"]["gateway"]["stop_grace_period"].removesuffix("s"),
        "kubernetes": kind("StatefulSet")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
    }
    assert {way: int(seconds) for way, seconds in given.items() if int(seconds) < 3 * GRACE_S} == {}


def test_the_image_is_made_of_what_the_ignore_file_lets_in() -> None:
    containerfile = (DEPLOY / "container" / "Containerfile").read_text()
    copied = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", containerfile, re.MULTILINE)
        for word in line.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied
    assert all((ROOT / one).exists() for one in copied)
