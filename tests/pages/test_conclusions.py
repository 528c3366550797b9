"""The last words of the notebooks, on made-up results and on the committed ones."""

import pandas as pd
import pytest

from fergit.analysis.leaks import ANOTHER, EXACT, NEITHER, SAME
from fergit.core import paths
from fergit.core.files import read_json
from fergit.pages import conclusions


def accuracy(mean):
    """With an interval of its own, so that one in a wrong place is seen."""
    return {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}


def entry(mean, paper=None, failed=()):
    per_seed = [mean, mean - 0.01]
    return {"accuracy": accuracy(mean) | {"per_seed": per_seed}, "paper_accuracy": paper, "failed_seeds": list(failed)}


def change(low, high):
    return {"difference": (low + high) / 2, "low": low, "high": high}


def claims(**verdicts):
    return [{"id": f"fergit-{name.replace('_', '-')}", "verdict": verdict} for name, verdict in verdicts.items()]


def test_of_an_evaluation():
    found = {"n_test": 99, "accuracy": {"mean": 0.72, "per_seed": [0.71, 0.73], "ci90": [0.7, 0.74]}}
    per_class = pd.DataFrame({"recall": [0.4, 0.9, 0.9, 0.9]}, ["fear", "happy", "sad", "surprise"])
    confused = pd.DataFrame({"class": ["fear"], "predicted": ["sad"], "images": [3], "share": [0.3]})
    assert conclusions.evaluation(found, per_class, confused, 0.9).splitlines() == [
        "- The network is correct on 72.0 % (70.0–74.0) of 99 test images, the mean of 2 runs.",
        "- Its recall is lowest for *fear* (40.0 %) and highest for *happy*, *sad* and *surprise* (90.0 %).",
        "- Its most frequent confusion with the first seed: it calls 30.0 % of *fear* (3 images) *sad*.",
    ]
    found["accuracy"]["per_seed"], per_class["recall"] = [0.72], 1.0
    assert conclusions.evaluation(found, per_class, confused[:0], 0.9) == (
        "- The network is correct on 72.0 % (70.0–74.0) of 99 test images."
    )


def test_of_a_calibration():
    found = {"calibration_error": 0.036, "calibration_error_scaled": 0.025, "temperature": 1.214, "seeds": [0]}
    assert conclusions.calibration(found, perfect=False) == (
        "The temperature is **1.21**. The expected calibration error on the test set is **3.6 %** before it and "
        "**2.5 %** after it."
    )
    worse = found | {"calibration_error_scaled": 0.04, "seeds": [0, 1]}
    assert "set (mean over 2 seeds) is" in conclusions.calibration(worse, perfect=False)
    assert conclusions.calibration(worse, perfect=False).endswith("after it, so it does not help here.")
    assert "1.21" not in (said := conclusions.calibration(found, perfect=True)) and "no temperature" in said


def test_of_a_report():
    found = {
        "dataset": "fergit",
        "models": {"basic": entry(0.72, 0.74), "residual": entry(0.71, 0.75)},
        "comparison": change(-0.018, -0.002) | {"per_seed": [-0.01, -0.01]},
        "claims": claims(
            basic_accuracy="reproduced",
            residual_accuracy="inconclusive",
            other="inconclusive",
            minutes="not comparable",
        ),
    }
    assert conclusions.report(found).splitlines() == [
        "- The accuracy of the basic network is 72.0 % (70.0–74.0). The paper has 74 %: reproduced.",
        "- The accuracy of the residual network is 71.0 % (69.0–73.0). The paper has 75 %: inconclusive.",
        "- The residual blocks change it by −1.0 points (−1.8 to −0.2 over images), significant. By seed "
        "it is −1.0, −1.0.",
        "- Of the paper's numbers, 3 can be compared here: 1 reproduced, 0 not reproduced, 2 inconclusive.",
    ]
    found["comparison"] = change(-0.018, 0.002) | {"per_seed": [-0.008]}
    assert "by −0.8 points (−1.8 to +0.2 over images), not significant.\n" in conclusions.report(found)
    found["comparison"] |= {"high": -0.002, "over_seeds": [-0.04, 0.024]}
    said = "by −0.8 points (−1.8 to −0.2 over images, −4.0 to +2.4 over seeds), not significant.\n"
    assert said in conclusions.report(found)
    found |= {"comparison": None, "claims": []}
    found["models"]["residual"] = entry(0.2, failed=[1])
    assert conclusions.report(found).splitlines() == [
        "- The accuracy of the basic network is 72.0 % (70.0–74.0).",
        "- Training failed for the residual network.",
    ]


