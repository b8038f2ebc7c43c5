"""What the data API and the engine fail with, and what callers are told."""

from __future__ import annotations

import pytest
from postgrest.exceptions import APIError

from sync_service import errors
from sync_service.api.problems import FieldError, from_data_api, from_sync_error


@pytest.mark.parametrize(
    ("code", "status", "slug"),
    [
        ("PT403", 403, "not_allowed"),
        ("PT429", 429, "too_many_requests"),
        ("PT418", 418, "refused"),
        ("PGRST301", 401, "not_authenticated"),
        ("PGRST303", 401, "not_authenticated"),
        ("PGRST000", 503, "store_unavailable"),
        ("PGRST003", 503, "store_unavailable"),
        ("PGRST116", 404, "not_found"),
        ("PGRST200", 502, "data_api_error"),
        ("42501", 403, "not_allowed"),
        ("42P01", 502, "data_api_error"),
        ("23505", 409, "already_exists"),
        ("23503", 422, "validation_failed"),
        ("23514", 422, "validation_failed"),
        ("22P05", 422, "validation_failed"),
        ("40001", 503, "store_unavailable"),
        ("55P03", 503, "store_unavailable"),
        ("57014", 503, "store_unavailable"),
        ("SUP", 502, "data_api_error"),
        ("401", 401, "not_authenticated"),
        ("409", 502, "data_api_error"),
        ("500", 503, "data_api_unavailable"),
        ("520", 503, "data_api_unavailable"),
        ("", 502, "data_api_error"),
    ],
)
def test_codes_of_the_data_api(code: str, status: int, slug: str):
    problem = from_data_api(APIError({"code": code, "message": "private details"}))
    assert (problem.status, problem.code) == (status, slug)
    assert ("private details" in problem.detail) == code.startswith("PT")
    assert ("Retry-After" in problem.headers) == (status == 503)


def test_a_refusal_of_the_database_names_its_field():
    fault = {"code": "PT422", "message": "title: is too long", "details": "title"}
    problem = from_data_api(APIError(fault))
    assert problem.status == 422
    assert problem.errors == (FieldError("title", "is too long"),)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ProviderUnavailable(), 503),
        (errors.StoreUnavailable(), 503),
        (errors.Throttled(retry_after_s=7.2), 503),
        (errors.Rejected(), 422),
        (errors.Forbidden(), 422),
        (errors.Gone(), 404),
        (errors.ChangedMeanwhile(), 409),
        (errors.ResyncRequired(), 503),
        (errors.ReauthRequired(), 409),
        (errors.Misconfigured(), 503),
    ],
)
def test_failures_of_the_engine(error: errors.SyncError, status: int):
    problem = from_sync_error(error)
    assert (problem.status, problem.code, problem.detail) == (status, error.code, error.detail)
    if error.retry_after_s:
        assert problem.headers["Retry-After"] == "7"
