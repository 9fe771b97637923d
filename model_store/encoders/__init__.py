"""Base encoders: where they come from, the packaged one, and what is accepted as one."""

from model_store.encoders.base_encoders import FAMILIES, BaseEncoder, parse_base_encoder
from model_store.encoders.completeness import token_limit
from model_store.encoders.packaged import packaged_encoder_folder

__all__ = ["FAMILIES", "BaseEncoder", "packaged_encoder_folder", "parse_base_encoder", "token_limit"]
