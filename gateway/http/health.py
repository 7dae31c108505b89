"""`/healthz` and `/readyz`: for the supervisor and the operator."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.routing import json_response
from gateway.http.services import Services


def routes(services: Services) -> Sequence[BaseRoute]:
    """Both, open to all: they tell of the gateway and never of mail."""

    async def alive(request: Request) -> Response:
        return json_response({"status": "alive"})

    async def ready(request: Request) -> Response:
        found = await services.readiness.readiness()
        status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return json_response({"ready": found.ready, "parts": found.parts}, status)

    return [Route("/healthz", alive), Route("/readyz", ready)]
