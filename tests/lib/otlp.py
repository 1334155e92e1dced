"""Telemetry as coding agents send it, made by hand: OTLP's JSON, and protobuf by its field numbers."""

import struct


def value(of):
    if isinstance(of, bool):
        return {"boolValue": of}
    if isinstance(of, int):
        return {"intValue": of}
    if isinstance(of, float):
        return {"doubleValue": of}
    return {"stringValue": of}


def attributes(pairs):
    return [{"key": key, "value": value(of)} for key, of in pairs.items()]


def log(ts_ms, body=None, observed_ms=0, **pairs):
    """Attributes with dots are written with two underscores."""
    record = {"timeUnixNano": str(ts_ms * 1000000), "observedTimeUnixNano": str(observed_ms * 1000000),
              "attributes": attributes({k.replace("__", "."): v for k, v in pairs.items()})}
    if body:
        record["body"] = {"stringValue": body}
    return record


def logs(records, service="claude-code", **resource):
    pairs = dict({"service.name": service}, **resource)
    return {"resourceLogs": [{"resource": {"attributes": attributes(pairs)},
                              "scopeLogs": [{"scope": {"name": "s"}, "logRecords": records}]}]}


def claude(ts_ms, request_id, session="s-1", **more):
    """One api_request as Claude Code 2.1 logs it."""
    pairs = dict({"session.id": session, "event.name": "api_request", "model": "claude-opus-4-6",
                  "input_tokens": "10", "output_tokens": "20", "cache_read_tokens": 300,
                  "cache_creation_tokens": 40, "cost_usd": 0.0011, "duration_ms": 900,
                  "request_id": request_id}, **more)
    pairs = {key: of for key, of in pairs.items() if of is not None}
    return {"timeUnixNano": str(ts_ms * 1000000), "body": {"stringValue": "claude_code.api_request"},
            "attributes": attributes(pairs)}


def codex(ts_ms, session="conv-1", **more):
    """One response.completed as Codex logs it: no time but what it says of itself, no cost, no id."""
    pairs = dict({"event.name": "codex.sse_event", "event.kind": "response.completed",
                  "event.timestamp": iso(ts_ms), "conversation.id": session,
                  "model": "gpt-5.3-codex", "input_token_count": "1000", "output_token_count": "50",
                  "cached_token_count": "900", "reasoning_token_count": "30",
                  "tool_token_count": "1050"}, **more)
    return {"timeUnixNano": "0", "observedTimeUnixNano": str((ts_ms + 3) * 1000000),
            "attributes": attributes(pairs)}


def iso(ts_ms):
    import datetime
    when = datetime.datetime.fromtimestamp(ts_ms / 1000, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (ts_ms % 1000)


def point(start_ms, end_ms, number, **pairs):
    made = {"startTimeUnixNano": str(start_ms * 1000000), "timeUnixNano": str(end_ms * 1000000),
            "attributes": attributes({k.replace("__", "."): v for k, v in pairs.items()})}
    made["asDouble" if isinstance(number, float) else "asInt"] = number
    return made


def metrics(sums, cumulative=False, service="claude-code"):
    """sums: {metric: [point]}"""
    made = [{"name": name, "sum": {"dataPoints": points, "isMonotonic": True,
                                   "aggregationTemporality": 2 if cumulative else 1}}
            for name, points in sums.items()]
    return {"resourceMetrics": [{"resource": {"attributes": attributes({"service.name": service})},
                                 "scopeMetrics": [{"metrics": made}]}]}


def varint(number):
    out = b""
    number &= (1 << 64) - 1
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    """bytes or text: length-delimited; a whole number: varint."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def fixed(number, of):
    kind = "<d" if isinstance(of, float) else "<q"
    return varint(number << 3 | 1) + struct.pack(kind, of)


def pb_value(of):
    (kind, inner), = of.items()
    if kind == "doubleValue":
        return fixed(4, inner)
    return field({"stringValue": 1, "boolValue": 2, "intValue": 3}[kind],
                 int(inner) if kind == "boolValue" else inner)


def pb_attributes(number, listed):
    return b"".join(field(number, field(1, one["key"]) + field(2, pb_value(one["value"])))
                    for one in listed)


def pb_log(record):
    made = fixed(1, int(record["timeUnixNano"])) + pb_attributes(6, record["attributes"])
    if "body" in record:
        made += field(5, pb_value(record["body"]))
    return made + fixed(11, int(record.get("observedTimeUnixNano", 0)))


def pb_point(made):
    number = fixed(4, made["asDouble"]) if "asDouble" in made else fixed(6, made["asInt"])
    return (fixed(2, int(made["startTimeUnixNano"])) + fixed(3, int(made["timeUnixNano"])) + number
            + pb_attributes(7, made["attributes"]))


def pb_metric(metric):
    of = metric["sum"]
    points = b"".join(field(1, pb_point(made)) for made in of["dataPoints"])
    return field(1, metric["name"]) + field(7, points + field(2, of["aggregationTemporality"])
                                            + field(3, int(of["isMonotonic"])))


def protobuf(export):
    """The same export as protobuf."""
    out = b""
    for one in export.get("resourceLogs", ()):
        scopes = b"".join(field(2, b"".join(field(2, pb_log(record)) for record in scope["logRecords"]))
                          for scope in one["scopeLogs"])
        out += field(1, field(1, pb_attributes(1, one["resource"]["attributes"])) + scopes)
    for one in export.get("resourceMetrics", ()):
        scopes = b"".join(field(2, b"".join(field(2, pb_metric(metric)) for metric in scope["metrics"]))
                          for scope in one["scopeMetrics"])
        out += field(1, field(1, pb_attributes(1, one["resource"]["attributes"])) + scopes)
    return out
