"""harness.inference.predict: candidates come back in the photo's pixels, under the wanted names."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from evaluate.exceptions import InputError, JobError
from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.tables import GroundTruth
from harness.cli.main import main
from harness.data.dataset import load_split
from harness.device import photo_threads, pick_device, pick_precision
from harness.images.photos import Photos
from harness.inference.forward import in_memory
from harness.inference.precision_check import beside_float32, moved_by
from harness.inference.predict import predict
from harness.inference.shard import Shard
from harness.weights import checkpoint
from models.detector import Detector
from models.yolov5 import YoloV5
from tests.tiny import write_tiny_voc

SHARED = Path(__file__).parents[2] / "shared"
CLASSES = ("person", "airplane", "tv")


class BrightSpot(Detector):
    """Gives the box of the white pixels of its input, surely as class 1, less so as class 2."""

    classes = CLASSES
    stride_max = 32

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        boxes = []
        for image in images:
            rows, cols = torch.nonzero(image.min(0).values > 0.95, as_tuple=True)
            boxes.append([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1])
        return torch.tensor(boxes, dtype=torch.float32)

    def decode(self, raw):
        scores = torch.tensor([0.0, 0.9, 0.2]).expand(len(raw), 1, 3)
        return raw[:, None], scores


@pytest.fixture
def photos(tmp_path):
    """Three photos of two shapes in turn with a white rectangle each, and its xyxy."""
    boxes = [(40, 10, 80, 50), (6, 60, 40, 100), (50, 50, 90, 80)]
    paths = []
    for i, ((h, w), (x1, y1, x2, y2)) in enumerate(zip([(96, 160), (160, 96), (96, 160)], boxes)):
        photo = np.zeros((h, w, 3), np.uint8)
        photo[y1:y2, x1:x2] = 255
        paths.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(paths[-1]), photo)
    return Photos(paths), ("a", "b", "c"), np.array(boxes, np.float32)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_boxes_come_back_in_the_photos_pixels_whatever_the_batch(photos, batch):
    images, ids, xyxy = photos
    candidates = predict(BrightSpot(), images, ids, size=320, batch=batch, conf_min=0.5)
    assert candidates.image.tolist() == [0, 1, 2] and candidates.label.tolist() == [1, 1, 1]
    np.testing.assert_allclose(candidates.xyxy, xyxy, atol=0.6)


def test_one_box_may_give_several_classes_and_the_best_are_kept(photos):
    images, ids, _ = photos
    many = predict(BrightSpot(), images, ids, size=320)
    one = predict(BrightSpot(), images, ids, size=320, candidates_max=1)
    assert many.score[:2].tolist() == pytest.approx([0.9, 0.2]) and len(many) == 6
    assert one.score.tolist() == pytest.approx([0.9] * 3)


def test_a_score_of_exactly_the_threshold_is_kept(photos):
    images, ids, _ = photos
    assert len(predict(BrightSpot(), images, ids, size=320, conf_min=0.9)) == 3


def test_wanted_classes_are_matched_by_meaning_and_the_others_dropped(photos):
    images, ids, _ = photos
    candidates = predict(BrightSpot(), images, ids, size=320, classes=("platelet", "tvmonitor"))
    assert candidates.classes == ("platelet", "tvmonitor") and candidates.label.tolist() == [
        1,
        1,
        1,
    ]
    with pytest.raises(InputError, match="knows none of the classes platelet"):
        predict(BrightSpot(), images, ids, size=320, classes=("platelet",))


def test_photos_without_a_box_still_count(photos):
    images, ids, _ = photos
    candidates = predict(BrightSpot(), images, ids, size=320, conf_min=0.95)
    assert candidates.image_ids == ids and len(candidates) == 0


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(InputError, match="device nonsense"):
        pick_device("nonsense")
    assert pick_device("cpu").type == "cpu"
    assert pick_precision("bfloat16", torch.device("cpu")) is torch.bfloat16


@pytest.mark.parametrize(
    ("generation", "dtype"),
    [(6, torch.float32), (7, torch.float16), (8, torch.bfloat16), (12, torch.bfloat16)],
)
def test_a_gpu_computes_in_what_its_tensor_cores_know(generation, dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (generation, 5))
    assert pick_precision("auto", torch.device("cuda")) is dtype
    assert pick_precision("float32", torch.device("cuda")) is torch.float32


def test_a_gpu_is_fed_by_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    gpu = torch.device("cuda", 0)
    assert (photo_threads(gpu), photo_threads(gpu, 4), photo_threads(gpu, 16)) == (16, 4, 2)
    assert photo_threads(torch.device("cpu")) == 2


def small(most, seen):
    """A computation on a device with room for `most` images; `seen` notes how many it got."""

    def compute(images):
        seen.append(len(images))
        if len(images) > most:
            raise torch.OutOfMemoryError
        return images * 2

    return compute


def test_a_batch_is_halved_until_it_fits_and_stays_so():
    images, seen = torch.arange(7.0)[:, None], []
    for batch, fits, tried in ((7, 1, [7, 3, 1] + [1] * 6), (5, 2, [5, 2, 2, 2, 1]), (8, 7, [7])):
        seen.clear()
        outputs, left = in_memory(small(fits, seen), images, batch)
        assert torch.equal(outputs, images * 2) and seen == tried
        assert left == max(
            size for size in (batch, batch // 2, batch // 4) if size <= fits or size == batch == 8
        )
    with pytest.raises(JobError, match="one photo: try a smaller --size"):
        in_memory(small(0, seen), images, 4)


def test_prediction_goes_on_with_the_batch_that_fits(photos, monkeypatch):
    images, _, xyxy = photos
    forward, seen = BrightSpot.forward, []

    def cramped(self, images):
        small(1, seen)(images)
        return forward(self, images)

    monkeypatch.setattr(BrightSpot, "forward", cramped)
    alike = Photos(images.paths[::2] * 2)
    candidates = predict(BrightSpot(), alike, ("a", "b", "c", "d"), size=320, batch=2, conf_min=0.5)
    assert seen == [2, 1, 1, 1, 1]
    np.testing.assert_allclose(candidates.xyxy, np.tile(xyxy[::2], (2, 1)), atol=0.6)


def test_a_rough_trunk_says_how_far_it_moves_boxes(photos):
    images, _, _ = photos
    torch.manual_seed(0)
    model = YoloV5("n", CLASSES)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data *= 3  # so that the photo reaches the heads
    for head in model.head.m:
        head.bias.data[:] = 0
    lines = {
        dtype: moved_by(model, images, size=160, precision=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
    assert "move by 0.0 of 160 pixels at most, their scores by 0.000" in lines[torch.float32]
    assert (
        lines[torch.bfloat16].startswith("bfloat16 beside float32: the ")
        and "by 0.000" not in lines[torch.bfloat16]
    )


class Shifted(BrightSpot):
    """Sees all of its boxes 100 pixels too far left with a rough trunk."""

    def forward(self, images):
        return super().forward(images) - 100 * torch.is_autocast_enabled("cpu")


def truth_of(xyxy, *, difficult=False):
    """A box of class 1 on each image."""
    count = len(xyxy)
    flags = np.full(count, difficult)
    return GroundTruth(
        tuple(map(str, range(count))), CLASSES, np.arange(count), np.ones(count), xyxy, flags
    )


def beside(images, truth):
    return list(beside_float32(Shifted(), images.paths, truth, size=320, precision=torch.bfloat16))


def test_a_rough_trunk_says_what_it_costs_in_ap50(photos):
    images, _, xyxy = photos
    moved, ap = beside(images, truth_of(xyxy))
    assert (
        moved.startswith("bfloat16 beside float32: the 3 boxes of")
        and "move by 100.0 of 320 pixels" in moved
    )
    assert ap == (
        "bfloat16 beside float32: AP50 is 0.0000 in place of 1.0000 (-1.0000) "
        "on 3 of 3 photos at 320 pixels"
    )


@pytest.mark.parametrize(("count", "few"), [(7, 7), (50, 8), (239, 14), (600, 32)])
def test_ap50_is_that_of_a_few_photos_evenly_over_the_split(photos, count, few):
    images, _, (box, *_) = photos
    paths, truth = (
        np.full(count, images.paths[1]),
        np.tile(box + 50, (count, 1)),
    )  # found nowhere but at the few
    paths[np.arange(few) * count // few], truth[np.arange(few) * count // few] = (
        images.paths[0],
        box,
    )
    _, ap = beside(Photos(paths), truth_of(truth))
    assert f"0.0000 in place of 1.0000 (-1.0000) on {few} of {count} photos" in ap


def test_without_a_truth_that_counts_only_the_shift_is_said(photos):
    images, _, xyxy = photos
    empty = truth_of(xyxy).take(np.zeros(3, bool))
    for truth in (None, empty, truth_of(xyxy, difficult=True)):
        (line,) = beside(images, truth)
        assert "boxes of score 0.25 or more" in line


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A random checkpoint in w.pt, and a function that predicts a split of tiny data.

    It takes words of the command line and gives the lines on stderr that compare precisions.
    """
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = YoloV5("n", ("disc", "square"))
    content = checkpoint.describe(checkpoint.Recipe("yolov5n", image_size=64), model) | {
        "state": model.state_dict()
    }
    checkpoint.save(content, Path("w.pt"))
    write_tiny_voc(Path("data"))

    def compared(capsys, *words):
        assert main(["predict", "w.pt", "--out", "x.npz", *words]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if "beside float32" in line]

    return compared


