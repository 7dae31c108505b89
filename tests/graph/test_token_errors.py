import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import CredentialRefused, EntraUnavailable, TokenErrorKind
from gateway.graph.token_errors import ADVICE, token_error_from

from .strategies import json_values


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": "invalid_client", "error_codes": [1]}, TokenErrorKind.SECRET_WRONG),
        ({"error": "unauthorized_client"}, TokenErrorKind.UNKNOWN_APP),
        ({"error": "invalid_resource"}, TokenErrorKind.WRONG_CLOUD),
        ({"error": "invalid_scope"}, TokenErrorKind.OURS),
        ({"error": "new_in_2027"}, TokenErrorKind.OTHER),
        ({}, TokenErrorKind.OTHER),
    ],
)
def test_an_unknown_number_is_judged_by_the_oauth_error(payload, kind):
    error = token_error_from(payload, status=400)
    assert error.kind is kind
    assert isinstance(error, CredentialRefused)


def test_the_number_is_found_in_the_description_when_it_stands_nowhere_else():
    error = token_error_from({"error": "invalid_client", "error_description": "AADSTS7000222: expired. Trace ID: x"})
    assert (error.aadsts, error.kind) == (7000222, TokenErrorKind.SECRET_EXPIRED)
    assert error.description == "AADSTS7000222: expired."


def test_a_known_number_among_unknown_ones_decides():
    assert token_error_from({"error": "x", "error_codes": [1, 700016]}).kind is TokenErrorKind.UNKNOWN_APP


def test_a_known_number_is_believed_over_a_server_error():
    assert token_error_from({"error_codes": [7000222]}, status=503).kind is TokenErrorKind.SECRET_EXPIRED
    assert isinstance(token_error_from({"error_codes": [1]}, status=503), EntraUnavailable)


@pytest.mark.parametrize("kind", TokenErrorKind)
def test_every_kind_has_an_explanation_and_a_cure_in_sentences(kind):
    advice = ADVICE[kind]
    assert advice.explanation[0].isupper()
    assert advice.explanation.endswith(".")
    assert advice.cure.endswith(".")


@given(
    st.dictionaries(
        st.sampled_from(["error", "error_description", "error_codes", "correlation_id"]),
        json_values | st.lists(st.integers()),
    )
)
def test_any_refusal_is_understood_somehow(payload):
    error = token_error_from(payload)
    assert error.kind in TokenErrorKind
    again = error.again()
    assert (type(again), str(again), again.log_fields()) == (type(error), str(error), error.log_fields())
