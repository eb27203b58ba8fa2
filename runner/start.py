"""`start_run`: everything between a description of a run and its folder."""

from __future__ import annotations

import random
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import msgspec

from ..arguments import checked
from ..data_check.findings import ERROR, SEVERITIES
from ..eval_utils import (
    VOCResult,
    evaluate_voc,
    plot_detection_grid,
    plot_history,
    plot_samples,
    predict_dataset,
)
from ..messages import printable
from ..models.detector import anchors_of, set_value_range
from ..models.precision import chosen_precision
from ..networks import find_network
from ..recipes import RECIPES
from ..report import save_report
from ..training import MeanAveragePrecision, processes, train
from ..training.batches import chosen_augmentation
from ..training.devices import chosen_devices
from ..training.known import fitting_recipe
from .config import RunConfig, make_config
from .data import find_data
from .folder import CONFIG, FILES, HISTORY, LOG, VERSIONS, new_folder, save_figure, save_versions, write_text
from .model import build_model, chosen_anchors, chosen_weights
from .progress import Progress, Report, events_folder
from .reports import run_settings

SHOWN_FINDINGS = 5
SAMPLES, DETECTIONS = 4, 12  # pictures
BEST = 10  # detections that are drawn in a picture


@dataclass(frozen=True)
class RunResult:
    """What a run has made.

    Attributes:
        folder: the run's folder.
        model: the best model, for `detect` and `predict_dataset`.
        history: the losses of all epochs, as of `train`.
        evaluation: the average precision of the best model on the validation images.

    Of several processes the first one has all of that, the others the model of the last epoch and no
    evaluation.
    """

    folder: Path
    model: keras.Model
    history: keras.callbacks.History
    evaluation: VOCResult | None


