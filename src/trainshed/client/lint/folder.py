"""Rules about a folder of code: its Dockerfile, its script-mode program, its requirements."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from trainshed.client.lint import files, image, program, scripts
from trainshed.client.lint.command import Line
from trainshed.client.lint.dockerfile import Recipe
from trainshed.client.lint.facts import DEFAULT_PATH, Asked, File, hidden_part
from trainshed.client.lint.findings import Finding, Rule, Severity

NO_ENTRY: Final = Rule(
    code="TS311",
    severity=Severity.ERROR,
    title="the entry point is not in the folder",
    sagemaker="the archive holds no such file: the job fails as it starts",
    here="the same; `trainshed run` refuses before",
    mend="correct the name; it is relative to the folder",
)
UNPINNED: Final = Rule(
    code="TS312",
    severity=Severity.NOTE,
    title="requirements without versions",
    sagemaker="each job installs what is newest that day; a job that ran may fail the next time",
    here="on the local backend the first installation is kept until the file changes",
    mend="pin with ==; uv pip compile or pip freeze writes such a file",
)
NEEDS_NETWORK: Final = Rule(
    code="TS313",
    severity=Severity.ERROR,
    title="requirements under network isolation",
    sagemaker="pip reaches no index: the job fails before the script starts",
    here="",
    mend="install them in the image, and take requirements.txt out of the folder",
)
NO_MODEL: Final = Rule(
    code="TS314",
    severity=Severity.WARNING,
    title="nothing writes a model",
    sagemaker="only what lies in /opt/ml/model is kept; with nothing there, the job completes and "
    "leaves no model",
    here="",
    mend='save to os.environ["SM_MODEL_DIR"] (or /opt/ml/model)',
)

RULES: Final = (NO_ENTRY, UNPINNED, NEEDS_NETWORK, NO_MODEL)

_MODEL = re.compile(r"SM_MODEL_DIR|/opt/ml|model[-_]dir|SAGEMAKER_BASE_DIR", re.IGNORECASE)
_CODE: Final = (".py", ".sh", ".R", ".r", ".jl", ".pl", ".js", ".ipynb")
_TOOLKITS = re.compile(r"sagemaker[-_][a-z-]*training")
_AMAZON: Final = ("amazonaws.com", "sagemaker", "public.ecr.aws/deep-learning")
"""Base images with these words bring an ENTRYPOINT, ``train`` and settings of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What was read of a folder of code."""

    name: str
    files: dict[str, File]
    """By path relative to the folder; those that are no text too."""
    recipe: Recipe | None = None
    """Its Dockerfile."""

    @property
    def requirements(self) -> File | None:
        """Its requirements.txt."""
        return self.files.get("requirements.txt")


def of_folder(folder: Folder, asked: Asked) -> Iterator[Finding]:
    """Return everything that a folder's files will trip over."""
    if folder.recipe is not None:
        yield from _recipe(folder, folder.recipe, asked)
    if asked.entry_point:
        yield from _entry(folder, asked)
    yield from _requirements(folder, asked)
    for file in folder.files.values():
        if file.path.endswith(".py"):
            yield from program.of_paths(file)
        elif file.path.endswith(".sh") or scripts.interpreter_of(file.text or "").is_shell:
            yield from scripts.of_line_ends(file)
    code = [file for file in folder.files.values() if _is_code(file)]
    texts = [file.text for file in folder.files.values() if file.text]
    if code and not any(_MODEL.search(text) for text in texts):
        found = f"neither SM_MODEL_DIR nor /opt/ml/model in {len(texts)} files"
        yield NO_MODEL.at(folder.name, found)


def start_of(folder: Folder, recipe: Recipe) -> tuple[File | None, Line]:
    """Return the script of the folder that a Dockerfile makes process 1, and what starts it."""
    config = recipe.config
    line = image.started(config.entrypoint or ("train",))
    if not line.script:
        return None, line
    places = [str(PurePosixPath(config.folder, line.script))]
    if "/" not in line.script and not (line.is_python or line.is_shell):
        folders = [*config.path, *DEFAULT_PATH.split(":")]
        places = [f"{place}/{line.script}" for place in folders]
    for place in places:
        for source in recipe.sources_of(place):
            found = folder.files.get(str(PurePosixPath(source)))
            if found is not None:
                return _with_mode(found, place, recipe), line
    return None, line


def _recipe(folder: Folder, recipe: Recipe, asked: Asked) -> Iterator[Finding]:
    config = recipe.config
    amazon = any(word in recipe.base for word in _AMAZON)
    start, line = start_of(folder, recipe)
    named = [*recipe.runs, (folder.requirements and folder.requirements.text) or ""]
    toolkit = amazon or any(_TOOLKITS.search(text) for text in named)
    has_train = toolkit or (start is not None and line.script == "train")
    findings = list(image.of_config(config, asked, has_train=has_train))
    if start is not None and asked.entrypoint is None:
        findings += scripts.of_start(start, line, config, interpreters={})
        findings += program.of_word(start, config, asked)
    known = {image.BUFFERED} if amazon else set()
    yield from program.without_doubt(f for f in findings if f.rule not in known)
    yield from _copies(recipe)


def _copies(recipe: Recipe) -> Iterator[Finding]:
    for copy in recipe.copies:
        where = f"{recipe.config.name}:{copy.line}"
        shown = f"COPY {' '.join(copy.sources)} {copy.target}"
        if hidden_part(copy.target):
            yield files.HIDDEN.at(where, shown)
        elif _is_reserved(copy.target):
            yield files.RESERVED.at(where, shown)


def _is_reserved(target: str) -> bool:
    parts = PurePosixPath(target).parts
    return parts[:3] == ("/", "opt", "ml") and parts[3:4] != ("code",)


def _entry(folder: Folder, asked: Asked) -> Iterator[Finding]:
    name = str(PurePosixPath(asked.entry_point))
    file = folder.files.get(name)
    if file is None:
        yield NO_ENTRY.at(folder.name, name)
    elif name.endswith(".py"):
        yield from program.of_script(file, asked.hyperparameters)


def _requirements(folder: Folder, asked: Asked) -> Iterator[Finding]:
    file = folder.requirements
    if file is None or not file.text or not asked.entry_point:
        return
    named = [(i, line.partition(" #")[0].strip()) for i, line in _lines(file.text)]
    loose = [(i, text) for i, text in named if not _is_pinned(text)]
    if loose:
        number, text = loose[0]
        more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
        yield UNPINNED.at(f"{file.path}:{number}", text + more)
    if named and asked.isolated:
        yield NEEDS_NETWORK.at(file.path, "EnableNetworkIsolation is true")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _is_pinned(text: str) -> bool:
    """Tell whether a line says exactly what is installed; options are not judged."""
    return text.startswith("-") or "==" in text or " @ " in text or "://" in text


def _with_mode(file: File, place: str, recipe: Recipe) -> File:
    """Return a file as executable when the Dockerfile makes it so, as far as can be seen."""
    name = PurePosixPath(place).name
    made = any("chmod" in run and (name in run or "*" in run or "-R" in run) for run in recipe.runs)
    if file.executable or made or any(copy.mode for copy in recipe.copies):
        return File(path=file.path, executable=True, size=file.size, text=file.text)
    return file


def _is_code(file: File) -> bool:
    return file.path.endswith(_CODE) or bool(file.text and file.text.startswith("#!"))
