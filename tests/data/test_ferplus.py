import numpy as np
import pandas as pd
import pytest

from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import fer2013, ferplus


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


def test_labels_by_majority():
    """As FER+'s own program: single votes do not count, more than half of the others must agree on an expression."""
    rows = [
        ({"happy": 10}, "happy"),
        ({"sad": 5, "neutral": 4, "fear": 1}, "sad"),  # 5 of 9 that count
        ({"sad": 5, "neutral": 5}, None),
        ({"contempt": 6, "neutral": 4}, "contempt"),
        ({"unknown": 6, "neutral": 4}, None),
        ({"no_face": 10}, None),
        ({"sad": 4, "neutral": 3, "fear": 3}, None),
        (dict.fromkeys(ferplus.VOTES, 1), None),
    ]
    names = [f"fer2013/{row:05d}" for row in range(len(rows))]
    votes = pd.DataFrame([given for given, _ in rows], index=names, columns=ferplus.VOTES).fillna(0).astype(int)
    images = np.zeros((len(rows), 48, 48), np.uint8)
    faces = make_faces(images, [0] * len(rows), fer2013.CLASSES, "fer2013", names, split=["train"] * len(rows))
    agreed = ferplus.by_majority(faces, votes)
    assert agreed.sample_id.tolist() == [name for name, (_, said) in zip(names, rows, strict=True) if said]
    assert [agreed.classes[label] for label in agreed.labels] == [said for _, said in rows if said]
    with pytest.raises(FergitError, match="fer2013/00000 is no row of fer2013.csv; get FER2013 as that table"):
        ferplus.by_majority(faces, votes[1:])
