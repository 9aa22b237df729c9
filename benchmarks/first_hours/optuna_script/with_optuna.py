"""A classifier of handwritten digits: which learning rate, momentum and batch size?"""

import optuna
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

EPOCHS = 10


def load():
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16, labels, test_size=0.3, random_state=0)
    return [torch.tensor(part, dtype=torch.float32 if part.ndim == 2 else torch.int64) for part in split]


x_train, x_val, y_train, y_val = load()


def build(dropout):
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def objective(trial):
    lr = trial.suggest_float("lr", 1e-4, 3.0, log=True)
    momentum = trial.suggest_float("momentum", 0.0, 0.95)
    batch_size = trial.suggest_categorical("batch_size", [32, 64, 128])
    model = build(dropout=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for epoch in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(x_train)).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x_train[batch]), y_train[batch])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_val).argmax(1) == y_val).float().mean().item()
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return accuracy


if __name__ == "__main__":
    study = optuna.load_study(study_name="digits", storage="sqlite:///study.db")
    study.optimize(objective, n_trials=8)
    print(study.best_params, study.best_value)
