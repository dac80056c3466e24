"""Texts cut at every byte: each loss is seen, whatever the format."""

import pytest

from course_lib.data.texts import count_rows, damage

WHOLE = {
    "bank.yaml": "- id: Q1\n  zh: 图像编码器\n- id: Q2\n  list: [a, b]\n...\n",
    "terms.csv": 'term,zh\n"a, b",甲\n"two\nlines",乙\nc,丙\n',
    "figures.json": '{\n "a": [1, 2],\n "b": "é"\n}\n',
}


def written(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_text_is_told_from_every_beginning_of_it(tmp_path, name):
    whole = WHOLE[name].encode()
    rows = count_rows(written(tmp_path, name, whole))
    assert rows == (3 if name == "terms.csv" else None)
    assert damage(tmp_path / name, rows) is None
    loses_nothing = 1 if name == "terms.csv" else 0  # of the others the last byte is only a newline
    for length in range(len(whole) - 1 + loses_nothing):
        assert damage(written(tmp_path, name, whole[:length]), rows) is not None, whole[:length]


def test_windows_line_ends_are_whole_too(tmp_path):
    for name, text in WHOLE.items():
        path = written(tmp_path, name, text.replace("\n", "\r\n").encode())
        assert damage(path, 3 if name == "terms.csv" else None) is None


def test_the_words_say_how_and_where(tmp_path):
    cases = {
        ("a.yaml", b"- a\n- b\n"): "cut short: its end mark, a last line '...', is missing after line 2",
        ("a.yaml", b"- a\n...\n- b\n"): "goes on after its end mark, the line '...' (2 of 3)",
        ("a.json", b'{"a": 1,\n'): "cut short or altered: Expecting property name enclosed in double quotes: line 2",
        ("a.json", b"[" * 100_000): "cut short or altered: maximum recursion depth",
        ("a.csv", b"x,y\n1,2\n3\n"): "cut short or altered: row 2 of 2 has not the 2 fields of the header",
        ("a.csv", b"x,y\n1,2"): "cut short in row 1: its last line is not ended",
        ("a.csv", b"x,y\n1,2\n"): "cut short: 1 rows, the catalogue has 2",
        ("a.csv", b"x,y\n1,2\n1,2\n1,2\n"): "altered: 3 rows, the catalogue has 2",
        ("a.yaml", b"  \n"): "empty",
        ("a.yaml", b"- \xe5\x9b\n...\n"): "byte 2 of 9 is no UTF-8: cut short or altered",
    }
    for (name, content), words in cases.items():
        assert damage(written(tmp_path, name, content), 2).startswith(words)
