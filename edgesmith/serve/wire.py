"""A result as bytes, from inference to sink."""

from __future__ import annotations

import json

from edgesmith.serve.result import Result, Seen


def encode(result: Result) -> bytes:
    """JSON of a result."""
    return json.dumps(
        [
            result.index,
            result.captured_s,
            [[seen.label, seen.score, seen.box, seen.track] for seen in result.objects],
            result.detected,
            dict(result.ms),
            result.artifact,
        ]
    ).encode()


def decode(content: bytes) -> Result:
    """The result that was encoded."""
    index, captured_s, objects, detected, ms, artifact = json.loads(content)
    return Result(
        index=index,
        captured_s=captured_s,
        objects=tuple(
            Seen(label, score, tuple(box) if box else None, track)
            for label, score, box, track in objects
        ),
        detected=detected,
        ms=ms,
        artifact=artifact,
    )
