"""What is published of a run: the chosen output of each image, or its original."""

from pathlib import Path

from PIL import Image

from colorquant.publish import Edition, publish, verify
from colorquant.report import summarize_run
from colorquant.report.candidates import candidates_of
from colorquant.storage import sha256_of


def test_each_planned_image_has_one_file_the_original_where_no_output_is_worth_it(library, tmp_path) -> None:
    library.add("folder/photograph.png")
    library.add("flat.jpg", Image.new("RGB", (8, 8), "navy"))
    broken = library.add_bytes("broken.png", b"nonsense")
    plan = library.plan((2, 8, 32))
    for job in plan.jobs:
        library.fail(job, "no image") if job.name == broken.name else library.compress(job)
    summary = summarize_run(plan, library.folder())
    candidates = {item.image: item for item in candidates_of(plan, summary, library.folder())}
    assert candidates.keys() == {"folder/photograph.png", "flat.jpg", "broken.png"}
    assert candidates["broken.png"].reason == "Original kept: no image"
    edition = Edition(run_id="run", planned_at=plan.planned_at, written_at=summary.written_at)
    (problem,) = publish(candidates.values(), tmp_path / "site", edition).problems
    assert problem.startswith("'broken.png' is not an image of a known format")
    assert verify(tmp_path / "site") == []
    for image, item in candidates.items():
        assert item.original_sha256 == sha256_of(library.images / image)
        assert item.metadata == ("original" if item.k else "stripped")
    for choice in summary.choices:
        item = candidates[choice.image]
        assert (item.k, item.reason) == (choice.k, choice.reason)
        expected = library.folder() / choice.output if choice.output else library.images / choice.image
        assert Path(item.source).samefile(expected)
    sizes = sum((library.images / name).stat().st_size for name in ("folder/photograph.png", "flat.jpg"))
    assert summary.totals.chosen.original_bytes == sizes
    assert summary.totals.chosen.bytes == sum(choice.bytes for choice in summary.choices) <= sizes
