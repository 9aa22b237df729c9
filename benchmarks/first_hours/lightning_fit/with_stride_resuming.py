"""Digits, classified by a small network in Lightning."""

import tempfile
from pathlib import Path

import lightning
import stride
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

images, labels = (torch.tensor(each) for each in load_digits(return_X_y=True))
images = images.float() / 16


class Digits(lightning.LightningModule):
    def __init__(self, learning_rate):
        super().__init__()
        self.learning_rate = learning_rate
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 10)
        )

    def training_step(self, batch, _):
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.log("val_loss", torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


class Reports(lightning.Callback):
    """Tells Stride what each epoch measured, and saves the training."""

    def __init__(self, trial):
        self.trial = trial
        self.folder = tempfile.TemporaryDirectory()

    def on_train_epoch_end(self, trainer, module):  # validation comes before it
        trainer.save_checkpoint(f"{self.folder.name}/last.ckpt")
        self.trial.save(Path(self.folder.name))
        losses = trainer.callback_metrics
        if self.trial.report(validation_loss=losses["val_loss"], training_loss=losses["train_loss"]):
            trainer.should_stop = True


@stride.objective(space={"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}}, steps=12)
def train(trial):
    training = DataLoader(TensorDataset(images[:1300], labels[:1300]), batch_size=32, shuffle=True)
    validation = DataLoader(TensorDataset(images[1300:], labels[1300:]), batch_size=500)
    module = Digits(trial.params["learning_rate"])
    trainer = lightning.Trainer(
        max_epochs=12,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[Reports(trial)],
        accelerator="cpu",
    )
    saved = trial.restored()
    trainer.fit(module, training, validation, ckpt_path=saved and saved / "last.ckpt")