def variant(name, validation, network="residual", failed=0):
    named = {"happy": 1.2, "sad": 0.9, "fear": None}  # of fear there is no image
    return {"variant": name, "network": network, "validation": validation, "failed": failed, "named": named}


def test_of_a_study_of_a_setting():
    found = {
        "vary": "network.poolings",
        "confidence_level": 0.95,
        "draws": {},
        "paper": {"residual": {"named": {"happy": 1.0, "sad": 1.0, "fear": 0.7}}, "basic": None},
        "variants": [
            *(variant("6", 0.699), variant("5", 0.713), variant("7", 0.9, failed=1)),
            *(variant(name, 1.0, "basic") for name in "65"),
        ],
        "against_first": [
            {"network": "residual", "variant": "5", "seeds": 1, "over_seeds": None, "p_holm": 0.0003}
            | change(0.012, 0.04),
            {"network": "basic", "variant": "5", "seeds": 3, "over_seeds": (-0.03, 0.05), "p_holm": 0.06}
            | change(0.001, 0.019),
        ],
    }
    assert conclusions.study(found).splitlines() == [
        "- Training of the residual network failed with 1 of 3 variants.",
        "- The highest validation accuracy of the residual network is 71.3 %: poolings *5*.",
        "- Mean distance from the paper in how often a class is predicted: 0.15 (*6*), 0.15 (*5*). Ours is "
        "on validation images, the paper's on test images.",
        "- *5* instead of *6* changes the accuracy on test images by +2.6 points (+1.2 to +4.0), significant over "
        "images.",
        "- The highest validation accuracy of the basic network is 100.0 %: poolings *6* and *5*.",
        "- *5* instead of *6* changes the accuracy on test images by +1.0 points (−3.0 to +5.0), not significant "
        "over seeds.",
        f"- {conclusions.ONE_SEED}",
    ]
    assert conclusions.kind(found) == "This study compares variants."
    assert conclusions.how_compared(found).endswith("*significant* if its corrected p is below 0.05.")
    found["against_first"][0]["seeds"] = 2  # too few for an interval
    assert "on test images by +2.6 points, significant over seeds." in conclusions.study(found)
    assert conclusions.ONE_SEED not in conclusions.study(found)


def draws(mean, failed=0, splits=10, paper=(None, None, None)):
    ends = {"lowest": 0.6, "highest": 0.8, "draws": splits, "trainings": splits, "failed": failed, "people": 118}
    return ends | accuracy(mean) | {"accuracy": mean} | dict(zip(("below", "equal", "above"), paper, strict=True))


