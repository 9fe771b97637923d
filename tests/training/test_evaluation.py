from __future__ import annotations

import numpy as np

from training.evaluation import marketplace_metrics


def test_the_interval_holds_the_value_and_narrows_with_data() -> None:
    generator = np.random.default_rng(0)

    def width(rows: int) -> float:
        labels = generator.integers(0, 2, rows)
        scores = labels + generator.normal(0, 1, rows)
        found = marketplace_metrics(labels, scores, labels.astype(float))
        assert found.untrained_roc_auc == 1.0
        assert found.roc_auc_low < found.roc_auc < found.roc_auc_high
        return found.roc_auc_high - found.roc_auc_low

    assert width(2000) < width(100) / 2
