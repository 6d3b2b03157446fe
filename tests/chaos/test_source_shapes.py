"""Sources whose columns have other types than Prisma's defaults, or that are views."""

from uuid import UUID

import pytest
import source_shapes as shapes
from edges import awkward
from tables import NOW, TODAY, differences, expected, stored

from dbt_project.source import TABLES

SHAPES = {
    "json": [shapes.with_json],
    "varchar": [lambda source: shapes.with_ids(source, "varchar(300)")],
    "views": [shapes.as_views],
    "without keys": [lambda source: shapes.nullable(source, *TABLES)],
    "all at once": [
        shapes.with_json,
        shapes.with_time_zones,
        lambda source: shapes.nullable(source, *TABLES),
        lambda source: shapes.with_ids(source, "varchar"),
        shapes.as_views,
    ],
}


@pytest.mark.chaos
@pytest.mark.parametrize("name", SHAPES)
def test_no_type_changes_a_number(source, changes_nothing, name):
    awkward(source, NOW)
    changes_nothing(lambda: [reshape(source) for reshape in SHAPES[name]])


@pytest.mark.parametrize(
    ("of_events", "of_assignments"),
    [
        ("uuid", "text"),
        *(
            pytest.param(*types, marks=pytest.mark.chaos)
            for types in (("text", "uuid"), ("uuid",) * 2)
        ),
    ],
)
def test_ids_may_be_uuids_and_names_enums(source, run, of_events, of_assignments):
    experiment, variant, *users = (str(UUID(int=n)) for n in range(12))
    source.experiment(experiment, (variant,))
    for nth, user in enumerate(users):
        source.event(NOW - nth * (NOW - NOW.replace(day=22)), user=user,
                     mapping={experiment: variant})  # fmt: skip
        source.assign(user, experiment, variant, NOW.replace(day=1))
    wanted = expected(source.rows(), NOW, 14)
    shapes.with_ids(source, "uuid")
    for table, type_ in (("event_logs", of_events), ("assignments", of_assignments)):
        source.do(f"alter table {table} alter anonymous_user_id type {type_}"
                  f" using anonymous_user_id::{type_}")  # fmt: skip
    shapes.with_enums(source)
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    assert differences(stored(source.conn), wanted) == []
    assert wanted.experiment[TODAY, experiment, variant, "users_assigned"][0] == len(users)


@pytest.mark.parametrize("collation", ['"POSIX"', "folded"])
def test_ids_and_names_are_compared_byte_by_byte(source, run, collation):
    """Columns of one kind have different collations, and by `folded` an `a` equals an `A`."""
    if collation == "folded" and not shapes.can_fold(source):
        pytest.skip("this server was built without ICU; `make oldest` has one with it")
    shapes.nullable(source, *TABLES)
    for nth, user in enumerate(("a", "A", "b", "B")):
        for days, name in enumerate(("app_opened", "APP_OPENED", "session_submitted")):
            source.event(NOW.replace(day=20 + days, hour=nth), name, user,
                         mapping={"x": "v", "X": "V"})  # fmt: skip
        source.assign(user, "xX"[nth % 2], "vV"[nth % 2], NOW.replace(day=1))
    source.event(NOW.replace(day=1), "app_opened", "A")  # before the window
    source.experiment("x", ("v", "V"))
    source.experiment("X", ("v", "V"))
    wanted = expected(source.rows(), NOW, 14)
    shapes.with_collations(source, collation)
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    assert differences(stored(source.conn), wanted) == []
    new = [row[0] for key, row in wanted.daily.items() if key[1] == "new_users"]
    assert sum(new) == 3
