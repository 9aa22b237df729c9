"""Digits, classified by a convolutional network in Keras."""

import keras
from keras import layers
from sklearn.datasets import load_digits
from stride.integrations.keras import StrideCallback


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


def train(learning_rate=0.001):
    (x, y), validation = load()
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        x,
        y,
        batch_size=32,
        epochs=6,
        validation_data=validation,
        verbose=2,
        callbacks=[StrideCallback()],
    )
    return history.history["val_loss"][-1]


if __name__ == "__main__":
    train()
