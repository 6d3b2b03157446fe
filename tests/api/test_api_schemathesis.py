"""Requests that schemathesis generates from the OpenAPI description, on the live server."""

import json

import schemathesis
from api_helpers import TOKEN
from hypothesis import settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.docs import FILE

schema = schemathesis.openapi.from_dict(json.loads(FILE.read_text()))
# The test sends the token, so requests without one would not be wrong.
schema.config.generation.update(with_security_parameters=False)


@schema.parametrize()
@settings(max_examples=25, deadline=None)
def test_generated_requests_find_no_violation(live, case):
    # OpenAPI cannot express that from and to belong together, in this order, nor excel and csv.
    paired = {"from", "to", "excel"} & set(case.query or {})
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{live}",
        headers={"x-dashboard-token": TOKEN.encode().decode("latin-1")},
        excluded_checks=[positive_data_acceptance] if paired else None,
    )
