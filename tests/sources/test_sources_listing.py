"""Which files a source lists, which it calls bad, and what identifies each."""

import os
import stat
import zipfile
from pathlib import Path

import pytest

from runtime.errors import SourceError
from runtime.sources.listing import Listing, list_source


def put(root: Path, *paths: str, text: str = "{}") -> None:
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def put_zip(path: Path, **members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def paths(listing: Listing) -> list[str]:
    return [listed.path for listed in listing.files]


def errors(listing: Listing) -> dict[str, str]:
    return {bad.path: bad.error for bad in listing.bad}


def test_names_that_are_read_are_listed_and_others_counted_with_an_example(tmp_path: Path) -> None:
    read = ["a.json", "b.json.gz", "c.JSON", "d.Log", "e.jsonl.bz2", "f.ndjson.ZST"]
    put(tmp_path, *read, "g.txt", "h.gz", "i.json.tmp", "json", "x/day-events")
    put(tmp_path, ".hidden", "_SUCCESS", "k.json._COPYING_", "_x/y.txt")
    put_zip(tmp_path / "y.ZIP", **{"h.json": "{}", "i.csv": "", "j.LOG.gz": "", "dir/": "", "_k.txt": ""})
    listing = list_source("s", str(tmp_path))
    assert paths(listing) == [*read, "y.ZIP!h.json", "y.ZIP!j.LOG.gz"]
    assert listing.bad == ()
    assert (listing.left_out, listing.example) == (6, "g.txt")


def test_a_listed_file_knows_its_source_path_uri_size_and_signature(tmp_path: Path) -> None:
    put(tmp_path, "2018/11/a.json", text="12345")
    (listed,) = list_source("log_data", str(tmp_path)).files
    status = (tmp_path / "2018/11/a.json").stat()
    assert (listed.source, listed.path, listed.size) == ("log_data", "2018/11/a.json", 5)
    assert listed.uri == str(tmp_path / "2018/11/a.json")
    assert listed.signature == f"5:{status.st_mtime_ns}:{status.st_ctime_ns}"


def test_files_are_sorted_by_the_bytes_of_their_path(tmp_path: Path) -> None:
    names = ["é.json", "z/a.json", "Z.json", "a.json", "a/b.json", "a-.json", "\U0001f600.json"]
    put(tmp_path, *names, "\uffee.json")
    listed = paths(list_source("s", str(tmp_path)))
    assert listed == sorted([*names, "\uffee.json"], key=str.encode)


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    put(tmp_path, ".a.json", "_b.json", "_SUCCESS/c.json", ".git/d.json", "e/._f.json", "g.json")
    put_zip(tmp_path / "z.zip", **{"__MACOSX/._x.json": "{}", "a/.y.json": "{}", "./k.json": "{}"})
    assert paths(list_source("s", str(tmp_path))) == ["g.json", "z.zip!./k.json"]


def test_a_root_may_itself_lie_in_a_hidden_folder(tmp_path: Path) -> None:
    put(tmp_path, ".cache/_data/a.json")
    assert paths(list_source("s", str(tmp_path / ".cache/_data"))) == ["a.json"]


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "x.json/y.json", "x.zip/y.json")
    assert paths(list_source("s", str(tmp_path))) == ["x.json/y.json", "x.zip/y.json"]


def test_files_named_alike_in_two_folders_are_distinct(tmp_path: Path) -> None:
    put(tmp_path, "a/x.json", "b/x.json")
    assert paths(list_source("s", str(tmp_path))) == ["a/x.json", "b/x.json"]


def test_the_root_may_be_one_file(tmp_path: Path) -> None:
    put(tmp_path, "a.json", "b.json")
    put_zip(tmp_path / "c.zip", **{"d.json": "{}"})
    assert paths(list_source("s", str(tmp_path / "a.json"))) == ["a.json"]
    assert paths(list_source("s", str(tmp_path / "c.zip"))) == ["c.zip!d.json"]


def test_the_root_may_be_a_file_uri(tmp_path: Path) -> None:
    put(tmp_path, "with space/a.json")
    assert paths(list_source("s", (tmp_path / "with space").as_uri())) == ["a.json"]


def test_a_root_of_another_kind_of_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"s3://bucket/x cannot be listed: s3:// is not"):
        list_source("s", "s3://bucket/x")
    put(tmp_path, "a.csv")
    with pytest.raises(SourceError, match=r"a\.csv is not a folder and not a file named"):
        list_source("s", str(tmp_path / "a.csv"))


def test_a_missing_root_is_named_with_its_nearest_sibling(tmp_path: Path) -> None:
    put(tmp_path, "log_data/a.json")
    with pytest.raises(SourceError) as raised:
        list_source("s", str(tmp_path / "log_dta" / "2018"))
    assert "there is no 'log_dta'" in str(raised.value)
    assert str(raised.value).endswith(f"Did you mean {tmp_path}/log_data?")
    with pytest.raises(SourceError, match=r"there is no 'zzz' in .*\.$"):
        list_source("s", str(tmp_path / "zzz"))


