"""What others do with the same bodies: `python peers.py WORK ARGUMENT ...`, each work in a process of its own.

DuckDB reads a number of JSON through a double, be the column declared as text, as a decimal or as JSON, and rounds what has
more digits without a word. Where it is to be exact, numbers are put between quotes before they are read: of what was tried,
that is the quickest.
"""

import json
import os
import pathlib
import shutil
import sys

FILL = {
    "transactionId": "VARCHAR",
    "fromCurrency": "VARCHAR",
    "fromCurrencyAmount": "VARCHAR",
    "toCurrency": "VARCHAR",
    "toCurrencyAmount": "VARCHAR",
    "status": "VARCHAR",
    "createdAt": "VARCHAR",
    "modifiedAt": "VARCHAR",
}
RECORD = {
    "transactionId": "VARCHAR",
    "fromCurrency": "VARCHAR",
    "toCurrency": "VARCHAR",
    "fromAmount": "VARCHAR",
    "toAmount": "VARCHAR",
    "rate": "VARCHAR",
    "isRateInverted": "BOOLEAN",
    "isRfq": "BOOLEAN",
    "status": "VARCHAR",
    "createdAt": "VARCHAR",
    "completedAt": "VARCHAR",
    "fills": [FILL],
}
# The columns that both have.
TABLES = {
    "trades": [
        "transaction_id",
        "from_currency",
        "to_currency",
        "from_amount",
        "to_amount",
        "rate",
        "is_rate_inverted",
        "is_rfq",
        "status",
        "created_at",
        "completed_at",
        "fills",
    ],
    "trade_fills": [
        "trade_id",
        "transaction_id",
        "from_currency",
        "from_currency_amount",
        "to_currency",
        "to_currency_amount",
        "status",
        "created_at",
        "modified_at",
    ],
}
# The fills within a trade, with those columns of theirs that both have.
MEMBERS = ", ".join(f"{name} := f.{name}" for name in TABLES["trade_fills"] if name != "trade_id")
FILLS = f"list_transform(fills, lambda f: struct_pack({MEMBERS})) AS fills"
FILE = "'{body}', format='array', maximum_object_size=1073741824"
# A member that is a number, and the same as text. No number stands in a text of these bodies behind a quote and a colon.
NUMBER, TEXT = r'":\s*(-?[0-9][0-9.eE+-]*)', r'":"\1"'


def rounded(body):
    """The records of a body, their amounts as text of doubles."""
    fill = ", ".join(f"{name} {kind}" for name, kind in FILL.items())
    kinds = {**RECORD, "fills": f"STRUCT({fill})[]"}
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items())
    return f"read_json({FILE.format(body=body)}, columns={{{columns}}})"


def exact(body):
    """The records of a body, their amounts as they are written."""
    quoted = f"regexp_replace(json, '{NUMBER}', '{TEXT}', 'g')"
    read = f"from_json({quoted}, '{json.dumps(RECORD)}')"
    return f"(SELECT unnest({read}) FROM read_json_objects({FILE.format(body=body)}))"


def select(records):
    """The table as the lake has it."""
    return f"""
        SELECT transactionId AS transaction_id, fromCurrency AS from_currency, toCurrency AS to_currency,
               CAST(fromAmount AS DECIMAL(38,18)) AS from_amount, CAST(toAmount AS DECIMAL(38,18)) AS to_amount,
               CAST(rate AS DECIMAL(38,18)) AS rate, isRateInverted AS is_rate_inverted, isRfq AS is_rfq, status,
               CAST(createdAt AS TIMESTAMPTZ) AS created_at, CAST(completedAt AS TIMESTAMPTZ) AS completed_at,
               list_transform(fills, lambda f: struct_pack(
                   transaction_id := f.transactionId, from_currency := f.fromCurrency,
                   from_currency_amount := CAST(f.fromCurrencyAmount AS DECIMAL(38,18)),
                   to_currency := f.toCurrency,
                   to_currency_amount := CAST(f.toCurrencyAmount AS DECIMAL(38,18)), status := f.status,
                   created_at := CAST(f.createdAt AS TIMESTAMPTZ),
                   modified_at := CAST(f.modifiedAt AS TIMESTAMPTZ))) AS fills,
               strftime(timezone('UTC', CAST(createdAt AS TIMESTAMPTZ)), '%Y-%m') AS event_month
        FROM {records}"""


def connect():
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def copy(connection, query, folder):
    connection.execute(f"COPY ({query}) TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (event_month))")


def duckdb_load(body, folder):
    copy(connect(), select(rounded(body)), folder)


