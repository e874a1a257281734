"""The exact names that a pickled model may mention: nothing here is a prefix or a pattern.

Each table is one of ``(module, name)``: plain Python classes whose instances may be made and given
attributes, Cython classes that need a checked maker of their own (`modelfile.makers`), and harmless values that
may stand in an attribute (a scalar type, a scoring function) but are never called while a file is read.
"""

from __future__ import annotations

Name = tuple[str, str]


def _names(modules: dict[str, str]) -> frozenset[Name]:
    """Turn {"svm._classes": "SVC NuSVC"} into the pairs of scikit-learn's module and name."""
    return frozenset((f"sklearn.{module}", name) for module, words in modules.items() for name in words.split())


CLASSES = _names(
    {
        "calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
        "compose._column_transformer": "ColumnTransformer",
        "decomposition._pca": "PCA",
        "discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
        "dummy": "DummyClassifier",
        "ensemble._bagging": "BaggingClassifier",
        "ensemble._forest": "ExtraTreesClassifier RandomForestClassifier",
        "ensemble._gb": "GradientBoostingClassifier",
        "ensemble._hist_gradient_boosting.binning": "_BinMapper",
        "ensemble._hist_gradient_boosting.gradient_boosting": "HistGradientBoostingClassifier",
        "ensemble._hist_gradient_boosting.predictor": "TreePredictor",
        "ensemble._stacking": "StackingClassifier",
        "ensemble._voting": "VotingClassifier",
        "ensemble._weight_boosting": "AdaBoostClassifier",
        "feature_selection._univariate_selection": "SelectKBest",
        "feature_selection._variance_threshold": "VarianceThreshold",
        "impute._base": "SimpleImputer",
        "isotonic": "IsotonicRegression",
        "linear_model._logistic": "LogisticRegression LogisticRegressionCV",
        "linear_model._passive_aggressive": "PassiveAggressiveClassifier",
        "linear_model._perceptron": "Perceptron",
        "linear_model._ridge": "RidgeClassifier RidgeClassifierCV",
        "linear_model._stochastic_gradient": "SGDClassifier",
        "metrics._scorer": "_MultimetricScorer _PassthroughScorer _Scorer",
        "model_selection._search": "GridSearchCV RandomizedSearchCV",
        "model_selection._split": "KFold StratifiedKFold",
        "multiclass": "OneVsOneClassifier OneVsRestClassifier _ConstantPredictor",
        "naive_bayes": "BernoulliNB GaussianNB MultinomialNB",
        "neighbors._classification": "KNeighborsClassifier",
        "neighbors._nearest_centroid": "NearestCentroid",
        "neural_network._multilayer_perceptron": "MLPClassifier",
        "neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
        "pipeline": "FeatureUnion Pipeline",
        "preprocessing._data": "MaxAbsScaler MinMaxScaler Normalizer PowerTransformer QuantileTransformer "
        "RobustScaler StandardScaler",
        "preprocessing._function_transformer": "FunctionTransformer",
        "preprocessing._label": "LabelBinarizer LabelEncoder",
        "svm._classes": "LinearSVC NuSVC SVC",
        "tree._classes": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier",
        "utils._bunch": "Bunch",
        "_loss.link": "HalfLogitLink Interval LogitLink MultinomialLogit",
        "_loss.loss": "ExponentialLoss HalfBinomialLoss HalfMultinomialLoss",
    }
)

LOSSES = _names(
    {
        "_loss._loss": "CyExponentialLoss CyHalfBinomialLoss CyHalfMultinomialLoss CyHalfSquaredError CyHuberLoss",
        "linear_model._sgd_fast": "EpsilonInsensitive Hinge ModifiedHuber SquaredEpsilonInsensitive SquaredHinge",
    }
)
DISTANCES = _names(
    {
        "metrics._dist_metrics": "ChebyshevDistance64 EuclideanDistance64 ManhattanDistance64 MinkowskiDistance64",
    }
)
TREE: Name = ("sklearn.tree._tree", "Tree")
"""Holds the fitted numbers of a decision tree; its nodes are checked before anything follows them."""
NEIGHBOUR_TREES = _names({"neighbors._kd_tree": "KDTree", "neighbors._ball_tree": "BallTree"})

_SCALAR_TYPES = {"bool", "bool_", "str_", "bytes_", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
SCORES = _names(
    {
        "feature_selection._univariate_selection": "chi2 f_classif",
        "metrics._classification": "accuracy_score balanced_accuracy_score f1_score log_loss",
    }
)
VALUES: frozenset[Name] = (
    DISTANCES
    | NEIGHBOUR_TREES
    | SCORES
    | frozenset(("numpy", name) for name in _SCALAR_TYPES)
    | frozenset(("builtins", name) for name in ("bool", "float", "int", "object", "str"))
    | {
        ("numpy", "memmap"),
        ("numpy", "ndarray"),
        ("numpy.ma", "MaskedArray"),
        ("numpy.ma.core", "MaskedArray"),
        ("numpy.random._mt19937", "MT19937"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random.bit_generator", "SeedSequence"),
    }
)

_MOVED = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "numpy.random._bit_generator": "numpy.random.bit_generator",
}


def today(module: str, name: str) -> Name:
    """Give the name by which a global that has moved since the file was written is known today.

    >>> today("copy_reg", "_reconstructor")
    ('copyreg', '_reconstructor')
    """
    return _MOVED.get(module, module), name
