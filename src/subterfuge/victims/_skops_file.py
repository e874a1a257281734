"""Load a skops file under skops's own audit, after a look at what it names.

skops is a zip of ``schema.json``, a tree of nodes that each name a loader, a module and a class, beside the
arrays in numpy's format. Its audit trusts all of scikit-learn's estimators; here the loaders are narrowed to
those that hold data and objects, because some have let calls through in the past (CVE-2025-54412,
CVE-2025-54413), and the plain classes of `modelfile.names` are trusted too. So is the decision tree, as long as
everything else of scikit-learn's in the file is on that list: skops makes it without a look at its nodes, and
`_native.check`, which knows those classes, looks at them before anyone asks it. Neighbour trees are not trusted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from subterfuge.victims._inflate import Unreadable
from subterfuge.victims.modelfile.makers import DTYPE
from subterfuge.victims.modelfile.names import CLASSES, LOSSES, SCORES, TREE
from subterfuge.victims.modelfile.numpy import Refused

_LOADERS = frozenset(
    {
        *("DictNode", "DefaultDictNode", "ListNode", "TupleNode", "SetNode", "SliceNode", "JsonNode"),
        *("BytesNode", "BytearrayNode", "NdArrayNode", "MaskedArrayNode", "DTypeNode", "RandomStateNode"),
        *("TypeNode", "FunctionNode", "ObjectNode", "LossNode", "TreeNode", "CachedNode"),
        "RandomGeneratorNode",
    }
)
_KNOWN = frozenset(".".join(name) for name in CLASSES | SCORES | {DTYPE.name, TREE})
_BESIDE_TREES = _KNOWN | {".".join(name) for name in LOSSES}
_SCHEMA = "schema.json"
_SCHEMA_MOST = 64 * 2**20


def is_zip(raw: bytes) -> bool:
    """Say whether a file begins as a zip does, the empty one included."""
    return raw.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def load_skops(raw: bytes, most: int) -> object:
    """Load the object of a skops file.

    Args:
        raw: the file.
        most: the largest total size of its unpacked parts, in bytes.

    Raises:
        Refused: it holds types or loaders that are not trusted; the exception's arguments name them.
        Unreadable: it is no skops file, is damaged, or too large.
        Exception: of another kind, if its content is damaged.
    """
    from skops.io import get_untrusted_types, loads

    nodes, sizes = _contents(raw, most)
    odd = {f"the loader {node['__loader__']}" for node in nodes if node["__loader__"] not in _LOADERS}
    if odd:
        raise Refused(*sorted(odd | {_name(node) for node in nodes if node["__loader__"] not in _LOADERS}))
    if special := sorted({key for node in nodes for key in _special(node)}):
        raise Refused(*(f"the special attribute {key:.40}" for key in special))
    # skops unpacks a part anew for each node that names it
    if sum(sizes.get(str(node.get("file")), 0) for node in nodes) > most:
        raise Unreadable(f"it unpacks to more than {most / 2**20:g} MiB")
    untrusted = get_untrusted_types(data=raw)
    if unknown := [name for name in untrusted if name not in _KNOWN]:
        raise Refused(*unknown)
    if ".".join(TREE) in untrusted:  # TreeNode asks for it whatever its node is called
        others = {_name(node) for node in nodes} - _BESIDE_TREES
        if others := {name for name in others if name.startswith("sklearn.")}:
            raise Refused(*(f"{name} beside a decision tree" for name in sorted(others)))
    return loads(raw, trusted=untrusted)


def _contents(raw: bytes, most: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Give the nodes of the schema, and the size of each part."""
    try:
        with ZipFile(BytesIO(raw)) as archive:
            parts = archive.infolist()
            total = sum(part.file_size for part in parts)
            if total > most:
                raise Unreadable(f"it unpacks to {total / 2**20:.0f} MiB, more than {most / 2**20:g} MiB")
            if _SCHEMA not in archive.namelist():
                names = ", ".join(part.filename for part in parts[:3]) or "nothing"
                raise Unreadable(f"it is a zip archive without {_SCHEMA}; it holds {names}")
            if archive.getinfo(_SCHEMA).file_size > _SCHEMA_MOST:
                raise Unreadable(f"its {_SCHEMA} is larger than {_SCHEMA_MOST / 2**20:g} MiB")
            nodes = list(_nodes(json.loads(archive.read(_SCHEMA))))
            return nodes, {part.filename: part.file_size for part in parts}
    except Unreadable:
        raise
    except (BadZipFile, NotImplementedError, RuntimeError, ValueError) as reason:
        raise Unreadable(f"it is a damaged zip archive ({reason})") from None


def _nodes(schema: object) -> Iterator[dict[str, Any]]:
    """Walk over every node of the schema that names a loader."""
    todo = [schema]
    while todo:
        here = todo.pop()
        if isinstance(here, dict):
            if "__loader__" in here:
                yield here
            todo.extend(here.values())
        elif isinstance(here, list):
            todo.extend(here)


def _special(node: dict[str, Any]) -> list[str]:
    """Give the keys of a dictionary, perhaps of an object's attributes, that Python or numpy would follow."""
    return [key for key in node["content"] if key.startswith("__")] if node["__loader__"] == "DictNode" else []


def _name(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"
