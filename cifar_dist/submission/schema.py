"""The JSON Schema that helm checks the chart's values by: draft-07, closed, local references."""

from typing import Any

from cifar_dist.submission.values import Values

_DRAFT = "http://json-schema.org/draft-07/schema#"
_PARTIAL = {"Resources", "StoreEgress", "WorkerGroup"}


def values_schema() -> dict[str, Any]:
    """Give the content of values.schema.json."""
    schema = Values.model_json_schema(ref_template="#/definitions/{model}")
    definitions = schema.pop("$defs")
    for name, section in [*definitions.items(), ("", schema)]:
        # What helm checks is laid over values.yaml, so only a removed key can be missing there;
        # what a new group of workers leaves open, the chart fills in.
        if name not in _PARTIAL:
            fields = section["properties"].items()
            section["required"] = [key for key, field in fields if _is_needed(key, field)]
    closed = {name: _draft_07(section) for name, section in sorted(definitions.items())}
    return {"$schema": _DRAFT, **_draft_07(schema), "definitions": closed}


def _is_needed(key: str, field: dict[str, Any]) -> bool:
    return key != "global" and {"type": "null"} not in field.get("anyOf", ())


def _draft_07(node: Any) -> Any:
    if isinstance(node, list):
        return [_draft_07(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _draft_07(value) for key, value in node.items() if not _is_noise(key, value)}
    if "patternProperties" in plain:
        plain["additionalProperties"] = False
    if "$ref" in plain:  # beside a reference draft-07 sees nothing
        return {"$ref": plain["$ref"]}
    return plain


def _is_noise(key: str, value: Any) -> bool:
    # A default is values.yaml's, and a title its key again.
    return key == "default" or (key == "title" and isinstance(value, str))
