"""Runs SQL in DuckDB for the tests: one JSON object a line in, one a line out.

    {"sql": "SELECT 1.50"}  ->  {"columns": ["1.50"], "rows": [["1.50"]]}
    {"sql": "SELEC"}        ->  {"error": "Parser Error: ..."}
    {"load": "httpfs"}      ->  {"columns": [], "rows": []}

Every value leaves as text, or as a list of texts; null stays null. A float is refused: whoever wants one as text casts it
in SQL, so no decimal ever passes through a double here.
"""

import datetime
import decimal
import importlib
import json
import pathlib
import sys

import duckdb


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


def answer(connection, request):
    try:
        result = connection.execute(request["sql"] if "sql" in request else load(request["load"]))
        columns = [column[0] for column in result.description or []]
        rows = [[text(value) for value in row] for row in result.fetchall()]
        return {"columns": columns, "rows": rows}
    except (duckdb.Error, TypeError) as error:
        return {"error": str(error)}


def main():
    connection = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    for line in sys.stdin:
        print(json.dumps(answer(connection, json.loads(line))), flush=True)


main()
