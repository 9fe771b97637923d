"""What a model version is: its manifest, weights, promotion, and the store of all of them."""

from model_store.versions.manifest import Manifest, ManifestDraft, PromotionDecision
from model_store.versions.promotion import decide_promotion
from model_store.versions.store import ModelStore, PublishedVersion

__all__ = ["Manifest", "ManifestDraft", "ModelStore", "PromotionDecision", "PublishedVersion", "decide_promotion"]
