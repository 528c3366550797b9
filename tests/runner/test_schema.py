import re

import pytest
from ruamel.yaml import YAML

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.runner.schema import load_params


@pytest.fixture
def changed(tmp_path):
    """Write params.yaml with some values changed, given as {"train.epochs": 3}; returns its path."""

    def change(changes):
        values = YAML(typ="safe", pure=True).load(paths.PARAMS.read_text())
        for key, value in changes.items():
            section = values
            *parents, last = key.split(".")
            for parent in parents:
                section = section[parent]
            section[last] = value
        path = tmp_path / "params.yaml"
        with path.open("w") as file:
            YAML().dump(values, file)
        return path

    return change


def test_the_projects_own_file_is_valid():
    params = load_params()
    assert params["train"]["learning_rate"] == 0.001 and params["train"]["epochs"] == 100  # p. 81


def test_papers_data_sets_are_one_line_away(changed):
    assert load_params(changed({"datasets": ["fergit", "ckplus"]}))["datasets"] == ["fergit", "ckplus"]


def test_how_many_faces_are_drawn_matters_where_some_are(changed):
    few = {"fetch.draw.images": 400}
    assert load_params(changed(few | {"datasets": ["ckplus"]}))["fetch"]["draw"]["images"] == 400
    with pytest.raises(FergitError, match="allowed: a share of 0.2 from 657 images, for example"):
        load_params(changed(few | {"datasets": ["ckplus", "synthetic"]}))
    assert load_params(changed({"fetch.draw.images": 657}))


SUBJECTS = {"protocol": "subjects", "folds": 10, "fold": 0, "seed": 0}
OWN = {"images": {"source": "folders", "crop": "none"}, "split": {"held_out": 0.2, "seed": 0}, "overrides": {}}


