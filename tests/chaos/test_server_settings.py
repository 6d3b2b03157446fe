"""Settings of a server, a database or a role that change how values are written and read."""

import pytest
from edges import awkward
from tables import NOW

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
def test_no_setting_changes_a_number(source, cli, changes_nothing, name):
    awkward(source, NOW)
    source.experiment("thirds", weight=1 / 3)
    database = source.conn.info.dbname
    changes_nothing(
        lambda: [source.do(f"alter database {database} set {text}") for text in SETTINGS[name]]
    )
    for arguments in (("runs",), ("runs", "--json")):
        listed = cli(*arguments)
        assert listed.exit_code == 0, listed.stderr