def test_the_command_says_both_once_and_nothing_in_float32(command, capsys):
    moved, ap = command(capsys, "--data", "data", "--precision", "bfloat16", "--views", "1,flip")
    assert (
        "boxes of score 0.25 or more on 4 photos" in moved and "on 4 of 4 photos at 64 pixels" in ap
    )
    assert command(capsys, "--data", "data") == []


def test_a_split_without_annotations_is_predicted_all_the_same(command, capsys):
    shutil.rmtree("data/Annotations")
    Path("data/classes.txt").write_text("disc\nsquare\n")
    (moved,) = command(capsys, "--data", "data", "--split", "test", "--precision", "bfloat16")
    assert "boxes of score 0.25 or more on 4 photos" in moved
    assert len(command(capsys, "--images", "data/JPEGImages", "--precision", "bfloat16")) == 1


def test_of_several_processes_the_first_says_it_for_the_whole_split(command, capsys, monkeypatch):
    monkeypatch.setattr(
        Shard, "save", lambda shard, tables: dict.fromkeys(tables, 0)
    )  # it waits for the other
    words = ["--data", "data", "--precision", "bfloat16"]
    for rank, lines in ((0, 2), (1, 0)):
        monkeypatch.setattr(Shard, "of_this_process", lambda rank=rank: Shard(rank, 2))
        compared = command(capsys, *words)
        assert len(compared) == lines and all("4 photos" in line for line in compared)


