"""Training and inference behind scikit-learn's conventions."""

from bertblocks.estimators.loading import load
from bertblocks.estimators.text_estimators import TextClassifier, TextRegressor

__all__ = ["TextClassifier", "TextRegressor", "load"]