@pytest.mark.parametrize(
    "block",
    [
        OWN,
        OWN | {"images": OWN["images"] | {"person": "S."}, "split": SUBJECTS},
        OWN | {"split": {"protocol": "frames", "held_out": 0.1, "validation": 0.1, "seed": 0}},
        OWN | {"images": OWN["images"] | {"crop": "face", "classes": {1: "joy", "2": None}, "person": r"S(\d+)"}},
    ],
)
def test_a_data_set_of_ones_own(changed, block):
    assert load_params(changed({"Mine-2": block, "datasets": ["Mine-2"]}))["Mine-2"] == block


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "mine",
            {"images": {"source": "folder", "crop": "none"}},
            "mine.images.source is 'folder'; allowed: synthetic, ",
        ),
        ("mine", {"images": {"source": ["folders"]}}, "mine.images.source is ['folders']; allowed: synthetic, "),
        ("mine", {"images": {"crop": "none"}}, "mine.images.source is empty; allowed: synthetic, fer2013, "),
        ("mine", {"images": {"source": "folders"}}, "mine.images.crop is missing"),
        (
            "mine",
            {"images": {"source": "folders", "crop": "eyes"}},
            "mine.images.crop is 'eyes'; allowed: 'none' or 'fa",
        ),
        ("mine", {"images": OWN["images"] | {"person": "("}}, "mine.images.person: '(' is no regular expression"),
        ("mine", {"images": OWN["images"] | {"persons": "x"}}, "key mine.images.persons; did you mean person?"),
        ("mine", {"images": OWN["images"] | {"classes": {"a": 1}}}, "mine.images.classes.a is 1; allowed: "),
        ("mine", {"split": {"held_out": 0.2}}, "mine.split.seed is missing"),
        ("mine", {"split": {"protocol": "subjects", "seed": 0}}, "mine.split: protocol is subjects, which needs folds"),
        ("mine", {"split": SUBJECTS}, "mine: split.protocol is subjects, which needs images.person"),
        ("mine", {"overrides": {"train": {"epochs": 0}}}, "mine.overrides.train.epochs is 0; allowed: "),
        ("ckplus", {}, "ckplus.images.source is 'folders'; allowed: ckplus"),
        (
            "ckplus",
            {"images": {"source": "ckplus", "neutral": True}},
            "ckplus.images.neutral is true; allowed: false, as",
        ),
        ("reports", {}, "reports is no name of a data set; allowed: "),
        ("images", {}, "images is no name of a data set; allowed: "),
        ("my faces", {}, "my faces is no name of a data set; allowed: up to 64 of letters"),
    ],
)
def test_a_block_of_ones_own_that_cannot_be(changed, name, change, said):
    with pytest.raises(FergitError) as error:
        load_params(changed({name: OWN | change, "datasets": [name]}))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train.epochz", 3, "unknown key train.epochz; did you mean epochs?"),
        ("trian", {}, "unknown key trian; did you mean train?"),
        ("train.epochs", "many", "train.epochs is 'many'; allowed: a whole number"),
        ("train.epochs", 0, "train.epochs is 0; allowed: greater than or equal to 1"),
        ("train.learning_rate", -1.0, "train.learning_rate is -1.0; allowed: greater than 0"),
        ("train.device", "tpu", "train.device is 'tpu'; allowed: 'auto', 'cpu' or 'gpu'"),
        ("fetch.download", "no", "fetch.download is 'no'; allowed: true or false"),
        ("datasets", [], "datasets is []; allowed: at least 1 of them"),
        ("models", None, "models is empty; allowed: a list, such as [a, b]"),
        ("network", [5], "network is [5]; allowed: a section of lines `key: value`"),
        ("fetch.draw.images", 400, "held_out is 0.2, which may leave a part with no image of disgust"),
        ("datasets", ["fergit", "fergit"], "datasets: 'fergit' stands there twice; allowed: each once"),
        ("datasets", ["affectnet"], "datasets.0 is 'affectnet'; allowed: 'synthetic', 'fer2013', "),
        ("seeds", [-1], "seeds.0 is -1; allowed: greater than or equal to 0"),
        ("network.first_kernels", [5, 4], "network.first_kernels.1 is 4; allowed: 3, 5 or 7"),
        ("network.dropout", 1, "network.dropout: 1 is no dropout; allowed: 0 to below 1, or a list of five of that"),
        (
            "network.dropout",
            [0.3, 0, 0],
            "network.dropout: [0.3, 0, 0] is no dropout; allowed: 0 to below 1, or a list",
        ),
        ("fergit.overrides", {"network": {"dropout": [0, 0, 0, 0, "a"]}}, "network.dropout: [0, 0, 0, 0, 'a'] is no"),
        ("ckplus.split.fold", 10, "ckplus.split: fold is 10; allowed: 0 to folds - 1, that is 9"),
        ("synthetic.overrides", {"train": {"epochs": -3}}, "synthetic.overrides.train.epochs is -3; allowed: "),
        ("synthetic.overrides", {"train": {"epoch": 3}}, "unknown key synthetic.overrides.train.epoch; did you mean"),
        ("fergit.overrides", {"trian": {}}, "unknown key fergit.overrides.trian; did you mean train?"),
    ],
)
def test_one_line_names_key_value_and_what_is_allowed(changed, key, value, said):
    with pytest.raises(FergitError) as error:
        load_params(changed({key: value}))
    message = str(error.value)
    assert "params.yaml: " in message and said in message and "\n" not in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\ntrain: [1\nb: 2\n", "params.yaml, line 2: opens a bracket or brace that is not closed"),
        ("datasets: [a]\nx: 1\ndatasets: [b]\n", "line 3: datasets stands there twice, first in line 1; keep one"),
        ("a:\n  x: 1\nb:\n  x: 1\n  y: {x: 1}\n  x: 1\n", "line 6: x stands there twice, first in line 4; keep one"),
        ("a:\n\tb: 1\n", "line 2: has a tab; write spaces"),
        ("a:\n  b: 1\n c: 2\n", "line 3: is not indented like the lines before it, or the line before it has no sp"),
        ("a:\n  b: 1\n   c: 2\n", "line 3: is not indented like the lines before it"),
        ("a:\n  epochs:100\n  c: 2\n", "line 3: .*or the line before it has no space after its colon"),
        ("a: why: 2\n", r"line 1: .*or has a second colon \(put such text in quotes\)"),
        ('a: "(S\\d)"\n', "line 1: has a backslash in double quotes; write single quotes"),
        ("a: {b: c d: 2}\n", "line 1: lacks a comma within its brackets or braces"),
        ("q: 'What's that?'\n", "line 1: goes on after a closing quote or bracket"),
        ("a: [0, 1] 2\n", "line 1: goes on after a closing quote or bracket"),
        ("a: 'x\nb: 2\n", "line 1: opens a quote that is not closed"),
        ("a:\n  b: 1\nword\nc: 2\n", "line 3: has no colon with a space after it"),
        ("a: *b\n", "line 1: not valid YAML: found undefined alias 'b'"),
        ("", "is empty; allowed: lines"),
        ("\xff", "not UTF-8"),
    ],
)
def test_no_yaml(tmp_path, text, said):
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FergitError, match=said) as error:
        load_params(path)
    assert "\n" not in str(error.value)


