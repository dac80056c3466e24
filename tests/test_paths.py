"""Names and links that lead out of their folder, on every system."""

import pytest

from course_lib.data.paths import below, check_links, stays_below

OUT = ["../x", "a/../../x", "a/..", "..", ".", "", "/etc/passwd", r"\x", r"..\x", r"a\..\..\x", "C:/x", "c:x", "a\0b"]
IN = ["x", "a/b/x.jpg", "./x", "a//x", "..x", "x..", "...", "a b", "é.jpg", ".hidden"]


@pytest.mark.parametrize("name", OUT)
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    assert not stays_below(name)
    with pytest.raises(ValueError, match="does not lead to a file below"):
        below(tmp_path, name)


@pytest.mark.parametrize("name", IN)
def test_a_name_that_stays_is_joined(tmp_path, name):
    assert below(tmp_path, name) == tmp_path / name
    assert below(tmp_path, name).resolve().is_relative_to(tmp_path.resolve())


def test_a_link_may_stay_inside_but_not_lead_out(tmp_path):
    folder, linked = tmp_path / "real", tmp_path / "linked"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"")
    linked.symlink_to(folder)
    for name, target in {"inside": folder / "a.jpg", "out": tmp_path / "secret", "up": "../secret"}.items():
        (folder / name).symlink_to(target)
    check_links([folder / "inside", linked / "inside"], within=[linked])
    for name in ("out", "up"):
        with pytest.raises(ValueError, match=f"{name} is a link out of .*secret; put the file itself there"):
            check_links([folder / "inside", folder / name], within=[linked, folder])
