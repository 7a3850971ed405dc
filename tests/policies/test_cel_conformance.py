"""The runner of CEL's conformance files tells right from wrong and from refused. The files are not in here."""

from __future__ import annotations

import pytest

from tests.policies.conformance import cases, main, verdict
from tests.policies.textproto import read

FILE = r"""
# a comment
name: "logic"
section {
  name: 'some'
  test { name: "equal" expr: "'\\u00e4' == 'ä' || " 'false' value: { bool_value: true } }
  test { name: "unlike" expr: "1 == 2" value: { bool_value: true } }
  test { name: "text" expr: "'a\\n'" value { string_value: "a\n" } }
  test { name: "list" expr: "[1, 2]" value { list_value { values [ { int64_value: 1 }, { int64_value: 3 } ] } } }
  test { name: "error" expr: "true" eval_error: { errors: { message: "no" } } }
  test { name: "sum" expr: "1 + 1 == 2" }
}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "logic.textproto").write_text(FILE, encoding="utf-8")
    return tmp_path


def test_each_case_has_its_verdict(folder):
    found = {case.name.rpartition("/")[2]: verdict(case) for case in cases(folder / "logic.textproto")}
    assert found == {
        "equal": "right",
        "unlike": "WRONG",
        "text": "right",
        "list": "WRONG",
        "error": "WRONG",
        "sum": "refused: not_in_profile",
    }


def test_wrong_answers_are_counted_and_shown(folder, capsys):
    assert main(folder, verbose=True) == 3
    printed = capsys.readouterr().out
    assert "WRONG logic/some/unlike: '1 == 2' is True, and here {'python': False, 'polars': False" in printed
    assert "logic/some/sum: not_in_profile: '+' is not in the profile" in printed
    assert "core: 6 cases, {'WRONG': 3, 'refused: not_in_profile': 1, 'right': 2}" in printed


def test_a_folder_without_files_is_not_taken_for_success(tmp_path):
    with pytest.raises(SystemExit, match=r"there is no \*\.textproto"):
        main(tmp_path, verbose=False)


def test_a_file_that_is_no_text_format_is_refused():
    with pytest.raises(ValueError, match="line 2"):
        read('a: 1\nb: "')
