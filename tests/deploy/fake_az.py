"""An Azure CLI with one tenant in a JSON file, as far as deploy/entra-setup.sh uses it. The rest is an error.

Each call that changes something is written down. `--query` is not understood but known: each question has one answer.
"""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

GRAPH: Final = "00000003-0000-0000-c000-000000000000"
ROLES: Final = {
    "User.ReadBasic.All": "97235f07-e226-4f63-ace3-39588e11d3a1",
    "Mail.Send": "b633e1c5-b582-4048-a93e-9f11b44c7e96",
    "Mail.ReadWrite": "e2a3a72e-5f79-4c64-b1b1-878b674786c9",
}
FILE: Final = Path(os.environ.get("FAKE_AZ", "az.json"))
EMPTY: Final[dict[str, Any]] = {"signed_in": True, "cloud": "AzureCloud", "apps": [], "changes": []}


def main(arguments: list[str]) -> str:
    """What it prints."""
    state = json.loads(FILE.read_text())
    options = dict(itertools.pairwise(arguments))
    words = " ".join(one for one in arguments[: 4 if arguments[0] == "ad" else 2] if not one.startswith("-"))
    if not state["signed_in"]:
        sys.exit("Please run 'az login' to setup account.")
    answer = str(answers(state, words, options))
    FILE.write_text(json.dumps(state))
    return answer


def answers(state: dict[str, Any], words: str, options: dict[str, str]) -> object:
    """By command."""
    app = next((one for one in state["apps"] if one["id"] == options.get("--id")), None)
    query = options.get("--query", "")
    match words:
        case "account show":
            return "84bd8158-6d4d-4958-8b9f-9d6445542f95"
        case "cloud show":
            return state["cloud"] if query == "name" else "https://graph.microsoft.com/"
        case "ad app list":
            wanted = options["--filter"].removeprefix("displayName eq ").strip("'")
            return "\n".join(one["id"] for one in state["apps"] if one["name"] == wanted)
        case "ad app create":
            made = {"id": f"app-{len(state['apps'])}", "name": options["--display-name"]}
            state["apps"].append({**made, "principal": None, "asked": [], "granted": [], "secrets": [], "certs": []})
            return changed(state, words, made["id"])
        case "ad sp list":
            wanted = options["--filter"].removeprefix("appId eq ").strip("'")
            return "".join(one["principal"] or "" for one in state["apps"] if one["id"] == wanted)
        case "ad sp create" if app is not None:
            app["principal"] = f"principal-of-{app['id']}"
            return changed(state, words, app["principal"])
        case "ad sp show":
            asked = [f"{role}\t{id}" for role, id in ROLES.items() if f"'{role}'" in query]
            return "\n".join(asked) or "principal-of-graph"
        case "ad app show" if app is not None:
            return "\n".join(app["asked"])
        case "ad app permission add" if app is not None:
            app["asked"].append(options["--api-permissions"].removesuffix("=Role"))
            return changed(state, words, "")
        case "ad app credential list" if app is not None:
            return "\n".join(app["secrets"])
        case "ad app credential reset" if app is not None:
            return changed(state, words, credential(app, options))
        case "rest --method" | "rest":
            return rest(state, options)
        case _:
            sys.exit(f"not known: {words} {options}")


def credential(app: dict[str, Any], options: dict[str, str]) -> str:
    """Without `--append` everything before would be gone."""
    if "--append" not in options and "--append" not in options.values():
        app["secrets"], app["certs"] = [], []
    if "--cert" in options:
        app["certs"].append(options["--cert"])
        return ""
    app["secrets"].append(options["--end-date"])
    return f"secret~value-{len(app['secrets'])}"


def rest(state: dict[str, Any], options: dict[str, str]) -> str:
    """The grants of a service principal."""
    principal = options["--url"].split("/")[-2]
    app = next(one for one in state["apps"] if one["principal"] == principal)
    if options["--method"] == "GET":
        return "\n".join(app["granted"])
    body = json.loads(options["--body"])
    if body["principalId"] != principal or body["resourceId"] != "principal-of-graph":
        sys.exit("a grant to somebody else")
    app["granted"].append(body["appRoleId"])
    return changed(state, "grant", "")


def changed(state: dict[str, Any], what: str, answer: str) -> str:
    """Write it down."""
    state["changes"].append(what)
    return answer


if __name__ == "__main__":
    said = main(sys.argv[1:])
    if said:
        sys.stdout.write(said + "\n")
