"""Where outputs lie: no two images share one, and an image whose ending stays keeps its path."""

from hypothesis import given
from hypothesis import strategies as st

from colorquant.storage.naming import output_names

PNG = ".png"


def test_the_ending_says_what_the_file_holds() -> None:
    endings = {"a/cat.jpg": PNG, "a/dog.PNG": PNG, "cow": PNG, "kept.jpeg": ".jpeg", "v1.2.bmp": ".webp"}
    assert output_names(endings) == {
        "a/cat.jpg": "a/cat.png",
        "a/dog.PNG": "a/dog.PNG",
        "cow": "cow.png",
        "kept.jpeg": "kept.jpeg",
        "v1.2.bmp": "v1.2.webp",
    }


def test_images_that_would_share_a_name_keep_their_own_before_the_ending() -> None:
    assert output_names({"a.jpg": PNG, "a.tif": PNG}) == {"a.jpg": "a.jpg.png", "a.tif": "a.tif.png"}
    # A PNG keeps its path, also where others want it, in whatever case of letters.
    assert output_names({"a.jpg": PNG, "A.png": PNG}) == {"a.jpg": "a.jpg.png", "A.png": "A.png"}
    assert output_names({"a.jpg": PNG, "a.png": PNG, "a.jpg.png": PNG})["a.jpg"] == "a.jpg.png.png"


_PARTS = st.text("aA.", min_size=1, max_size=3).filter(lambda part: part.strip("."))
_NAMES = st.builds(
    lambda stem, ending: stem + ending, _PARTS, st.sampled_from(["", ".jpg", ".png", ".PNG", ".jpg.png"])
)


@given(st.dictionaries(_NAMES, st.sampled_from([PNG, ".webp"]), max_size=8))
def test_no_two_images_share_an_output(endings: dict[str, str]) -> None:
    names = output_names(endings)
    assert names.keys() == endings.keys()
    moved = [path.casefold() for name, path in names.items() if path != name]
    kept = {path.casefold() for name, path in names.items() if path == name}
    assert len(set(moved)) == len(moved) and not kept & set(moved)
    assert all(path.lower().endswith(endings[name]) for name, path in names.items())
