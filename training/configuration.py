"""Everything that decides what a training run does: frozen, validated, saved with what it produced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_store.encoding.configuration import PairEncoding
from model_store.errors import ConfigurationError
from model_store.files import is_file
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration


class StageConfiguration(BaseModel):
    """Optimisation of one stage. Adam; a batch is cut into micro-batches by the token budget."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=5, ge=1, le=1000)
    min_steps: int = Field(
        default=0, ge=0, description="more epochs for a small set; no earlier weights are kept"
    )
    batch_size: int = Field(default=64, ge=1, description="pairs per optimiser step")
    learning_rate: float = Field(default=5e-4, gt=0)
    head_learning_rate: float | None = Field(default=None, gt=0, description="the stage's own rate where none")
    schedule: Literal["constant", "linear"] = "linear"
    warmup_share: float = Field(default=0.1, ge=0, le=0.5, description="share of the steps")
    weight_decay: float = Field(default=0.0, ge=0)
    adam_epsilon: float = Field(default=1e-8, gt=0)
    gradient_clipping: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    patience: int = Field(default=3, ge=1, description="epochs without a better validation ROC-AUC")
    tolerance: float = Field(default=0.0, ge=0, lt=0.5, description="a later epoch this little worse is kept")
    dropout: bool = Field(default=False, description="whether the frozen encoder's dropout acts")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MaskedConfiguration(_Frozen):
    """Adapters in two places of every layer under hard attention to the task (Serra et al. 2018).

    `sparsity` weighs the share of new units that a marketplace opens. `max_scale` is where the annealing of the
    masks ends in every epoch. The masks' embeddings have a learning rate of their own: a unit changes sides only
    when its embedding crosses zero, which the weights' rate would take too long for.
    """

    bottleneck: int = Field(default=64, ge=1)
    max_scale: float = Field(default=400.0, gt=1)
    sparsity: float = Field(default=0.75, ge=0)
    mask_learning_rate: float | None = Field(default=None, gt=0, description="the stage's own rate where none")
    stage: StageConfiguration = StageConfiguration()

    @model_validator(mode="after")
    def _nothing_moves_by_itself(self) -> MaskedConfiguration:
        if self.stage.weight_decay > 0:
            raise ValueError("stage.weight_decay would change weights that older marketplaces use: set it to 0")
        return self


class HatConfiguration(MaskedConfiguration):
    """HAT: nothing but masked adapters."""


class CapsuleConfiguration(MaskedConfiguration):
    """A capsule of `capsule_size` numbers per task and token, which predicts `semantic_capsules` of them.

    Capsules and routing have a learning rate of their own: at an adapter's, what they share is noise to it.
    """

    routing_learning_rate: float | None = Field(default=None, gt=0, description="the stage's own where none")
    capsule_size: int = Field(default=3, ge=1)
    semantic_capsules: int = Field(default=3, ge=1)


class BclConfiguration(CapsuleConfiguration):
    """B-CL (Ke et al. 2021b): dynamic routing."""

    routing_iterations: int = Field(default=3, ge=1, le=20)


class CtrConfiguration(CapsuleConfiguration):
    """CTR (Ke et al. 2021a): transfer routing, by convolutions with `channels` each."""

    channels: int = Field(default=100, ge=1)


class DytoxConfiguration(_Frozen):
    """DyTox (Douillard et al. 2022) in a text form: task attention over a shared encoder."""

    divergence_weight: float = Field(default=0.1, ge=0)
    distillation_weight: float = Field(default=1.0, ge=0)
    stage: StageConfiguration = StageConfiguration(learning_rate=5e-5, dropout=True)


Overrides = dict[str, object]


class _PlainLoader(yaml.SafeLoader):
    """YAML 1.2's truth values and numbers alone: `no` is Norwegian, `12:30` and `2024-01-01` are texts."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":int", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("[-+]?(?:0|[1-9][0-9_]{0,99})$"), list("-+0123456789")
)


def parse_yaml(text: str, source: str) -> object:
    """A value in YAML, whose words are texts but for `true`, `false` and `null`.

    Raises:
        ConfigurationError: it is no YAML; names `source`.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{source}: {text[:80]!r} is no YAML ({reason}); correct it") from error


