"""Every error there is, in every dialect: the status and the shape from which its client makes its own exception."""

import json

import pytest

from gateway import errors
from gateway.web.app import endpoints
from gateway.web.dialects import DIALECT_ROUTES
from gateway.web.dialects.azure import as_azure_error
from gateway.web.dialects.openai import as_openai_error
from gateway.web.dialects.plain import as_plain_error
from gateway.web.dialects.rekognition import as_aws_error

RAISED = [
    errors.BadContent("malformed_json", "The body is not JSON.", hint="Send JSON.", at="/text"),
    errors.Unauthorized("unknown_key", "This key is not known here."),
    errors.Forbidden("missing_role", "This key lacks the role submit."),
    errors.NotFound("unknown_address", "There is nothing here."),
    errors.TooLarge("image_too_large", "The image is too large."),
    errors.NotAnImage("not_an_image", "That is no image."),
    errors.Unreadable("fetch_failed", "The address does not answer."),
    errors.TooMany("too_many_requests", "Slow down.", retry_after=3.2),
    errors.Internal("internal_error", "Something went wrong."),
    errors.Overloaded("overloaded", "Too much at once.", retry_after=1),
]
STATUS = {
    as_openai_error: [400, 401, 403, 404, 400, 400, 400, 429, 500, 503],
    as_azure_error: [400, 401, 403, 404, 400, 400, 400, 429, 500, 503],
    as_plain_error: [400, 401, 403, 404, 413, 415, 422, 429, 500, 503],
    as_aws_error: [400, 400, 400, 400, 400, 400, 400, 400, 500, 500],
}
CODES = {
    as_azure_error: [
        *("InvalidRequestBody", "401", "403", "ResourceNotFound", *["InvalidRequestBody"] * 3),
        *("TooManyRequests", "InternalError", "ServerBusy"),
    ],
    as_plain_error: [
        *("malformed_json", "unknown_key", "missing_role", "unknown_address", "image_too_large", "not_an_image"),
        *("fetch_failed", "rate_limit_exceeded", "internal_error", "overloaded"),
    ],
    as_aws_error: [
        *("SerializationException", "UnrecognizedClientException", "AccessDeniedException"),
        *("InvalidParameterException", "ImageTooLargeException", *["InvalidImageFormatException"] * 2),
        *("ProvisionedThroughputExceededException", "InternalServerError", "ThrottlingException"),
    ],
}


def test_every_dialect_has_its_own_shape():
    assert {route.problem for route in DIALECT_ROUTES} == set(STATUS)


@pytest.mark.parametrize("shape", STATUS, ids=lambda shape: shape.__name__)
def test_status_message_and_when_to_come_back(shape):
    answers = [shape(error, "req_1") for error in RAISED]
    assert [answer.status for answer in answers] == STATUS[shape]
    for error, answer in zip(RAISED, answers, strict=True):
        assert error.detail in answer.text
        waits = error.http in (429, 503) and shape is not as_aws_error  # which knows no Retry-After
        assert ("Retry-After" in answer.headers) is waits


@pytest.mark.parametrize("route", endpoints(), ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.code)
def test_every_route_says_what_its_errors_look_like(route, error):
    answer = route.problem(error, "req_1")
    route.refusal.model_validate_json(answer.body, extra="forbid")
    assert answer.content_type == route.refusal_type


@pytest.mark.parametrize("shape", CODES, ids=lambda shape: shape.__name__)
def test_codes(shape):
    bodies = [json.loads(shape(error, "req_1").body) for error in RAISED]
    assert [body["__type"] if "__type" in body else body["error"]["code"] for body in bodies] == CODES[shape]
