from tasks.common.flat import flat


def test_nested_keys_are_joined_in_order() -> None:
    assert list(flat({"b": {"c": {"d": 1}, "a": [2, 3]}, "a": None}).items()) == [("b.c.d", 1), ("b.a", [2, 3]), ("a", None)]


def test_an_empty_mapping_vanishes() -> None:
    assert flat({"a": {}, "b": 1}) == {"b": 1}