def read_yaml_fields(path: Path) -> Overrides:
    """The fields of a YAML file by name; none where it is empty.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or holds no fields.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    content = parse_yaml(text, path.name)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigurationError(f"{path.name}: holds no fields, as seed: 0")
    return content


def parse_overrides(settings: Sequence[str], **named: object) -> Overrides:
    """Nested overrides from `field.of.field=value` texts; values are YAML. Named ones that are None are left out.

    Raises:
        ConfigurationError: an option without "=" or a value that is no YAML.
    """
    overrides: Overrides = {name: value for name, value in named.items() if value is not None}
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path:
            raise ConfigurationError(f"--set {setting!r}: write it as field=value, e.g. adapter_stage.epochs=3")
        value = parse_yaml(text, f"--set {path[:80]}")
        _put(overrides, path.split("."), value, setting)
    return overrides


def merged(base: Overrides, overrides: Overrides) -> Overrides:
    """`base` with the overrides put in, field by field."""
    result = dict(base)
    for key, value in overrides.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _put(overrides: Overrides, path: Sequence[str], value: object, setting: str) -> None:
    place = overrides
    if not all(path):
        raise ConfigurationError(f"--set {setting!r}: a name is empty; write it as adapter_stage.epochs=3")
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"--set {setting!r}: {part!r} is set to a value already")
        place = inner
    place[path[-1]] = value


PRESETS = Path(__file__).parent / "presets"


class DistillationConfiguration(_Frozen):
    """Attention distillation (eq. 9).

    `weight` scales it against the cross-entropy. `renormalise` divides the student's attention on the older
    adapters by its sum. `on_new_data` is section 4.2: both losses on the same batches, no translation.
    `task_loss_on_translations` adds cross-entropy on the translated rows. `own_adapter` is not the paper's: it
    weighs the attention that the new marketplace's own rows do not pay to its adapter, as if they had a teacher
    as well, that adapter alone.
    """

    weight: float = Field(default=1.0, ge=0)
    renormalise: bool = False
    on_new_data: bool = False
    task_loss_on_translations: bool = False
    own_adapter: float = Field(default=0.0, ge=0)


class AnchorConfiguration(_Frozen):
    """Texts drawn from the vocabulary that keep the untrained encoder's ranking (training/stages/anchors.py).

    `weight` scales their loss against the cross-entropy; 0 is none. `drawn` queries are drawn for a marketplace,
    and an optimiser step sees `queries` of them.
    """

    weight: float = Field(default=0.0, ge=0)
    drawn: int = Field(default=300, ge=4, le=100_000)
    queries: int = Field(default=8, ge=4, le=1024)


class TrainingConfiguration(_Frozen):
    """A continual training run."""

    base_encoder: str = "packaged"
    pair_encoding: PairEncoding = PairEncoding()
    adapter: AdapterConfiguration = AdapterConfiguration()
    fusion: FusionConfiguration = FusionConfiguration()
    head: HeadConfiguration = HeadConfiguration()
    adapter_stage: StageConfiguration = StageConfiguration()
    fusion_stage: StageConfiguration = StageConfiguration()
    finetuning_stage: StageConfiguration = StageConfiguration(learning_rate=5e-5, dropout=True)
    hat: HatConfiguration = HatConfiguration()
    b_cl: BclConfiguration = BclConfiguration()
    ctr: CtrConfiguration = CtrConfiguration()
    dytox: DytoxConfiguration = DytoxConfiguration()
    adapter_start: Literal["random", "previous"] = "random"
    fusion_start: Literal["random", "previous"] = "random"
    distillation: DistillationConfiguration = DistillationConfiguration()
    adapter_interpolation: float = Field(
        default=1.0, gt=0, le=1, description="how far from the untrained encoder, 0, to the learnt adapter, 1"
    )
    anchors: AnchorConfiguration = AnchorConfiguration()
    value_regularisation: float = Field(default=0.0, ge=0, description="weight of |V - I|^2 in the fusion stage")
    translation: str = "none"
    languages: dict[str, str] = Field(default_factory=dict, description="ISO 639-1 code by marketplace")
    translated_share: float = Field(default=0.3, gt=0, le=1, description="share of the new training rows")
    precision: Literal["auto", "float32", "bf16"] = "auto"
    token_budget: int = Field(default=2048, ge=64, description="tokens in a micro-batch")
    frozen_states_megabytes: int = Field(
        default=1024,
        ge=0,
        description="for what the frozen layers make of a step's texts; more is recomputed",
    )
    checkpoint_seconds: float = Field(default=30.0, ge=0, description="time between checkpoints in an epoch")
    validation_share: float = Field(default=0.2, gt=0, lt=0.5)
    test_share: float = Field(default=0.2, gt=0, lt=0.5)
    target_precision: float = Field(default=0.95, gt=0, lt=1)
    promotion_tolerance: float = Field(default=0.01, ge=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _no_contradictions(self) -> TrainingConfiguration:
        if self.distillation.on_new_data and self.translation != "none":
            raise ValueError(
                "distillation.on_new_data (section 4.2) uses no translation: set translation to none"
            )
        if self.distillation.on_new_data and self.distillation.own_adapter > 0:
            raise ValueError(
                "distillation.on_new_data (section 4.2) keeps the new rows to the older adapters, and "
                "distillation.own_adapter to the new one: use one of the two"
            )
        if self.head.kind == "linear" and self.pair_encoding.kind == "two_tower":
            raise ValueError("head.kind 'linear' needs pair_encoding.interaction 'cross' or 'late(k)'")
        return self


def load_configuration(preset_or_path: str, overrides: Overrides | None = None) -> TrainingConfiguration:
    """Read a preset by name or a YAML file by path, and put overrides in.

    Raises:
        ConfigurationError: no such preset or file, or a field that is wrong, named.
    """
    path = PRESETS / f"{preset_or_path}.yaml" if preset_or_path.isidentifier() else Path(preset_or_path)
    if not is_file(path):
        raise ConfigurationError(f"{preset_or_path!r} is neither a preset ({', '.join(presets())}) nor a file")
    return checked_configuration(merged(read_yaml_fields(path), overrides or {}), path.name)


def checked_configuration(content: Overrides, source: str) -> TrainingConfiguration:
    """A configuration from plain data.

    Raises:
        ConfigurationError: a field that is wrong or unknown, named.
    """
    try:
        return TrainingConfiguration.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{source}: {field + ': ' if field else ''}{first['msg']}") from error


def presets() -> list[str]:
    """Names of the presets that ship."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))
