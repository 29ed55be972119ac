"""What is measured of faces: how far answers can be trusted, and how well faces are found."""

from tasks.kinds import Figure, Metric

# Of a calibrated network of emotions.
TRUST = (
    Metric("ece_calibrated", "Calibration error, calibrated", 100, 2, "%", less_is_better=True),
    Metric("coverage", "Faces with an answer", 100, 2, "%"),
    Metric("accuracy_certain", "Accuracy of these answers", 100, 2, "%"),
)
# Of faces found in whole photographs.
FOUND = (
    Metric("map50", "AP at IoU 0.5", 100, 2, "%"),
    Metric("map50_16px", "AP of faces from 16 pixels", 100, 2, "%"),
    Metric("recall_32px", "Recall from 32 pixels", 100, 2, "%"),
    Metric("recall_32px_p90", "Recall from 32 pixels where 90 % of all boxes are right", 100, 2, "%"),
    Metric("recall", "Recall", 100, 2, "%"),
    Metric("precision", "Precision", 100, 2, "%"),
    Metric("f1", "F1", 100, 2, "%"),
)
METRICS = (*TRUST, *FOUND)
FIGURES = (
    Figure(
        "calibration.png",
        "How often answers of each probability are right, before and after calibration; accuracy by the share of faces that is left "
        "uncertain, and the threshold that was chosen on validation.",
    ),
    Figure("robustness.png", "Test faces that were blurred, and shrunk: left of the lines they are flagged."),
)
