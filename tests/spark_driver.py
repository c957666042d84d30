"""Makes the external tables of `ddl athena` in Spark with Hive's grammar, and says what is in them.

In, as JSON: {"statements": [...], "home": folder, "queries": [...]}. Out, as one line of JSON: the rows of each query, their values as
text. Spark does not know partition projection: partitions are looked for once.
"""

import json
import re
import sys

from pyspark.sql import SparkSession


def main():
    asked = json.load(sys.stdin)
    home = asked["home"]
    builder = SparkSession.builder.master("local[2]").enableHiveSupport()
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": f"{home}/warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={home}/metastore;create=true",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={home}",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for statement in asked["statements"]:
        spark.sql(statement)
        if "PARTITIONED BY" in statement:
            spark.sql(f"MSCK REPAIR TABLE {re.search('`([^`]*)`', statement).group(1)}")
    rows = [[[str(value) for value in row] for row in spark.sql(query).collect()] for query in asked["queries"]]
    print(json.dumps(rows), flush=True)


main()
