"""Runs SQL in DuckDB for the tests: one JSON object a line in, one a line out.

    {"sql": "SELECT 1.50"}  ->  {"columns": ["1.50"], "rows": [["1.50"]]}
    {"sql": "SELEC"}        ->  {"error": "Parser Error: ..."}
    {"load": "httpfs"}      ->  {"columns": [], "rows": []}
    {"athena": "SELECT …"}  ->  {"columns": ["kind", "sql"], "rows": [["Select", "SELECT …"]]}, a statement a row, in DuckDB's SQL

Every value leaves as text, or as a list of texts; null stays null. A float is refused: whoever wants one as text casts it
in SQL, so no decimal ever passes through a double here.
"""

import datetime
import decimal
import importlib
import json
import logging
import pathlib
import sys

import duckdb
import sqlglot


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (int, datetime.date)):
        return str(value)
    if isinstance(value, list):
        return [text(element) for element in value]
    raise TypeError(f"a {type(value).__name__} has no exact text here: cast it to VARCHAR in the query")


def load(extension):
    wheel = importlib.import_module(f"duckdb_extension_{extension}")
    file = f"extensions/v{duckdb.__version__}/{extension}.duckdb_extension"
    return f"LOAD '{pathlib.Path(wheel.__file__).parent / file}'"


def from_athena(sql):
    statements = sqlglot.parse(sql, read="athena", error_level=sqlglot.ErrorLevel.RAISE)
    rows = [[type(statement).__name__, statement.sql("duckdb")] for statement in statements if statement]
    return {"columns": ["kind", "sql"], "rows": rows}


def answer(connection, request):
    try:
        if "athena" in request:
            return from_athena(request["athena"])
        result = connection.execute(request["sql"] if "sql" in request else load(request["load"]))
        columns = [column[0] for column in result.description or []]
        rows = [[text(value) for value in row] for row in result.fetchall()]
        return {"columns": columns, "rows": rows}
    except UnicodeDecodeError as error:
        # What DuckDB has to say of an object on S3 that was replaced has the object's own bytes in it.
        return {"error": error.object.decode(errors="replace")}
    except (duckdb.Error, sqlglot.ParseError, TypeError) as error:
        return {"error": str(error)}


def main():
    # A prepared query is taken as it is; what is in it is asked for by itself.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    connection = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    for line in sys.stdin:
        print(json.dumps(answer(connection, json.loads(line))), flush=True)


main()
