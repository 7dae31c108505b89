"""`/v1/account/least-privilege`: the commands that keep the app out of other mailboxes, and the proof that they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.problem_types import CONFLICT, MICROSOFT_365, NOT_CONNECTED
from gateway.http.routing import Call, Operation, json_response
from storage.api_keys import Scope
from storage.confinements import Confinement, ConfinementState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofView:
    """`address` must be refused. `proved_at` is when it last was; it is tried daily."""

    address: str
    state: ConfinementState
    state_since: datetime
    proved_at: datetime | None
    checked_at: datetime | None
    detail: str

    @classmethod
    def of(cls, proof: Confinement) -> Self:
        """As the API shows it."""
        return cls(
            address=proof.address,
            state=proof.state,
            state_since=proof.state_since,
            proved_at=proof.proved_at,
            checked_at=proof.checked_at,
            detail=proof.detail,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastPrivilegeView:
    """PowerShell for an Exchange administrator: RBAC for Applications, or the older application access policy."""

    mailboxes: Sequence[str]
    rbac: str
    application_access_policy: str
    proof: ProofView | None


async def show(call: Call[schemas.Nothing]) -> Response:
    """For exactly the validated mailboxes."""
    found = await call.services.setup.confinement.show(call.account_id)
    return json_response(
        LeastPrivilegeView(
            mailboxes=found.mailboxes,
            rbac=found.scripts.rbac,
            application_access_policy=found.scripts.policy,
            proof=None if found.proof is None else ProofView.of(found.proof),
        )
    )


async def prove(call: Call[schemas.NewMailbox]) -> Response:
    """Try it now."""
    proof = await call.services.setup.confinement.prove(call.account_id, call.given.address)
    return json_response(ProofView.of(proof))


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/account/least-privilege",
        scope=Scope.SETTINGS,
        summary="How to keep the app out of other mailboxes, and whether it is",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=LeastPrivilegeView,
        problems=(CONFLICT,),
    ),
    Operation(
        method="POST",
        path="/v1/account/least-privilege",
        scope=Scope.SETTINGS,
        summary="Try a mailbox that must be refused, now and daily",
        takes=schemas.NewMailbox,
        does=prove,
        audit=does("confinement.prove"),
        gives=ProofView,
        problems=(CONFLICT, NOT_CONNECTED, MICROSOFT_365),
    ),
)