def duckdb_load_exact(body, folder):
    """All that the lake has of a first load: both layers, the flat table of the fills, everything on the disk. The body is
    read once, and what is the same in both layers is written once and copied.
    """
    connection, folder = connect(), pathlib.Path(folder)
    connection.execute(f"CREATE TEMP TABLE trades AS {select(exact(body))}")
    (folder / "current").mkdir(parents=True)
    (folder / "changes").mkdir()
    copy(connection, "FROM trades", folder / "changes/trades")
    shutil.copytree(folder / "changes/trades", folder / "current/trades")
    fills = "SELECT transaction_id AS trade_id, unnest(fills, recursive := true), event_month FROM trades"
    copy(connection, fills, folder / "current/trade_fills")
    for path in [folder, *folder.rglob("*")]:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.close(file)


def duckdb_changes(body, known, folder):
    changes(select(rounded(body)), known, folder)


def duckdb_changes_exact(body, known, folder):
    changes(select(exact(body)), known, folder)


def changes(polled, known, folder):
    """What is not in the Parquet files yet, with all columns compared, as new files."""
    query = f"""
        SELECT polled.* FROM ({polled}) polled
        ANTI JOIN (SELECT * FROM read_parquet('{known}/**/*.parquet', hive_partitioning = true)) known
        ON {" AND ".join(f"polled.{name} IS NOT DISTINCT FROM known.{name}" for name in TABLES["trades"])}"""
    copy(connect(), query, folder)


def polars_load(body, folder):
    import polars

    text, number, flag = polars.String, polars.Float64, polars.Boolean
    fill = {name: text for name in ["transactionId", "fromCurrency", "toCurrency", "status", "createdAt", "modifiedAt"]}
    fill |= {"fromCurrencyAmount": number, "toCurrencyAmount": number}
    schema = {name: text for name in RECORD} | {name: number for name in ["fromAmount", "toAmount", "rate"]}
    schema |= {"isRateInverted": flag, "isRfq": flag, "fills": polars.List(polars.Struct(fill))}
    frame = polars.read_json(body, schema=schema)
    frame = frame.with_columns(polars.col("createdAt").str.slice(0, 7).alias("event_month"))
    frame.write_parquet(folder, compression="zstd", partition_by="event_month", mkdir=True)


def dlt(body, folder):
    import dlt as library

    @library.resource(name="trades", primary_key="transactionId", write_disposition="merge")
    def trades():
        with open(body, "rb") as file:
            yield from json.load(file)

    pipeline = library.pipeline(
        pipeline_name="trades",
        pipelines_dir=f"{folder}/state",
        destination=library.destinations.duckdb(f"{folder}/trades.duckdb"),
        dataset_name="lumetrade",
    )
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    pipeline.run(trades())


def compare(ours, theirs):
    """Fails unless both lakes hold the same rows, each value of which is the same to the last digit."""
    connection = connect()
    for table, columns in TABLES.items():
        for name, lake in [("ours", ours), ("theirs", theirs)]:
            scan = f"read_parquet('{lake}/current/{table}/**/*.parquet', hive_partitioning = true)"
            chosen = ", ".join(FILLS if column == "fills" else column for column in columns)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {chosen} FROM {scan}")
        rows = connection.execute("SELECT count(*) FROM ours").fetchone()[0]
        for one, other in [("ours", "theirs"), ("theirs", "ours")]:
            query = f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})"
            count = connection.execute(query).fetchone()[0]
            if count or not rows:
                sys.exit(f"{count} of {rows} rows of {table} are in {one} alone")


def count_rounded(exactly, roughly):
    """Prints how many trades have another amount in the second folder, and fails if anything else is other."""
    connection = connect()
    for name, folder in [("exactly", exactly), ("roughly", roughly)]:
        scan = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
        connection.execute(f"CREATE TEMP VIEW {name} AS FROM {scan}")
    amounts = ["from_amount", "to_amount", "rate", "fills"]
    others = ", ".join(column for column in TABLES["trades"] if column not in amounts)
    lost = f"SELECT count(*) FROM (SELECT {others} FROM exactly EXCEPT ALL SELECT {others} FROM roughly)"
    if connection.execute(lost).fetchone()[0]:
        sys.exit("more than amounts differ")
    differ = " OR ".join(f"e.{name} IS DISTINCT FROM r.{name}" for name in amounts)
    query = f"SELECT count(*) FROM exactly e JOIN roughly r USING (transaction_id) WHERE {differ}"
    print(connection.execute(query).fetchone()[0])


WORKS = {
    "compare": compare,
    "count-rounded": count_rounded,
    "dlt": dlt,
    "duckdb-changes": duckdb_changes,
    "duckdb-changes-exact": duckdb_changes_exact,
    "duckdb-load": duckdb_load,
    "duckdb-load-exact": duckdb_load_exact,
    "polars-load": polars_load,
}

if __name__ == "__main__":
    WORKS[sys.argv[1]](*sys.argv[2:])
