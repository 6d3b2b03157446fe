"""Settings of a server, a database or a role that change how values are written and read."""

import pytest
from api_answers import answers
from tables import NOW, image
from test_against_oracle import awkward

SETTINGS = {
    "dates and digits": ("datestyle = 'SQL, DMY'", "extra_float_digits = -15"),
    "dates as in Germany": ("datestyle = 'German, MDY'",),
    "dates as in 1986": ("datestyle = 'Postgres, YMD'",),
    "intervals": ("intervalstyle = 'iso_8601'",),
    "bytes": ("bytea_output = 'escape'",),
    "few digits": ("extra_float_digits = 0",),
    "nulls": ("transform_null_equals = on", "array_nulls = off"),
    "backslashes": ("standard_conforming_strings = off", "backslash_quote = on"),
    "no path": ("search_path = ''",),
    "quoted": ("quote_all_identifiers = on", "xmloption = 'document'", "row_security = off"),
    "talkative": ("client_min_messages = 'debug5'", "debug_print_plan = on"),
    "encoding": ("client_encoding = 'LATIN1'",),
    "serializable": ("default_transaction_isolation = 'serializable'",),
    "repeatable": ("default_transaction_isolation = 'repeatable read'",),
    "no index": ("enable_indexscan = off", "enable_bitmapscan = off", "enable_hashagg = off"),
    "generic": ("plan_cache_mode = 'force_generic_plan'", "cursor_tuple_fraction = 0.001"),
    "locale": ("lc_time = 'C'", "lc_numeric = 'C'", "lc_monetary = 'C'", "lc_messages = 'C'"),
}


@pytest.mark.chaos
@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_changes_a_number(source, run, cli, database_url, name):
    awkward(source, NOW)
    source.experiment("thirds", weight=1 / 3)
    assert run().exit_code == 0
    plain, served = image(source.conn, but="computed_at"), answers(database_url, NOW)
    source.do("drop schema analytics cascade")
    for assignment in SETTINGS[name]:
        source.do(f"alter database {source.conn.info.dbname} set {assignment}")

    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    assert image(source.conn, but="computed_at") == plain
    assert answers(database_url, NOW) == served
    for arguments in (("runs",), ("runs", "--json")):
        listed = cli(*arguments)
        assert listed.exit_code == 0, listed.stderr
