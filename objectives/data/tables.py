"""Three small tables bundled with scikit-learn. Inputs and regression targets are standardized.

Sources: breast cancer, 569 tumours, benign or malignant (W. Wolberg et al. 1993, https://doi.org/10.24432/C5DW2B); wine,
178 analyses of three cultivars (S. Aeberhard and M. Forina 1992, https://doi.org/10.24432/C5PC7J); diabetes, 442 patients
and the progression of their disease in a year (B. Efron et al., Least Angle Regression, 2004).
"""

from functools import cache

from objectives.data import bundled
from objectives.data.examples import Sets
from objectives.data.split import random_split, stratified_split
from objectives.data.standardize import classification_sets, regression_sets, standardized_columns


@cache
def breast_cancer(fold: int = 0) -> Sets:
    """Two classes, 30 columns; cached per process and fold."""
    inputs, labels = bundled.labelled("breast_cancer.csv", skipped=1)
    split = stratified_split(labels, fold, source="breast_cancer")
    return classification_sets(standardized_columns(inputs, split.training), labels, split, n_classes=2)


@cache
def wine(fold: int = 0) -> Sets:
    """Three classes, 13 columns; cached per process and fold."""
    inputs, labels = bundled.labelled("wine_data.csv", skipped=1)
    split = stratified_split(labels, fold, source="wine")
    return classification_sets(standardized_columns(inputs, split.training), labels, split, n_classes=3)


@cache
def diabetes(fold: int = 0) -> Sets:
    """Regression on 10 columns; cached per process and fold."""
    inputs = bundled.rows("diabetes_data_raw.csv.gz", delimiter=None)
    values = bundled.rows("diabetes_target.csv.gz").squeeze(1)
    split = random_split(len(values), fold, source="diabetes")
    return regression_sets(standardized_columns(inputs, split.training), values, split)
