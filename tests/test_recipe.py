import pytest

from evaluate.exceptions import InputError
from harness.recipe import Recipe, load_recipe, recipe_names, save_recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_survives_its_file(name, tmp_path):
    recipe = load_recipe(name)
    save_recipe(recipe, tmp_path / "recipe.toml")
    assert load_recipe(str(tmp_path / "recipe.toml")) == recipe


def test_values_are_given_as_text_and_arrive_in_their_type():
    recipe = load_recipe(
        "v5n", ["epochs=3", "lr=1e-3", "balance=1,1,1", "head=report", 'weights=a"b\\c.pt']
    )
    assert (recipe.epochs, recipe.lr, recipe.balance, recipe.head) == (
        3,
        1e-3,
        (1.0, 1.0, 1.0),
        "report",
    )
    assert recipe.weights == 'a"b\\c.pt'
    assert load_recipe("v1", ["grid_stride=64"]).grid_stride == 64


def test_a_recipe_says_only_what_differs_from_its_base():
    assert load_recipe("v5l-report") == load_recipe(
        "v5m-report", ["model=yolov5l", "weights=yolov5l"]
    )


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("epoch=3", "there is no key epoch; the keys are model, head"),
        ("epochs=2.5", "epochs=2.5: want int"),
        ("lr=fast", "lr=fast: want float"),
        ("head=v9", "head=v9: want tuned or report"),
        ("grid_stride=16", "grid_stride=16: want 32 or 64"),
        ("candidates_max=0", "candidates_max must be at least 1"),
        ("balance=a", "balance=a: want numbers"),
        ("epochs", "epochs: want key=value"),
        ("epochs=0", "epochs must be at least 1"),
        ("image_size=500", "multiple of 32"),
    ],
)
def test_a_mistyped_override_is_refused_in_one_line(assignment, says):
    with pytest.raises(InputError, match=says):
        load_recipe("v5n", [assignment])


def test_an_unknown_recipe_names_those_there_are(tmp_path):
    with pytest.raises(InputError, match="v5l, v5l-report"):
        load_recipe("v9")
    (tmp_path / "x.toml").write_text("epochs = ")
    with pytest.raises(InputError, match=r"x\.toml"):
        load_recipe(str(tmp_path / "x.toml"))
    (tmp_path / "x.toml").write_text("epochs = 3")
    with pytest.raises(InputError, match="model"):
        load_recipe(str(tmp_path / "x.toml"))


def test_a_recipe_is_one_flat_record():
    with pytest.raises(TypeError):
        Recipe()
