"""What is put off is loaded by whoever first uses it, and by nobody else."""

import subprocess
import sys
from pathlib import Path

import pytest

from arena.late import import_without, replace_at_import

SHOP = """
import shop_scales as scales
from shop_crane import lift

def sell(weight):
    return lift(weight) if weight > scales.MOST else weight
"""
SCALES = "MOST = 10"
CRANE = "def lift(weight): return f'{weight} by crane'"

WITHOUT = """
import sys
from pathlib import Path
from app import build_app
from arena.config import load_settings

app = build_app(load_settings(data_dir=Path(sys.argv[1]), demo=True))
app.state.parts.leaderboard.standings()
from arena.strengths import by_choix
import numpy
print(by_choix(numpy.array([[0.0, 3.0], [1.0, 0.0]]), numpy.zeros(2)).round(2).tolist())
print([name for name in ("pandas", "scipy.stats", "scipy.optimize", "scipy.linalg", "gradio") if name in sys.modules])
import choix, gradio.caching
print(choix.kendalltau_dist([1, 2, 3], [1, 3, 2]), gradio.caching.pd.DataFrame({"a": [1]}).shape)
print([name for name in ("pandas", "scipy.stats") if name in sys.modules])
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that can be imported, and the two that it imports."""
    for name, text in (("shop", SHOP), ("shop_scales", SCALES), ("shop_crane", CRANE)):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)


def loaded() -> list[str]:
    return sorted(name for name in sys.modules if name.startswith("shop"))


@pytest.mark.usefixtures("shop")
def test_each_module_that_is_put_off_comes_when_something_of_it_is_used() -> None:
    import_without("shop", "shop_scales", "shop_crane")
    assert loaded() == ["shop"]
    shop = sys.modules["shop"]

    assert shop.sell(5) == 5
    assert loaded() == ["shop", "shop_scales"]
    assert shop.sell(20) == "20 by crane"
    assert loaded() == ["shop", "shop_crane", "shop_scales"]


@pytest.mark.usefixtures("shop")
def test_what_is_there_stays_and_what_others_import_is_real() -> None:
    import shop_scales  # type: ignore[import-not-found]

    import_without("shop", "shop_scales", "shop_crane")
    import shop_crane  # type: ignore[import-not-found]

    assert sys.modules["shop"].scales is shop_scales
    assert shop_crane.lift(1) == "1 by crane"


@pytest.mark.usefixtures("shop")
def test_a_package_that_cannot_be_imported_leaves_no_stand_in_behind(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import shop_scales, shop_nowhere")

    with pytest.raises(ModuleNotFoundError, match="shop_nowhere"):
        import_without("shop", "shop_scales")
    assert loaded() == []


@pytest.mark.slow
def test_the_arena_runs_without_what_nobody_of_it_uses_and_choix_and_gradio_still_can(tmp_path: Path) -> None:
    """Together 70 MB, a fifth of what an arena took that had just started."""
    asked = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)

    assert told.stdout.splitlines() == [
        "[0.55, -0.55]",
        "['scipy.linalg', 'gradio']",
        "1 (1, 1)",
        "['pandas', 'scipy.stats']",
    ]


@pytest.mark.usefixtures("shop")
def test_a_function_is_replaced_before_whoever_imports_its_module_can_call_it() -> None:
    replace_at_import("shop_crane", "lift", lambda weight: f"{weight} by hand")
    import_without("shop")

    assert sys.modules["shop"].sell(20) == "20 by hand"

    replace_at_import("shop_crane", "lift", lambda weight: f"{weight} by rope")

    assert sys.modules["shop_crane"].lift(20) == "20 by rope"


@pytest.mark.slow
def test_gradios_components_have_their_events_though_no_stub_is_written_at_each_start() -> None:
    """Reading its own source for them took a quarter of its import."""
    probe = """
import sys
from arena.config import prepare_process

stubs = []
sys.addaudithook(lambda event, what: event == "open" and str(what[0]).endswith(".pyi") and stubs.append(what[0]))
prepare_process()
prepare_process()
import gradio
print(callable(gradio.Button.click), callable(gradio.Blocks.load), stubs)
"""
    asked = [sys.executable, "-c", probe]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)

    assert told.stdout == "True True []\n"