def test_linked_files_and_folders_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/deep/a.json", "root/b.json")
    (tmp_path / "root/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/c.json").symlink_to("b.json")
    found = paths(list_source("s", str(tmp_path / "root")))
    assert found == ["b.json", "c.json", "folder/deep/a.json"]


def test_links_that_go_round_end_and_real_folders_keep_their_paths(tmp_path: Path) -> None:
    put(tmp_path, "z/a.json")
    (tmp_path / "z/up").symlink_to(tmp_path)
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "b").symlink_to("b")
    assert paths(list_source("s", str(tmp_path))) == ["z/a.json"]


def test_a_broken_link_is_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("nowhere.json")
    (tmp_path / "other").symlink_to("nowhere")
    listing = list_source("s", str(tmp_path))
    assert listing.files == ()
    assert errors(listing) == {"a.json": "it is a broken symbolic link: No such file or directory"}


def test_a_file_without_permission_is_a_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.json")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert errors(list_source("s", str(tmp_path))) == {"a.json": "permission denied"}


def test_a_folder_without_permission_is_bad_and_as_the_root_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.json", "closed/b.json")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    closed = str(tmp_path / "closed")
    listing = list_source("s", str(tmp_path))
    assert paths(listing) == ["a.json"]
    assert errors(listing) == {"closed/": "the folder cannot be listed: Permission denied"}
    with pytest.raises(SourceError, match="cannot be listed: Permission denied"):
        list_source("s", closed)


def test_what_is_not_a_regular_file_is_bad_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "pipe.zip")
    assert stat.S_ISFIFO((tmp_path / "pipe.json").stat().st_mode)
    found = errors(list_source("s", str(tmp_path)))
    assert found == dict.fromkeys(["pipe.json", "pipe.zip"], "it is not a regular file")


def test_a_name_that_is_not_utf_8_is_bad_under_an_escaped_name(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.json")).write_text("{}")
    (bad,) = list_source("s", str(tmp_path)).bad
    assert (bad.path, bad.uri) == ("a\\xff.json", f"{tmp_path}/a\\xff.json")
    assert bad.error == "its name is not valid UTF-8; rename it"


def test_a_name_that_reads_like_a_zip_member_is_bad(tmp_path: Path) -> None:
    put(tmp_path, "a.zip!b.json")
    assert "rename it" in errors(list_source("s", str(tmp_path)))["a.zip!b.json"]


def test_a_member_is_identified_by_its_content_not_its_archive(tmp_path: Path) -> None:
    put_zip(tmp_path / "a.zip", **{"dir/x.json": "hello"})
    (before,) = list_source("s", str(tmp_path)).files
    os.utime(tmp_path / "a.zip", (1, 1))
    (after,) = list_source("s", str(tmp_path)).files
    assert before == after
    assert before.signature == "crc32:3610a686:5"
    assert (before.size, before.uri) == (5, f"{tmp_path}/a.zip!dir/x.json")


def test_the_later_of_two_members_with_one_name_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.json", "old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.json", "newer")
    assert [listed.size for listed in list_source("s", str(tmp_path)).files] == [5]


@pytest.mark.parametrize("cut", [0, 1, 30, 60])
def test_a_corrupt_archive_is_a_bad_file(tmp_path: Path, cut: int) -> None:
    put_zip(tmp_path / "a.zip", **{"x.json": "{}"})
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:cut])
    listing = list_source("s", str(tmp_path))
    assert "cannot be read" in errors(listing)["a.zip"]
    assert listing.bad[0].signature.startswith(f"{cut}:")


@pytest.mark.parametrize("name", ["../x.json", "/x.json", "a/../../x.json", "..\\x.json", "C:/x.json"])
def test_a_member_pointing_outside_its_archive_is_bad(tmp_path: Path, name: str) -> None:
    put_zip(tmp_path / "a.zip", **{name: "{}", "good.json": "{}"})
    listing = list_source("s", str(tmp_path))
    assert paths(listing) == ["a.zip!good.json"]
    assert errors(listing) == {f"a.zip!{name}": "the member's name points outside its archive"}


def test_an_encrypted_member_and_a_nested_archive_are_bad(tmp_path: Path) -> None:
    put_zip(tmp_path / "a.zip", **{"x.json": "{}", "y.zip": ""})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    flags = data.index(b"PK\x01\x02") + 8
    data[flags] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    found = errors(list_source("s", str(tmp_path)))
    assert "encrypted" in found["a.zip!x.json"]
    assert "unpack the outer one" in found["a.zip!y.zip"]
