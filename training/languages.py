"""Which language a marketplace speaks: what the translators and reports need to know about its name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from model_store.errors import ConfigurationError

_NO_OVERRIDES: Mapping[str, str] = MappingProxyType({})

_COUNTRIES_OF_LANGUAGE = {
    "ar": "ae eg sa",
    "cs": "cz",
    "da": "dk",
    "de": "at de",
    "el": "gr",
    "en": "au ca gb ie in nz sg uk us za",
    "es": "ar cl co es mx pe",
    "fr": "fr",
    "he": "il",
    "it": "it",
    "ja": "jp",
    "ko": "kr",
    "nl": "nl",
    "pl": "pl",
    "pt": "br pt",
    "ru": "ru",
    "sv": "se",
    "tr": "tr",
    "vi": "vn",
    "zh": "cn hk tw",
}
# A country comes before a language of the same two letters: `ar` is Argentina, `uk` is not Ukrainian.
_LANGUAGE_OF_COUNTRY = {
    country: language for language, countries in _COUNTRIES_OF_LANGUAGE.items() for country in countries.split()
}
# Shops there speak several languages, none of which a name could tell.
_MULTILINGUAL = frozenset({"be", "ch"})

_LANGUAGE_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id "
    "ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu "
    "lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu "
    "rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr "
    "ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_ISO_639_1 = frozenset(_LANGUAGE_CODES.split())


def language_of(marketplace: str, overrides: Mapping[str, str] = _NO_OVERRIDES) -> str:
    """Return the language of a marketplace as an ISO 639-1 code: `us` gives `en`, `jp` gives `ja`.

    A name is looked up in `overrides`, then among countries (`br` is Brazil, hence `pt`), then among
    languages (`ja` is itself), and last as a locale that starts with its language (`pt-br` gives `pt`).

    Args:
        marketplace: name of the marketplace; case does not matter.
        overrides: languages by marketplace name, for names that tell nothing or tell it wrongly.

    Raises:
        ConfigurationError: the name tells no language, or an override is not an ISO 639-1 code.
    """
    if marketplace in overrides:
        return _checked_override(marketplace, overrides[marketplace])
    name = marketplace.casefold()
    language = _language_of_code(name) or _language_of_locale(name)
    if language is None:
        raise ConfigurationError(
            f"marketplace {marketplace!r}: its name tells no single language; "
            f"say which with --set languages.{marketplace}=en (ISO 639-1), or in the preset's languages"
        )
    return language


def _language_of_code(name: str) -> str | None:
    if name in _MULTILINGUAL:
        return None
    return _LANGUAGE_OF_COUNTRY.get(name) or (name if name in _ISO_639_1 else None)


def _language_of_locale(name: str) -> str | None:
    language, _, region = name.replace("_", "-").partition("-")
    return language if region and language in _ISO_639_1 else None


def _checked_override(marketplace: str, language: str) -> str:
    if language not in _ISO_639_1:
        raise ConfigurationError(
            f"marketplace {marketplace!r}: the language {language!r} given for it is no ISO 639-1 code; "
            "use two small letters such as en, ja or pt"
        )
    return language