def test_a_checkpoint_predicts_as_the_model_it_was_saved_from(photos, tmp_path):
    images, ids, _ = photos
    recipe = checkpoint.Recipe("yolov5n", image_size=96)
    model = YoloV5("n", CLASSES).eval()
    content = checkpoint.describe(recipe, model) | {"state": model.state_dict()}
    checkpoint.save(content, tmp_path / "best.pt")
    loaded, again = checkpoint.load_detector(tmp_path)
    assert again == recipe and not list(tmp_path.glob("*.part"))
    a, b = (predict(m, images, ids, size=96, conf_min=0) for m in (model, loaded))
    assert np.array_equal(a.xyxy, b.xyxy) and np.array_equal(a.score, b.score)


def test_a_run_that_has_not_finished_gives_its_best_so_far(tmp_path):
    model = YoloV5("n", CLASSES)
    content = checkpoint.describe(checkpoint.Recipe("yolov5n"), model) | {
        "state": model.state_dict()
    }
    checkpoint.save(content, tmp_path / "best-so-far.pt")
    assert checkpoint.load_detector(tmp_path)[0].classes == CLASSES
    with pytest.raises(InputError, match=r"nothing.*best\.pt: no such file"):
        checkpoint.load_detector(tmp_path / "nothing.pt" / "best.pt")


@pytest.mark.parametrize("what", ["text", "cut", "foreign"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, what):
    path = tmp_path / "x.pt"
    if what == "text":
        path.write_text("hello")
    else:
        torch.save({"state": torch.zeros(1000)}, path)
        if what == "cut":
            path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"x\.pt: want"):
        checkpoint.load_detector(path)


OFFICIAL, VOC = SHARED / "weights" / "yolov5n-coco.pt", SHARED / "data" / "voc2007"
needs_shared = pytest.mark.skipif(
    not OFFICIAL.exists() or not VOC.exists(), reason="shared data are not here"
)


@needs_shared
def test_the_official_weights_give_their_golden_output_on_one_photo():
    model, recipe = checkpoint.load_detector(OFFICIAL)
    photo = VOC / "JPEGImages" / "000004.jpg"
    candidates = nms(
        predict(model, Photos([photo]), ("000004.jpg",), size=recipe.image_size, batch=1), 0.6
    )
    best = candidates.take(np.argsort(-candidates.score, kind="stable")[:3])
    assert [candidates.classes[i] for i in best.label] == ["car", "car", "car"]
    np.testing.assert_allclose(best.score, [0.8469, 0.8350, 0.8250], atol=1e-3)
    golden = [
        [361.49, 329.87, 498.84, 387.51],
        [175.93, 327.60, 244.99, 363.22],
        [230.60, 329.99, 333.03, 375.05],
    ]
    np.testing.assert_allclose(best.xyxy, golden, atol=0.1)


@needs_shared
@pytest.mark.slow
def test_the_official_weights_reach_the_official_codes_score_on_1000_photos_of_voc():
    """0.6797 is what the official code scores under the same protocol."""
    model, _ = checkpoint.load_detector(OFFICIAL)
    test = load_split(VOC, "test")
    candidates = predict(
        model,
        Photos(test.photos),
        test.truth.image_ids,
        classes=test.truth.classes,
        size=640,
        conf_min=0.001,
    )
    score = voc_map(nms(candidates, 0.6, keep_max=300), test.truth)
    assert len(test.photos) == 1000 and score.map == pytest.approx(0.6797, abs=0.002)
