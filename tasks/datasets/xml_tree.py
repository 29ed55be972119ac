"""XML from outside: read by a real parser, without entities, document type subsets and deep nesting."""

import re
import xml.etree.ElementTree as ET
from xml.parsers import expat

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
# Characters that the parser is given at once before the root element: an exception of ours ends the parse between two pieces only.
_PIECE = 256


def parse(source: bytes) -> ET.Element:
    """The root element of a document in any encoding that it declares; comments are left out.

    Raises ValueError for a document that is not well-formed, that declares anything of its own (entities among it) or uses an entity
    beyond XML's five, that is nested deeper than 32 elements, and that is longer than 1 MiB.
    """
    if len(source) > MAX_BYTES:
        raise ValueError(f"it has {len(source):,} bytes; allowed: {MAX_BYTES:,}")
    text = _decoded(source)
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    depth, started = 0, False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, started
        depth, started = depth + 1, True
        if depth > MAX_DEPTH:
            raise ValueError(f"its elements are nested deeper than {MAX_DEPTH}")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def doctype(name: str, system: str | None, public: str | None, subset: int) -> None:
        if subset:
            raise ValueError("it declares entities or elements of its own, which are not read")

    def skipped(name: str, is_parameter: bool) -> None:
        raise ValueError(f"it uses the entity {name[:40]!r}, which is not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    parser.SkippedEntityHandler = skipped
    try:
        at = 0
        while not started and at < len(text):
            parser.Parse(text[at : at + _PIECE], False)
            at += _PIECE
        parser.Parse(text[at:], True)
    except expat.ExpatError as error:
        raise ValueError(f"not well-formed: {error}") from None
    return builder.close()


def _decoded(source: bytes) -> str:
    """The text of a document, by its byte order mark, else the encoding that it declares, else UTF-8. Raises ValueError."""
    if source.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif source.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    elif source.startswith((b"<\0", b"\0<")):
        encoding = "utf-16-le" if source.startswith(b"<\0") else "utf-16-be"
    else:
        declared = re.match(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']", source)
        encoding = declared[1].decode() if declared else "utf-8"
    try:
        return source.decode(encoding)
    except LookupError:
        raise ValueError(f"its encoding {encoding!r} is not known") from None
