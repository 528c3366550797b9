import pytest

from fergit.core.errors import FergitError
from fergit.data import ferplus


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "column Usage is missing"),
        ("", "not a table in CSV"),
        (f"Usage,{','.join(ferplus.COLUMNS)},fear\n", "column fear is twice there"),
        (
            f"Usage,Image name,{','.join(ferplus.COLUMNS)}\nTraining,x,10,0,0,0,0,0,0,0,0,0\n",
            "1 rows; expected: 35,887",
        ),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    file = tmp_path / "fer2013new.csv"
    file.write_text(text)
    with pytest.raises(FergitError, match=message):
        ferplus.read(file)


def test_votes_that_cannot_be_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(ferplus, "ROWS", 2)
    file = tmp_path / "fer2013new.csv"
    header = f"Usage,Image name,{','.join(ferplus.COLUMNS)}\n"
    file.write_text(f"{header}Training,x,10,0,0,0,0,0,0,0,0,0\nTraining,y,11,0,0,0,0,0,0,0,0,0\n")
    with pytest.raises(FergitError, match="line 3: votes are not whole numbers from 0 to 10"):
        ferplus.read(file)


def test_a_file_cut_short_is_refused(tmp_path):
    file = tmp_path / "fer2013new.csv.xz"
    file.write_bytes(b"\xfd7zXZ\x00\x00\x04")
    with pytest.raises(FergitError, match="not a table in CSV"):
        ferplus.read(file)
