from __future__ import annotations

from types import SimpleNamespace

from model_store.product import Product

LAMP = Product(
    "B01", "desk lamp", brand="Lumo", color="black", bullet_points="warm light", description="for desks"
)


def test_the_flat_form_is_a_rows_columns_and_comes_back() -> None:
    row = LAMP.flat()
    assert row["product_id"] == "B01"
    assert row["product_bullet_points"] == "warm light"
    assert Product.of_flat({**row, "marketplace": "us", "label": "1"}) == LAMP
    assert Product.of_row(SimpleNamespace(**row, query="lamp")) == LAMP
