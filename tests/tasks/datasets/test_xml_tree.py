import codecs

import pytest

from tasks.datasets import xml_tree

BODY = "<a><name>Müßig</name><n>1<!-- one -->2</n><c><![CDATA[x < y]]></c></a>"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "iso-8859-1", "windows-1252", "utf-16", "utf-16-le", "iso-8859-15", "koi8-r", "shift_jis"]
)
def test_any_declared_encoding_comments_and_cdata(encoding: str) -> None:
    text = BODY if encoding not in ("koi8-r", "shift_jis") else BODY.replace("Müßig", "Жук")
    document = f'<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE a>\n<!-- a comment -->\n{text}'
    root = xml_tree.parse(document.encode(encoding))
    assert root.findtext("name") == ("Жук" if "Жук" in text else "Müßig")
    assert (root.findtext("n"), root.findtext("c")) == ("12", "x < y")


def test_a_byte_order_mark_and_the_five_entities() -> None:
    root = xml_tree.parse(codecs.BOM_UTF8 + b"<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</a>")
    assert root.text == "<&>\"'AB"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "declares entities"),
        (b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "declares entities"),
        (b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><a/>', "declares entities"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a>&e;</a>', "uses the entity 'e'"),
        (b"<a>&e;</a>", "not well-formed"),
        (b"<a><b></a>", "not well-formed"),
        (b"<a>", "not well-formed"),
        (b"", "not well-formed"),
        (b"<a/><a/>", "not well-formed"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "encoding 'nonsense' is not known"),
        (b'<?xml version="1.0" encoding="zlib"?><a/>', "encoding 'zlib' is not known"),
        (b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>', "decode"),
        (b"<a>" * 40 + b"</a>" * 40, "nested deeper than 32"),
        (b"<a>" * 200_000, "nested deeper than 32"),
        (b"<a>" + b" " * xml_tree.MAX_BYTES + b"</a>", "allowed: 1,048,576"),
    ],
)
def test_what_is_refused(source: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        xml_tree.parse(source)


def test_entities_that_nest_by_the_ten_thousand_are_refused_before_they_are_expanded() -> None:
    """The parser itself would expand them by recursion, until the stack ends."""
    chain = "".join(f'<!ENTITY e{i} "&e{i - 1};">' for i in range(1, 30_000))
    with pytest.raises(ValueError, match="declares entities"):
        xml_tree.parse(f'<!DOCTYPE a [<!ENTITY e0 "x">{chain}]><a>&e29999;</a>'.encode())
    brackets = "(" * 300_000
    with pytest.raises(ValueError, match="declares entities"):
        xml_tree.parse(f"<!DOCTYPE a [<!ELEMENT a {brackets}".encode())
