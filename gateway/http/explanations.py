"""`/problems/{name}`: what the `type` of a problem points to."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.problem_types import NOT_FOUND, TYPES, ProblemType
from gateway.http.problems import Problem
from gateway.http.routing import json_response


def routes() -> Sequence[BaseRoute]:
    """The list, and each one."""
    return [Route("/problems", _all), Route("/problems/{name}", _one)]


async def _all(request: Request) -> Response:
    return json_response([_explained(one) for one in TYPES.values()])


async def _one(request: Request) -> Response:
    problem_type = TYPES.get(request.path_params["name"])
    if problem_type is None:
        raise Problem(NOT_FOUND, "There is no problem type of this name.")
    return json_response(_explained(problem_type))


def _explained(problem_type: ProblemType) -> dict[str, object]:
    return {
        "type": problem_type.uri,
        "title": problem_type.title,
        "status": int(problem_type.status),
        "meaning": problem_type.meaning,
    }