@checked()
def start_run(
    config: RunConfig, *, resume: bool = False, force: bool = False, quiet: bool = False
) -> RunResult:
    """Checks data, trains a detector on them, evaluates it, and keeps all that in a folder.

    `multibox train` is this function.

    Example:

    ```python
    config = mb.RunConfig(data="my_data", epochs=20)
    result = mb.start_run(config)
    ```

    Args:
        config: what to train; see `RunConfig`.
        resume: True: go on with the run in the folder, where it was stopped; see `train`.
        force: whether an earlier run in the folder makes place: it is renamed, not deleted.
        quiet: whether nothing is printed. The folder's log.txt has it all the same.

    Raises:
        FileExistsError: if the folder is in use and neither `resume` nor `force` is True.
        FileNotFoundError: if there are no data, no weights, or no run to resume.
        ValueError: for errors in the data unless `config.check` allows them; for an unknown network; and as
            the readers and `train`.
    """
    config = make_config(msgspec.structs.asdict(config), "start_run")
    recipe = _recipe(config)
    config = msgspec.structs.replace(config, epochs=config.epochs or recipe.epochs)  # config.yaml has them
    quiet = quiet or not processes.is_first()
    report = Report(quiet)
    folder = config.folder
    if config.model != "ssd":
        find_network(config.model)  # an unknown name fails before anything is read
    devices = len(chosen_devices(config.devices))
    processes.of_first(lambda: _check_folder(folder, resume, force))
    training, validation = _data(config, report, check=not resume)
    # Keras draws the seeds of initializers from here. Its set_random_seed imports TensorFlow on any backend.
    random.seed(config.seed)
    model = build_model(config, training.class_names, training.pixels.channels)
    precision = chosen_precision(model, config.precision, "precision")
    config = msgspec.structs.replace(config, precision=precision)  # for a resumed run on another device
    set_value_range(model, training.pixels.value_range)
    recipe = fitting_recipe(recipe, model, training, folder, resume=resume)
    if recipe.name != config.recipe:
        report("The model finds the objects already: a lower rate and a longer average keep what it knows.")
    batch = config.batch or min(recipe.batch_size, len(training))
    steps = -(-len(training) // batch)
    _tell_plan(config, model, training, validation, batch, steps, devices, report)
    augmentation = chosen_augmentation(model, training, recipe, config.epochs)
    processes.of_first(lambda: _begin_folder(config, folder, training, augmentation, report, resume, force))
    progress = Progress(report, config.epochs, steps, events_folder(folder) if processes.is_first() else None)
    measure = MeanAveragePrecision(validation, per_class=True)
    history = train(
        model,
        training,
        folder,
        epochs=config.epochs,
        validation_data=validation,
        recipe=recipe,
        batch_size=batch,
        precision=precision,
        devices=config.devices,
        resume=resume,
        callbacks=[measure, progress],
        seed=config.seed,
        verbose=0 if quiet else 1 if sys.stdout.isatty() else 2,
    )
    finished = []
    # The others wait: JAX ends a process that goes on for minutes after another one has ended.
    processes.of_first(lambda: finished.append(_finish(folder, history, model, validation, report)))
    return finished[0] if finished else RunResult(folder, model, history, None)


def _check_folder(folder, resume, force):
    """Refuses a folder before the data are read."""
    if resume and not (folder / "last.keras").exists():
        raise FileNotFoundError(f"{folder}: no run to resume: there is no last.keras")
    if not resume and not force and folder.exists() and any(folder.iterdir()):
        new_folder(folder, force)


def _recipe(config):
    recipe = RECIPES[config.recipe]
    return recipe if config.box_loss is None else replace(recipe, box_loss=config.box_loss)


def _network_name(config):
    name = config.model if config.model == "ssd" else find_network(config.model).name
    return name + (f" on {config.backbone}" if config.backbone else "")


def _data(config, report, check):
    """The training and validation images, checked."""
    data, progress = find_data(config), not report.quiet and sys.stderr.isatty()
    report(f"Data: {data.training.text}, {data.training.layout.name}; {data.explanation}.")
    if check and config.check != "off":
        checked = data.check(chosen_anchors(config), progress)
        _tell_findings(checked, report)
        errors = checked.counts()[ERROR]
        if errors and config.check == "stop":
            raise ValueError(
                f"{data.training.text}: {errors} errors in the data; correct them (`multibox check "
                f"{data.training.path}` shows them all), or go on with --check warn"
            )
    return data.load(config.seed, progress)


def _tell_findings(checked, report):
    counts = checked.counts()
    found = ", ".join(f"{severity} {counts[severity]}" for severity in SEVERITIES if counts[severity])
    report(f"Data check, findings by level: {found or 'none'}.")
    worst = [finding for finding in checked.findings if finding.severity in SEVERITIES[:2]]
    for finding in worst[:SHOWN_FINDINGS]:
        where = "/".join(filter(None, (finding.split, finding.image_id)))
        report(f"  {finding.severity}: {finding.kind}: {printable(f'{where}: {finding.message}', 160)}")
    if len(worst) > SHOWN_FINDINGS:
        report(f"  ... and {len(worst) - SHOWN_FINDINGS} more")


def _tell_plan(config, model, training, validation, batch, steps, devices, report):
    for name, dataset in (("Training", training), ("Validation", validation)):
        objects = sum(len(record.labels) for record in dataset)
        report(f"{name}: {len(dataset)} images with {objects} objects.")
    counts = training.class_counts()
    report("Classes: " + ", ".join(f"{printable(name)} ({count})" for name, count in counts.items()) + ".")
    name, (height, width) = _network_name(config), anchors_of(model).image_size
    report(
        f"Model: {name}, input {height}x{width}, {model.count_params():,} parameters, "
        f"weights: {chosen_weights(config)}, precision: {config.precision}."
    )
    on = f" on {devices} devices" if devices else ""
    report(f"Plan: {config.epochs} epochs of {steps} steps with {batch} images{on}.")


def _begin_folder(config, folder, training, augmentation, report, resume, force):
    if not resume:
        moved = new_folder(folder, force)
        if moved is not None:
            report(f"The earlier run is now in {moved}.")
    report.write_to(folder / LOG)
    write_text(folder / CONFIG, config.to_yaml())
    found = save_versions(folder / VERSIONS)
    devices = ", ".join(found["devices"]) or f"{found['cpus']} CPUs"
    report(f"Folder: {folder}; Keras {found['keras']} on {found['backend']}, {devices}.")
    if events_folder(folder) is None:
        report("Without TensorBoard (pip install tensorboard); history.csv and loss.png have the losses.")
    save_figure(plot_samples(training[:SAMPLES], augmentation, seed=config.seed), folder / "samples.jpg")
    report(f"See {folder / 'samples.jpg'}: are the boxes around the objects?")


def _finish(folder, history, model, validation, report):
    """Evaluates the best model and draws the figures."""
    best = keras.models.load_model(folder / "best.keras") if (folder / "best.keras").exists() else model
    save_figure(plot_history(folder / "history.csv"), folder / "loss.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detections = predict_dataset(best, validation, progress=not report.quiet and sys.stderr.isatty())
        evaluation = evaluate_voc(detections, validation)
    shown = validation[:DETECTIONS], [rows[:BEST] for rows in detections[:DETECTIONS]]
    figure = plot_detection_grid(*shown, min_score=_drawn_from(detections))
    save_figure(figure, folder / "detections.jpg")
    save_report(
        detections,
        validation,
        folder,
        history=folder / HISTORY,
        settings=run_settings(folder),
        overwrite=True,
    )
    report(f"\nThe best model on the validation images:\n{evaluation}\n")
    for warning in caught:
        report(f"Warning: {printable(warning.message, 500)}")
    report(f"In {folder}:")
    for name, what in FILES.items():
        if (folder / name).exists():
            report(f"  {name:14} {what}")
    return RunResult(folder, best, history, evaluation)


def _drawn_from(detections):
    """The least score of the detections that are drawn. After few epochs all scores are low."""
    highest = max((rows[:, 1].max() for rows in detections if len(rows)), default=0.5)
    return min(0.5, float(highest) / 2)
