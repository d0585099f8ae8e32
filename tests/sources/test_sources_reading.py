"""Inspecting, cutting and reading files: every record once, with its file, line and delivery."""

import codecs
import gc
import gzip
import hashlib
import io
import json
import os
import random
import threading
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from runtime.sources.filesystem import Found
from runtime.sources.inspection import Inspected, inspect
from runtime.sources.listing import Listed, list_source
from runtime.sources.open_file import ContentReader, Unreadable
from runtime.sources.reading import SCHEMA, read_slices
from runtime.sources.slicing import Rest, Slice, cut, from_json, pack, to_json

Record = tuple[str, int]


def listed_file(path: Path, data: bytes) -> Listed:
    """`data` written to `path`, as listed; a zip holds it as one member."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("member.json", data)
    else:
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    (listed,) = list_source("s", str(path)).files
    return listed


def read_file(path: Path, data: bytes) -> list[Record]:
    """(raw, line) of every record of a file with this content."""
    listed = listed_file(path, data)
    slices, rest = cut(listed, inspect(listed), delivery=1)
    assert rest is None
    return records(slices)


def records(slices: tuple[Slice, ...]) -> list[Record]:
    rows = [row for batch in read_slices(slices) for row in batch.to_pylist()]
    return [(row["raw"], row["_source_line"]) for row in rows]


def form(path: Path, data: bytes) -> str:
    return inspect(listed_file(path, data)).form


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.json"


# Lines


def test_records_carry_their_file_line_and_delivery_in_the_promised_schema(file: Path) -> None:
    listed = listed_file(file, b'{"a":1}\n{"b":2}\n')
    (batch,) = read_slices(cut(listed, inspect(listed), delivery=7)[0])
    assert batch.schema == SCHEMA
    assert batch.to_pylist() == [
        {"raw": '{"a":1}', "_source_file": str(file), "_source_line": 1, "_delivery": 7},
        {"raw": '{"b":2}', "_source_file": str(file), "_source_line": 2, "_delivery": 7},
    ]


@pytest.mark.parametrize("data", [b'{"a":1}\n' * 9_000, b'[{"a":1},\n{"b":2}]'], ids=["lines", "values"])
def test_records_lie_in_memory_that_is_let_go_of_without_the_interpreter(file: Path, data: bytes) -> None:
    listed = listed_file(file, data)
    slices, _ = cut(listed, inspect(listed), delivery=1)
    before = pa.total_allocated_bytes()
    (batch,) = read_slices(slices)
    gc.collect()
    assert pa.total_allocated_bytes() - before >= batch.nbytes


def test_blank_lines_are_skipped_but_counted(file: Path) -> None:
    assert read_file(file, b'\n \t\r\n{"a":1}\n\n{"b":2}\n\n') == [('{"a":1}', 3), ('{"b":2}', 5)]


def test_a_last_line_needs_no_newline(file: Path) -> None:
    assert read_file(file, b'{"a":1}\n{"b":2}') == [('{"a":1}', 1), ('{"b":2}', 2)]
    assert read_file(file, b'{"a":1}\r\n{"b":2}\r') == [('{"a":1}', 1), ('{"b":2}', 2)]


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\n ", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.zip"])
def test_empty_and_blank_files_hold_no_record(tmp_path: Path, name: str, data: bytes) -> None:
    assert read_file(tmp_path / name, data) == []


def test_only_one_carriage_return_belongs_to_the_line_end(file: Path) -> None:
    assert read_file(file, b'{"a":1}\r\r\n{"b":\r2}\n') == [('{"a":1}\r', 1), ('{"b":\r2}', 2)]


def test_bytes_that_are_not_utf_8_are_kept_escaped(file: Path) -> None:
    data = b'{"a":1}\n{"b":"\xff"}\n\n{"c":"\xc3\xa9"}\n'
    assert read_file(file, data) == [('{"a":1}', 1), ('{"b":"\\xff"}', 2), ('{"c":"é"}', 4)]


def test_a_character_cut_by_a_line_end_does_not_join_the_next_line(file: Path) -> None:
    assert read_file(file, b"{}\n\xc3\n\xa9\n") == [("{}", 1), ("\\xc3", 2), ("\\xa9", 3)]


def test_nul_bytes_are_kept(file: Path) -> None:
    assert read_file(file, b'{"a":1}\n{"b":"\0"}\n\0\n') == [
        ('{"a":1}', 1),
        ('{"b":"\0"}', 2),
        ("\0", 3),
    ]


def test_characters_cut_by_chunk_boundaries_are_whole(file: Path) -> None:
    lines = [json.dumps({"a": "é😀" * length}, ensure_ascii=False) for length in range(1200)]
    data = "\n".join(lines).encode()
    assert len(data) > 3 << 20
    assert read_file(file, data) == [(line, n) for n, line in enumerate(lines, 1)]


def test_a_line_of_50_megabytes_is_one_record(file: Path) -> None:
    long = '{"a":"' + "x" * 50_000_000 + '"}'
    found = read_file(file, f'{{"b":1}}\n{long}\n{{"c":2}}\n'.encode())
    assert [(len(raw), line) for raw, line in found] == [(7, 1), (len(long), 2), (7, 3)]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [("", "\n{}"), ("[", ", {}]"), ("\n{\n", "\n}")])
def test_a_record_over_the_default_limit_is_read_where_inspection_took_it(
    file: Path, before: str, after: str
) -> None:
    listed = listed_file(file, f'{before}{{"a":"{"x" * (257 << 20)}"}}{after}'.encode())
    inspected = inspect(listed, max_record_bytes=300 << 20)
    found = records(cut(listed, inspected, 1)[0])
    assert max(len(raw) for raw, _ in found) > 256 << 20


# Forms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1}\n{"b":2}\n', "lines"),
        ('\n\n{"a":1}', "lines"),
        ("1\n2\n", "lines"),
        ('{"a":"tab\tinside"}\n{"b":2}\n', "lines"),
        ('{"a":1, "b\n{"c":2}\n', "lines"),
        ('"b":2}\n{"c":2}\n', "lines"),
        ("not json\n" * 50 + '{"c":2}\n', "lines"),
        ('[{"a":1}]', "values"),
        ("\n [", "values"),
        ('{\n "a":1\n}\n', "document"),
        ('{\n "a":1,\n', "document"),
        ('{"a":1, "b', "document"),
        ("not\njson\n", "document"),
    ],
)
def test_the_form_follows_from_the_first_lines(file: Path, text: str, expected: str) -> None:
    found = form(file, text.encode())
    # One whole document is read the same way as several.
    assert found == expected or (expected == "document" and found == "values" and text[-2] == "}")


def test_a_damaged_character_in_the_first_line_does_not_change_the_form(file: Path) -> None:
    assert form(file, b'{"a":"\xff"}\n{"b":"\xff"}\n') == "lines"


def test_a_pretty_printed_document_is_one_record_at_its_first_line(file: Path) -> None:
    text = json.dumps({"a": [{}, {"b": "}{"}], "c": 'say \\" "'}, indent=2)
    assert read_file(file, f"\n\n{text}\n".encode()) == [(text, 3)]


def test_a_line_inside_a_document_that_is_an_object_is_no_record(file: Path) -> None:
    text = '{"a":\n[\n{"b":1}\n]}'
    assert read_file(file, text.encode()) == [(text, 1)]


def test_a_cut_document_is_one_record(file: Path) -> None:
    text = json.dumps({"a": 1, "b": {"c": 2}, "d": "e"}, indent=2)[:-6]
    assert read_file(file, text.encode()) == [(text, 1)]
    tail = text[text.index('"b"') :]
    assert read_file(file, tail.encode()) == [(tail, 1)]


def test_a_cut_line_alone_is_one_record(file: Path) -> None:
    assert read_file(file, b'{"a":1,"b":"x') == [('{"a":1,"b":"x', 1)]


def test_a_cut_first_line_costs_only_itself(file: Path) -> None:
    expected = [('{"a":1,"b":"x', 1), ('{"c":2}', 2), ('{"d":3}', 3)]
    assert read_file(file, b'{"a":1,"b":"x\n{"c":2}\n{"d":3}') == expected


def test_documents_one_after_another_are_split(file: Path) -> None:
    first, second = json.dumps({"a": {"b": 1}}, indent=1), json.dumps({"c": "}"}, indent=1)
    expected = [(first, 1), (second, 6), ("{}", 9), ('{"cut', 10)]
    for separator in ("\n", ",\n"):
        text = separator.join([first, second, "{}", '{"cut'])
        assert read_file(file, text.encode()) == expected


def test_documents_on_one_line_get_distinct_lines(file: Path) -> None:
    assert read_file(file, b'{"a":1} {"b":2}\n{"c":3}{"d":4}') == [
        ('{"a":1}', 1),
        ('{"b":2}', 2),
        ('{"c":3}', 3),
        ('{"d":4}', 4),
    ]


# Lines that hold more or less than a record

A, B, C = '{"a":1}', '{"b":"}{"}', '{"c":[{},{"d":2}]}'


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (A + B + C, [A, B, C]),
        (f"{A} {B}, {C}", [A, B, C]),
        (f"{A},", [A]),
        (f"{A} , \t", [A]),
        (f"{A}]", [A]),
        (f",{A}", [A]),
        ("]", []),
        (",", []),
        (f'{A}{{"b":{{"cut":', [A, '{"b":{"cut":']),
        (f"[{A},{B}]", [f"[{A},{B}]"]),
        (A + "}", [A + "}"]),
        (A + " rest", [A + " rest"]),
        ("[WARN] " + A, ["[WARN] " + A]),
        (f"{A},1", [f"{A},1"]),
        ('{"cut":"x', ['{"cut":"x']),
    ],
)
@pytest.mark.parametrize("around", [0, 1, 40_000])
def test_what_a_line_holds_depends_on_no_other_line(
    file: Path, line: str, found: list[str], around: int
) -> None:
    """Alone, among good lines, and at the end of a file of several chunks."""
    before, after = [f'{{"n":{n}, "more":"{"x" * 40}"}}' for n in range(around)], ["{}"] * min(around, 1)
    got = read_file(file, "\n".join([*before, line, *after]).encode())
    if around or line.startswith((",{", "{")):  # other text alone is a document, or an array
        assert [raw for raw, _ in got] == [*before, *found, *after]
    assert len({line for _, line in got}) == len(got)


@pytest.mark.parametrize(
    "banner", ["[2018-11-01T00:00:00Z] INFO rotated", "[WARN rotated", "INFO rotated", "["]
)
def test_a_banner_before_the_records_costs_itself_only(file: Path, banner: str) -> None:
    lines = [f'{{"n":{n}}}' for n in range(5)]
    got = [raw for raw, _ in read_file(file, "\n".join([banner, *lines]).encode())]
    if banner == "[":
        assert got[0] == lines[0]
    else:
        assert got == [banner, *lines]
    documents = [json.dumps({"n": n, "m": {}}, indent=1) for n in range(3)]
    if banner == "INFO":
        assert [raw for raw, _ in read_file(file, "\n".join([*documents, banner, *documents]).encode())] == [
            *documents, banner, *documents,
        ]  # fmt: skip


@pytest.mark.parametrize("cut_element", ['{"b":"x', '{"b":{"x":1}', '{"b":[', '{"b":"x}'])
def test_a_cut_element_of_an_array_costs_itself_only(file: Path, cut_element: str) -> None:
    text = "[\n" + ",\n".join([A, cut_element, B, C]) + "\n]"
    got = [(raw.rstrip(","), line) for raw, line in read_file(file, text.encode())]
    assert got == [(A, 2), (cut_element, 3), (B, 4), (C, 5)]


# Arrays


def test_array_elements_keep_their_text_and_the_line_they_start_at(file: Path) -> None:
    data = b'[\n {"a": [1, {"x": 2}]},\n\n {"b":\n 2}\n , {"c": 3}]\n'
    expected = [('{"a": [1, {"x": 2}]}', 2), ('{"b":\n 2}', 4), ('{"c": 3}', 6)]
    assert read_file(file, data) == expected


def test_elements_sharing_a_line_get_distinct_increasing_lines(file: Path) -> None:
    data = b'[{"a":1},{"b":2},{"c":3}\n,{"d":4}\n\n\n,{"e":5}]'
    assert [line for _, line in read_file(file, data)] == [1, 2, 3, 4, 5]
    assert [line for _, line in read_file(file, b"[1,2,\n\n\n3,4]")] == [1, 2, 4, 5]


def test_elements_that_are_not_objects_are_delivered_too(file: Path) -> None:
    expected = ["1", '"a,]["', "null", "[2, 3]", "{}", "rubbish"]
    found = read_file(file, b'[1, "a,][", null, [2, 3], {}, rubbish, ]')
    assert [raw for raw, _ in found] == expected


def test_brackets_and_escapes_inside_strings_do_not_count(file: Path) -> None:
    texts = [r'{"a":"]},\""}', r'{"b\\":"\\"}', r'{"c":"\\\"["}', r'{"d":"\u005c"}']
    found = read_file(file, ("[" + ",".join(texts) + "]").encode())
    assert [raw for raw, _ in found] == texts


def test_an_unterminated_last_element_is_delivered_as_it_is(file: Path) -> None:
    assert read_file(file, b'[{"a":1},\n{"b":"x, ]') == [('{"a":1}', 1), ('{"b":"x, ]', 2)]
    assert read_file(file, b'[{"a":1},\n{"b":{"c":2}') == [('{"a":1}', 1), ('{"b":{"c":2}', 2)]


def test_values_after_an_array_are_delivered_too(file: Path) -> None:
    found = read_file(file, b'[1]\n[2]\n{"a":1,"b":2}\n}rest')
    assert found == [("1", 1), ("2", 2), ('{"a":1,"b":2}', 3), ("}", 4), ("rest", 5)]


def test_an_array_is_scanned_right_wherever_chunks_end(file: Path) -> None:
    generator = random.Random(5)
    rows = [{"t": '\\"[{,' * generator.randrange(60), "é": [n, {}]} for n in range(15_000)]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    data = ("[\n" + ",\n".join(texts) + "\n]").encode()
    assert len(data) > 3 << 20
    assert read_file(file, data) == [(text, n) for n, text in enumerate(texts, 2)]


# Encodings and packing


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.zip"])
def test_a_byte_order_mark_tells_the_encoding_and_is_removed(
    tmp_path: Path, name: str, bom: bytes, encoding: str
) -> None:
    lines = ['{"a":"é਀"}', '{"b":"😀"}']
    data = bom + "\r\n".join(lines).encode(encoding)
    assert read_file(tmp_path / name, data) == [(lines[0], 1), (lines[1], 2)]
    array = bom + f"[{','.join(lines)}]".encode(encoding)
    assert read_file(tmp_path / name, array) == [(lines[0], 1), (lines[1], 2)]


def test_damaged_utf_16_is_kept_escaped(file: Path) -> None:
    data = codecs.BOM_UTF16_LE + '{"a":1}\n{"b":"'.encode("utf-16-le") + b"\x00\xd8!"
    assert read_file(file, data) == [('{"a":1}', 1), ('{"b":"\\x00\\xd8\\x21', 2)]


def compressed(data: bytes, codec: str) -> bytes:
    with pa.BufferOutputStream() as sink:
        with pa.CompressedOutputStream(sink, codec) as packed:
            packed.write(data)
        return bytes(sink.getvalue())


@pytest.mark.parametrize("name", ["a.json", "a.JSON.gz", "a.log.zst", "a.ndjson.BZ2", "a.zip"])
@pytest.mark.parametrize("codec", ["", "gzip", "bz2", "zstd"])
def test_compression_is_told_by_the_content_whatever_the_name(tmp_path: Path, name: str, codec: str) -> None:
    data = b'{"a":1}\n' * 400_000
    packed = compressed(data, codec) if codec else data
    if name == "a.zip":
        (listed,) = [listed_file(tmp_path / name, packed)]
    else:
        (tmp_path / name).write_bytes(packed)
        (listed,) = list_source("s", str(tmp_path / name)).files
    inspected = inspect(listed)
    assert (inspected.content_bytes, inspected.lacking, inspected.note) == (len(data), "", "")
    slices, _ = cut(listed, inspected, 1, budget=1)
    assert len(slices) == 1
    assert len(records(slices)) == 400_000
    with pytest.raises(Unreadable, match="max_unpacked_bytes") if codec else nullcontext():
        inspect(listed_file(tmp_path / "b.json", packed), max_unpacked_bytes=1_000_000)


@pytest.mark.parametrize("codec", ["gzip", "bz2", "zstd"])
def test_compressed_data_that_is_cut_or_damaged_is_unreadable(file: Path, codec: str) -> None:
    good = compressed(json.dumps({"a": list(range(50_000))}).encode(), codec)
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 0xFF
    for bad in (good[:-9], good[: len(good) // 2], *([bytes(damaged)] if codec != "zstd" else [])):
        listed = listed_file(file, bad)
        with pytest.raises(Unreadable, match="its compressed data is cut or corrupt"):
            inspect(listed)


@pytest.mark.parametrize("codec", ["gzip", "bz2"])
@pytest.mark.parametrize(
    ("behind", "note"), [(b"rubbish", "7 bytes behind the end"), (b"\0" * 2_000_000, "")]
)
def test_bytes_behind_compressed_data_are_passed_over_and_told(
    file: Path, codec: str, behind: bytes, note: str
) -> None:
    packed = compressed(b'{"a":1}\n{"b":2}\n', codec)
    inspected = inspect(listed := listed_file(file, packed + behind))
    assert inspected.note.startswith(note)
    assert bool(inspected.note) == bool(note)
    assert inspected.digest == f"sha256:{hashlib.sha256(packed + behind).hexdigest()}"
    assert records(cut(listed, inspected, 1)[0]) == [('{"a":1}', 1), ('{"b":2}', 2)]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4c10a08f78\nsize 329\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (POINTER, "pointer of Git LFS"),
        (b"<!DOCTYPE html>\n<script>\n{}\n</script>", "HTML"),
        ('{"a":1}\n'.encode("utf-16-le"), "without a byte order mark"),
        ('[{"a":1}]'.encode("utf-16-be"), "without a byte order mark"),
        (b"PK\x03\x04" + bytes(100), "a zip archive; name it"),
        (b"a.json" + bytes(251) + b"ustar\x0000" + bytes(248) + b'\n{"a":1}\n', "a tar archive"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"Obj\x01\x04\x14" + b'[{"name":1}]', "an Avro file"),
        (compressed(compressed(b'{"a":1}\n', "gzip"), "zstd"), "compressed twice"),
        (b"\0" * 4096, "no JSON object"),
        (b"INFO started\nINFO ended\n", "no JSON object"),
        (b"1\n2\n", "no JSON object"),
    ],
)
def test_a_file_that_holds_no_record_says_why(file: Path, data: bytes, why: str) -> None:
    assert why in inspect(listed_file(file, data)).lacking


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n \n",
        b"x" * 9_000,
        b'{"cut',
        b'x\n{"a":1}',
        b"[\n\n  {\n}]",
        b'["a", {"b":1}]',
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_file_that_is_empty_or_holds_an_object_whole_or_cut_is_read(file: Path, data: bytes) -> None:
    assert inspect(listed_file(file, data)).lacking == ""


def test_an_object_around_the_records_gets_a_hint(file: Path) -> None:
    for text in ('{"events": [{"a":1}, {"a":2}]}', '{\n "events": [\n  {"a":1}\n ]\n}'):
        assert "'events' holds the records" in inspect(listed_file(file, text.encode())).note
    assert inspect(listed_file(file, b'{"a": [1], "b": {"events": []}}')).note == ""


def test_gzip_of_several_members_is_one_file(file: Path) -> None:
    path = file.with_suffix(".json.gz")
    path.write_bytes(gzip.compress(b'{"a":1}\n{"b"') + gzip.compress(b":2}\n"))
    (listed,) = list_source("s", str(path)).files
    assert records(cut(listed, inspect(listed), 1)[0]) == [('{"a":1}', 1), ('{"b":2}', 2)]


def test_members_of_one_archive_are_read_through_one_opening(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"{number:02}.json", json.dumps({"n": number}))
        archive.writestr("gz.json.gz", gzip.compress(b'{"n":20}'))
    disk = CountingDisk()
    with ContentReader(disk) as content:
        files = list_source("s", str(tmp_path)).files
        cuts = [cut(listed, inspect(listed, content), 1)[0] for listed in files]
        batches = list(read_slices([piece for pieces in cuts for piece in pieces], content))
    raws = [raw for batch in batches for raw in batch.column("raw").to_pylist()]
    assert [json.loads(raw)["n"] for raw in raws] == list(range(21))
    assert disk.opened == [str(tmp_path / "a.zip")]


class CountingDisk:
    """A disk that remembers what was opened; `error` is raised instead of opening."""

    def __init__(self, error: OSError | None = None) -> None:
        self.opened = list[str]()
        self.error = error

    def walk(self, root: str) -> Iterator[Found]:
        raise AssertionError("inspecting and reading must not list")

    def open(self, uri: str) -> BinaryIO:
        if self.error:
            raise self.error
        self.opened.append(uri)
        return Path(uri).open("rb")


# Identity


def test_touching_a_file_changes_its_signature_but_not_its_digest(file: Path) -> None:
    before = listed_file(file, b'{"a":1}\n')
    digest = inspect(before).digest
    os.utime(file, (1, 1))
    (after,) = list_source("s", str(file)).files
    assert after.signature != before.signature
    assert inspect(after).digest == digest
    assert inspect(listed_file(file, b'{"a":2}\n')).digest != digest


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_the_digest_is_of_the_bytes_as_stored(tmp_path: Path, name: str) -> None:
    listed = listed_file(tmp_path / name, b'{"a":1}\n' * 300_000)
    digest = inspect(listed).digest
    assert digest.startswith("sha256:")
    with (tmp_path / name).open("ab") as appended:
        appended.write(b"\0" * 8)
    assert inspect(listed).digest != digest


def test_the_digest_of_a_zip_member_is_its_signature(tmp_path: Path) -> None:
    listed = listed_file(tmp_path / "a.zip", b'{"a":1}\n')
    inspected = inspect(listed)
    assert inspected == Inspected(listed.signature, "lines", "utf-8", 8, ())


# What cannot be read


def test_a_file_without_permission_is_unreadable(file: Path) -> None:
    listed = listed_file(file, b"{}")
    content = ContentReader(CountingDisk(PermissionError(13, "Permission denied")))
    with pytest.raises(Unreadable, match="it cannot be read: Permission denied"):
        inspect(listed, content)


def test_a_file_that_is_gone_is_unreadable(file: Path) -> None:
    listed = listed_file(file, b"{}")
    file.unlink()
    with pytest.raises(Unreadable, match="No such file"):
        inspect(listed)


def test_gzip_that_is_cut_or_corrupt_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    listed = listed_file(path, json.dumps({"a": list(range(5000))}).encode())
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    for bad in (good[:-20], good[:-4], bytes(flipped), good + good[:-9]):
        path.write_bytes(bad)
        with pytest.raises(Unreadable, match="its compressed data is cut or corrupt"):
            inspect(listed)


def test_a_zip_member_with_a_wrong_crc_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.json", '{"a":"needle"}')
    path.write_bytes(path.read_bytes().replace(b"needle", b"noodle"))
    (listed,) = list_source("s", str(path)).files
    with pytest.raises(Unreadable, match="its archive is corrupt: Bad CRC-32"):
        inspect(listed)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.zip"])
@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1}\n{"b":"' + b"x" * 200 + b'"}\n',
        b'{"a":1}\n{"b":"' + b"x" * 200,
        b'[{"a":1},{"b":"' + b"x" * 200 + b'"}]',
        b'[{"a":1},{"b":"' + b"x" * 200,
        b'{\n"b":"' + b"x" * 200 + b'"\n}',
        codecs.BOM_UTF16_LE + ('{"b":"' + "x" * 200 + '"}').encode("utf-16-le"),
    ],
)
def test_one_record_over_the_limit_makes_its_file_unreadable(tmp_path: Path, name: str, data: bytes) -> None:
    listed = listed_file(tmp_path / name, data)
    with pytest.raises(Unreadable, match="one of its records is larger than 100 bytes"):
        inspect(listed, max_record_bytes=100)
    inspect(listed, max_record_bytes=1000)


@pytest.mark.parametrize("text", ['{"a":1}\n' * 99, f"[{','.join(['{}'] * 99)}]", "{\n}\n" * 99])
def test_a_file_over_the_limit_with_small_records_is_fine(file: Path, text: str) -> None:
    assert inspect(listed_file(file, text.encode()), max_record_bytes=100).content_bytes > 100


def test_a_file_that_shrank_since_inspection_is_unreadable(file: Path) -> None:
    listed = listed_file(file, b'{"a":1}\n{"b":2}\n')
    slices, _ = cut(listed, inspect(listed), 1)
    file.write_bytes(b'{"a":1}\n')
    with pytest.raises(Unreadable, match=r"a\.json was inspected .* 8 bytes fewer"):
        list(read_slices(slices))


def test_a_file_that_grew_since_inspection_is_read_as_inspected(file: Path) -> None:
    listed = listed_file(file, b'{"a":1}\n')
    slices, _ = cut(listed, inspect(listed), 1)
    file.write_bytes(b'{"a":1}\n{"b":2}\n')
    assert records(slices) == [('{"a":1}', 1)]


# Cutting and packing


def test_marks_are_line_starts_a_given_distance_apart(file: Path) -> None:
    data = b"".join(b'{"n":%d}\n' % n for n in range(1000))
    marks = inspect(listed_file(file, data), mark_bytes=2000).marks
    assert len(marks) == len(data) // 2000
    for offset, line in marks:
        assert data[offset - 1 : offset] == b"\n"
        assert data.count(b"\n", 0, offset) == line - 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json.gz", b'{"a":1}\n' * 50),
        ("a.zip", b'{"a":1}\n' * 50),
        ("a.json", b"[" + b'{"a":1},\n' * 50 + b"]"),
        ("a.json", codecs.BOM_UTF16_LE + ('{"a":1}\n' * 50).encode("utf-16-le")),
    ],
)
def test_what_cannot_be_entered_midway_is_one_slice(tmp_path: Path, name: str, data: bytes) -> None:
    listed = listed_file(tmp_path / name, data)
    slices, rest = cut(listed, inspect(listed, mark_bytes=20), 1, budget=20)
    assert (len(slices), rest) == (1, None)


def test_a_budget_leaves_a_rest_to_go_on_from(file: Path) -> None:
    listed = listed_file(file, b'{"a":1}\n' * 100)
    inspected = inspect(listed, mark_bytes=80)
    first, rest = cut(listed, inspected, 3, budget=200)
    assert ([piece.size for piece in first], rest) == ([80, 80], Rest(160, 21))
    second, rest = cut(listed, inspected, 3, *Rest(160, 21), budget=10)
    assert ([piece.size for piece in second], rest) == ([80], Rest(240, 31))
    third, rest = cut(listed, inspected, 3, *Rest(240, 31))
    assert (sum(piece.size for piece in third), rest) == (560, None)


def test_an_empty_file_has_no_slice(file: Path) -> None:
    listed = listed_file(file, b"")
    assert cut(listed, inspect(listed), 1, budget=10) == ((), None)


def some_slices(sizes: list[int]) -> list[Slice]:
    return [Slice(f"/{n}", n, "lines", "utf-8", 0, size, 1) for n, size in enumerate(sizes)]


def test_slices_survive_a_round_trip_through_json() -> None:
    partitions = [some_slices([1, 2]), some_slices([3])]
    assert from_json(to_json(partitions)) == partitions


def test_packing_balances_sizes_and_keeps_the_order_within_a_partition() -> None:
    mib = 1 << 20
    packed = pack(some_slices([mib, 9 * mib, 2 * mib, 8 * mib, 4 * mib, 4 * mib]), 3)
    sizes = [[piece.size // mib for piece in pieces] for pieces in packed]
    assert sizes == [[9], [2, 8], [1, 4, 4]]
    assert pack(some_slices([1]), 4) == [some_slices([1])]
    assert pack([], 4) == []


@given(sizes=st.lists(st.integers(0, 1 << 25), max_size=30), partitions=st.integers(1, 8))
def test_packing_keeps_every_slice_once_and_is_repeatable(sizes: list[int], partitions: int) -> None:
    slices = some_slices(sizes)
    packed = pack(slices, partitions)
    assert sorted(piece for pieces in packed for piece in pieces) == sorted(slices)
    assert len(packed) <= partitions
    assert all(packed)
    assert packed == pack(slices, partitions)


# Round trips

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | texts
objects = st.dictionaries(
    texts,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=4),
    max_size=4,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(objects, max_size=12),
    line_end=st.sampled_from(["\n", "\r\n"]),
    is_ended=st.booleans(),
    is_ascii=st.booleans(),
    name=st.sampled_from(["a.json", "a.json.gz", "a.zip"]),
    layout=st.sampled_from(["lines", "array", "array on one line", "documents"]),
    budgets=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    mark_bytes=st.integers(1, 200),
)
def test_any_objects_written_any_way_and_cut_anywhere_are_read_back(
    tmp_path: Path,
    rows: list[dict[str, Any]],
    line_end: str,
    is_ended: bool,
    is_ascii: bool,
    name: str,
    layout: str,
    budgets: list[int],
    mark_bytes: int,
) -> None:
    # A first line that is a whole value means one record a line, and `{}` is one.
    assume(layout != "documents" or not rows or rows[0])
    indent = 1 if layout == "documents" else None
    raws = [json.dumps(row, ensure_ascii=is_ascii, indent=indent) for row in rows]
    raws = [raw.replace("\n", line_end) if indent else raw for raw in raws]
    text, expected = written(raws, layout, line_end)
    listed = listed_file(tmp_path / name, (text + line_end * is_ended).encode())
    inspected = inspect(listed, mark_bytes=mark_bytes)
    slices, rest = cut(listed, inspected, 1, budget=budgets[0])
    for turn in range(10_000):
        if rest is None:
            break
        more, rest = cut(listed, inspected, 1, *rest, budget=budgets[turn % len(budgets)])
        slices += more
    assert rest is None
    assert sum(piece.size for piece in slices) == inspected.content_bytes
    assert records(slices) == expected


def written(raws: list[str], layout: str, line_end: str) -> tuple[str, list[Record]]:
    """The text of a file with these records, and the records it must be read as."""
    if layout == "array on one line":
        return f"[{', '.join(raws)}]", [(raw, n) for n, raw in enumerate(raws, 1)]
    before, between = ("[" + line_end, "," + line_end) if layout == "array" else ("", line_end)
    lines = [2 if before else 1]
    for raw in raws:
        lines.append(lines[-1] + raw.count("\n") + 1)
    text = before + between.join(raws) + (line_end + "]" if before else "")
    return text, list(zip(raws, lines, strict=False))


class RoundTrips:
    """A bucket of small objects that answers when `at_once` of them have been asked for, and not before."""

    def __init__(self, objects: dict[str, bytes], at_once: int) -> None:
        self._objects, self._asked = objects, threading.Barrier(at_once, timeout=20)

    def walk(self, root: str) -> Iterator[Found]:
        raise NotImplementedError

    def open(self, uri: str) -> BinaryIO:
        self._asked.wait()
        return io.BytesIO(self._objects[uri])


def test_small_objects_of_a_bucket_are_asked_for_several_at_a_time_and_read_in_order() -> None:
    objects = {f"s3://b/{n}.json": f'{{"n": {n}}}'.encode() for n in range(64)}
    slices = [
        Slice(uri, n, "lines", "utf-8", 0, len(text), 1) for n, (uri, text) in enumerate(objects.items())
    ]
    with ContentReader(RoundTrips(objects, at_once=16)) as content:
        rows = [row for batch in read_slices(slices, content) for row in batch.to_pylist()]
    assert [(row["raw"], row["_delivery"]) for row in rows] == [(f'{{"n": {n}}}', n) for n in range(64)]


def test_a_small_object_that_went_away_says_so_where_it_is_read() -> None:
    there = {"s3://b/0.json": b"{}", "s3://b/1.json": b"{}"}
    slices = [Slice(f"s3://b/{n}.json", n, "lines", "utf-8", 0, 2 + n, 1) for n in range(2)]
    with (
        ContentReader(RoundTrips(there, at_once=1)) as content,
        pytest.raises(Unreadable, match=r"1\.json was inspected and can no longer be read: it changed"),
    ):
        list(read_slices(slices, content))
