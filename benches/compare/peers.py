"""What others do with the same bodies: `python peers.py WORK ARGUMENT ...`, each work in a process of its own."""

import pathlib
import sys

FILL = (
    "STRUCT(transactionId VARCHAR, fromCurrency VARCHAR, fromCurrencyAmount {number}, toCurrency VARCHAR, "
    "toCurrencyAmount {number}, status VARCHAR, createdAt VARCHAR, modifiedAt VARCHAR)[]"
)
COLUMNS = {
    "transactionId": "VARCHAR",
    "fromCurrency": "VARCHAR",
    "toCurrency": "VARCHAR",
    "fromAmount": "{number}",
    "toAmount": "{number}",
    "rate": "{number}",
    "isRateInverted": "BOOLEAN",
    "isRfq": "BOOLEAN",
    "status": "VARCHAR",
    "createdAt": "VARCHAR",
    "completedAt": "VARCHAR",
    "fills": FILL,
}


def read(body, number):
    columns = ", ".join(f"'{name}': '{kind.format(number=number)}'" for name, kind in COLUMNS.items())
    return f"read_json('{body}', format='array', maximum_object_size=1073741824, columns={{{columns}}})"


def select(body, number):
    """The table as the lake has it, from the body."""
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
        FROM {read(body, number)}"""


def connect():
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def copy(connection, query, folder):
    connection.execute(f"COPY ({query}) TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (event_month))")


def duckdb_load(body, folder):
    copy(connect(), select(body, "VARCHAR"), folder)


def duckdb_load_both(body, folder):
    """The flat table of the fills too, as the lake has it. The body is read once."""
    connection = connect()
    connection.execute(f"CREATE TEMP TABLE trades AS {select(body, 'VARCHAR')}")
    pathlib.Path(folder).mkdir(parents=True)
    copy(connection, "FROM trades", f"{folder}/trades")
    fills = "SELECT transaction_id AS trade_id, unnest(fills, recursive := true), event_month FROM trades"
    copy(connection, fills, f"{folder}/trade_fills")


def duckdb_changes(body, known, folder):
    """What is not in the Parquet files yet, with all columns compared, as new files."""
    query = f"""
        SELECT polled.* FROM ({select(body, "VARCHAR")}) polled
        ANTI JOIN (SELECT * FROM read_parquet('{known}/**/*.parquet', hive_partitioning = true)) known
        ON {" AND ".join(f"polled.{name} IS NOT DISTINCT FROM known.{name}" for name in names())}"""
    copy(connect(), query, folder)


def names():
    plain = ["from_currency", "to_currency", "from_amount", "to_amount", "rate", "is_rate_inverted", "is_rfq"]
    return ["transaction_id", *plain, "status", "created_at", "completed_at", "fills"]


def polars_load(body, folder):
    import polars

    text, number, flag = polars.String, polars.Float64, polars.Boolean
    fill = {name: text for name in ["transactionId", "fromCurrency", "toCurrency", "status", "createdAt", "modifiedAt"]}
    fill |= {"fromCurrencyAmount": number, "toCurrencyAmount": number}
    schema = {name: text for name in COLUMNS} | {name: number for name in ["fromAmount", "toAmount", "rate"]}
    schema |= {"isRateInverted": flag, "isRfq": flag, "fills": polars.List(polars.Struct(fill))}
    frame = polars.read_json(body, schema=schema)
    frame = frame.with_columns(polars.col("createdAt").str.slice(0, 7).alias("event_month"))
    frame.write_parquet(folder, compression="zstd", partition_by="event_month", mkdir=True)


def dlt(body, folder):
    import json

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
    """Fails unless both folders hold the same rows, amounts to 15 digits: DuckDB reads a number of JSON through a double, be
    the column declared as text, and says so of none of the amounts that it rounds. Prints how many there are.
    """
    amounts = ["from_amount", "to_amount", "rate"]
    columns = ", ".join(name for name in names() if name not in [*amounts, "fills"])
    rounded = ", ".join(f"round(CAST({name} AS DOUBLE), 9) AS {name}" for name in amounts)
    fills = """list_transform(fills, lambda f: struct_pack(
        transaction_id := f.transaction_id, from_currency := f.from_currency, to_currency := f.to_currency,
        status := f.status, created_at := f.created_at, modified_at := f.modified_at)) AS fills"""
    connection = connect()
    for name, folder in [("ours", ours), ("theirs", theirs)]:
        scan = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
        connection.execute(f"CREATE TEMP TABLE {name} AS SELECT {columns}, {rounded}, {fills} FROM {scan}")
        connection.execute(f"CREATE TEMP VIEW {name}_exact AS SELECT transaction_id, {', '.join(amounts)} FROM {scan}")
    rows = connection.execute("SELECT count(*) FROM ours").fetchone()[0]
    for one, other in [("ours", "theirs"), ("theirs", "ours")]:
        query = f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})"
        count = connection.execute(query).fetchone()[0]
        if count or not rows:
            sys.exit(f"{count} of {rows} rows of {one} are not in {other}")
    differ = " OR ".join(f"o.{name} IS DISTINCT FROM t.{name}" for name in amounts)
    query = f"SELECT count(*) FROM ours_exact o JOIN theirs_exact t USING (transaction_id) WHERE {differ}"
    print(connection.execute(query).fetchone()[0])


WORKS = {
    "compare": compare,
    "dlt": dlt,
    "duckdb-changes": duckdb_changes,
    "duckdb-load": duckdb_load,
    "duckdb-load-both": duckdb_load_both,
    "polars-load": polars_load,
}

if __name__ == "__main__":
    WORKS[sys.argv[1]](*sys.argv[2:])
