"""The source's tables as other backends than Prisma's defaults make them."""

from tables import App

TIMES = """
    select format(
        'alter table %I alter %I type timestamptz using %2$I at time zone ''UTC''',
        table_name, column_name
    )
    from information_schema.columns
    where table_schema = 'public' and data_type = 'timestamp without time zone'
"""


def with_time_zones(source: App) -> None:
    """Turn every time of the source into a `timestamptz`, of the same instant."""
    for (statement,) in source.conn.execute(TIMES).fetchall():
        source.do(statement)
