"""As much of JSON Schema as the API's document uses, to hold real replies against it."""

import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "number": (int, float), "null": type(None)}
KNOWN = {"type", "properties", "required", "items", "allOf", "anyOf", "$ref", "enum", "const",
         "pattern", "description", "examples", "additionalProperties", "minItems", "maxItems"}


def is_type(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def check(document, schema, value, where="reply"):
    """Raises with the place that does not fit."""
    assert set(schema) <= KNOWN, (where, set(schema) - KNOWN)
    if "$ref" in schema:
        target = document
        for part in schema["$ref"][2:].split("/"):
            target = target[part]
        check(document, target, value, where)
    for part in schema.get("allOf", ()):
        check(document, part, value, where)
    if "anyOf" in schema:
        faults = []
        for part in schema["anyOf"]:
            try:
                check(document, part, value, where)
                break
            except AssertionError as fault:
                faults.append(str(fault))
        else:
            raise AssertionError((where, value, faults))
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(is_type(value, name) for name in names), (where, value, names)
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    if "const" in schema:
        assert value == schema["const"], (where, value)
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), (where, value)
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        assert not missing, (where, missing)
        known = schema.get("properties", {})
        for name, part in value.items():
            if name in known:
                check(document, known[name], part, where + "." + name)
            elif "additionalProperties" in schema:
                assert schema["additionalProperties"] is not False, (where, name)
                check(document, schema["additionalProperties"], part, where + "." + name)
    if isinstance(value, list) and "items" in schema:
        for i, part in enumerate(value):
            check(document, schema["items"], part, "%s[%d]" % (where, i))
