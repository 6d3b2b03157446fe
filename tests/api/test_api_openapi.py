"""The OpenAPI description, compared with the routes and the responses."""

import json
import re
from urllib.parse import urlencode

import psycopg
import pytest
from api_helpers import NOW, TOKEN, fetch
from jsonschema import Draft202012Validator

from api import create_app
from api.access_log import LOGGED_PARAMETERS
from api.docs import FILE
from api.settings import Settings

API = json.loads(FILE.read_text())
UNDESCRIBED = {"/openapi.json", "/docs", "/", "/static/<path:name>"}
EXAMPLES = {"experiment_id": "exp_1", "funnel_name": "core_journey", "dimension": "platform"}


def resolve(node):
    if "$ref" not in node:
        return node
    *_, kind, name = node["$ref"].split("/")
    return API["components"][kind][name]


def operations():
    return [(path, methods["get"]) for path, methods in API["paths"].items()]


def test_every_route_is_described_and_nothing_else():
    app = create_app(Settings("host=/nowhere"), now=lambda: NOW)
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    assert routes - UNDESCRIBED == set(API["paths"])


def test_every_parameter_is_logged():
    assert set(LOGGED_PARAMETERS) == set(API["components"]["parameters"])


def test_runs_have_every_column_of_the_run_log(get, api_conninfo):
    with psycopg.connect(api_conninfo) as conn:
        columns = conn.execute("select * from analytics.rollup_runs limit 0").description
    assert {column.name for column in columns} == set(get("/v1/runs").json["runs"][0])


def test_references_resolve_and_components_are_used():
    for kind, name in re.findall(r'"#/components/(\w+)/(\w+)"', FILE.read_text()):
        assert name in API["components"][kind]
    for kind in ("headers", "parameters", "responses", "schemas"):
        for name in API["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in FILE.read_text(), name


@pytest.mark.parametrize(("path", "operation"), operations())
def test_responses_match_their_schemas(get, path, operation):
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": API["components"]})
    names = [resolve(parameter)["name"] for parameter in operation.get("parameters", [])]
    for query in ({}, {name: EXAMPLES[name] for name in names if name in EXAMPLES}):
        validator.validate(get(f"{path}?{urlencode(query)}").json)


@pytest.mark.parametrize(("path", "operation"), operations())
def test_every_key_of_a_response_is_described(get, path, operation):
    def compare(value, schema):
        schema = resolve(schema.get("anyOf", [schema])[0])  # null is the second
        if isinstance(value, list):
            for item in value:
                compare(item, schema["items"])
        elif isinstance(value, dict) and "required" in schema:
            assert list(value) == schema["required"] == list(schema["properties"])
            for key, item in value.items():
                compare(item, schema["properties"][key])

    compare(get(path).json, operation["responses"]["200"]["content"]["application/json"]["schema"])


@pytest.mark.parametrize(("path", "operation"), operations())
def test_token_is_required_where_it_is_described(get, path, operation):
    assert (get(path, token=None).status_code == 401) == ("security" in operation)
    assert ("401" in operation["responses"]) == ("security" in operation)


@pytest.mark.parametrize(
    ("scheme", "query", "sent"),
    [
        ("dashboardToken", "", {"token": TOKEN}),
        ("bearerToken", "", {"Authorization": f"bearer {TOKEN}".encode().decode("latin-1")}),
        ("linkToken", "?format=csv&token=l1nk", {}),
    ],
)
def test_each_kind_of_token_opens_what_it_is_described_for(
    api_client, api_conninfo, scheme, query, sent
):
    client = api_client(api_conninfo, link_token="l1nk")
    for path, operation in operations():
        if kinds := operation.get("security"):
            status = fetch(client, path + query, **{"token": None, **sent}).status_code
            assert status == (200 if {scheme: []} in kinds else 401), path


@pytest.mark.parametrize(("path", "operation"), operations())
def test_csv_and_etag_exist_where_they_are_described(get, path, operation):
    described = operation["responses"]["200"]
    assert ("ETag" in get(path).headers) == ("ETag" in described.get("headers", {}))
    gives_csv = get(f"{path}?format=csv").mimetype == "text/csv"
    assert gives_csv == ("text/csv" in described["content"])


def test_docs_page_shows_everything_and_loads_nothing(get):
    response = get("/docs", token=None)
    for path, operation in operations():
        assert f"GET {path}" in response.text and operation["operationId"] in response.text
    for parameter in API["components"]["parameters"]:
        assert f"<code>{parameter}</code>" in response.text
    assert not re.search(r"<script|https?:|src=|@import|url\(", response.text)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    anchors = set(re.findall(r'href="#(\w+)"', response.text))
    assert anchors <= set(re.findall(r'id="(\w+)"', response.text))
