"""Reads what a collector was sent, as OpenTelemetry's own messages: one line of JSON a request, its path and its body. Prints the
same as these messages say it. Whatever they do not know, or have as another type, is an error."""

import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MESSAGES = {"/v1/metrics": ExportMetricsServiceRequest, "/v1/traces": ExportTraceServiceRequest}

for line in sys.stdin:
    path, body = json.loads(line)
    message = json_format.Parse(body, MESSAGES[path]())
    print(json.dumps(json_format.MessageToDict(message)))
