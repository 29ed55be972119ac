"""A study as tables: its trials, their epochs, and what mattered."""

import pandas as pd

from tasks.sweeps.study import Study


def importances(study: Study) -> dict[str, float]:
    """Each sampled value's share in the spread of validation loss, by Optuna; empty where too few trials ran to their end."""
    import optuna

    complete = [t for t in study.optuna.get_trials(deepcopy=False) if t.state.name == "COMPLETE" and t.params]
    varied = {key for key in study.sweep.space if len({str(t.params.get(key)) for t in complete}) > 1}
    losses = {trial.number: trial.val_loss or 0.0 for trial in study.of("complete")}
    if len(complete) < 4 or not varied or len({losses[t.number] for t in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=study.sweep.seed)
    shares = optuna.importance.get_param_importances(
        study.optuna, evaluator=evaluator, params=sorted(varied), target=lambda t: losses[t.number]
    )
    return {key: float(share) for key, share in shares.items()}


def trials(study: Study) -> pd.DataFrame:
    """A row a trial: number, state, val_loss, the objective's metric, parameters, epochs, seconds, efficiency, error, every sampled value."""
    metric = f"val_{study.metric}"
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            "val_loss": trial.val_loss,
            **({metric: trial.kept[metric] if trial.kept else None} if metric != "val_loss" else {}),
            "parameters": trial.parameters,
            "epochs": len(trial.rows),
            "seconds": round(trial.rows[-1]["seconds"], 3) if trial.rows else 0.0,
            "efficiency": trial.efficiency,
            "error": trial.error,
            **{key: study.sweep.space[key].code(value) for key, value in trial.sampled.items()},
        }
        for trial in study.trials
    ]
    return pd.DataFrame(rows)


def curves(study: Study) -> pd.DataFrame:
    """A row an epoch of each trial."""
    return pd.DataFrame([{"trial": trial.number, **row} for trial in study.trials for row in trial.rows])