TEXT = paths.PARAMS.read_text()
# Eleven levels of ten aliases each: a hundred thousand million ones, if anybody writes them out.
LAUGHS = ["&a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", *(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11))]


@pytest.mark.parametrize("text", [TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT, "\ufeff" + TEXT.replace("\n", "\r\n")])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path, text):
    (tmp_path / "params.yaml").write_bytes(text.encode())
    assert load_params(tmp_path / "params.yaml") == load_params()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (".nan", "is nan; allowed: "),
        ("1e400", "is inf; allowed: less than"),
        ("-.inf", "is -inf; allowed: greater than"),
        ('"0.001"', "is '0.001'; allowed: a number"),
        ("true", "is true; allowed: a number"),
        ("2026-01-01", "allowed: a number"),
        ("0x" + "f" * 8000, "is a number of 32000 bits"),
        ("9" * 5000, "not valid YAML: Exceeds the limit"),
        (f'"{"x" * 100_000}"', "is 'xxx"),
        ('"a\\nb\\e[2J"', "is 'a\\nb\\x1b[2J'"),
        ("&self [*self]", "allowed: a number"),
        (f"[{', '.join(LAUGHS)}]", "allowed: a number"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("[" * 2000, "not valid YAML"),
        ("\t1", "has a tab; write spaces"),
    ],
)
def test_strange_values_are_one_short_line(tmp_path, value, said):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("learning_rate: 0.001", f"learning_rate: {value}"))
    with pytest.raises(FergitError) as error:
        load_params(path)
    message = str(error.value)
    assert said in message and message.isprintable() and len(message) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"x: [{', '.join(LAUGHS)}]\n" + TEXT, "unknown key x; allowed: "),
        ("1: 2\n" + TEXT, "unknown key 1; allowed: "),
        ('"a\\nb": 2\n' + TEXT, "unknown key a\\nb; allowed: "),
        ("? " + "x" * 10_000 + "\n: 1\n" + TEXT, "unknown key xxx"),
        (TEXT + "---\n" + TEXT, "another document"),
        (TEXT.replace("epochs: 100", "epochs: 1" + "0" * 4000), "less than or equal to 1000000"),
        (TEXT.replace("seeds: [0]", f"seeds: {list(range(1001))}"), "at most 1000 of them"),
    ],
)
def test_strange_files_are_one_short_line(tmp_path, text, said):
    assert text != TEXT
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(FergitError) as error:
        load_params(tmp_path / "params.yaml")
    message = str(error.value)
    assert said in message and message.isprintable() and len(message) < 600


def test_a_folder_instead(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(FergitError, match="cannot be read"):
        load_params(tmp_path / "params.yaml")


def test_missing_file_and_missing_key(tmp_path, changed):
    with pytest.raises(FergitError, match="no such file"):
        load_params(tmp_path / "params.yaml")
    path = changed({})
    path.write_text(path.read_text().replace("batch_size", "# batch_size"))
    with pytest.raises(FergitError, match="train.batch_size is missing"):
        load_params(path)
    path = changed({})
    path.write_text(path.read_text().replace("beta_1", "beta1"))
    with pytest.raises(FergitError, match="unknown key train.beta1; did you mean beta_1?"):
        load_params(path)


def test_every_value_says_where_it_comes_from():
    """Stated, the template's or ours: by its own comment, one above it on a line of its own, or its section's."""
    source, value = re.compile(r"#.*(stated|template|inferred|ours)", re.I), re.compile(r" +\w+: *[^ #]")
    text = paths.PARAMS.read_text()
    for section in ("network", "augmentation", "train", "predict", "evaluate"):
        head, *lines = re.search(rf"^{section}:.*?(?=^$|\Z)", text, re.S | re.M)[0].splitlines()
        covered = bool(source.search(head))
        for line in lines:
            covered |= bool(re.match(" +#", line) and source.search(line) and not line.startswith(" " * 10))
            assert covered or source.search(line) or not value.match(line), (section, line)
