"""Digits, classified by a convolutional network in Keras."""

import keras
import stride
from keras import layers
from sklearn.datasets import load_digits


def load():
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8, 1).astype("float32")
    return (images[:1300], labels[:1300]), (images[1300:], labels[1300:])


def build():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


class Reports(keras.callbacks.Callback):
    """Tells Stride what each epoch measured, and saves and restores the training."""

    def __init__(self, trial):
        super().__init__()
        self.trial = trial
        self.first = (trial.restored() or {"epoch": 0})["epoch"]

    def variables(self):  # by their order: a second model in the same process has other names
        return [*self.model.variables, *self.model.optimizer.variables]

    def on_train_begin(self, logs=None):  # not before: `fit` draws random numbers until here
        if (saved := self.trial.restored()) is not None:
            for variable, value in zip(self.variables(), saved["values"], strict=True):
                variable.assign(value)

    def on_epoch_end(self, epoch, logs=None):
        self.trial.save({"epoch": epoch + 1, "values": [variable.numpy() for variable in self.variables()]})
        if self.trial.report(epoch, validation_loss=logs["val_loss"], training_loss=logs["loss"]):
            self.model.stop_training = True


@stride.objective(space={"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}}, steps=6)
def train(trial):
    (x, y), validation = load()
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(trial.params["learning_rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    reports = Reports(trial)
    history = model.fit(
        x,
        y,
        batch_size=32,
        epochs=6,
        validation_data=validation,
        verbose=2,
        callbacks=[reports],
        initial_epoch=reports.first,
    )
    return history.history["val_loss"][-1]


if __name__ == "__main__":
    train()