def test_of_a_study_of_splits():
    found = {
        "vary": "ckplus.split.seed",
        "draws": {"basic": draws(0.72), "residual": draws(0.74, paper=(2, 1, 7))},
        "networks": {"first": "basic", "second": "residual", "per_seed": [0.039, 0.009]} | change(0.001, 0.047),
        "paper": {"basic": None, "residual": {"accuracy": 0.97}},
    }
    assert conclusions.study(found).splitlines() == [
        "- The accuracy of the basic network over all tests is 72.0 % (70.0–74.0); single splits have 60.0 % to "
        "80.0 %.",
        "- The accuracy of the residual network over all tests is 74.0 % (72.0–76.0); single splits have 60.0 % to "
        "80.0 %.",
        "- Splits compared with the paper's 97 %, in whole percents: 2 below, 1 equal, 7 above.",
        "- The residual network differs from the basic one by +2.4 points (+0.1 to +4.7), significant over persons. By "
        "seed it is +3.9, +0.9.",
    ]
    assert conclusions.kind(found) == "This study measures networks on several splits."
    assert "count the splits" in conclusions.how_compared(found) and "Three rows" in conclusions.over_all_tests(found)
    assert "Random splits" in conclusions.over_all_tests(found)
    folds = found | {"vary": "ckplus.split.fold"}
    assert "Random splits" not in conclusions.over_all_tests(folds)
    found |= {"draws": {"residual": draws(0.7, failed=3)}, "networks": None, "paper": {"residual": None}}
    assert conclusions.study(found) == "- Training of the residual network failed 3 of 10 times."
    found["draws"]["residual"] = draws(0.7, splits=1)
    assert (
        conclusions.study(found) == "- The accuracy of the residual network on the test images is 70.0 % (68.0–72.0)."
    )
    assert conclusions.kind(found) == "This study measures networks on one split."
    assert "splits" not in conclusions.how_compared(found) + conclusions.over_all_tests(found)
    found["networks"] = {"first": "basic", "second": "residual", "per_seed": [0.01]} | change(0.001, 0.019)
    assert conclusions.study(found).endswith(f"significant over persons.\n- {conclusions.ONE_SEED}")


def stratum(name, mean):
    return accuracy(mean) | {"stratum": name}


def test_of_leaks():
    found = {
        "networks": {
            "basic": {
                "accuracy": 0.72,
                "copies": {"0.95": [stratum(NEITHER, 0.71), stratum(EXACT, 0.8)]},
                "sources": [stratum("fer2013", 0.66), stratum("muxspace", 0.84)],
                "labels": [stratum(SAME, 0.85), stratum(ANOTHER, 0.35)],
            },
            "residual": {
                "accuracy": 0.8,
                "copies": {"0.95": [stratum(NEITHER, 0.8)]},
                "sources": [stratum("fer2013", 0.8)],
            },
        }
    }
    assert conclusions.leaks(found).splitlines() == [
        "- The accuracy of the basic network is 72.0 %. On images without a copy in training, as far as we found "
        "them, it is 71.0 % (69.0–73.0). It is 66.0 % (64.0–68.0) on images from FER2013 and 84.0 % (82.0–86.0) on "
        "images from muxspace. Where the label has the most votes of FER+ it is 85.0 % (83.0–87.0); where another "
        "expression has, 35.0 % (33.0–37.0).",
        "- The accuracy of the residual network is 80.0 %.",
    ]


def test_of_gradcam():
    share, fresh = {"all": 0.51}, {"as_much": 2, "networks": 20}
    size = {"positions": 3, "share": share, "centre": {"all": 0.5}, "untrained": fresh}
    nothing = size | {"share": {"all": None}}
    assert conclusions.gradcam({"sizes": [size, nothing]}) == (
        "- At 3x3 positions the regions hold 51.0 % of the trained network's maps and 50.0 % of the center map; "
        "untrained networks with at least as much: 2 of 20."
    )
    assert conclusions.gradcam({"sizes": [nothing]}) == "There are too few maps to tell."


@pytest.mark.parametrize(
    ("function", "pattern"),
    [
        (conclusions.report, "reports/*/report.json"),
        (conclusions.study, "studies/*/metrics.json"),
        (conclusions.leaks, "leaks/*/metrics.json"),
        (conclusions.gradcam, "gradcam/*/metrics.json"),
    ],
)
def test_the_committed_results_have_conclusions_without_a_gap(function, pattern):
    texts = [function(read_json(path, (), "")) for path in paths.RESULTS.glob(pattern)]
    assert texts and all(text.startswith("- The") or text.startswith("- At ") for text in texts)
    assert not [text for text in texts for gap in ("None", "nan", "– ") if gap in text]
